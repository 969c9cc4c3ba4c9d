# SPDX-License-Identifier: Apache-2.0
"""The transport of a running node: web3.py's HTTP provider over a pool of connections.

Only the provider is used, below web3's middleware: no filling in of fees or nonces, no retry that we did not ask
for, no reshaping of blocks (so the long extraData of QBFT and Clique needs no special middleware).
Importing web3 takes one to two seconds, so it is loaded with the first call: a node listens before that.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from node.chain.transport import (
    DEFAULT_TIMEOUT_SECONDS,
    build_away,
    collect_answer,
    decode_answer,
    parse_rpc_url,
)
from node.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import requests
    from web3.providers.rpc import HTTPProvider
    from web3.types import RPCEndpoint

_PART_BYTES: Final = 65_536


class Web3Transport:
    """Carry calls by web3's HTTP provider; safe to use from several threads.

    Args:
        url: Address of the chain node.
        timeout_seconds: Longest wait for the connection and for each read of the answer.
    """

    def __init__(self, url: str, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        self._url = url
        self._place = parse_rpc_url(url).place
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._opened: tuple[HTTPProvider, requests.Session] | None = None
        self._answered = False

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return self._place

    def request(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        """Send a call and give the decoded answer (see :class:`node.chain.transport.Transport`)."""
        import requests  # noqa: PLC0415 - see the module's docstring
        from web3.exceptions import Web3Exception  # noqa: PLC0415

        try:
            answer = self._call(method, params)
        except requests.HTTPError as error:
            if error.response is None:
                raise build_away(self._place, error) from None
            return decode_answer(
                error.response.content, http_status=error.response.status_code, place=self._place
            )
        except requests.Timeout:
            raise build_away(self._place, TimeoutError()) from None
        except (requests.RequestException, Web3Exception, OSError) as error:
            raise build_away(self._place, error) from None
        except (ValueError, RecursionError):
            raise self._no_json_rpc() from None
        if not isinstance(answer, dict):
            raise self._no_json_rpc()
        self._answered = True
        return cast("dict[str, Any]", answer)

    def close(self) -> None:
        """Close the kept connections; a later request opens new ones."""
        with self._lock:
            if self._opened is not None:
                self._opened[1].close()

    def _call(self, method: str, params: Sequence[Any]) -> object:
        import requests  # noqa: PLC0415 - see the module's docstring

        call = partial(self._provider().make_request, cast("RPCEndpoint", method), list(params))
        try:
            return call()
        except requests.ConnectTimeout:
            raise
        except requests.ConnectionError:
            if not self._answered:
                raise
            # A kept connection may have been closed by the other side meanwhile, and no call of ours does anything
            # twice when it is repeated.
            return call()

    def _provider(self) -> HTTPProvider:
        import requests  # noqa: PLC0415 - see the module's docstring
        from web3.providers.rpc import HTTPProvider  # noqa: PLC0415

        with self._lock:
            if self._opened is None:
                session = requests.Session()
                session.trust_env = False
                session.hooks["response"].append(self._read)
                provider = HTTPProvider(
                    self._url,
                    request_kwargs={
                        "timeout": self._timeout_seconds,
                        "allow_redirects": False,
                        "headers": {"Content-Type": "application/json"},
                    },
                    session=session,
                    exception_retry_configuration=None,
                )
                self._opened = provider, session
            return self._opened[0]

    def _read(self, response: requests.Response, **_: object) -> None:
        """Read an answer within its bounds, before the library reads it without any."""
        import requests  # noqa: PLC0415 - see the module's docstring
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        parts = iter(partial(response.raw.read1, _PART_BYTES, decode_content=True), b"")
        try:
            # The library keeps what was read here; it has no public way to hand it over.
            response._content = collect_answer(parts, self._place, self._timeout_seconds)  # noqa: SLF001
        except (HTTPError, OSError) as error:
            response.close()
            kind = requests.Timeout if isinstance(error, TimeoutError) else requests.ConnectionError
            raise kind from None
        except Unavailable:
            response.close()
            raise

    def _no_json_rpc(self) -> Unavailable:
        return Unavailable("chain-answer", f"chain node {self._place} does not speak JSON-RPC")

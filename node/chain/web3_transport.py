# SPDX-License-Identifier: Apache-2.0
"""The transport of a running node: web3.py's HTTP provider over a pool of connections.

Only the provider is used, below web3's middleware: no filling in of fees or nonces, no retry that we did not ask
for, no reshaping of blocks (so the long extraData of QBFT and Clique needs no special middleware).
Importing web3 takes one to two seconds; nothing that a command line needs may import this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import requests
from web3.exceptions import Web3Exception
from web3.providers.rpc import HTTPProvider

from node.chain.transport import DEFAULT_TIMEOUT_SECONDS, build_away, decode_answer, parse_rpc_url
from node.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from web3.types import RPCEndpoint


class Web3Transport:
    """Carry calls by web3's HTTP provider; safe to use from several threads.

    Args:
        url: Address of the chain node.
        timeout_seconds: Longest wait for the connection and for each read of the answer.
        headers: Further HTTP headers, such as ``Authorization``.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._place = parse_rpc_url(url).place
        self._session = requests.Session()
        self._session.trust_env = False
        self._provider = HTTPProvider(
            url,
            request_kwargs={
                "timeout": timeout_seconds,
                "allow_redirects": False,
                "headers": {"Content-Type": "application/json", **(headers or {})},
            },
            session=self._session,
            exception_retry_configuration=None,
        )

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return self._place

    def request(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        """Send a call and give the decoded answer (see :class:`node.chain.transport.Transport`)."""
        try:
            answer = self._provider.make_request(cast("RPCEndpoint", method), list(params))
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
        return cast("dict[str, Any]", answer)

    def close(self) -> None:
        """Close the kept connections; a later request opens new ones."""
        self._session.close()

    def _no_json_rpc(self) -> Unavailable:
        return Unavailable("chain-answer", f"chain node {self._place} does not speak JSON-RPC")

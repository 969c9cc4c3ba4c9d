# SPDX-License-Identifier: Apache-2.0
"""A node's HTTP API from the outside: what the command line uses to talk to the running node."""

from __future__ import annotations

import hashlib
import re
import ssl
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
import orjson

from node.client.still_file import StillFile
from node.core.printable import cut_line
from node.errors import AccessDenied, Conflict, InvalidInput, NodeError, NotFound, Unavailable, Verification

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_CLASSES: Final[dict[int, type[NodeError]]] = {
    400: InvalidInput,
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    409: Conflict,
    413: InvalidInput,
    414: InvalidInput,
    422: Verification,
    431: InvalidInput,
    503: Unavailable,
}
DEFAULT_TIMEOUT_SECONDS: Final = 120.0
MAX_ANSWER_BYTES: Final = 64 << 20
"""Greatest answer: thousands of refused rows, or the largest evidence file many times over."""
_MAX_DETAIL: Final = 1_000
_CODE: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+){0,9}")
_PORTS: Final = 1 << 16
_URL: Final = re.compile(r"https?://[!-~]{1,2040}")


class NodeClient:
    """Calls one node.

    Args:
        url: Address of the node.
        token: Token for the routes that need one.
        language: ``zh`` or ``en``, for titles of errors and rules.
        timeout_seconds: Longest wait for one answer.
        tls_ca: PEM file with the CA that the node's certificate must lead to; None takes those of this machine.
        tls_pin: SHA-256 of the node's own certificate in DER: it and no other is accepted, under whatever name and
            until whenever; no CA is asked.

    Raises:
        InvalidInput: ``node-url``, ``tls-ca``.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        language: str = "en",
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        tls_ca: Path | None = None,
        tls_pin: bytes | None = None,
    ) -> None:
        try:
            parsed = httpx.URL(url) if _URL.fullmatch(url) else None
            if parsed is None or not parsed.host or not 0 < (parsed.port or 1) < _PORTS:
                raise ValueError
            # What a socket does with a name before it asks anybody.
            parsed.host.encode("idna")
        except (ValueError, httpx.InvalidURL):
            raise InvalidInput(
                "node-url", "address of a node is none: want one such as https://node.example:8620"
            ) from None
        headers = {"Accept-Language": language}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        # trust_env off: a proxy of the environment must not see what goes to the node.
        self._http = httpx.Client(
            base_url=url,
            headers=headers,
            timeout=timeout_seconds,
            trust_env=False,
            verify=_build_tls(tls_ca, tls_pin) if url.startswith("https:") else False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connection."""
        self._http.close()

    def get(self, path: str, **parameters: str | int) -> Any:
        """Fetch JSON.

        Raises:
            NodeError: The node's own error by its class and code; ``node-away`` when there is no answer.
        """
        return self._json(self._call("GET", path, params=parameters))

    def get_text(self, path: str) -> str:
        """Fetch text, such as a checkpoint."""
        try:
            return self._call("GET", path).decode()
        except UnicodeDecodeError:
            raise Unavailable(
                "node-answer", "the node's answer is no text: is this address a node's?"
            ) from None

    def get_bytes(self, path: str) -> bytes:
        """Fetch bytes, such as a tile."""
        return self._call("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send JSON and fetch JSON."""
        return self._json(self._call("POST", path, json=body))

    def upload(self, path: str, file: Path, fields: dict[str, str]) -> Any:
        """Send a file with form fields.

        Raises:
            InvalidInput: ``file-changing``: it was written to while it was sent; the node has taken nothing.
        """
        with file.open("rb") as stream:
            still = StillFile(stream)
            return self._json(self._call("POST", path, files={"file": (file.name, still)}, data=fields))

    def _call(self, method: str, path: str, **arguments: Any) -> bytes:
        try:
            with self._http.stream(method, path, **arguments) as response:
                body = _read(response)
        except httpx.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise AccessDenied(
                    "node-certificate",
                    f"the certificate of {self._http.base_url} is not one that is trusted here: nothing was sent; "
                    "name the CA with --tls-ca, if it is the right node",
                ) from None
            raise Unavailable(
                "node-away", f"no answer from the node at {self._http.base_url}: {type(error).__name__}"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # An answer that leads elsewhere by a malformed address is an InvalidURL, though nobody follows it.
            raise Unavailable(
                "node-away", f"no answer from the node at {self._http.base_url}: {type(error).__name__}"
            ) from None
        if response.is_success:
            return body
        raise _error_of(response.status_code, body)

    @staticmethod
    def _json(body: bytes) -> Any:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise Unavailable(
                "node-answer", "the node's answer is not JSON: is this address a node's?"
            ) from None


class _PinnedContext(ssl.SSLContext):
    """TLS with one server and no other: whoever holds the key of the pinned certificate."""

    pin: bytes

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """Shake hands, and compare the certificate before anything is sent."""
        secured = super().wrap_socket(*args, **options)
        if hashlib.sha256(secured.getpeercert(binary_form=True) or b"").digest() != self.pin:
            secured.close()
            raise ssl.SSLCertVerificationError("CERTIFICATE_VERIFY_FAILED: not the pinned one")
        return secured


def _build_tls(ca: Path | None, pin: bytes | None) -> ssl.SSLContext:
    context: ssl.SSLContext
    if pin is not None:
        context = pinned = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
        pinned.pin = pin
        # The name in the certificate and who signed it say nothing more.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif ca is None:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise InvalidInput("tls-ca", f"{ca}: no certificates in PEM: {type(error).__name__}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _read(response: httpx.Response) -> bytes:
    """Read an answer, never holding much more than the bound, also of one that unpacks to more than it is long."""
    body = bytearray()
    for part in response.iter_bytes():
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise Unavailable(
                "node-answer", f"the node's answer is too large: want at most {MAX_ANSWER_BYTES} bytes"
            )
    return bytes(body)


def _error_of(status: int, body: bytes) -> NodeError:
    try:
        fields = orjson.loads(body)
        code, detail = str(fields["code"]), str(fields["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        code, detail = "", ""
    if not _CODE.fullmatch(code):
        # Whoever answers at this address may be no node, and what it says goes to a terminal.
        code, detail = "node-answer", f"the node answered with status {status}"
    return _CLASSES.get(status, Unavailable)(code, cut_line(detail, most_characters=_MAX_DETAIL))

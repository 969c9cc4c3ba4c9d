# SPDX-License-Identifier: Apache-2.0
"""Shared documents from other members' nodes (docs/protocol/documents.md).

Trust: nothing that a node sends; whoever asks compares the digest. TLS with the key that the chain names, so that nobody
between the two learns more than that a public document was fetched, and nobody is asked who is no member.
"""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING, Any, Final

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.errors import AccessDenied, NotFound, Unavailable
from node.ports import MemberStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.core.types import MemberCode
    from node.ports import AnchorChain

TIMEOUT_SECONDS: Final = 10.0
"""For connecting, and for each piece of the answer."""
_NOT_FOUND: Final = 404


class MemberDocuments:
    """Fetches documents from the nodes that the registry names; implements ``node.ports.DocumentSource``.

    Args:
        chain: Says who is a member, and where its node is.
        timeout_seconds: For connecting, and for each piece of the answer.
    """

    def __init__(self, chain: AnchorChain, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._chain = chain
        self._timeout_seconds = timeout_seconds

    def holders(self) -> Sequence[MemberCode]:
        """List the active members, in order of joining."""
        return [m.code for m in self._chain.members() if m.status is MemberStatus.ACTIVE]

    def fetch_document(self, member: MemberCode, digest: bytes, *, most_bytes: int) -> bytes:
        """Fetch the bytes that a member's node gives for a digest.

        Raises:
            NotFound: ``document-unknown``: it has none, or says nowhere where it is.
            AccessDenied: ``peer-certificate``: it shows another key than the chain names; nothing was sent.
            Unavailable: ``peer-away``, ``peer-answer``: no answer, another status, or too many bytes.
        """
        endpoint = self._chain.endpoint(member)
        if endpoint is None:
            raise NotFound("document-unknown", f"{member} does not say where its node is reached")
        verify: ssl.SSLContext | bool = False
        if endpoint.tls_key is not None:
            verify = _KeyPinned.build(endpoint.tls_key)
        url = f"{endpoint.url}/documents/{digest.hex()}"
        try:
            with (
                httpx.Client(
                    verify=verify, timeout=self._timeout_seconds, trust_env=False, follow_redirects=False
                ) as client,
                client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response,
            ):
                return _read(response, member, most_bytes)
        except httpx.ConnectError as error:
            if _REFUSED in str(error):
                raise AccessDenied(
                    "peer-certificate", f"{member} shows another key than the chain names: nothing was sent"
                ) from None
            raise _away(member, error) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _away(member, error) from None


def _read(response: httpx.Response, member: MemberCode, most_bytes: int) -> bytes:
    if response.status_code == _NOT_FOUND:
        raise NotFound("document-unknown", f"{member} does not have it")
    if response.status_code != httpx.codes.OK:
        raise Unavailable("peer-answer", f"{member} answers with status {response.status_code}")
    data = bytearray()
    for piece in response.iter_raw():
        data += piece
        if len(data) > most_bytes:
            raise Unavailable("peer-answer", f"{member} gives more than {most_bytes} bytes")
    return bytes(data)


def _away(member: MemberCode, error: Exception) -> Unavailable:
    return Unavailable("peer-away", f"{member} gives no answer: {type(error).__name__}")


_REFUSED: Final = "another key than the pinned one"


class _KeyPinned(ssl.SSLContext):
    """TLS with whoever holds one key, and with nobody else."""

    key: bytes

    @classmethod
    def build(cls, key: bytes) -> _KeyPinned:
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.key = key
        # The name in the certificate and who signed it say nothing more.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """Shake hands, and compare the key before anything is sent."""
        secured = super().wrap_socket(*args, **options)
        if _digest_key(secured.getpeercert(binary_form=True) or b"") != self.key:
            secured.close()
            raise ssl.SSLCertVerificationError(_REFUSED)
        return secured


def _digest_key(certificate: bytes) -> bytes:
    try:
        shown = x509.load_der_x509_certificate(certificate).public_key()
        return hashlib.sha256(shown.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    except (ValueError, TypeError):
        return b""

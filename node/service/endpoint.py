# SPDX-License-Identifier: Apache-2.0
"""What a node says about where it is reached (docs/chain.md, Where a node is reached)."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.errors import InvalidInput
from node.ports import Endpoint

MAX_URL_CHARACTERS: Final = 255
MAX_PORT: Final = 65_535

_PORT: Final = r":(?P<port>[1-9][0-9]{0,4})"
_SECURE: Final = re.compile(rf"https://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?:{_PORT})?")
_PLAIN: Final = re.compile(rf"http://(?:127\.0\.0\.1|\[::1\]|localhost){_PORT}")


def build_endpoint(url: str, certificate: bytes | None) -> Endpoint:
    """Build what is said on the chain.

    Args:
        url: As others are to reach the node: ``https://host[:port]``, or ``http://`` with a loopback host and a port.
        certificate: PEM whose first certificate is the one shown there; None where plain HTTP is spoken.

    Raises:
        InvalidInput: ``public-url``, or ``public-certificate`` when it is missing, too many, or none.
    """
    form = _PLAIN if url.startswith("http://") else _SECURE
    found = form.fullmatch(url)
    if found is None or len(url) > MAX_URL_CHARACTERS or int(found["port"] or 1) > MAX_PORT:
        raise InvalidInput(
            "public-url",
            "public_url is malformed: want https://host[:port] in small letters and without a path, or http:// with "
            "127.0.0.1, [::1] or localhost and a port",
        )
    if form is _PLAIN:
        if certificate is not None:
            raise InvalidInput("public-certificate", "public_url is plain HTTP, but a certificate is set")
        return Endpoint(url, None)
    if certificate is None:
        raise InvalidInput(
            "public-certificate",
            "public_url is HTTPS, but no certificate is known: set tls_certificate, or public_certificate where a proxy "
            "speaks TLS",
        )
    return Endpoint(url, digest_tls_key(certificate))


def digest_tls_key(certificate: bytes) -> bytes:
    """Give the SHA-256 of the public key (SubjectPublicKeyInfo, DER) of the first certificate of a PEM file.

    Raises:
        InvalidInput: ``public-certificate``.
    """
    try:
        shown = x509.load_pem_x509_certificates(certificate)[0]
        key = shown.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, x509.UnsupportedGeneralNameType):
        raise InvalidInput("public-certificate", "the certificate cannot be read: want PEM") from None
    return sha256(key).digest()

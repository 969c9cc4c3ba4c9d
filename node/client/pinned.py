# SPDX-License-Identifier: Apache-2.0
"""TLS with whoever holds one key, and with nobody else: the chain names the key, so no CA and no name is asked."""

from __future__ import annotations

import hashlib
import ssl

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class _PinnedObject(ssl.SSLObject):
    """One TLS connection of asyncio's."""

    pin: bytes

    def do_handshake(self) -> None:
        """Shake hands, and compare before anything is sent."""
        super().do_handshake()
        if key_digest(self.getpeercert(binary_form=True) or b"") != self.pin:
            raise ssl.SSLCertVerificationError("CERTIFICATE_VERIFY_FAILED: not the pinned key")


def key_digest(certificate: bytes) -> bytes:
    """Compute SHA-256 of the SubjectPublicKeyInfo of a certificate in DER; nothing for one that cannot be read."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except Exception:  # noqa: BLE001 - whatever it is, it is not the pinned one
        return b""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def build_pinned_tls(pin: bytes) -> ssl.SSLContext:
    """Build the client's side of TLS for asyncio; connecting to another key raises ``SSLCertVerificationError``.

    Args:
        pin: SHA-256 of the SubjectPublicKeyInfo of the server's certificate, 32 bytes.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The name in the certificate and who signed it say nothing more than the pin.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.sslobject_class = type("PinnedObject", (_PinnedObject,), {"pin": pin})
    return context

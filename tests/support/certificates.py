# SPDX-License-Identifier: Apache-2.0
"""A CA of our own, and certificates for servers on this machine."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Files:
    """Files of one certificate."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; its own lies in ``ca``."""

    def __init__(self, folder):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        basic = x509.BasicConstraints(ca=True, path_length=None)
        signed = self._build(self._name, self._key.public_key()).add_extension(basic, critical=True)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(signed.sign(self._key, hashes.SHA256()).public_bytes(PEM))

    def issue(self, name, *, hosts=("127.0.0.1",), passphrase=None):
        """Make a key and a certificate for a server at these addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        places = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host)) for host in hosts])
        signed = self._build(subject, key.public_key()).add_extension(places, critical=False)
        files = Files(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        files.certificate.write_bytes(signed.sign(self._key, hashes.SHA256()).public_bytes(PEM))
        encryption = (
            serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        )
        files.key.write_bytes(key.private_bytes(PEM, PKCS8, encryption))
        files.key.chmod(0o600)
        return files

    def _build(self, subject, public_key):
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 30 * DAY)
        )

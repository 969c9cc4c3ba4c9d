# SPDX-License-Identifier: Apache-2.0
"""The operator key: secp256k1 signatures of chain transactions (RFC 6979 nonces, low s, EIP-155)."""

from __future__ import annotations

import re

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from node.core.encoding import require_text
from node.crypto.keccak import keccak256
from node.crypto.rlp import encode_rlp
from node.errors import InvalidInput

SECRET_BYTES = 32
DIGEST_BYTES = 32
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_CURVE = ec.SECP256K1()
_SCHEME = ec.ECDSA(Prehashed(SHA256()), deterministic_signing=True)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_EIP155_OFFSET = 35


class OperatorKey:
    """A private key of a chain account.

    Args:
        secret: Exactly 32 secret bytes, a number from 1 to the group order less 1.

    Raises:
        InvalidInput: ``secp256k1-secret``.
    """

    def __init__(self, secret: bytes) -> None:
        number = int.from_bytes(secret, "big")
        if len(secret) != SECRET_BYTES or not 0 < number < _ORDER:
            raise InvalidInput(
                "secp256k1-secret",
                f"operator key is malformed: got {len(secret)} bytes, want 32 within the group order",
            )
        self._number = number
        self._key = ec.derive_private_key(number, _CURVE)
        point = self._key.public_key().public_numbers()
        self.public: bytes = point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
        self.address: str = encode_address(keccak256(self.public)[12:])

    def sign_digest(self, digest: bytes) -> tuple[int, int, int]:
        """Sign a 32-byte digest and return (r, s, recovery), s in the lower half, recovery 0 or 1.

        Raises:
            InvalidInput: ``secp256k1-digest`` for another length.
        """
        if len(digest) != DIGEST_BYTES:
            raise InvalidInput(
                "secp256k1-digest",
                f"digest has the wrong length: got {len(digest)} bytes, want {DIGEST_BYTES}",
            )
        r, s = decode_dss_signature(self._key.sign(digest, _SCHEME))
        # The signer knows its key, so the nonce and with it the parity of R follow from the signature.
        nonce = (int.from_bytes(digest, "big") + r * self._number) * pow(s, -1, _ORDER) % _ORDER
        point = ec.derive_private_key(nonce, _CURVE).public_key().public_numbers()
        # R.x beyond the order happens once in 2^127 signatures and has no EIP-155 form.
        assert point.x == r
        if s > _ORDER // 2:
            return r, _ORDER - s, 1 - point.y % 2
        return r, s, point.y % 2

    def sign_legacy_transaction(
        self, *, nonce: int, gas_price: int, gas: int, to: str | None, value: int, data: bytes, chain_id: int
    ) -> bytes:
        """Sign a transaction of the kind that every engine takes, for one chain (EIP-155); return its raw bytes.

        Args:
            nonce: Count of transactions that this account has sent before.
            gas_price: Wei per gas.
            gas: Greatest gas it may use.
            to: Address of the recipient; None creates a contract.
            value: Wei.
            data: Call data or creation code.
            chain_id: Id of the only chain on which it is valid.

        Raises:
            InvalidInput: ``address`` or ``address-checksum`` for the recipient, ``rlp-integer`` for a negative
                number.
        """
        recipient = b"" if to is None else parse_address(to)
        fields = (nonce, gas_price, gas, recipient, value, data)
        r, s, recovery = self.sign_digest(keccak256(encode_rlp((*fields, chain_id, 0, 0))))
        return encode_rlp((*fields, 2 * chain_id + _EIP155_OFFSET + recovery, r, s))


def encode_address(raw: bytes) -> str:
    """Encode a 20-byte address with its checksum in the case of the letters (EIP-55)."""
    if len(raw) != 20:  # noqa: PLR2004  the length of an address
        raise InvalidInput("address", f"address has the wrong length: got {len(raw)} bytes, want 20")
    digits = raw.hex()
    checksum = keccak256(digits.encode("ascii")).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit  # noqa: PLR2004  the upper half of a nibble
        for digit, nibble in zip(digits, checksum, strict=False)
    )


def parse_address(text: str) -> bytes:
    """Parse an address and return its 20 bytes; mixed case must be the EIP-55 checksum.

    Raises:
        InvalidInput: ``address``, ``address-checksum``.
    """
    require_text(text, "address")
    if not _ADDRESS.fullmatch(text):
        raise InvalidInput(
            "address", f"address is malformed: got {len(text)} characters, want 0x and 40 hex digits"
        )
    raw = bytes.fromhex(text[2:])
    if text[2:] not in {raw.hex(), raw.hex().upper()} and text != encode_address(raw):
        raise InvalidInput("address-checksum", "address has a wrong checksum in the case of its letters")
    return raw

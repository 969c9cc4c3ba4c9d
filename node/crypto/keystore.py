# SPDX-License-Identifier: Apache-2.0
"""Keystore v3 (Web3 Secret Storage) with scrypt, for 32-byte secrets: operator, recovery, wrapping and index keys.

Files are written by the library that Ethereum's own tools use and read here: that library loads a pairing library
first, most of a second, which a node's start and offline verification can do without.
"""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CTR

from node.core.canonical import check_members, encode_json, parse_json
from node.crypto.keccak import keccak256
from node.crypto.secp256k1 import OperatorKey
from node.errors import InvalidInput, Verification

SECRET_BYTES = 32
DEFAULT_SCRYPT_N = 262_144
_MAX_SCRYPT_N = 2**20
_MAX_BYTES = 4096
_MAX_SCRYPT_R = 8
_MAX_SCRYPT_P = 16
_MAX_SCRYPT_MEMORY_BYTES = 2**31
"""Above what the greatest costs take, 1 GiB and a little; libsodium's binding wants a bound of its own."""
_KEY_BYTES = 32
_CIPHER_KEY_BYTES = 16


def encode_keystore(secret: bytes, passphrase: str, *, n: int = DEFAULT_SCRYPT_N) -> bytes:
    """Encrypt a secret under a passphrase as a keystore v3 file.

    Args:
        secret: Exactly 32 bytes, a number from 1 to the secp256k1 order less 1 (all but 2^-127 of them).
        passphrase: Not empty.
        n: scrypt cost, a power of two up to 2^20; memory used is n KiB.

    Raises:
        InvalidInput: ``keystore-secret``, ``keystore-passphrase``, ``keystore-form`` for a wrong cost.
    """
    if len(secret) != SECRET_BYTES or not any(secret):
        raise InvalidInput(
            "keystore-secret", f"secret is malformed: got {len(secret)} bytes, want 32 that are not all zero"
        )
    if not passphrase:
        raise InvalidInput("keystore-passphrase", "passphrase is empty")
    _check_cost(n, _MAX_SCRYPT_R, 1)
    from eth_keyfile.keyfile import create_keyfile_json  # noqa: PLC0415  see the module docstring

    try:
        keystore = create_keyfile_json(secret, passphrase.encode(), kdf="scrypt", iterations=n)
    except ValueError:
        raise InvalidInput(
            "keystore-secret", "secret is malformed: want a number below the secp256k1 order"
        ) from None
    return encode_json(keystore)


def parse_keystore(data: bytes, passphrase: str) -> bytes:
    """Decrypt a keystore v3 file and return its 32 secret bytes.

    Args:
        data: The file, untrusted.
        passphrase: The one it was encrypted under.

    Raises:
        InvalidInput: ``keystore-form`` for anything but version 3, scrypt of bounded cost and AES-128-CTR, or an address
            that is not that of the secret; the codes of the JSON parser.
        Verification: ``keystore-passphrase`` when the passphrase does not open it.
    """
    keystore = check_members(
        parse_json(data, max_bytes=_MAX_BYTES, what="keystore"),
        "keystore",
        required=("version", "crypto"),
        optional=("address", "id"),
    )
    _check_crypto(keystore)
    crypto = keystore["crypto"]
    key = _derive_key(passphrase, crypto["kdfparams"])
    ciphertext = bytes.fromhex(crypto["ciphertext"])
    mac = keccak256(key[_CIPHER_KEY_BYTES:] + ciphertext)
    if not compare_digest(mac, bytes.fromhex(crypto["mac"])):
        raise Verification(
            "keystore-passphrase", "keystore does not open: want the passphrase it was encrypted under"
        )
    mode = CTR(bytes.fromhex(crypto["cipherparams"]["iv"]))
    decryptor = Cipher(AES128(key[:_CIPHER_KEY_BYTES]), mode).decryptor()
    secret = decryptor.update(ciphertext) + decryptor.finalize()
    _check_address(keystore.get("address"), secret)
    return secret


def _check_address(address: Any, secret: bytes) -> None:
    """Compare the secret with the address that its file repeats: the format's MAC leaves out the IV."""
    if address is None:
        return
    found = OperatorKey(secret).address.lower().removeprefix("0x")
    if type(address) is not str or address.lower().removeprefix("0x") != found:
        raise InvalidInput("keystore-form", "keystore is damaged: its address is not that of its secret")


def _derive_key(passphrase: str, costs: dict[str, Any]) -> bytes:
    """Derive cipher key and MAC key; other threads run meanwhile."""
    salt, n, r, p = bytes.fromhex(costs["salt"]), costs["n"], costs["r"], costs["p"]
    if n >= 1 << 16 * r:
        return _derive_beyond(passphrase.encode(), salt, n, r, p)
    # libsodium's takes two thirds of the time of OpenSSL's. Imported here for offline verification, which opens no keystore.
    from nacl.bindings import crypto_pwhash_scryptsalsa208sha256_ll as scrypt  # noqa: PLC0415

    return scrypt(passphrase.encode(), salt, n, r, p, dklen=_KEY_BYTES, maxmem=_MAX_SCRYPT_MEMORY_BYTES)


def _derive_beyond(password: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    """Derive with r = 1 and a large n, as some programs write them; RFC 7914 bounds n there, so libsodium and OpenSSL refuse."""
    from Crypto.Protocol.KDF import scrypt  # noqa: PLC0415  see _derive_key

    def as_text(data: bytes) -> str:
        return data.decode("latin-1")  # its types ask for text, of which it takes each character for a byte

    key: Any = scrypt(as_text(password), as_text(salt), _KEY_BYTES, n, r, p)
    return bytes(key)


def _check_crypto(keystore: dict[str, Any]) -> None:
    crypto = check_members(
        keystore["crypto"],
        "keystore crypto",
        required=("cipher", "cipherparams", "ciphertext", "kdf", "kdfparams", "mac"),
    )
    cipher = check_members(crypto["cipherparams"], "keystore cipherparams", required=("iv",))
    kdf = check_members(crypto["kdfparams"], "keystore kdfparams", required=("dklen", "n", "p", "r", "salt"))
    kinds = (keystore["version"], crypto["cipher"], crypto["kdf"], kdf["dklen"])
    if kinds != (3, "aes-128-ctr", "scrypt", _KEY_BYTES):
        raise InvalidInput(
            "keystore-form",
            "keystore is of another kind: want version 3, aes-128-ctr and scrypt with dklen 32",
        )
    for value, length in ((cipher["iv"], 16), (crypto["ciphertext"], 32), (crypto["mac"], 32)):
        if type(value) is not str or not re.fullmatch(f"[0-9a-fA-F]{{{2 * length}}}", value):
            raise InvalidInput("keystore-form", f"keystore is malformed: want {length} bytes of hex")
    if type(kdf["salt"]) is not str or not re.fullmatch(r"(?:[0-9a-fA-F]{2}){8,64}", kdf["salt"]):
        raise InvalidInput("keystore-form", "keystore is malformed: want a salt of 8 to 64 bytes of hex")
    _check_cost(kdf["n"], kdf["r"], kdf["p"])


def _check_cost(n: Any, r: Any, p: Any) -> None:
    """Bound what a foreign file can make this machine spend."""
    if any(type(value) is not int for value in (n, r, p)) or not (
        1 < n <= _MAX_SCRYPT_N and n & (n - 1) == 0 and 0 < r <= _MAX_SCRYPT_R and 0 < p <= _MAX_SCRYPT_P
    ):
        raise InvalidInput(
            "keystore-form",
            f"scrypt cost is out of range: want n a power of two up to {_MAX_SCRYPT_N}, r up to {_MAX_SCRYPT_R}, p up to {_MAX_SCRYPT_P}",
        )

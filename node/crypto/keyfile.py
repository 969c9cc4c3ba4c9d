# SPDX-License-Identifier: Apache-2.0
"""Private keys as encrypted PKCS#8 (RFC 5958, PBES2 of RFC 8018 with scrypt of RFC 7914 and AES-256-CBC).

The backend reads this form but writes PBKDF2 with 2,048 rounds only, which would make these files the weak
place beside keystores under the same passphrase; so the outer structure is written here.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Literal, TypeAlias

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Callable

KeyKind: TypeAlias = Literal["ed25519", "ml-dsa-44"]

SEED_BYTES = 32
DEFAULT_SCRYPT_N = 16_384
MAX_FILE_BYTES = 16_384
_MAX_SCRYPT_N = 2**20
# What a foreign file can make this machine spend: 1 GiB of memory, some seconds.
_MAX_SCRYPT_N_R = _MAX_SCRYPT_N * 8
_MAX_SCRYPT_P = 16
_MAX_ROUNDS = 10_000_000
_SCRYPT_R = 8
_SCRYPT_P = 1
_KEY_BYTES = 32
_BLOCK_BYTES = 16
_PEM_LINE = 64
_BEGIN = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
_END = b"-----END ENCRYPTED PRIVATE KEY-----\n"

_INTEGER, _OCTETS, _OBJECT, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")
_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_AES_256_CBC = bytes.fromhex("060960864801650304012a")


def encode_private_key(
    kind: KeyKind,
    seed: bytes,
    passphrase: str,
    *,
    scrypt_n: int = DEFAULT_SCRYPT_N,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> bytes:
    """Encrypt a private key under a passphrase as a PEM file.

    Args:
        kind: Algorithm of the key.
        seed: Exactly 32 secret bytes.
        passphrase: Not empty.
        scrypt_n: Cost, a power of two up to 2^20; memory used is that many KiB.
        random: Source of salt and initialisation vector.

    Raises:
        InvalidInput: ``keyfile-seed``, ``keyfile-passphrase``, ``keyfile-cost``.
    """
    if len(seed) != SEED_BYTES:
        raise InvalidInput(
            "keyfile-seed", f"seed has the wrong length: got {len(seed)} bytes, want {SEED_BYTES}"
        )
    if not passphrase:
        raise InvalidInput("keyfile-passphrase", "passphrase is empty")
    if not 1 < scrypt_n <= _MAX_SCRYPT_N or scrypt_n & (scrypt_n - 1):
        raise InvalidInput(
            "keyfile-cost",
            f"scrypt cost is out of range: got {scrypt_n}, want a power of two up to {_MAX_SCRYPT_N}",
        )
    return _seal(_encode_plain(kind, seed), passphrase, scrypt_n, random)


def parse_private_key(kind: KeyKind, pem: bytes, passphrase: str) -> bytes:
    """Decrypt a PEM file and return the 32-byte seed of its key.

    Args:
        kind: Algorithm that the key must be of.
        pem: The file, as :func:`encode_private_key` or any tool for encrypted PKCS#8 wrote it.
        passphrase: The one it was encrypted under.

    Raises:
        InvalidInput: ``keyfile-form`` unless it is a private key encrypted under scrypt or PBKDF2 of bounded
            cost, ``keyfile-kind`` for another algorithm.
        Verification: ``keyfile-passphrase`` when it does not open.
    """
    if not pem.startswith(_BEGIN):
        raise InvalidInput("keyfile-form", "file is no encrypted private key in PEM")
    _check_cost(pem)
    try:
        key = load_pem_private_key(pem, passphrase.encode())
    except (ValueError, TypeError, InternalError):
        # The backend calls some wrong parameters an error of its own.
        raise Verification(
            "keyfile-passphrase", "private key does not open: the passphrase is wrong or the file is damaged"
        ) from None
    except UnsupportedAlgorithm:
        raise InvalidInput("keyfile-kind", f"private key is of another kind: want {kind}") from None
    if (kind == "ed25519" and isinstance(key, Ed25519PrivateKey)) or (
        kind == "ml-dsa-44" and isinstance(key, MLDSA44PrivateKey)
    ):
        return key.private_bytes_raw()
    raise InvalidInput("keyfile-kind", f"private key is of another kind: want {kind}")


def _check_cost(pem: bytes) -> None:
    """Bound what a file can make this machine spend, before the backend derives a key as it says."""
    body, end, _ = pem.removeprefix(_BEGIN).partition(_END.rstrip())
    try:
        if len(pem) > MAX_FILE_BYTES or not end:
            raise ValueError
        ((_, outer),) = _read_der(base64.b64decode(b"".join(body.split()), validate=True))
        (_, algorithm), _ = _read_der(outer)
        (_, scheme), (_, parameters) = _read_der(algorithm)
        (_, derivation), _ = _read_der(parameters)
        (_, function), (_, costs) = _read_der(derivation)
        numbers = [int.from_bytes(content, "big") for tag, content in _read_der(costs) if tag == _INTEGER]
        if (_OBJECT, scheme) != _read_der(_PBES2)[0] or not _is_cheap(_der(_OBJECT, function), numbers):
            raise ValueError
    except ValueError:
        raise InvalidInput(
            "keyfile-form",
            "private key is damaged, or not encrypted under scrypt or PBKDF2 of bounded cost: want N times r up to "
            f"{_MAX_SCRYPT_N_R} and p up to {_MAX_SCRYPT_P}, or up to {_MAX_ROUNDS} rounds",
        ) from None


def _is_cheap(function: bytes, numbers: list[int]) -> bool:
    match numbers:
        case [n, r, p, *_] if function == _SCRYPT:
            return n > 1 and n & (n - 1) == 0 and 0 < n * r <= _MAX_SCRYPT_N_R and 0 < p <= _MAX_SCRYPT_P
        case [rounds, *_] if function == _PBKDF2:
            return 0 < rounds <= _MAX_ROUNDS
    return False


def _read_der(data: bytes) -> list[tuple[int, bytes]]:
    """Split DER into its elements, each a tag and its content; ValueError unless they fill the data."""
    elements = []
    while data:
        size, start = data[1] if len(data) > 1 else 0, 2
        if size >= 0x80:  # noqa: PLR2004  the long form of a DER length
            start += size - 0x80
            size = int.from_bytes(data[2:start], "big")
        if len(data) < start + size:
            raise ValueError
        elements.append((data[0], data[start : start + size]))
        data = data[start + size :]
    return elements


def _encode_plain(kind: KeyKind, seed: bytes) -> bytes:
    key = (
        Ed25519PrivateKey.from_private_bytes(seed)
        if kind == "ed25519"
        else MLDSA44PrivateKey.from_seed_bytes(seed)
    )
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _seal(plain: bytes, passphrase: str, scrypt_n: int, random: Callable[[int], bytes]) -> bytes:
    salt, iv = random(_BLOCK_BYTES), random(_BLOCK_BYTES)
    key = hashlib.scrypt(
        passphrase.encode(),
        salt=salt,
        n=scrypt_n,
        r=_SCRYPT_R,
        p=_SCRYPT_P,
        maxmem=256 * _SCRYPT_R * scrypt_n + 2**20,
        dklen=_KEY_BYTES,
    )
    kdf = _der(_SEQUENCE, _der(_OCTETS, salt), *(_der_integer(n) for n in (scrypt_n, _SCRYPT_R, _SCRYPT_P)))
    scheme = _der(
        _SEQUENCE,
        _der(_SEQUENCE, _SCRYPT, kdf),
        _der(_SEQUENCE, _AES_256_CBC, _der(_OCTETS, iv)),
    )
    sealed = _encrypt(key, iv, plain)
    return _armour(_der(_SEQUENCE, _der(_SEQUENCE, _PBES2, scheme), _der(_OCTETS, sealed)))


def _encrypt(key: bytes, iv: bytes, plain: bytes) -> bytes:
    padder = PKCS7(8 * _BLOCK_BYTES).padder()
    encryptor = Cipher(AES256(key), CBC(iv)).encryptor()
    return encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()


def _armour(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = (text[i : i + _PEM_LINE] + b"\n" for i in range(0, len(text), _PEM_LINE))
    return _BEGIN + b"".join(lines) + _END


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 0x80:  # noqa: PLR2004  the short form of a DER length
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def _der_integer(value: int) -> bytes:
    # One bit more than the value needs keeps the sign bit clear.
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from node.crypto.keyfile import (
    _AES_256_CBC,
    _PBES2,
    _SCRYPT,
    _armour,
    _der,
    _encode_plain,
    _seal,
    encode_private_key,
    parse_private_key,
)
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code

SEED = bytes(range(32))
PASSPHRASE = "密码 correct horse"
N = 16


def _pkcs8(key, encryption):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("ed25519", Ed25519PrivateKey.from_private_bytes(SEED)),
        ("ml-dsa-44", MLDSA44PrivateKey.from_seed_bytes(SEED)),
    ],
)
class TestBothKinds:
    def test_round_trip_and_third_party_reader(self, kind, key):
        pem = encode_private_key(kind, SEED, PASSPHRASE, scrypt_n=N)
        assert parse_private_key(kind, pem, PASSPHRASE) == SEED
        assert _pkcs8(load_pem_private_key(pem, PASSPHRASE.encode()), NoEncryption()) == _pkcs8(
            key, NoEncryption()
        )
        assert max(map(len, pem.splitlines())) == 64

    def test_files_of_other_tools_are_read(self, kind, key):
        pem = _pkcs8(key, BestAvailableEncryption(PASSPHRASE.encode()))
        assert parse_private_key(kind, pem, PASSPHRASE) == SEED

    def test_wrong_passphrase(self, kind, key):
        pem = encode_private_key(kind, SEED, PASSPHRASE, scrypt_n=N)
        for other in ("", "x", PASSPHRASE + " "):
            with raises_code(Verification, "keyfile-passphrase"):
                parse_private_key(kind, pem, other)

    def test_plain_keys_are_refused(self, kind, key):
        with raises_code(InvalidInput, "keyfile-form"):
            parse_private_key(kind, _pkcs8(key, NoEncryption()), PASSPHRASE)

    def test_other_kinds_are_refused(self, kind, key):
        others = [
            ed448.Ed448PrivateKey.generate(),
            MLDSA65PrivateKey.generate(),
            ec.generate_private_key(ec.SECP256K1()),
        ]
        others.append(MLDSA44PrivateKey.generate() if kind == "ed25519" else Ed25519PrivateKey.generate())
        for other in others:
            with raises_code(InvalidInput, "keyfile-kind"):
                parse_private_key(kind, _pkcs8(other, BestAvailableEncryption(b"p")), "p")


def test_salt_and_initialisation_vector_come_from_the_argument():
    draws = []

    def random(count):
        draws.append(count)
        return bytes([len(draws)]) * count

    first = encode_private_key("ed25519", SEED, "p", scrypt_n=N, random=random)
    assert draws == [16, 16]
    draws.clear()
    assert encode_private_key("ed25519", SEED, "p", scrypt_n=N, random=random) == first
    assert encode_private_key("ed25519", SEED, "p", scrypt_n=N) != first
    der = base64.b64decode(b"".join(first.splitlines()[1:-1]))
    assert bytes([1]) * 16 in der
    assert bytes([2]) * 16 in der


def test_what_is_encrypted_is_checked():
    for length in (0, 31, 33):
        with raises_code(InvalidInput, "keyfile-seed"):
            encode_private_key("ed25519", bytes(length), PASSPHRASE)
    with raises_code(InvalidInput, "keyfile-passphrase"):
        encode_private_key("ed25519", SEED, "")
    for n in (0, 1, 3, 2**21):
        with raises_code(InvalidInput, "keyfile-cost"):
            encode_private_key("ed25519", SEED, PASSPHRASE, scrypt_n=n)


@pytest.mark.parametrize("data", [b"", b"x", b"-----BEGIN PRIVATE KEY-----\n", b"\xff" * 100])
def test_other_files_are_refused(data):
    with raises_code(InvalidInput, "keyfile-form"):
        parse_private_key("ed25519", data, PASSPHRASE)


def test_damaged_files_are_refused():
    lines = encode_private_key("ed25519", SEED, PASSPHRASE, scrypt_n=N).splitlines(keepends=True)
    der = bytearray(base64.b64decode(b"".join(lines[1:-1])))
    der[-20] ^= 1
    with raises_code(Verification, "keyfile-passphrase"):
        parse_private_key("ed25519", _with_der(lines, der), PASSPHRASE)
    for body in (lines[1:-2], [b"!!!\n"], []):
        with raises_code(InvalidInput, "keyfile-form"):
            parse_private_key("ed25519", b"".join([lines[0], *body, lines[-1]]), PASSPHRASE)


def _with_der(lines, der):
    return lines[0] + base64.b64encode(der) + b"\n" + lines[-1]


@pytest.mark.parametrize(
    ("scrypt_n", "instead"),
    [
        (N, "020106"),  # no power of two: the backend answers with an error of its own
        (2**20, "02037fffff"),
        (2**20, "02080100000000000000"),  # 2^56 blocks of memory
    ],
)
def test_costs_without_bound_are_refused_before_they_are_paid(scrypt_n, instead):
    costs = _der(0x02, scrypt_n.to_bytes(scrypt_n.bit_length() // 8 + 1, "big"))
    salt = _der(0x04, bytes(16))
    numbers = _der(0x02, b"\x08") + _der(0x02, b"\x01")

    def pem(number):
        derivation = _der(0x30, _SCRYPT, _der(0x30, salt, number, numbers))
        scheme = _der(0x30, derivation, _der(0x30, _AES_256_CBC, _der(0x04, bytes(16))))
        return _armour(_der(0x30, _der(0x30, _PBES2, scheme), _der(0x04, bytes(64))))

    with raises_code(InvalidInput, "keyfile-form"):
        parse_private_key("ed25519", pem(bytes.fromhex(instead)), PASSPHRASE)
    if scrypt_n == N:
        with raises_code(Verification, "keyfile-passphrase"):
            parse_private_key("ed25519", pem(costs), PASSPHRASE)


def test_unknown_algorithms_are_refused():
    plain = _encode_plain("ed25519", SEED).replace(bytes.fromhex("2b6570"), bytes.fromhex("2b6579"))
    pem = _seal(plain, PASSPHRASE, N, bytes)
    with raises_code(InvalidInput, "keyfile-kind"):
        parse_private_key("ed25519", pem, PASSPHRASE)

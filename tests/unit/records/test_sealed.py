# SPDX-License-Identifier: Apache-2.0
"""Stored values open under their own secret and record, and nothing else."""

from __future__ import annotations

import msgpack
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.errors import InvalidInput, Verification
from node.records.sealed import open_values, seal_values
from tests.support.errors import raises_code
from tests.support.records import JTI, SECRET, SUBJECT, VALUES, reference_derive


def _seal(plain):
    return AESGCM(reference_derive("ironcage/v1/values", SECRET, 32)).encrypt(bytes(12), plain, JTI.encode())


def test_round_trip():
    assert open_values(SECRET, JTI, seal_values(SECRET, JTI, SUBJECT, VALUES)) == (SUBJECT, list(VALUES))


def test_is_aes_gcm_over_a_msgpack_array_bound_to_the_record():
    assert seal_values(SECRET, JTI, SUBJECT, VALUES) == _seal(msgpack.packb([*SUBJECT, *VALUES]))


def test_other_secret_other_record_or_changed_bytes():
    sealed = seal_values(SECRET, JTI, SUBJECT, VALUES)
    other = JTI[:-1] + "2"
    changed = bytes([sealed[0] ^ 1]) + sealed[1:]
    for secret, jti, data in (
        (bytes(32), JTI, sealed),
        (SECRET, other, sealed),
        (SECRET, JTI, changed),
        (SECRET, JTI, b""),
    ):
        with raises_code(Verification, "values-seal"):
            open_values(secret, jti, data)


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\xc1",
        msgpack.packb("x"),
        msgpack.packb([]),
        msgpack.packb(["name"]),
        msgpack.packb(["name", None, "x"]),
        msgpack.packb(["name", "x", 5]),
        msgpack.packb(["name", "x", ["y"]]),
        msgpack.packb(["name", "x"]) + b"\x00",
    ],
)
def test_something_else_under_the_seal(plain):
    with raises_code(Verification, "values-form"):
        open_values(SECRET, JTI, _seal(plain))


def test_secret_of_another_length():
    with raises_code(InvalidInput, "record-secret"):
        seal_values(bytes(16), JTI, SUBJECT, VALUES)
    with raises_code(InvalidInput, "record-secret"):
        open_values(bytes(16), JTI, b"")

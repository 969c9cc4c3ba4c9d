# SPDX-License-Identifier: Apache-2.0
"""What a record secret gives, against the definitions of protocol section 1a."""

from __future__ import annotations

import hashlib

import pytest

from node.errors import InvalidInput
from node.records.secret import decoys, derive, raw_decoys, raw_salts, salts, values_key
from tests.support.errors import raises_code
from tests.support.records import SECRET, b64u, reference_derive


def test_derive_is_shake_256_of_label_zero_secret():
    want = hashlib.shake_256(b"ironcage/v1/values\x00" + SECRET).digest(32)
    assert derive("ironcage/v1/values", SECRET, 32) == want == values_key(SECRET)


def test_labels_keep_purposes_apart():
    assert len({derive(f"ironcage/v1/{name}", SECRET, 32) for name in ("values", "salts", "decoys")}) == 3


@pytest.mark.parametrize("count", [1, 2, 31, 248])
def test_salts_are_18_bytes_each(count):
    raw = reference_derive("ironcage/v1/salts", SECRET, 18 * count)
    want = [b64u(raw[18 * k : 18 * k + 18]) for k in range(count)]
    assert salts(SECRET, count) == want
    assert raw_salts(SECRET, count) == raw
    assert {len(salt) for salt in want} == {24}


@pytest.mark.parametrize("count", [0, 1, 7])
def test_decoys_are_32_bytes_each(count):
    raw = reference_derive("ironcage/v1/decoys", SECRET, 32 * count)
    assert raw_decoys(SECRET, count) == [raw[32 * k : 32 * k + 32] for k in range(count)]
    assert decoys(SECRET, count) == [b64u(raw[32 * k : 32 * k + 32]) for k in range(count)]


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_secret_of_another_length_is_refused(length):
    for use in (values_key, lambda s: salts(s, 1), lambda s: decoys(s, 1), lambda s: derive("x", s, 1)):
        with raises_code(InvalidInput, "record-secret"):
            use(bytes(length))


@pytest.mark.parametrize("label", ["ironcage\x00", "铁笼"])
def test_label_that_could_be_confused_is_refused(label):
    with raises_code(InvalidInput, "derive-label"):
        derive(label, SECRET, 32)

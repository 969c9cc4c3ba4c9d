# SPDX-License-Identifier: Apache-2.0
"""Sealing to an exchange key: sizes, keys that are refused, and that a box says nothing about why it stays shut."""

from __future__ import annotations

import hashlib

import pytest

from node.crypto.hpke import (
    ENC_BYTES,
    ML_KEM_BYTES,
    OVERHEAD_BYTES,
    PUBLIC_BYTES,
    ExchangeKey,
    check_exchange_key,
    seal,
)
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code

KEY, OTHER = ExchangeKey(bytes(range(32))), ExchangeKey(b"\1" * 32)
INFO = b"ironcage/v1/request\na\nb\n0123456789abcdef\n"
BOX = seal(KEY.public, INFO, b"secret")
_P = 2**255 - 19


def with_x25519(u):
    return KEY.public[:ML_KEM_BYTES] + u.to_bytes(32, "little")


def test_sizes_are_those_of_the_protocol():
    assert (PUBLIC_BYTES, ENC_BYTES, OVERHEAD_BYTES) == (1_216, 1_120, 1_136)
    assert len(KEY.public) == PUBLIC_BYTES
    assert len(BOX) == ENC_BYTES + len(b"secret") + 16
    assert KEY.kid == hashlib.sha256(KEY.public).hexdigest()[:16]


def test_a_box_opens_under_its_key_and_info_alone():
    assert KEY.open(INFO, BOX) == b"secret"
    assert seal(KEY.public, INFO, b"secret") != BOX, "each box has a key of its own"
    assert KEY.open(b"", seal(KEY.public, b"", b"")) == b""


def test_a_key_follows_from_its_seed():
    assert ExchangeKey(bytes(range(32))).public == KEY.public
    assert ExchangeKey.generate(lambda count: bytes(range(count))).public == KEY.public
    assert OTHER.public != KEY.public
    for length in (0, 31, 33, 96):
        with raises_code(InvalidInput, "exchange-seed"):
            ExchangeKey(bytes(length))


@pytest.mark.parametrize(
    ("key", "info", "box"),
    [
        (OTHER, INFO, BOX),
        (KEY, INFO[:-1], BOX),
        (KEY, b"", BOX),
        (KEY, INFO, b""),
        (KEY, INFO, BOX[:ENC_BYTES]),
        (KEY, INFO, BOX[:-1]),
        (KEY, INFO, BOX + b"\0"),
        (KEY, INFO, bytes([BOX[0] ^ 1]) + BOX[1:]),
        (KEY, INFO, BOX[:1_119] + bytes([BOX[1_119] ^ 1]) + BOX[1_120:]),
        (KEY, INFO, BOX[:1_088] + bytes(32) + BOX[1_120:]),
        (KEY, INFO, BOX[:-1] + bytes([BOX[-1] ^ 1])),
        (KEY, INFO, bytes(len(BOX))),
    ],
    ids=[
        "other key",
        "info cut",
        "no info",
        "empty",
        "no ciphertext",
        "cut",
        "longer",
        "ML-KEM part",
        "X25519 part",
        "point of order 2",
        "tag",
        "zeros",
    ],
)
def test_whatever_is_wrong_has_one_code(key, info, box):
    with pytest.raises(Verification) as caught:
        key.open(info, box)
    assert caught.value.code == "box-open"
    assert caught.value.message == f"box of {len(box)} bytes does not open under key {key.kid}"


@pytest.mark.parametrize(
    "u",
    [
        0,
        1,
        _P - 1,
        _P,
        _P + 1,
        _P + 9,
        2**255 - 1,
        2**255 + 9,
        0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
        0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
    ],
)
def test_points_of_small_order_and_second_spellings_are_refused(u):
    with raises_code(InvalidInput, "exchange-key"):
        check_exchange_key(with_x25519(u))
    with raises_code(InvalidInput, "exchange-key"):
        seal(with_x25519(u), INFO, b"x")


def test_the_small_orders_are_all_there_are():
    """Doubling by the curve's formula leads from each to the neutral point within three steps, from 9 it does not."""
    from node.crypto.hpke import _SMALL_ORDER_U

    def double(u):
        below = 4 * u * (u * u + 486_662 * u + 1) % _P
        return (u * u - 1) ** 2 * pow(below, -1, _P) % _P if below else None

    def order_divides_8(u):
        for _ in range(3):
            u = double(u)
            if u is None:
                return True
        return False

    assert all(map(order_divides_8, _SMALL_ORDER_U))
    assert not any(map(order_divides_8, range(2, 100)))
    assert len(_SMALL_ORDER_U) == 5


@pytest.mark.parametrize("length", [0, 32, ML_KEM_BYTES, PUBLIC_BYTES - 1, PUBLIC_BYTES + 1])
def test_keys_of_another_length_are_refused(length):
    with raises_code(InvalidInput, "exchange-key"):
        check_exchange_key(bytes(length))


def test_coefficients_out_of_range_are_refused():
    """FIPS 203 §7.2: the modulus check of the encapsulation key."""
    with raises_code(InvalidInput, "exchange-key"):
        check_exchange_key(b"\xff" * ML_KEM_BYTES + KEY.public[ML_KEM_BYTES:])
    check_exchange_key(KEY.public)

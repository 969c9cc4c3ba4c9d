# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import uuid

import pytest

from node.core.ids import build_uuid7, build_uuid7_many, check_uuid7_all, parse_uuid7
from node.errors import InvalidInput
from tests.support.errors import raises_code

GOOD = "01a0c78a-4c00-7ccc-8ccc-cccccccccccc"


def test_rfc_9562_example():
    # Appendix A.6: 017F22E2-79B0-7CC3-98C4-DC0C0C07398F, at 1645557742000 ms.
    random = bytes.fromhex("cc388c4dc0c0c07398f0")
    text = build_uuid7(1_645_557_742_000, lambda _n: random)
    assert text == "017f22e2-79b0-7cc3-88c4-dc0c0c07398f"
    assert uuid.UUID(text).version == 7
    assert uuid.UUID(text).variant == uuid.RFC_4122
    assert parse_uuid7("017f22e2-79b0-7cc3-98c4-dc0c0c07398f").hex() == "017f22e279b07cc398c4dc0c0c07398f"


def test_many_come_from_one_draw():
    draws = []

    def random(count):
        draws.append(count)
        return bytes(i * 37 % 256 for i in range(count))

    ids = build_uuid7_many(0, 50, random)
    assert draws == [500]
    assert len(set(ids)) == 50
    assert all(parse_uuid7(text)[:6] == bytes(6) for text in ids)
    assert build_uuid7_many(0, 0, random) == []


def test_time_must_fit():
    assert build_uuid7(2**48 - 1, bytes).startswith("ffffffff-ffff-7")
    for now_ms in (-1, 2**48):
        with raises_code(InvalidInput, "uuid7-time"):
            build_uuid7(now_ms, bytes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
        "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-78c4-dc0c0c07398f",
        "017f22e279b07cc398c4dc0c0c07398f",
        "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n",
        "٠17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
    ],
)
def test_other_spellings_are_refused(text):
    with raises_code(InvalidInput, "uuid7"):
        parse_uuid7(text)


@pytest.mark.parametrize(
    "texts",
    [
        [f"{GOOD}\n{GOOD}"],
        [GOOD, f"{GOOD}\n"],
        [GOOD, GOOD.upper()],
        [GOOD, ""],
        [GOOD[:-1], f"{GOOD}0"],
        [GOOD, None],
        [GOOD, uuid.UUID(GOOD)],
    ],
)
def test_one_wrong_text_of_many_is_refused(texts):
    check_uuid7_all([])
    check_uuid7_all([GOOD, GOOD])
    with raises_code(InvalidInput, "uuid7"):
        check_uuid7_all(texts)

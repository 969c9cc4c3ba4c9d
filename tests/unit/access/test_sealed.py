# SPDX-License-Identifier: Apache-2.0
"""Sealed events: the regulator alone reads them, and nobody can say later that something else was sealed."""

from __future__ import annotations

import pytest

from node.access.box import pad, sealed_info
from node.access.event import build_openings, event_salts, parse_event
from node.access.sealed import open_sealed, seal_openings, verify_sealed
from node.core.canonical import encode_json
from node.core.encoding import encode_b64u
from node.crypto.hpke import seal
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code
from tests.support.one_exchange import (
    ASKER,
    PROVIDER,
    PROVIDER_KEY,
    REGULATOR,
    REGULATOR_KEY,
    asked,
    events,
    sealed_box,
    sealed_openings,
    secret_of,
)

EVENT = parse_event(events()["sealed"]["event"].entry)
BOX, OPENINGS = sealed_box(), sealed_openings()


def opened(box, key=REGULATOR_KEY, from_=ASKER, to=REGULATOR):
    return open_sealed(box, key, from_=from_, to=to)


def boxed(data):
    """A box around what a member likes."""
    info = sealed_info(ASKER, REGULATOR, REGULATOR_KEY.kid)
    return seal(REGULATOR_KEY.public, info, data)


def test_the_regulator_reads_all_ten_values():
    assert opened(BOX) == tuple(OPENINGS)
    assert verify_sealed(EVENT, BOX, opened(BOX)) == asked()


@pytest.mark.parametrize("changes", [{"key": PROVIDER_KEY}, {"from_": PROVIDER}, {"to": PROVIDER}])
def test_nobody_else_does_and_for_no_other_member(changes):
    with raises_code(Verification, "box-open"):
        opened(BOX, **changes)


def test_the_same_openings_in_another_box_are_not_what_was_logged():
    again = seal_openings(OPENINGS, public=REGULATOR_KEY.public, from_=ASKER, to=REGULATOR)
    assert opened(again) == tuple(OPENINGS)
    with raises_code(Verification, "sealed-box"):
        verify_sealed(EVENT, again, OPENINGS)


def test_other_openings_are_not_what_was_logged():
    other = build_openings(asked(purpose="other"), event_salts(secret_of("event/sealed")))
    with raises_code(Verification, "opening-digest"):
        verify_sealed(EVENT, BOX, other)
    with raises_code(InvalidInput, "sealed-openings"):
        verify_sealed(EVENT, BOX, OPENINGS[:9])


def test_an_event_that_is_not_sealed_has_no_box():
    with raises_code(Verification, "sealed-box"):
        verify_sealed(parse_event(events()["ask"]["event"].entry), BOX, OPENINGS)


@pytest.mark.parametrize(
    "openings",
    [[], OPENINGS[:9], OPENINGS[::-1], [OPENINGS[0], *OPENINGS[:9]]],
    ids=["none", "nine", "turned", "twice"],
)
def test_ten_openings_in_their_order_or_none(openings):
    with raises_code(InvalidInput, "sealed-openings"):
        seal_openings(openings, public=REGULATOR_KEY.public, from_=ASKER, to=REGULATOR)
    data = pad(encode_b64u(encode_json(openings)), 1 << 16)
    with raises_code(InvalidInput, "sealed-openings"):
        opened(boxed(data))


BLOCKS = -(-len(encode_b64u(encode_json(OPENINGS) + b" ")) // 4_096)


@pytest.mark.parametrize(
    ("plaintext", "code"),
    [
        (b"x", "box-size"),
        (b"x".ljust(8_192), "box-padding"),
        (b"x".ljust(4_096), "base64url"),
        (encode_b64u(b"x").encode().ljust(4_096), "json-syntax"),
        (encode_b64u(b"{}").encode().ljust(4_096), "json-list"),
        (encode_b64u(encode_json(OPENINGS) + b" ").encode().ljust(BLOCKS * 4_096), "sealed-openings"),
    ],
)
def test_boxes_with_something_else_are_refused(plaintext, code):
    with raises_code(InvalidInput, code):
        opened(boxed(plaintext))

# SPDX-License-Identifier: Apache-2.0
"""Bulk lines: one spelling, salts of their own, a place that a path proves."""

from __future__ import annotations

import json

import pytest

from node.access.bulk import Line, encode_line, hash_lines, line_salts, parse_line, verify_line
from node.access.event import parse_event
from node.access.question import AskedSubject
from node.core.encoding import encode_b64u, parse_b64u
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code
from tests.support.one_exchange import bulk, events, secret_of

EVENT = parse_event(events()["bulk"]["event"].entry)
LINES, TEXTS, SET = bulk()["lines"], bulk()["texts"], bulk()["set"]


def test_a_line_is_a_disclosure():
    salt, name, value = json.loads(parse_b64u(TEXTS[1]))
    assert (len(salt), name) == (24, "line")
    assert value == {"released": [], "subject": {"id": "某某1有限公司", "type": "name"}}
    assert parse_line(TEXTS[1]) == LINES[1]


@pytest.mark.parametrize("k", range(5))
def test_each_line_verifies_in_its_place_alone(k):
    assert verify_line(EVENT, TEXTS[k], k, SET.path(k)) == LINES[k]
    for other in range(7):
        if other != k:
            with pytest.raises(Verification) as caught:
                verify_line(EVENT, TEXTS[k], other, SET.path(k))
            assert caught.value.code.startswith("inclusion-")


def test_a_line_that_is_guessed_does_not_verify():
    """Who knows subject and answer still lacks 18 random bytes."""
    for salt in (bytes(18), LINES[0].salt, secret_of("guess")[:18]):
        guess = encode_line(Line(salt, LINES[1].subject, LINES[1].released))
        with raises_code(Verification, "inclusion-root"):
            verify_line(EVENT, guess, 1, SET.path(1))


def test_equal_lines_differ():
    """Two lines about one subject cannot be linked from their leaves."""
    salts = line_salts(secret_of("event/bulk"), 2)
    texts = [encode_line(Line(salt, AskedSubject("name", "x"), [])) for salt in salts]
    assert texts[0] != texts[1]
    assert hash_lines(texts).leaves[0] != hash_lines(texts).leaves[1]


def test_salts_follow_from_the_secret_and_differ_from_those_of_the_names():
    from node.access.event import event_salts

    salts = line_salts(bytes(32), 10)
    assert salts[:3] == line_salts(bytes(32), 3)
    assert len({*salts}) == 10
    assert not {*map(encode_b64u, salts)} & {*event_salts(bytes(32))}
    with raises_code(InvalidInput, "event-secret"):
        line_salts(bytes(31), 1)
    for count in (0, -1, 1_000_001):
        with raises_code(InvalidInput, "bulk-lines"):
            line_salts(bytes(32), count)


def test_an_event_without_lines_has_none():
    with raises_code(Verification, "bulk-kind"):
        verify_line(parse_event(events()["ask"]["event"].entry), TEXTS[0], 0, [])


def test_a_set_has_at_least_one_line():
    with raises_code(InvalidInput, "bulk-lines"):
        hash_lines([])
    assert hash_lines(TEXTS[:1]).path(0) == []
    with raises_code(InvalidInput, "leaf-index"):
        SET.path(5)


def test_lines_have_a_greatest_size():
    with raises_code(InvalidInput, "opening-size"):
        parse_line("A" * (1 << 22))

# SPDX-License-Identifier: Apache-2.0
"""The store's own keys: round trips, strictness, and what a journal entry means at each position."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Conflict, Fatal
from node.storage.state import (
    Journal,
    State,
    check_owner,
    decide_journal,
    encode_journal,
    encode_owner,
    encode_state,
    parse_journal,
    parse_state,
)

NUMBERS = st.integers(0, 2**53 - 1)
CHANGES = [(b"key", b"value"), (b"other", None)]


@given(NUMBERS, NUMBERS, st.dictionaries(st.text("abc./-0", min_size=1), NUMBERS))
def test_state_round_trip(first, second, lengths):
    state = State(max(first, second), min(first, second), lengths)
    assert parse_state(encode_state(state)) == state


@given(NUMBERS, st.lists(st.tuples(st.binary(), st.one_of(st.none(), st.binary()))))
def test_journal_round_trip(seq, changes):
    assert parse_journal(encode_journal(Journal(seq, changes))) == Journal(seq, changes)


@given(st.binary(max_size=60))
def test_anything_else_is_corrupt(data):
    """Nothing but our errors comes out, whatever goes in."""
    for call in (parse_state, parse_journal, lambda value: check_owner(value, b"me")):
        with suppress(Fatal, Conflict):
            call(data)


@given(st.integers(0, 200), st.data())
def test_shortened_values_are_corrupt(cut, data):
    whole = data.draw(
        st.sampled_from(
            [
                (parse_state, encode_state(State(9, 5, {"records.0/entries": 70_000}))),
                (parse_journal, encode_journal(Journal(9, CHANGES))),
                (lambda value: check_owner(value, b"me"), encode_owner(b"me")),
            ]
        )
    )
    parse, encoded = whole
    parse(encoded)
    with pytest.raises(Fatal):
        parse(encoded[: cut % len(encoded)])


@pytest.mark.parametrize(
    ("journal_seq", "want"),
    [
        (None, "store-secrets-behind"),
        (4, "store-secrets-behind"),
        (5, CHANGES),
        (6, "store-secrets-behind"),
        (7, "store-secrets-behind"),
        (8, ()),
        (9, "store-main-behind"),
    ],
)
def test_journal_positions(journal_seq, want):
    """Seven commits happened, the fifth was the last with secrets."""
    journal = None if journal_seq is None else Journal(journal_seq, CHANGES)
    if isinstance(want, str):
        with pytest.raises(Fatal) as caught:
            decide_journal(State(7, 5, {}), journal)
        assert caught.value.code == want
    else:
        assert decide_journal(State(7, 5, {}), journal) == want


@pytest.mark.parametrize("journal", [None, Journal(1, CHANGES)])
def test_first_commit_with_secrets_did_not_happen(journal):
    assert decide_journal(State(0, 0, {}), journal) == ()

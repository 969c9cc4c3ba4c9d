# SPDX-License-Identifier: Apache-2.0
"""What happens to the tokens of accounts."""

import hmac

import pytest

from node.errors import AccessDenied, Conflict, InvalidInput, NotFound
from node.service.tokens import (
    MAX_TOKENS,
    TokenEntry,
    add_token,
    check_token,
    encode_tokens,
    new_token,
    revoke_token,
    rotate_token,
)
from tests.support.errors import raises_code
from tests.support.node_world import FixedRandom

NOW = 1_800_000_000
HOUR = 3_600
RANDOM = FixedRandom("tokens")


def make(name, role="officer", expires=None):
    return new_token(name, role, expires, RANDOM)


def rotate(entries, name, *, expires=NOW + 100 * HOUR, overlap_seconds=HOUR, now_seconds=NOW):
    return rotate_token(
        entries,
        name,
        expires=expires,
        overlap_seconds=overlap_seconds,
        now_seconds=now_seconds,
        random=RANDOM,
    )


def works(entries, text, now=NOW):
    try:
        return check_token(entries, text, ("officer",), now).name
    except AccessDenied as error:
        return error.code


def test_an_account_has_one_token():
    _, entry = make("li")
    entries = add_token([], entry, NOW)
    with raises_code(Conflict, "token-exists"):
        add_token(entries, make("li")[1], NOW)
    assert len(add_token(entries, make("wang")[1], NOW)) == 2


def test_an_ended_token_makes_room():
    _, old = make("li", expires=NOW)
    text, new = make("li")
    assert add_token([old], new, NOW) == [new]
    assert works([new], text) == "li"


def test_after_a_rotation_both_work_until_the_overlap_is_over():
    other_text, other = make("wang")
    old_text, old = make("li", "officer")
    new_text, entries = rotate([other, old], "li")
    assert works(entries, old_text) == works(entries, new_text) == "li"
    assert works(entries, old_text, NOW + HOUR - 1) == "li"
    assert works(entries, old_text, NOW + HOUR) == "token-expired"
    assert works(entries, new_text, NOW + HOUR) == "li"
    assert works(entries, new_text, NOW + 100 * HOUR) == "token-expired"
    assert works(entries, other_text, NOW + HOUR) == "wang"
    assert {entry.role for entry in entries if entry.name == "li"} == {"officer"}


def test_without_an_overlap_the_old_one_ends_at_once():
    old_text, old = make("li")
    new_text, entries = rotate([old], "li", overlap_seconds=0)
    assert len(entries) == 1
    assert works(entries, old_text) == "token-unknown"
    assert works(entries, new_text) == "li"


def test_an_overlap_gives_no_token_a_longer_life():
    old_text, old = make("li", expires=NOW + 60)
    _, entries = rotate([old], "li")
    assert works(entries, old_text, NOW + 59) == "li"
    assert works(entries, old_text, NOW + 60) == "token-expired"


def test_tokens_that_are_over_are_dropped_by_the_next_rotation():
    _, entries = rotate([make("li")[1]], "li")
    _, entries = rotate(entries, "li", now_seconds=NOW + 2 * HOUR)
    assert len(entries) == 2


def test_a_revoked_account_has_none():
    old_text, old = make("li")
    other_text, other = make("wang")
    new_text, entries = rotate([old, other], "li")
    entries = revoke_token(entries, "li")
    assert works(entries, old_text) == works(entries, new_text) == "token-unknown"
    assert works(entries, other_text) == "wang"


def test_accounts_that_are_not_there():
    for change in (rotate, revoke_token):
        with raises_code(NotFound, "token-account"):
            change([make("wang")[1]], "li")


@pytest.mark.parametrize("name", ["", " ", "li ", "x" * 201, "a\nb", "a\x00", "\x1b[31m"])
def test_names_that_would_spoil_the_log_or_a_screen(name):
    with raises_code(InvalidInput, "token-name"):
        make(name)


def test_there_is_an_end_to_their_number():
    full = [TokenEntry(f"n{n}", "officer", "A" * 43, None) for n in range(MAX_TOKENS)]
    with raises_code(InvalidInput, "token-count"):
        add_token(full, make("li")[1], NOW)


def test_no_token_shows_in_what_is_stored_or_printed():
    text, entry = make("li")
    assert text not in encode_tokens([entry]).decode() + repr(entry)


@pytest.mark.parametrize("text", ["", "ict_", "é" * 40, "\ud800", "x" * 30_000])
def test_whatever_else_comes_is_unknown(text):
    assert works([make("li")[1]], text) == "token-unknown"


def test_every_digest_is_compared_in_constant_time(monkeypatch):
    accounts = {name: make(name) for name in ("li", "wang", "zhao")}
    entries = [entry for _, entry in accounts.values()]
    compared, compare = [], hmac.compare_digest
    monkeypatch.setattr(
        hmac, "compare_digest", lambda one, other: compared.append(one) or compare(one, other)
    )
    for text in ("ict_nobody", *(text for text, _ in accounts.values())):
        compared.clear()
        works(entries, text)
        assert compared == [entry.digest for entry in entries]

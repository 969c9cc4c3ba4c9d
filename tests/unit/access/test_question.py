# SPDX-License-Identifier: Apache-2.0
"""Questions: subjects, items and words in their one form."""

from __future__ import annotations

import pytest

from node.access.logged import OPENED_NAMES, encode_logged, parse_logged, select_openings, verify_logged
from node.access.question import (
    AskedSubject,
    ItemQuery,
    covers,
    encode_items,
    encode_subject,
    parse_items,
    parse_subject,
    parse_words,
)
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code
from tests.support.one_exchange import (
    ASKER,
    LIMIT,
    LOGS,
    NODE_KEYS,
    NOW,
    OFFICER,
    PROVIDER,
    VCT,
    ask,
    asked,
    event,
    events,
)


@pytest.mark.parametrize(
    "subject",
    [
        AskedSubject("uscc", "91330106MA27Y8LH7C"),
        AskedSubject("name", "某某有限公司"),
        AskedSubject("reg", "330106000123456"),
        AskedSubject("rid", "11010519491231002X"),
    ],
)
def test_subjects(subject):
    assert parse_subject(encode_subject(subject)) == subject


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"type": "uscc", "id": "91330106MA27Y8LH7D"}, "uscc-check-digit"),
        ({"type": "USCC", "id": "91330106MA27Y8LH7C"}, "question-subject"),
        ({"type": "name", "id": ""}, "question-subject"),
        ({"type": "name", "id": "a\nb"}, "question-subject"),
        ({"type": "name", "id": "e\u0301"}, "question-subject"),
        ({"type": "name", "id": "a" * 1_001}, "json-text-size"),
        ({"type": "name", "id": 7}, "json-text"),
        ({"type": "name"}, "json-member-missing"),
        ("name", "json-object"),
    ],
)
def test_subjects_in_another_form_are_refused(value, code):
    with raises_code(InvalidInput, code):
        parse_subject(value)


def test_items_have_one_order():
    items = (ItemQuery(VCT, ("B", "a")), ItemQuery(VCT + "0", ("subject",)))
    assert parse_items(encode_items(items)) == items
    for wrong in (
        items[::-1],
        (items[0], items[0]),
        (ItemQuery(VCT, ("a", "B")),),
        (ItemQuery(VCT, ()),),
        (),
    ):
        with raises_code(InvalidInput, "question-items"):
            parse_items(encode_items(wrong))
    for vct in ("", "penalty", "urn:ironcage:zj.example:penalty", VCT + ":x", VCT + "\n"):
        with raises_code(InvalidInput, "question-items"):
            parse_items([{"vct": vct, "fields": ["a"]}])
    for field in ("", "1a", "a-b", "a" * 65, "ä"):
        with raises_code(InvalidInput, "question-items"):
            parse_items([{"vct": VCT, "fields": [field]}])
    with raises_code(InvalidInput, "json-list"):
        parse_items([{"vct": VCT, "fields": ["a"]}] * 65)


def test_a_question_is_covered_by_one_that_names_all_its_fields():
    whole = [ItemQuery("a", ("x", "y")), ItemQuery("b", ("z",))]
    assert covers(whole, whole)
    assert covers(whole, [ItemQuery("a", ("y",))])
    assert covers(whole, [])
    assert not covers(whole, [ItemQuery("a", ("y", "z"))])
    assert not covers(whole, [ItemQuery("c", ("x",))])
    assert not covers([], whole)


@pytest.mark.parametrize("text", ["", "a\nb", "a\u2028b", "\x00"])
def test_words_are_one_printable_line(text):
    with raises_code(InvalidInput, "question-words"):
        parse_words(text, "purpose")


def test_all_openings_but_the_officer_go_to_the_other_side():
    made = events()["ask"]["event"]
    chosen = select_openings(made.disclosures)
    assert len(chosen) == len(OPENED_NAMES) == 9
    assert "officer" not in OPENED_NAMES
    assert set(made.disclosures) - set(chosen) == {made.disclosures[2]}
    with raises_code(InvalidInput, "event-names"):
        select_openings(chosen)


def test_openings_in_another_order_say_the_same():
    shown = ask()
    turned = type(shown)(shown.event, shown.open[::-1], shown.receipt)
    assert parse_logged(encode_logged(turned), "ask") == turned
    opened = verify_logged(
        turned,
        public=NODE_KEYS[ASKER].public,
        iss=ASKER,
        aud=PROVIDER,
        log=LOGS[ASKER],
        now_seconds=NOW,
        anchor_limit_seconds=LIMIT,
    )
    assert {**opened.values, "officer": OFFICER} == asked()


def test_the_officer_in_place_of_another_name_is_refused():
    made = event("ask", "ask", asked())
    shown = ask()
    swapped = type(shown)(shown.event, (made.disclosures[2], *shown.open[1:]), shown.receipt)
    with raises_code(Verification, "logged-open"):
        verify_logged(
            swapped,
            public=NODE_KEYS[ASKER].public,
            iss=ASKER,
            aud=PROVIDER,
            log=LOGS[ASKER],
            now_seconds=NOW,
        )

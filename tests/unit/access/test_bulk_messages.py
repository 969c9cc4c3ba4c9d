# SPDX-License-Identifier: Apache-2.0
"""Requests and answers about many subjects, as they are built and read. Hostile ones stand in tests/vectors/exchange/many.json."""

from __future__ import annotations

import pytest

from node.access.bulk import Line, encode_line
from node.access.bulk_answer import parse_bulk_answer
from node.access.bulk_request import MAX_ASKED, MAX_LINES_CHARS, check_lines, parse_bulk_request
from node.access.opening import check_opened
from node.access.question import AskedSubject
from node.access.request import TYP, authenticate_request
from node.core.encoding import parse_b64u
from node.crypto.jws import sign_jws
from node.errors import InvalidInput
from tests.support.errors import raises_code
from tests.support.many_exchange import (
    SECOND,
    SUBJECTS,
    approved_request,
    bulk_answer,
    bulk_request,
    given_lines,
)
from tests.support.one_exchange import ABOUT, ASKER, NODE_KEYS, PROVIDER, RID, find_node_key, record

OFFICER = {"id": "zhang", "idp": None, "auth": None}


def test_a_request_says_what_it_was_built_of():
    made = parse_bulk_request(bulk_request())
    assert (made.iss, made.aud, made.rid, made.sealed, made.consent) == (ASKER, PROVIDER, RID, None, None)
    assert tuple(line.subject for line in made.lines) == SUBJECTS
    assert {line.released for line in made.lines} == {None}
    assert not made.approved
    assert made.subject_value() is None


def test_who_approved_stands_nowhere_in_the_message():
    token = approved_request()
    assert parse_bulk_request(token).approved
    payload = parse_b64u(token.split(".")[1]).decode()
    opened = "".join(parse_b64u(text).decode() for text in parse_bulk_request(token).ask.open)
    assert SECOND["id"] not in payload
    assert SECOND["id"] not in opened
    assert '"officer"' not in opened


def test_an_answer_says_for_each_line_what_there_is():
    answer = parse_bulk_answer(bulk_answer("partial"))
    assert [one.text for one in answer.lines] == list(given_lines())
    assert [(one.withheld, one.code) for one in answer.lines] == [
        (0, None),
        (2, "too-many-records"),
        (0, None),
    ]
    assert (answer.found, answer.withheld, answer.subjects()) == (3, 2, [ABOUT])
    assert answer.records == (record(),)


def test_a_request_of_one_kind_is_none_of_the_other():
    with raises_code(InvalidInput, "jws-typ"):
        authenticate_request(bulk_request(), find_node_key(ASKER))
    claims = {"lines": []}
    with raises_code(InvalidInput, "jws-typ"):
        parse_bulk_request(sign_jws(TYP, claims, NODE_KEYS[ASKER]))


def lines_of(subjects):
    return [encode_line(Line(bytes(18), subject, None)) for subject in subjects]


def test_as_many_lines_as_a_request_takes():
    subjects = [AskedSubject("name", f"某某{number}有限公司") for number in range(MAX_ASKED + 1)]
    check_lines(lines_of(subjects[:-1]), subjects[:-1])
    for some in (subjects, []):
        with raises_code(InvalidInput, "bulk-lines"):
            check_lines(lines_of(some), some)
    long = [AskedSubject("name", f"{number:0900}") for number in range(MAX_LINES_CHARS // 1_200)]
    with raises_code(InvalidInput, "bulk-lines"):
        check_lines(lines_of(long), long)


def test_the_largest_request_fits_its_envelope():
    """Together with 64 Ki characters of how earlier questions ended (``node.service.exchange.untold``)."""
    subjects = []
    while sum(map(len, lines_of(subjects))) < MAX_LINES_CHARS - 300:
        subjects.append(AskedSubject("name", f"某某{len(subjects):0190}"))
    token = bulk_request()
    lines = sum(map(len, lines_of(subjects)))
    assert len(token) + (lines + 64 * 1024) * 4 // 3 + 4_096 < 1 << 18


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (SECOND, None),
        ({"id": "zhang", "idp": "https://id.zj.example", "auth": None}, None),
        ({"id": "zhang", "idp": None, "auth": None}, "opening-value"),
        ({"id": "", "idp": None, "auth": None}, "opening-value"),
        (SECOND | {"second": SECOND}, "json-member-unknown"),
        (None, "json-object"),
    ],
)
def test_a_second_officer_is_another_person(second, code):
    value = OFFICER | {"second": second}
    if code is None:
        check_opened("officer", value)
    else:
        with raises_code(InvalidInput, code):
            check_opened("officer", value)

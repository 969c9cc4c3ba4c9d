# SPDX-License-Identifier: Apache-2.0
"""Records of an answer: what a provider with a valid key and an honest event could still smuggle in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.access.answer import StatusProof, parse_answer
from node.access.question import AskedSubject, ItemQuery
from node.crypto.token import token_digest
from node.errors import InvalidInput, Verification
from node.evidence.answered import check_heads, verify_answered
from node.records.names import SUBJECT as SUBJECT_NAME
from node.records.names import StatusUri
from node.records.status import (
    REPAIRED,
    SUSPENDED,
    StatusList,
    build_status_head,
    encode_status_token,
    status_path,
)
from tests.support.errors import raises_code
from tests.support.one_exchange import ITEMS, LIMIT, NOW, VCT, answer, parsed_request, record, status
from tests.support.records import (
    DOMAIN,
    MEMBER,
    OTHER_SIGNER,
    SIGNER,
    find_key,
    issue_record,
)


def check(answer_token=None, **changes):
    made = replace(parse_answer(answer_token or answer()), **changes)
    return verify_answered(made, request=parsed_request(), find_key=find_key)


def proof(value, *, k=0, seq=7, signer=SIGNER):
    """The list that has a value at the record's place, and a head over it."""
    places = StatusList()
    places.set(3, value)
    token = encode_status_token(places, StatusUri(DOMAIN, MEMBER, k), NOW, signer)
    digests = [bytes(32)] * k + [token_digest(token)]
    head = build_status_head(MEMBER, NOW, seq, digests, signer)
    return StatusProof(token, k, tuple(status_path(digests, k)), head)


def test_a_record_comes_with_its_values_and_its_status():
    (one,) = check()
    assert one.record.disclosed["CF_CFLB"] == "罚款"
    assert set(one.record.disclosed) == set(ITEMS[0].fields)
    assert (one.status, one.head.seq, one.head.iss) == (0, 7, MEMBER)


@pytest.mark.parametrize("value", [SUSPENDED, REPAIRED])
def test_the_status_is_that_of_the_records_place(value):
    (one,) = check(status=(proof(value, seq=8),))
    assert (one.status, one.head.seq) == (value, 8)


def test_no_record_needs_no_status():
    assert check(answer("none")) == []
    with raises_code(Verification, "answered-status"):
        check(answer("none"), status=(status(),))


def test_a_record_without_status_is_refused():
    with raises_code(Verification, "answered-status"):
        check(status=())


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (proof(0, k=1), "answered-status"),
        (replace(status(), index=1), "answered-status"),
        (replace(status(), path=()), "inclusion-length"),
        (replace(status(), path=(bytes(32),)), "inclusion-root"),
        (replace(status(), head=proof(0).head), "inclusion-length"),
    ],
    ids=["another list", "another number", "no path", "another path", "head of another state"],
)
def test_a_status_that_does_not_hold_is_refused(wrong, code):
    with raises_code(Verification, code):
        check(status=(wrong,))


def test_one_list_comes_once():
    with raises_code(Verification, "answered-status"):
        check(status=(status(), proof(0)))


def test_a_list_by_another_key_is_refused():
    with pytest.raises(Exception, match="no record key"):
        check(status=(proof(0, signer=OTHER_SIGNER),))


def test_a_status_verified_before_is_verified_again_under_another_key():
    checked = parse_answer(answer())
    for _ in range(2):
        assert verify_answered(checked, request=parsed_request(), find_key=find_key)
    with raises_code(Verification, "jws-key"):
        verify_answered(checked, request=parsed_request(), find_key=lambda *_: OTHER_SIGNER.public)


def test_a_status_verified_before_is_refused_once_its_key_is_not_the_members_any_more():
    checked = parse_answer(answer())
    assert verify_answered(checked, request=parsed_request(), find_key=find_key)

    def find_none(kid, member):
        raise Verification("member-key", f"{member} has no valid record key {kid}")

    with raises_code(Verification, "member-key"):
        verify_answered(checked, request=parsed_request(), find_key=find_none)


def test_more_fields_than_asked_for_are_refused():
    with raises_code(Verification, "answered-field") as caught:
        check(records=(record(("CF_NR", "CF_WSH")),))
    assert "CF_NR" not in caught.value.message


def test_a_record_of_another_kind_is_refused():
    asked = replace(parsed_request(), items=(ItemQuery(VCT + "0", ITEMS[0].fields),))
    with raises_code(Verification, "answered-item"):
        verify_answered(parse_answer(answer()), request=asked, find_key=find_key)


def test_a_record_about_somebody_else_is_refused():
    asked = replace(parsed_request(), subject=AskedSubject("uscc", "91350100M000100Y43"))
    with raises_code(Verification, "answered-subject"):
        verify_answered(parse_answer(answer()), request=asked, find_key=find_key)
    by_name = replace(asked, subject=AskedSubject("name", "某某有限公司"))
    with raises_code(Verification, "answered-subject"):
        verify_answered(parse_answer(answer()), request=by_name, find_key=find_key)


def test_a_record_that_keeps_back_the_subject_asked_for_is_refused():
    assert SUBJECT_NAME in ITEMS[0].fields
    with raises_code(Verification, "answered-subject"):
        check(records=(record(("CF_CFLB", "CF_WSH")),))


@pytest.mark.parametrize(
    ("now", "least", "code"),
    [
        (NOW, 0, None),
        (NOW - 360, 7, None),
        (NOW - 361, 0, "answered-status-old"),
        (NOW - 300 + LIMIT, 7, None),
        (NOW - 299 + LIMIT, 0, "answered-status-old"),
        (NOW, 8, "answered-status-old"),
    ],
    ids=["young", "clock ahead", "in the future", "at the limit", "older", "replaced since"],
)
def test_a_status_is_of_now(now, least, code):
    records = check()
    if code is None:
        assert check_heads(records, now_seconds=now, limit_seconds=LIMIT, least_seq=least) == 7
        return
    with raises_code(Verification, code):
        check_heads(records, now_seconds=now, limit_seconds=LIMIT, least_seq=least)


def test_no_record_shows_no_head():
    assert check_heads([], now_seconds=NOW, limit_seconds=LIMIT, least_seq=9) is None


def test_a_record_of_another_member_is_refused():
    with raises_code(Verification, "answered-issuer"):
        check(iss="91350100M000100Y43")


def test_a_disclosure_of_another_record_is_refused():
    other = issue_record(jti="019a1b2c-3d4e-7f60-8a1b-2c3d4e5f6072", secret=bytes(32)).jwt
    mixed = other.decode() + record()[record().index("~") :]
    with raises_code(Verification, "disclosure-unreferenced"):
        check(records=(mixed,))


def test_a_record_that_is_none_is_refused():
    with raises_code(InvalidInput, "jws-form"):
        check(records=("x~",))


def test_a_record_with_an_altered_signature_is_refused():
    jwt = issue_record().jwt.decode()
    changed = jwt[:-10] + ("A" if jwt[-10] != "A" else "B") + jwt[-9:]
    with raises_code(Verification, "ed25519-signature"):
        check(records=(changed + "~",))

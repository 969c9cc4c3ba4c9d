# SPDX-License-Identifier: Apache-2.0
"""The fast issuer against its readable twin, and what verification must never let through."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from node.core.clock import MAX_TIME
from node.errors import NodeError
from node.records.issue import Drafts
from node.records.names import StatusUri, encode_status_uri, encode_vct
from node.records.record import Subject, parse_record, present_record, released_digests, verify_record
from node.records.sealed import open_values, seal_values
from tests.support.records import (
    DOMAIN,
    FIELD_CODES,
    MEMBER,
    SECRET,
    SEED,
    SUBJECT,
    VALUES,
    VCT,
    build_issuer,
    find_key,
    issue_record,
    reference_disclosures,
    reference_issue,
)
from tests.support.sdjwt import digest

TEXT = st.text(min_size=1, max_size=40).map(lambda text: normalize("NFC", text)).filter(bool)
# Texts made of what JSON escapes and of what the pieces of a record look like.
AWKWARD = st.text(alphabet='"\\[]{},:\n\r\t\b\f\x00\x1f\x7f/~\u2028é铁🔒', min_size=1, max_size=12)
VALUE = st.one_of(st.none(), TEXT, AWKWARD, st.sampled_from(["],[", '"],["', "]\n[", '","', "\\"]))
NAMED = st.one_of(TEXT, AWKWARD).filter(lambda text: "\n" not in text)
SUBJECTS = st.one_of(
    NAMED.map(lambda name: Subject("name", name)),
    st.sampled_from([SUBJECT, Subject("org", "MA27Y8LHX"), Subject("reg", "330106000012345")]),
)
JTIS = st.uuids(version=4).map(str).map(lambda text: f"{text[:14]}7{text[15:]}")
BYTES32 = st.binary(min_size=32, max_size=32)


@st.composite
def _records(draw):
    values = draw(st.lists(VALUE, max_size=34))
    return [f"F{k}" for k in range(len(values))], {
        "subject": draw(SUBJECTS),
        "values": values,
        "jti": draw(JTIS),
        "status_uri": encode_status_uri(StatusUri(DOMAIN, MEMBER, draw(st.integers(0, 10**9)))),
        "status_idx": draw(st.integers(0, 131_071)),
        "iat": draw(st.integers(0, MAX_TIME)),
        "secret": draw(BYTES32),
        "supersedes": draw(st.none() | BYTES32),
    }


@given(_records())
def test_issuer_writes_the_bytes_of_its_twin(record):
    codes, arguments = record
    issued = build_issuer(codes).issue(**arguments)
    assert tuple(issued) == reference_issue(SEED, MEMBER, encode_vct(VCT), codes, **arguments)


@given(_records(), st.data())
def test_a_presentation_discloses_exactly_what_was_chosen(record, data):
    codes, arguments = record
    issued = build_issuer(codes).issue(**arguments)
    names = ["subject", *codes]
    chosen = data.draw(st.sets(st.sampled_from(names)))
    subject, values = arguments["subject"], arguments["values"]
    text = present_record(issued.jwt, arguments["secret"], subject, values, codes, disclose=chosen)
    verified = verify_record(text, find_key)
    everything = {"subject": subject._asdict(), **dict(zip(codes, values, strict=True))}
    assert verified.disclosed == {name: everything[name] for name in chosen if everything[name] is not None}
    assert verified.withheld_count == len(parse_record(issued.jwt).digests) - len(verified.disclosed)
    assert verified.claims.iat == arguments["iat"]
    assert verified.claims.supersedes == arguments["supersedes"]
    made = reference_disclosures(names, subject, values, arguments["secret"])
    want = [digest(made[name]) for name in names if name in chosen and made[name]]
    assert released_digests(issued.jwt, issued.positions, codes, chosen) == want


@given(SUBJECTS, st.lists(VALUE, max_size=34), JTIS, BYTES32)
def test_sealed_values_open(subject, values, jti, secret):
    assert open_values(secret, jti, seal_values(secret, jti, subject, values)) == (subject, values)


PRESENTED = present_record(
    issue_record().jwt, SECRET, SUBJECT, VALUES, FIELD_CODES, disclose=("subject", "CF_WSH", "CF_NR")
)


@settings(max_examples=300)
@given(st.integers(0, len(PRESENTED) - 1), st.sampled_from([chr(code) for code in range(32, 127)]))
@example(len(PRESENTED) - 1, "A")
def test_no_character_of_a_presentation_can_be_changed(place, character):
    changed = PRESENTED[:place] + character + PRESENTED[place + 1 :]
    if changed != PRESENTED:
        with pytest.raises(NodeError):
            verify_record(changed, find_key)


@given(st.integers(0, len(PRESENTED) - 1), st.text(alphabet="~.A=-é \n", min_size=1, max_size=3))
def test_nothing_can_be_put_into_a_presentation(place, more):
    with pytest.raises(NodeError):
        verify_record(PRESENTED[:place] + more + PRESENTED[place:], find_key)


@given(st.integers(0, len(PRESENTED) - 1))
def test_a_presentation_cannot_be_cut_but_between_disclosures(length):
    cut = PRESENTED[:length]
    whole = cut.endswith("~")
    try:
        verify_record(cut, find_key)
    except NodeError:
        assert not whole
    else:
        assert whole


@given(st.text() | st.text(alphabet="eyJ.~AQ_-{}", max_size=80))
def test_any_text_is_refused_with_one_of_our_errors(text):
    with pytest.raises(NodeError):
        verify_record(text, find_key)


@given(st.binary(max_size=200))
def test_any_bytes_are_no_record(data):
    with pytest.raises(NodeError):
        parse_record(data)


@given(st.data(), st.integers(0, 6), st.booleans())
def test_records_issued_together_are_those_issued_alone(data, count, correct):
    codes = ["A", "B", "C"]
    rows = data.draw(st.lists(st.tuples(VALUE, VALUE, VALUE), min_size=count, max_size=count))
    drafts = Drafts(
        subjects=[data.draw(SUBJECTS) for _ in rows],
        columns=list(zip(*rows, strict=True)) or [[]] * len(codes),
        jtis=[data.draw(JTIS) for _ in rows],
        places=[
            (encode_status_uri(StatusUri(DOMAIN, MEMBER, data.draw(st.integers(0, 2)))), place)
            for place in range(count)
        ],
        secrets=[data.draw(BYTES32) for _ in rows],
        supersedes=[data.draw(BYTES32) for _ in rows] if correct else None,
    )
    together = build_issuer(codes).issue_all(drafts, 1_790_000_000)
    assert [tuple(issued) for issued in together] == [
        reference_issue(
            SEED,
            MEMBER,
            encode_vct(VCT),
            codes,
            subject=subject,
            values=values,
            jti=jti,
            status_uri=uri,
            status_idx=place,
            iat=1_790_000_000,
            secret=secret,
            supersedes=drafts.supersedes[place] if correct else None,
        )
        for subject, values, jti, (uri, place), secret in zip(
            drafts.subjects, rows, *drafts[2:5], strict=True
        )
    ]

# SPDX-License-Identifier: Apache-2.0
"""Evidence under random damage."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import InvalidInput
from node.evidence.format import parse_evidence
from node.evidence.policy import encode_policy, parse_policy
from node.evidence.report import Verdict
from node.evidence.verify import verify_evidence
from tests.support.evidence_world import FIELDS, build_world

WORLD = build_world()
POLICY = WORLD.policy()
FILES = [WORLD.export(record).data for record in WORLD.records[1:3]]


def verify(data):
    return verify_evidence(data, POLICY, now_seconds=WORLD.chain.time, chain=WORLD.chain)


def content(report):
    """All that a reader takes from a report. The list of signatures may shrink: unknown lines are ignored."""
    entry = report.entry and (report.entry.log, report.entry.index, report.entry.size)
    return report.level, report.record, entry, report.interval, report.status


GENUINE = [content(verify(data)) for data in FILES]


def check(damaged, which):
    report = verify(damaged)
    if report.verdict is not Verdict.REFUSED:
        assert content(report) == GENUINE[which]
    elif report.record is not None:
        # Refused for its log, anchor or status: then what is shown of the record is still what was signed.
        assert report.record == GENUINE[which][1]
    assert parse_report(report)["verdict"] == report.verdict.value
    report.render("zh")
    report.render("en")


def parse_report(report):
    return json.loads(report.encode())


@settings(max_examples=400)
@given(st.sampled_from(range(len(FILES))), st.integers(min_value=0), st.integers(1, 255))
def test_a_single_changed_byte_never_verifies_as_another_content(which, place, flip):
    damaged = bytearray(FILES[which])
    damaged[place % len(damaged)] ^= flip
    check(bytes(damaged), which)


@given(
    st.sampled_from(range(len(FILES))), st.integers(min_value=0), st.integers(0, 40), st.binary(max_size=40)
)
def test_a_replaced_stretch_never_verifies_as_another_content(which, place, length, stretch):
    data = FILES[which]
    start = place % len(data)
    check(data[:start] + stretch + data[start + length :], which)


@given(
    st.sampled_from(range(len(FILES))),
    st.integers(min_value=0),
    st.integers(min_value=0),
    st.integers(1, 200),
)
def test_a_stretch_of_another_file_never_verifies_as_another_content(which, place, source, length):
    data, other = FILES[which], FILES[1 - which]
    start, source = place % len(data), source % len(other)
    check(data[:start] + other[source : source + length] + data[start + length :], which)


@given(st.sets(st.sampled_from(["subject", *FIELDS[:-1]])))
def test_what_is_disclosed_is_what_is_seen(names):
    record = WORLD.records[1]
    report = verify(WORLD.export(record, names).data)
    assert report.satisfied
    assert report.record.disclosed.keys() == names
    for name in names - {"subject"}:
        assert report.record.disclosed[name] == record.values[FIELDS.index(name)]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_anything_is_parsed_or_refused_with_our_own_error(data):
    for parse in (parse_evidence, parse_policy):
        try:
            parse(data)
        except InvalidInput:
            continue
        raise AssertionError(data)
    assert verify(data).verdict is Verdict.REFUSED


TREES = [json.loads(FILES[0]), json.loads(encode_policy(POLICY))]


@given(st.data(), anything)
def test_any_member_replaced_by_anything_is_parsed_or_refused_with_our_own_error(data, value):
    for tree, parse in zip(TREES, (parse_evidence, parse_policy), strict=True):
        text = json.dumps(replaced(tree, data, value))
        try:
            parse(text.encode())
        except InvalidInput:
            continue


def replaced(tree, data, value):
    """A copy of the tree with one member, at any depth, replaced."""
    if not isinstance(tree, dict | list) or not tree or data.draw(st.integers(0, 4)) == 0:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    name = data.draw(st.sampled_from(sorted(copy) if isinstance(copy, dict) else range(len(copy))))
    copy[name] = replaced(copy[name], data, value)
    return copy

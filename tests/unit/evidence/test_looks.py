# SPDX-License-Identifier: Apache-2.0
"""The file of a look: what it proves to a stranger, every member of it changed, and files that claim what they do not hold."""

from __future__ import annotations

import copy
import json
from functools import reduce
from operator import getitem

import pytest

from node.errors import InvalidInput, Verification
from node.evidence.lookfile import LookFile, encode_look_file, parse_look_file
from node.evidence.looks import LOOK_STEPS, verify_look_file
from node.evidence.policy import Level
from node.evidence.steps import Outcome
from tests.support.errors import raises_code
from tests.support.look_files import FIRM, OTHER, SECOND, made
from tests.support.node_world import DOMAIN, ChainEyes
from tests.support.rows import COMPANY, ISSUER

KINDS = ("grant", "read", "bulk")
POINTER = ("anchor", "tx")
"""Says where to look on the chain; no step rests on it."""


def file_of(kind, subject=FIRM):
    return made()[1][subject, kind]


def verify(data, *, asks=True, **demand):
    world, _ = made()
    chain = ChainEyes(world.chain) if asks else None
    return verify_look_file(data, world.policy(**demand), now_seconds=world.clock.now_seconds(), chain=chain)


def failures(ruling):
    return [step.kind.name for step in ruling.steps if step.outcome is Outcome.FAILED]


def changed(data, **changes):
    tree = json.loads(data) | changes
    return json.dumps({name: value for name, value in tree.items() if value is not None}).encode()


def leaves(tree, path=()):
    if isinstance(tree, dict | list):
        for name, member in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(member, (*path, name))
    else:
        yield path


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_proves_its_look(kind):
    ruling = verify(file_of(kind))
    assert (ruling.finding.name, ruling.verdict.exit_code, ruling.convicts) == ("proven", 0, None)
    assert [step.kind.name for step in ruling.steps] == [kind.name for kind in LOOK_STEPS]
    assert all(step.outcome is Outcome.PASSED for step in ruling.steps)
    assert ruling.about["subject"] == f"uscc {COMPANY}"
    assert (ruling.about["log"], ruling.about["kind"]) == (f"{DOMAIN}/{ISSUER}/access/0", kind)
    assert "officer" not in ruling.about
    for language in ("zh", "en"):
        assert all(line.isprintable() for line in ruling.render(language).splitlines())
    assert json.loads(ruling.encode())["what"] == "look"


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_read_as_it_was_written(kind):
    data = file_of(kind)
    assert encode_look_file(parse_look_file(data)) == data
    members = set(json.loads(data))
    assert (
        members
        == {"v", "event", "open", "inclusion", "anchor"}
        | {
            "grant": set(),
            "read": {"record"},
            "bulk": {"line"},
        }[kind]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_member_can_be_changed(kind):
    tree = json.loads(file_of(kind))
    tried = 0
    for path in leaves(tree):
        value = reduce(getitem, path, tree)
        for place in (0, len(value) // 2, -1) if isinstance(value, str) else (0,):
            other = copy.deepcopy(tree)
            if isinstance(value, str):
                swapped = "a" if value[place] != "a" else "b"
                at = place % len(value)
                new = value[:at] + swapped + value[at + 1 :]
            else:
                new = value + 1
            reduce(getitem, path[:-1], other)[path[-1]] = new
            ruling = verify(json.dumps(other).encode())
            assert path == POINTER or ruling.finding.name == "refused", path
            tried += 1
    assert tried > 50


@pytest.mark.parametrize(
    ("kind", "changes", "step"),
    [
        ("grant", {"v": 2}, "file"),
        ("grant", {"more": 1}, "file"),
        ("grant", {"open": ["x"] * 11}, "file"),
        ("grant", {"event": '{"kind":"pad"}'}, "event"),
        ("grant", {"line": {"text": "x", "k": 0, "path": []}}, "subject"),
        ("bulk", {"line": {"text": "x", "k": 0}}, "file"),
    ],
)
def test_what_is_no_such_file_fails_where_it_is_wrong(kind, changes, step):
    ruling = verify(changed(file_of(kind), **changes))
    assert failures(ruling)[0] == step
    assert ruling.finding.name == "refused"


def test_nothing_is_told_of_an_event_that_is_not_shown_to_stand_in_the_log():
    other = json.loads(file_of("read"))["event"]
    ruling = verify(changed(file_of("grant"), event=other, open=[]))
    assert failures(ruling)[0] == "inclusion"
    assert ruling.about == {}


def test_somebody_elses_record_does_not_make_it_his_look():
    foreign = json.loads(file_of("read", SECOND))["record"]
    ruling = verify(changed(file_of("read"), record=foreign))
    assert failures(ruling)[:1] == ["subject"]
    assert "subject" not in ruling.about


def test_a_record_that_keeps_its_subject_back_shows_nobody():
    record = json.loads(file_of("read"))["record"]
    ruling = verify(changed(file_of("read"), record=record.split("~")[0] + "~"))
    assert failures(ruling)[:1] == ["subject"]


def test_another_line_of_the_same_question_is_another_subjects():
    mine, other = (json.loads(file_of("bulk", subject)) for subject in (FIRM, SECOND))
    assert verify(json.dumps(other).encode()).about["subject"] == f"uscc {OTHER}"
    ruling = verify(json.dumps(mine | {"line": mine["line"] | {"text": other["line"]["text"]}}).encode())
    assert failures(ruling)[:1] == ["subject"]


def test_the_subject_may_stand_in_one_place_only():
    record = json.loads(file_of("read"))["record"]
    line = json.loads(file_of("bulk"))["line"]
    for kind, more in (("grant", {"record": record}), ("bulk", {"record": record}), ("read", {"line": line})):
        assert failures(verify(changed(file_of(kind), **more)))[:1] == ["subject"]


def test_a_look_without_its_subject_is_proven_and_says_that_it_names_nobody():
    ruling = verify(changed(file_of("read"), record=None))
    assert ruling.finding.name == "proven"
    assert "subject" not in ruling.about
    assert [s.kind.name for s in ruling.steps if s.outcome is Outcome.NOT_CHECKED] == ["subject"]


def test_offline_the_file_proves_what_the_policy_asks_for_and_no_time():
    assert verify(file_of("grant"), asks=False).finding.name == "refused"
    ruling = verify(file_of("grant"), asks=False, level=Level.LOGGED)
    assert ruling.finding.name == "proven"
    assert "logged_between" not in ruling.about
    unanchored = verify(changed(file_of("grant"), anchor=None), level=Level.LOGGED)
    assert unanchored.finding.name == "proven"
    assert verify(changed(file_of("grant"), anchor=None)).finding.name == "refused"


def test_a_greatest_age_of_a_status_does_not_concern_a_look():
    assert verify(file_of("grant"), max_status_age=1).finding.name == "proven"
    assert failures(verify(file_of("grant"), max_interval=0)) == ["interval", "demand"]


def test_an_inclusion_in_the_records_log_is_none():
    world, _ = made()
    reader = world.records
    proof = reader.tlog_proof(0, reader.published_size())
    assert failures(verify(changed(file_of("grant"), inclusion=proof, anchor=None)))[0] == "origin"


def test_a_log_that_the_policy_does_not_name_is_refused():
    world, _ = made()
    policy = world.policy()
    mine = tuple(log for log in policy.logs if log.origin.kind == "records")
    bare = type(policy)(mine, policy.keys, policy.chain, policy.demand)
    ruling = verify_look_file(file_of("grant"), bare, now_seconds=0)
    assert failures(ruling)[0] == "origin"
    assert ruling.about == {}


def test_a_node_hands_out_no_file_that_nobody_would_read():
    file = parse_look_file(file_of("grant"))
    with raises_code(Verification, "opening-digest"):
        encode_look_file(LookFile(parse_look_file(file_of("read")).event, file.openings, file.inclusion))
    with raises_code(InvalidInput, "json-text-size"):
        encode_look_file(LookFile(file.event, file.openings, "x" * (1 << 17)))

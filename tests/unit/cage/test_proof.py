# SPDX-License-Identifier: Apache-2.0
"""The file of a finding: whatever is changed in it, it no longer verifies, or says nothing that was not so before."""

import json
from dataclasses import replace

import pytest

from node.access.event import build_heartbeat
from node.cage.findings import MAX_LISTED, Findings, finding_codes, finding_text
from node.cage.proof import encode_finding, parse_finding, verify_finding
from node.errors import InvalidInput, NodeError, Verification
from node.log.checkpoint import build_origin
from tests.support.audit_world import START, SUBJECT, AuditWorld
from tests.support.errors import raises_code

OTHER = SUBJECT | {"id": "91440300708461136T"}


@pytest.fixture(scope="module")
def world():
    made = AuditWorld(9)
    made.some_exchanges(5)
    made.exchange(START + 1_000, 0, 1, grant={"subject": OTHER})
    made.run()
    return made


@pytest.fixture(scope="module")
def data(world):
    (finding,) = world.audit().findings.listed
    assert finding.code == "terms-differ"
    assert finding.values == {"names": "subject"}
    return finding.proof


def test_it_reads_back_and_proves(world, data):
    file = parse_finding(data)
    assert encode_finding(file) == data
    assert verify_finding(file, world.policy())


def changed(data, change):
    members = json.loads(data)
    change(members)
    return json.dumps(members).encode()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda m: m["entries"].pop(), "finding-differs"),
        (lambda m: m.update(finding="released-differs"), "finding-differs"),
        (lambda m: m["entries"][0].update(index=m["entries"][0]["index"] + 1), "finding-differs"),
        (lambda m: m["entries"][0].update(log=m["entries"][1]["log"]), "finding-differs"),
        (lambda m: m["entries"][0].update(entry=m["entries"][1]["entry"]), "inclusion-root"),
        (lambda m: m["entries"][0].update(open=m["entries"][1]["open"]), "finding-differs"),
        (lambda m: m["entries"][0].update(open=[]), "finding-differs"),
        (lambda m: m["entries"][0]["anchor"].update(prev_size=10**6), "anchor-form"),
        (lambda m: m["entries"][0]["anchor_path"].reverse(), "inclusion-root"),
        (lambda m: m.update(notes=[m["notes"][0].replace("city", "town")]), "checkpoint-unknown-log"),
    ],
)
def test_what_is_changed_shows(world, data, change, code):
    with pytest.raises(NodeError) as raised:
        verify_finding(parse_finding(changed(data, change)), world.policy())
    assert raised.value.code in {code, "inclusion-root", "anchor-not-first", "note-signature"}


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(v=2),
        lambda m: m.update(finding="guilty"),
        lambda m: m.update(more=1),
        lambda m: m.pop("notes"),
        lambda m: m["entries"][0].pop("anchor_path"),
        lambda m: m.update(entries=m["entries"] * 40),
    ],
)
def test_what_is_no_finding(data, change):
    with pytest.raises(InvalidInput):
        parse_finding(changed(data, change))


def test_keys_of_others_prove_nothing(world, data):
    other = AuditWorld(9, nodes=1).policy()
    with pytest.raises(Verification):
        verify_finding(parse_finding(data), other)


def test_an_innocent_request_proves_nothing(world, data):
    """Entries that agree do not become a finding by being called one."""

    def innocent(members):
        clean = AuditWorld(9)
        clean.some_exchanges(5)
        clean.exchange(START + 1_000, 0, 1)
        clean.run()
        assert not clean.audit().findings.total
        members["entries"] = [entry for entry in members["entries"] if entry["log"] == members["log"]]

    with raises_code(Verification, "finding-differs"):
        verify_finding(parse_finding(changed(data, innocent)), world.policy())


def test_every_code_has_a_text_in_both_languages_and_a_line_in_the_page():
    from tests.support.project import ROOT

    page = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    codes = finding_codes()
    remarks = codes[codes.index("other-side-elsewhere") :]
    for code in codes:
        assert finding_text(code, "zh") != finding_text(code, "en")
        assert code in remarks or f"`{code}`" in page


def test_findings_are_listed_up_to_a_bound_and_all_counted():
    findings = Findings()
    for _ in range(MAX_LISTED + 50):
        findings.add("entry-malformed", "m", "o", values={"error": "e"})
    assert (len(findings.listed), findings.total) == (MAX_LISTED, MAX_LISTED + 50)


def test_that_an_entry_is_dated_back_is_shown_by_the_heartbeat_before_it():
    """An anchor may have waited for the chain: that an entry is older than the block is no proof against its node."""
    world = AuditWorld(10)
    world.some_exchanges(5)
    world.exchange(START + 1_000, 0, 1, grant={"t": (START - 2_600) * 1_000})
    world.run()
    (finding,) = world.audit().findings.listed
    assert finding.code == "time-outside"
    file = parse_finding(finding.proof)
    assert verify_finding(file, world.policy())
    early, _ = file.entries
    with raises_code(Verification, "finding-differs"):
        verify_finding(replace(file, entries=(early,)), world.policy())


def test_that_an_entry_is_older_than_its_log_is_shown_by_the_first_anchor():
    """No anchor was there that could have waited for the chain, and no heartbeat can stand before it."""
    world = AuditWorld(10)
    world.exchange(START + 30, 0, 1, grant={"t": (START - 2_600) * 1_000})
    world.run()
    (finding,) = world.audit().findings.listed
    assert finding.code == "time-outside"
    assert verify_finding(parse_finding(finding.proof), world.policy())


def test_a_heartbeat_of_a_successor_is_not_dated_back():
    """What its predecessor promised has its own time; by a heartbeat the events behind it are judged."""
    world = AuditWorld(10)
    node = world.nodes[1]
    node.origin = build_origin("city.example", node.member, "access", 1)
    world.exchange(START + 30, 0, 1, grant={"t": (START - 2_600) * 1_000})
    world.plan(START + 40, lambda: node.append(build_heartbeat(1_000, rejects=0, unwraps=node.unwraps)))
    world.run()
    (finding,) = [one for one in world.audit().findings.listed if one.code == "time-outside"]
    assert finding.member == node.member
    assert node.entries[finding.entries[0][1]] == build_heartbeat(1_000, rejects=0, unwraps=8)
    assert verify_finding(parse_finding(finding.proof), world.policy())


def test_that_an_ask_is_late_is_shown_by_the_heartbeat_before_it():
    world = AuditWorld(10)
    world.some_exchanges(5)
    ctx = world.exchange(START + 1_000, 0, 1, without={"ask"})
    asker, provider = world.nodes[:2]
    world.plan(START + 2_400, lambda: world.log(asker, "ask", START + 2_400, ctx, peer=provider))
    world.run()
    (finding,) = [one for one in world.audit().findings.listed if one.code == "order-differs"]
    assert finding.member == asker.member
    file = parse_finding(finding.proof)
    assert verify_finding(file, world.policy())
    with raises_code(Verification, "finding-differs"):
        verify_finding(replace(file, entries=file.entries[:2]), world.policy())


@pytest.mark.parametrize("n", [0, 1])
def test_an_ask_that_a_successor_logs_again_is_not_late(n):
    """The log before it had promised the ask, and was lost before an anchor covered it; in a first log it is late."""
    world = AuditWorld(10)
    asker = world.nodes[0]
    asker.origin = build_origin("city.example", asker.member, "access", n)
    asker.down.append((START, START + 1_500))
    world.exchange(START + 30, 0, 1)
    world.run()
    asker.anchors[0] = replace(asker.anchors[0], prev_time=START + 1_500, prev_block=(START + 1_500) // 5)
    found = {finding.code: finding for finding in world.audit().findings.listed}
    assert ("order-differs" in found) == (n == 0)
    if n == 0:
        assert verify_finding(parse_finding(found["order-differs"].proof), world.policy())

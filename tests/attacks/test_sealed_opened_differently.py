# SPDX-License-Identifier: Apache-2.0
"""A sealed event that is opened differently: the box that its regulator holds does not hold what the event says.

A commission has the inspector hold the openings of one event, and logs another event with that box. Nothing shows as long as both are
sealed. When the inspector opens the box, its node signs what it held; with that statement an auditor names the commission's event,
before its day and after it, and anybody checks the file offline. Whoever is not the regulator of the event's warrant frames nobody with
a statement of his own: the warrant is not his, or its key is not.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from node.access.sealed import seal_openings
from node.access.unsealed import build_opened, parse_opened
from node.access.warrant import build_warrant, parse_warrant
from node.cage.audit import Audit, Given
from node.cage.proof import MemoryScratch, encode_finding, parse_finding, verify_finding
from node.cage.walk import Rules
from node.errors import Verification
from node.evidence.unsealed import verify_unsealed
from node.log.proof import TlogProof, encode_tlog_proof
from node.log.tree import build_inclusion_path
from node.service.drafting import EventDraft
from tests.attacks.test_sealed_never_opened import RID, deposit
from tests.support.audit_world import codes_of
from tests.support.errors import raises_code
from tests.support.exchange_audit import PERIOD, OwnChain, OwnLog, policy_of, settle
from tests.support.exchange_world import COURT, MARKET
from tests.support.rows import COMPANY
from tests.support.sealed_world import DAY, INSPECTOR, WHY, SealedWorld

HOUR = 3_600


@pytest.fixture
def world():
    """An honest sealed look, and an event that was logged with the box of another one."""
    with SealedWorld() as made:
        made.nodes[MARKET].import_penalties(range(2))
        made.anchor()
        assert made.ask_one(warrant=made.issue(seconds=30 * DAY, open_seconds=60 * DAY)).result == "ok"
        yield made


def log_other(world):
    """Deposit the openings of an event that is logged nowhere, and log something else with that box."""
    court = world.nodes[COURT]
    draft = EventDraft(kind="sealed", peer=MARKET, purpose="inspection", items=[], rid=RID, box=bytes(32))
    told = court.services.access.log(replace(draft, open_by=1, warrant=bytes(32))).openings
    public = world.exchange_key(INSPECTOR).public
    box = seal_openings(told, public=public, from_=COURT, to=INSPECTOR)
    warrant = parse_warrant(deposit(world, box))
    court.services.access.log(
        replace(
            draft, box=sha256(box).digest(), open_by=warrant.open_by, warrant=warrant.digest, rid=bytes(16)
        )
    )
    return sha256(box).digest()


def statements(world):
    """Open everything that is held; what the inspector's node signs."""
    return [
        world.depository.open(one.box, WHY).statement for one in world.depository.boxes(after=None, limit=99)
    ]


def audit(world, opened):
    sources = [OwnLog(node) for node in world.nodes.values()]
    rules = Rules(4 * PERIOD, 4 * HOUR, world.clock.now_seconds())
    given = Given(complete=True, opened=opened)
    return Audit(sources, OwnChain(world), policy_of(world), rules, MemoryScratch(), given).run()


def event_of(world, code, box):
    """The event of a member with this box, and the proof of its place under the newest checkpoint."""
    source = OwnLog(world.nodes[code])
    ((index, _),) = [one for one in world.events(code, "sealed") if one[1].box == box]
    size = int(source.note.split("\n")[1])
    path = build_inclusion_path(source.reader.tiles, index, size)
    entry = source.reader.entry(source.reader.row(index))
    return entry, encode_tlog_proof(TlogProof(index, tuple(path), source.note))


def test_what_was_opened_is_what_was_sealed(world):
    opened = statements(world)
    settle(world)
    report = audit(world, opened)
    assert codes_of(report) == set(), [one.text("en") for one in report.findings.listed]
    agrees = [count for (code, _), count in report.findings.remarks.items() if code == "sealed-agrees"]
    assert sum(agrees) == len(opened) == 3
    for token in opened:
        said = parse_opened(token)
        entry, inclusion = event_of(world, said.member, said.box)
        _, log, values = verify_unsealed(token, entry, inclusion, policy_of(world))
        assert said.member in log
        assert values["subject"] == {"type": "uscc", "id": COMPANY}


def test_a_box_that_holds_another_event_is_named_with_a_file_that_proves_it(world):
    box = log_other(world)
    statement = world.depository.open(box, WHY).statement
    settle(world)
    report = audit(world, [statement])
    (found,) = [one for one in report.findings.listed if one.code == "sealed-differs"]
    assert (found.member, found.values) == (COURT, {"regulator": INSPECTOR, "error": "opening-digest"})
    file = parse_finding(found.proof)
    assert file.opened == (statement,)
    assert verify_finding(file, policy_of(world)) is True
    # Without the statement, or with the one of an honest look, the file shows nothing.
    honest = world.depository.open(world.depository.boxes(after=None, limit=1)[0].box, WHY).statement
    for others in ((), (honest,)):
        changed = parse_finding(encode_finding(replace(file, opened=others)))
        with raises_code(Verification, "finding-differs"):
            verify_finding(changed, policy_of(world))
    entry, inclusion = event_of(world, COURT, box)
    with raises_code(Verification, "opening-digest"):
        verify_unsealed(statement, entry, inclusion, policy_of(world))


@pytest.mark.parametrize("first", [True, False])
def test_what_another_says_of_the_box_covers_nothing_up(world, first):
    box = log_other(world)
    true = world.depository.open(box, WHY)
    now = world.clock.now_seconds()
    market = world.nodes[MARKET].keys.node
    own = build_warrant(
        signer=market, iss=MARKET, asker=COURT, iat=now, exp=now + 9, jti=bytes(16), looks=1, open_by=now + 9
    )
    other = build_opened(
        signer=market, iss=MARKET, warrant=own, iat=now, member=COURT, box=box, openings=true.openings
    )
    settle(world)
    report = audit(world, [other, true.statement] if first else [true.statement, other])
    assert "sealed-differs" in codes_of(report)


def test_the_statement_about_one_box_says_nothing_of_another_event(world):
    one, other, *_ = statements(world)
    settle(world)
    entry, inclusion = event_of(world, parse_opened(other).member, parse_opened(other).box)
    with raises_code(Verification, "sealed-box"):
        verify_unsealed(one, entry, inclusion, policy_of(world))


def test_whoever_is_not_the_regulator_of_the_warrant_frames_nobody(world):
    held, *_ = world.depository.boxes(after=None, limit=1)
    true = parse_opened(world.depository.open(held.box, WHY).statement)
    false = world.depository.open(world.depository.boxes(after=None, limit=2)[1].box, WHY).openings
    now = world.clock.now_seconds()
    market = world.nodes[MARKET].keys.node
    own = build_warrant(
        signer=market, iss=MARKET, asker=COURT, iat=now, exp=now + 9, jti=bytes(16), looks=1, open_by=now + 9
    )
    lie = {"iat": now, "member": COURT, "box": held.box, "openings": false}
    framed = build_opened(signer=market, iss=MARKET, warrant=own, **lie)
    settle(world)
    report = audit(world, [framed])
    assert codes_of(report) == set()
    assert "opened-elsewhere" in {code for code, _ in report.findings.remarks}
    forged = build_opened(signer=market, iss=INSPECTOR, warrant=true.token, **lie)
    with pytest.raises(Verification) as caught:
        audit(world, [forged])
    assert caught.value.code == "opened-key"

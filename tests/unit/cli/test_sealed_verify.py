# SPDX-License-Identifier: Apache-2.0
"""``sealed verify`` reads the event from a look's file or a finding's, and says whether the box held what it says."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from cli.app import app
from node.access.unsealed import parse_opened
from node.cage.proof import FindingFile, ShownEntry, encode_finding
from node.evidence.lookfile import LookFile, encode_look_file
from node.evidence.policy import encode_policy
from tests.attacks.test_sealed_opened_differently import event_of, statements
from tests.support.exchange_audit import policy_of, settle
from tests.support.exchange_world import COURT, MARKET
from tests.support.rows import COMPANY
from tests.support.sealed_world import INSPECTOR, SealedWorld


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The inspector's statements about a look, and the files of its events, as their logs have them."""
    folder = tmp_path_factory.mktemp("sealed")
    with SealedWorld() as world:
        world.nodes[MARKET].import_penalties(range(2))
        world.anchor()
        assert world.ask_one(warrant=world.issue()).result == "ok"
        tokens = statements(world)
        settle(world)
        policy = policy_of(world)
        chain = policy.chain._replace(trusted_until=2_000_000_000)
        (folder / "policy.json").write_bytes(encode_policy(replace(policy, chain=chain)))
        for part, token in zip(("ask", "grant", "receive"), tokens, strict=True):
            (folder / f"{part}.opened.jwt").write_text(token + "\n")
            said = parse_opened(token)
            entry, inclusion = event_of(world, said.member, said.box)
            file = LookFile(entry.decode(), (), inclusion)
            (folder / f"{part}.look.json").write_bytes(encode_look_file(file))
        shown = ShownEntry(f"exchange/{COURT}/access/0", 0, entry, inclusion)
        finding = FindingFile("sealed-unopened", COURT, shown.log, (shown,))
        (folder / "receive.finding.json").write_bytes(encode_finding(finding))
    return folder


def verify(folder, statement, event):
    words = ["sealed", "verify", str(folder / statement), "--event", str(folder / event), "--json"]
    return CliRunner().invoke(app, [*words, "--policy", str(folder / "policy.json")])


@pytest.mark.parametrize("part", ["ask", "grant", "receive"])
def test_each_event_of_a_look_is_what_was_opened(folder, part):
    done = verify(folder, f"{part}.opened.jwt", f"{part}.look.json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["regulator"], found["member"]) == (INSPECTOR, MARKET if part == "grant" else COURT)
    assert found["values"]["subject"] == {"type": "uscc", "id": COMPANY}


def test_the_file_of_a_finding_will_do(folder):
    assert verify(folder, "receive.opened.jwt", "receive.finding.json").exit_code == 0


def test_another_event_is_refused(folder):
    done = verify(folder, "ask.opened.jwt", "grant.look.json")
    assert done.exit_code == 2
    assert "sealed-event" in done.output + done.stderr


def test_what_the_regulator_did_not_sign_is_refused(folder):
    text = (folder / "ask.opened.jwt").read_text().strip()
    (folder / "changed.opened.jwt").write_text(text[:-8] + "AAAAAAAA")
    done = verify(folder, "changed.opened.jwt", "ask.look.json")
    assert done.exit_code == 1
    assert "ed25519-signature" in done.output + done.stderr

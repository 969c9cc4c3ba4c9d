# SPDX-License-Identifier: Apache-2.0
"""Every member of an evidence file, changed: which step says so."""

from __future__ import annotations

import itertools
import json
from functools import reduce
from operator import getitem

import pytest

from node.core.encoding import encode_b64u, parse_b64u
from node.evidence.format import encode_evidence, parse_evidence
from node.evidence.policy import Level
from node.evidence.report import Verdict
from node.evidence.verify import verify_evidence
from tests.support.evidence_world import build_world
from tests.support.json_trees import changed_tree
from tests.support.verifying import failed

WORLD = build_world(records=20)
RECORD = WORLD.records[5]
DATA = WORLD.export(RECORD).data
TREE = json.loads(DATA)
POINTERS = {("anchor", "tx"), ("status", "anchor", "tx")}


def verify(data, *, offline=False):
    policy = WORLD.offline_policy() if offline else WORLD.policy()
    return verify_evidence(data, policy, now_seconds=WORLD.chain.time, chain=None if offline else WORLD.chain)


def changed(path, value):
    return json.dumps(changed_tree(TREE, path, value)).encode()


def leaves(tree, path=()):
    if isinstance(tree, dict | list):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for name, member in items:
            yield from leaves(member, (*path, name))
    else:
        yield path


def flip(text, place):
    """Another character of the same alphabet at a place."""
    other = next(c for c in "A1a0" if c != text[place] and (c in "10" or not text.startswith("0x")))
    return text[:place] + other + text[place + 1 :]


ANCHOR_STEPS = {
    **dict.fromkeys(("chain_id", "contract", "log_id", "size", "root"), "anchor"),
    **dict.fromkeys(("i", "prev_size", "prev_block", "prev_time", "block", "time"), "anchor-commitment"),
}
STEP_OF = {
    ("v",): "file",
    ("record",): "record-signature",
    ("inclusion",): "checkpoint",
    ("status", "list"): "status-list",
    ("status", "index"): "status-list",
    ("status", "path", 0): "status-head",
    ("status", "path", 1): "status-head",
    ("status", "head"): "status-head",
    ("status", "inclusion"): "status-logged",
    **{("anchor", name): step for name, step in ANCHOR_STEPS.items()},
    **{
        ("status", "anchor", name): f"status-{step.removeprefix('anchor-')}"
        for name, step in ANCHOR_STEPS.items()
    },
}


def test_every_member_is_in_the_table_below():
    assert set(leaves(TREE)) == STEP_OF.keys() | POINTERS


@pytest.mark.parametrize("path", STEP_OF, ids=lambda path: ".".join(map(str, path)))
def test_a_changed_member_is_refused_and_the_step_named(path):
    value = reduce(getitem, path, TREE)
    if path == ("record",):
        place = value.index("~") - 20
        value = flip(value, place)
    elif isinstance(value, str):
        # From the end: inside the signature of a token, in the last signature line of a proof, in a hash.
        value = flip(value, len(value) - 20)
    else:
        value += 1
    report = verify(changed(path, value))
    assert report.verdict is Verdict.REFUSED
    assert failed(report)[0] == STEP_OF[path]


@pytest.mark.parametrize("path", sorted(POINTERS), ids=".".join)
def test_the_transaction_is_a_pointer_and_no_step_rests_on_it(path):
    report = verify(changed(path, "0x" + "00" * 32))
    assert report.encode() == verify(json.dumps(TREE).encode()).encode()
    assert "00" * 32 not in report.render("en")


@pytest.mark.parametrize("name", ["i", "prev_block", "prev_time", "block", "time"])
def test_offline_what_only_the_chain_knows_is_a_claim_and_said_to_be_one(name):
    report = verify(changed(("anchor", name), TREE["anchor"][name] + 1), offline=True)
    assert report.level is Level.LOGGED
    assert not report.interval.proven
    assert "未经链核实" in report.render("zh")


class TestRecord:
    jwt, *disclosures = TREE["record"][:-1].split("~")

    def verify(self, *parts):
        return verify(changed(("record",), "~".join([*parts, ""])))

    @pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "payload", "signature"])
    def test_the_jwt(self, part):
        parts = self.jwt.split(".")
        parts[part] = flip(parts[part], len(parts[part]) // 2)
        report = self.verify(".".join(parts), *self.disclosures)
        assert failed(report)[0] in {"record", "record-signature"}
        assert (report.level, report.record) == (Level.NONE, None)

    @pytest.mark.parametrize("which", range(4), ids=["subject", "CF_WSH", "CF_NR", "CF_JDRQ"])
    def test_one_character_of_one_field(self, which):
        salt, name, value = json.loads(parse_b64u(self.disclosures[which]))
        if name == "subject":
            value["id"] = value["id"][:-1] + ("A" if value["id"][-1] != "A" else "B")
        else:
            value = ("5" if value[0] != "5" else "6") + value[1:]
        forged = encode_b64u(
            json.dumps([salt, name, value], ensure_ascii=False, separators=(",", ":")).encode()
        )
        disclosures = [*self.disclosures]
        disclosures[which] = forged
        report = self.verify(self.jwt, *disclosures)
        assert failed(report) == ["disclosures", "demand"]
        # The record itself is still there, but nothing of what this file says about it is shown.
        assert (report.level, report.record, report.status) == (Level.NONE, None, None)
        assert next(s.code for s in report.steps if s.kind.name == "disclosures") == "disclosure-unreferenced"

    def test_a_field_under_another_name(self):
        salt, _, value = json.loads(parse_b64u(self.disclosures[1]))
        forged = encode_b64u(json.dumps([salt, "CF_NR", value]).encode())
        assert failed(self.verify(self.jwt, self.disclosures[0], forged))[0] == "disclosures"

    def test_a_field_of_another_record(self):
        other = WORLD.presentation(WORLD.records[6]).split("~")[2]
        assert failed(self.verify(self.jwt, *self.disclosures, other))[0] == "disclosures"

    def test_a_field_twice(self):
        assert failed(self.verify(self.jwt, *self.disclosures, self.disclosures[0]))[0] == "disclosures"

    def test_a_key_binding_is_refused(self):
        report = verify(changed(("record",), TREE["record"] + self.jwt))
        assert failed(report)[0] == "record"

    def test_fewer_fields_are_less_to_see_and_as_true(self):
        report = self.verify(self.jwt, self.disclosures[1])
        assert report.satisfied
        assert report.record.disclosed.keys() == {"CF_WSH"}


class TestInclusion:
    lines = TREE["inclusion"].split("\n")

    def verify(self, place, line):
        lines = [*self.lines]
        lines[place] = line
        return verify(changed(("inclusion",), "\n".join(lines)))

    def place_of(self, start):
        return next(place for place, line in enumerate(self.lines) if line.startswith(start))

    def test_the_header(self):
        assert failed(self.verify(0, "c2sp.org/tlog-proof@v2"))[0] == "origin"

    @pytest.mark.parametrize("index", [0, 5, 7, 20])
    def test_the_index(self, index):
        assert failed(self.verify(1, f"index {index}"))[0] == "inclusion"

    def test_an_index_outside_the_tree(self):
        assert failed(self.verify(1, "index 23"))[0] == "inclusion"

    @pytest.mark.parametrize("spelling", ["index 06", "index +6", "index  6", "Index 6", "index 6 "])
    def test_another_spelling_of_the_index(self, spelling):
        assert failed(self.verify(1, spelling))[0] == "origin"

    @pytest.mark.parametrize("hash_", [0, 1, 2])
    def test_a_hash_of_the_path(self, hash_):
        assert failed(self.verify(2 + hash_, flip(self.lines[2 + hash_], 3)))[0] == "inclusion"

    def test_a_hash_more_and_a_hash_less(self):
        more = [*self.lines[:2], self.lines[2], *self.lines[2:]]
        less = [*self.lines[:2], *self.lines[3:]]
        for lines in (more, less):
            assert failed(verify(changed(("inclusion",), "\n".join(lines))))[0] == "inclusion"

    def test_bytes_that_nothing_authenticates(self):
        lines = [self.lines[0], "extra QUJD", *self.lines[1:]]
        report = verify(changed(("inclusion",), "\n".join(lines)))
        assert next(step.code for step in report.steps if step.kind.name == "origin") == "proof-extra"

    def test_the_origin(self):
        place = self.place_of("city.example")
        assert failed(self.verify(place, self.lines[place][:-1] + "1"))[0] == "origin"

    def test_size_and_root(self):
        place = self.place_of("city.example") + 1
        assert failed(self.verify(place, str(int(self.lines[place]) + 1)))[0] == "checkpoint"
        assert failed(self.verify(place + 1, flip(self.lines[place + 1], 0)))[0] == "checkpoint"

    @pytest.mark.parametrize("line", [0, 1], ids=["ed25519", "ml-dsa-44"])
    def test_signatures(self, line):
        place = self.place_of("—") + line
        assert (
            failed(self.verify(place, flip(self.lines[place], len(self.lines[place]) - 10)))[0]
            == "checkpoint"
        )

    def test_a_checkpoint_that_the_log_did_not_sign(self):
        place = self.place_of("—")
        lines = [line for at, line in enumerate(self.lines) if at != place]
        assert failed(verify(changed(("inclusion",), "\n".join(lines))))[0] == "checkpoint"


def test_parts_of_different_files_never_make_one():
    """All mixtures of the files of two records, one of them of an earlier period."""
    files = [parse_evidence(WORLD.export(WORLD.records[place]).data) for place in (0, 5)]
    for record, inclusion, anchor in itertools.product(files, repeat=3):
        mixed = files[0]._replace(record=record.record, inclusion=inclusion.inclusion, anchor=anchor.anchor)
        report = verify(encode_evidence(mixed))
        assert report.satisfied is (record is inclusion is anchor)

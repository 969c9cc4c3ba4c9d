# SPDX-License-Identifier: Apache-2.0
"""The evidence file: members, spellings, sizes; and what builds it."""

from __future__ import annotations

import dataclasses
import json
from functools import reduce
from operator import getitem

import pytest

from node.core.encoding import encode_b64, encode_b64u
from node.errors import InvalidInput, NodeError, Verification
from node.evidence.build import build_evidence, build_reference
from node.evidence.format import (
    MAX_EVIDENCE_BYTES,
    Evidence,
    encode_evidence,
    file_name,
    parse_evidence,
)
from node.log.checkpoint import log_id
from node.log.merkle import leaf_hash
from tests.support.evidence_world import CERTIFICATE, CHAIN_ID, CHAIN_PROOF, CONTRACT, build_world
from tests.support.json_trees import changed_tree

WORLD = build_world()
RECORD = WORLD.records[2]
BUILT = WORLD.export(RECORD)
EVIDENCE = parse_evidence(BUILT.data)
FULL = EVIDENCE._replace(chain_proof=CHAIN_PROOF, certificate=CERTIFICATE)
TREE = json.loads(encode_evidence(FULL))
HASH = encode_b64(bytes(32))


def put(*path, value=...):
    return json.dumps(changed_tree(TREE, path, value)).encode()


def code_of(data):
    with pytest.raises(InvalidInput) as caught:
        parse_evidence(data)
    return caught.value.code


def test_evidence_survives_writing_and_reading():
    assert parse_evidence(encode_evidence(FULL)) == FULL
    assert encode_evidence(parse_evidence(BUILT.data)) == BUILT.data


def test_the_file_has_the_members_of_the_protocol():
    assert TREE.keys() == {"v", "record", "inclusion", "anchor", "status", "chain_proof", "certificate"}
    anchor = {"chain_id", "contract", "log_id", "i", "prev_size", "prev_block", "prev_time"}
    anchor |= {"size", "root", "block", "time", "tx"}
    assert TREE["anchor"].keys() == anchor
    assert TREE["status"].keys() == {"list", "index", "path", "head", "inclusion", "anchor"}
    assert TREE["status"]["anchor"].keys() == anchor
    assert TREE["chain_proof"].keys() == {"headers", "account", "slots"}
    assert TREE["chain_proof"]["slots"][0].keys() == {"key", "nodes"}
    assert TREE["certificate"].keys() == {"text", "index", "size", "path", "signers", "signature"}


def test_parts_that_are_not_there_are_absent_never_null():
    bare = encode_evidence(Evidence(EVIDENCE.record, EVIDENCE.inclusion))
    assert json.loads(bare).keys() == {"v", "record", "inclusion"}
    assert parse_evidence(bare) == Evidence(EVIDENCE.record, EVIDENCE.inclusion)
    for name in ("anchor", "status", "chain_proof", "certificate"):
        assert code_of(put(name, value=None)) == "json-object"


def every_object(tree, path=()):
    if isinstance(tree, dict):
        yield path
        for name, member in tree.items():
            yield from every_object(member, (*path, name))
    elif isinstance(tree, list):
        for place, member in enumerate(tree):
            yield from every_object(member, (*path, place))


@pytest.mark.parametrize("path", list(every_object(TREE)), ids=str)
def test_unknown_members_are_refused_at_every_level(path):
    assert code_of(put(*path, "x", value=1)) == "json-member-unknown"


OPTIONAL = {("anchor",), ("status",), ("chain_proof",), ("certificate",)}
MEMBERS = [
    (*path, name)
    for path in every_object(TREE)
    for name in reduce(getitem, path, TREE)
    if (*path, name) not in OPTIONAL
]


@pytest.mark.parametrize("path", MEMBERS, ids=str)
def test_members_that_must_be_there_and_are_never_null(path):
    assert code_of(put(*path)) == "json-member-missing"
    with pytest.raises(InvalidInput):
        parse_evidence(put(*path, value=None))


@pytest.mark.parametrize("path", MEMBERS, ids=str)
@pytest.mark.parametrize("value", [True, 1.5, {}, [[]], -1], ids=str)
def test_every_member_has_its_type(path, value):
    with pytest.raises(InvalidInput):
        parse_evidence(put(*path, value=value))


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("v",), 2, "evidence-version"),
        (("record",), "x" * (256 * 1024 + 1), "json-text-size"),
        (("inclusion",), "x" * (64 * 1024 + 1), "json-text-size"),
        (("anchor", "chain_id"), 0, "json-range"),
        (("anchor", "contract"), CONTRACT.upper(), "hex"),
        (("anchor", "contract"), CONTRACT[:-1], "hex"),
        (("anchor", "log_id"), "0x" + "A" * 64, "hex"),
        (("anchor", "i"), 0, "anchor-form"),
        (("anchor", "size"), 1, "anchor-form"),
        (("anchor", "prev_block"), 10**9, "anchor-form"),
        (("anchor", "prev_time"), 1_900_000_000, "anchor-form"),
        (("anchor", "time"), 253_402_300_800, "json-range"),
        (("anchor", "time"), 2**53, "json-integer"),
        (("anchor", "root"), "00" * 32, "hex"),
        (("anchor", "tx"), "0x", "hex"),
        (("status", "list"), "x" * (64 * 1024 + 1), "json-text-size"),
        (("status", "head"), "x" * (8 * 1024 + 1), "json-text-size"),
        (("status", "index"), "0", "json-range"),
        (("status", "path"), [HASH] * 64, "json-list"),
        (("status", "path"), [HASH[:-1]], "base64"),
        (("status", "path"), [encode_b64(bytes(31))], "base64-length"),
        (("chain_proof", "headers"), ["0x"], "hex"),
        (("chain_proof", "headers"), ["0x1"], "hex"),
        (("chain_proof", "slots"), [TREE["chain_proof"]["slots"][0]] * 3, "json-list"),
        (("chain_proof", "slots", 0, "key"), "0x00", "hex"),
        (("certificate", "size"), 0, "json-range"),
        (("certificate", "signers"), "=", "base64url"),
        (("certificate", "signature"), encode_b64u(bytes(95)), "base64-length"),
    ],
)
def test_wrong_values_are_refused_by_code(path, value, code):
    assert code_of(put(*path, value=value)) == code


def test_files_that_are_no_evidence():
    assert code_of(b"") == "json-syntax"
    assert code_of(b"null") == "json-object"
    assert code_of(BUILT.data + b"x") == "json-syntax"
    assert code_of(b"\xef\xbb\xbf" + BUILT.data) == "json-encoding"
    assert code_of(BUILT.data[:-1] + b',"v":1}') == "json-duplicate"
    assert code_of(b'{"v":' + b"[" * 40) == "json-depth"
    assert code_of(BUILT.data + b" " * MAX_EVIDENCE_BYTES) == "json-size"


def test_the_file_is_named_by_the_leaf_hash():
    leaf = leaf_hash(RECORD.jwt)
    assert BUILT.name == file_name(leaf) == f"{leaf.hex()[:16]}.evidence.json"


def test_a_node_builds_only_what_fits_together():
    other = WORLD.trees[0]
    with pytest.raises(Verification) as caught:
        build_evidence(record=EVIDENCE.record, inclusion=EVIDENCE.inclusion, anchor=WORLD.reference(other))
    assert caught.value.code == "anchor-not-covering"
    with pytest.raises(Verification) as caught:
        build_evidence(
            record=EVIDENCE.record,
            inclusion=EVIDENCE.inclusion,
            anchor=EVIDENCE.anchor._replace(log_id=log_id("other")),
        )
    assert caught.value.code == "evidence-parts"
    with pytest.raises(Verification):
        build_evidence(
            record=EVIDENCE.record,
            inclusion=EVIDENCE.inclusion,
            status=dataclasses.replace(WORLD.status_part(WORLD.statuses[0]), anchor=EVIDENCE.anchor),
        )
    with pytest.raises(NodeError):
        build_evidence(record="x~", inclusion=EVIDENCE.inclusion)


def test_addresses_are_written_in_lower_case():
    reference = build_reference(
        WORLD.trees[0].anchor, origin=WORLD.origin, chain_id=CHAIN_ID, contract="0x" + "Ab" * 20, tx=bytes(32)
    )
    assert reference.contract == "0x" + "ab" * 20
    assert reference.log_id == log_id(WORLD.origin)

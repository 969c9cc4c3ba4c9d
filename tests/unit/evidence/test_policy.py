# SPDX-License-Identifier: Apache-2.0
"""The policy file: one reading, strict, with the documented defaults."""

from __future__ import annotations

import dataclasses
import json

import pytest

from node.core.encoding import encode_b64u
from node.crypto.ed25519 import Ed25519Signer, key_id16
from node.crypto.note import MLDSA44, build_vkey, encode_vkey, parse_vkey
from node.errors import InvalidInput
from node.evidence.policy import (
    CertificateTrust,
    Demand,
    Level,
    TrustedKey,
    encode_policy,
    encode_tlog_policy,
    parse_policy,
)
from node.log.interval import Interval
from tests.support.evidence_world import MEMBER, OTHER_MEMBER, EvidenceWorld, seed_of
from tests.support.json_trees import changed_tree

WORLD = EvidenceWorld()
OTHER = EvidenceWorld(member=OTHER_MEMBER)
POLICY = WORLD.policy()
TREE = json.loads(encode_policy(POLICY))
KEY = encode_b64u(Ed25519Signer(seed_of("another")).public)
VALIDATOR = "0x" + "11" * 20


def put(*path, value=..., tree=TREE):
    """A copy of the policy with one member set, or deleted when the value is left out."""
    return json.dumps(changed_tree(tree, path, value))


def code_of(text):
    with pytest.raises(InvalidInput) as caught:
        parse_policy(text)
    return caught.value.code


def test_a_policy_survives_writing_and_reading():
    assert parse_policy(encode_policy(POLICY)) == POLICY
    assert encode_policy(parse_policy(encode_policy(POLICY))) == encode_policy(POLICY)


def test_the_file_has_the_members_of_the_protocol():
    assert TREE.keys() == {"v", "logs", "keys", "chain", "demand"}
    assert TREE["logs"][0].keys() == {"origin", "owner", "ed25519", "ml_dsa_44"}
    assert TREE["keys"][0].keys() == {"member", "kind", "key", "from", "to"}
    assert TREE["chain"].keys() == {
        *("id", "engine", "contract", "block", "hash", "validators", "trusted_until", "min_validators", "rpc")
    }
    assert TREE["demand"].keys() == {"level", "max_status_age", "max_interval", "require"}


def test_a_person_may_indent_it():
    assert parse_policy(json.dumps(TREE, indent=2, ensure_ascii=False)) == POLICY


def test_certificates_survive_too():
    trust = CertificateTrust(((MEMBER, bytes(48)), (OTHER_MEMBER, b"\1" * 48)), 2)
    policy = parse_policy(encode_policy(dataclasses.replace(POLICY, certificates=trust)))
    assert policy.certificates == trust


@pytest.mark.parametrize(
    ("demand", "want"),
    [
        ({}, Demand(Level.ANCHORED, 86_400, 86_400)),
        ({"level": "anchored"}, Demand(Level.ANCHORED, 86_400, 86_400)),
        ({"level": "final"}, Demand(Level.FINAL, 86_400, 86_400)),
        ({"level": "logged"}, Demand(Level.LOGGED, None, None)),
        ({"level": "signed"}, Demand(Level.SIGNED, None, None)),
        ({"level": "logged", "max_status_age": 60}, Demand(Level.LOGGED, 60, None)),
        ({"max_interval": 600}, Demand(Level.ANCHORED, 86_400, 600)),
        ({"require": ["ml-dsa-44"]}, Demand(Level.ANCHORED, 86_400, 86_400, frozenset({"ml-dsa-44"}))),
    ],
)
def test_defaults_of_the_demand(demand, want):
    policy = parse_policy(put("demand", value=demand))
    assert policy.demand == want
    assert parse_policy(encode_policy(policy)).demand == want


def test_defaults_of_the_chain():
    policy = parse_policy(put("chain", "min_validators"))
    assert policy.chain.min_validators == 4
    assert parse_policy(put("chain", "rpc")).chain.rpc is None


def test_an_age_is_never_left_out_silently():
    with pytest.raises(InvalidInput) as caught:
        encode_policy(dataclasses.replace(POLICY, demand=Demand(Level.ANCHORED, None, 60)))
    assert caught.value.code == "policy-age"


@pytest.mark.parametrize("path", [("v",), ("logs",), ("keys",), ("chain",), ("demand",)])
def test_members_that_must_be_there(path):
    assert code_of(put(*path)) == "json-member-missing"


@pytest.mark.parametrize(
    "path",
    [
        *(("logs", 0, name) for name in TREE["logs"][0]),
        *(("keys", 0, name) for name in TREE["keys"][0]),
        *(("chain", name) for name in TREE["chain"] if name not in ("min_validators", "rpc")),
    ],
)
def test_inner_members_that_must_be_there(path):
    assert code_of(put(*path)) == "json-member-missing"


@pytest.mark.parametrize("path", [(), ("logs", 0), ("keys", 0), ("chain",), ("demand",)])
def test_unknown_members_are_refused_everywhere(path):
    assert code_of(put(*path, "note", value=1)) == "json-member-unknown"


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("v",), 2, "policy-version"),
        (("v",), True, "policy-version"),
        (("v",), "1", "policy-version"),
        (("logs",), {}, "json-list"),
        (("logs", 0), "x", "json-object"),
        (("logs", 0, "origin"), "somewhere", "origin-form"),
        (("logs", 0, "owner"), OTHER_MEMBER, "policy-log-owner"),
        (("logs", 0, "ed25519"), "x", "vkey-form"),
        (("logs", 0, "ed25519"), encode_vkey(OTHER.trusted_log().ed25519), "policy-vkey-name"),
        (("logs", 0, "ed25519"), encode_vkey(WORLD.trusted_log().ml_dsa_44), "policy-vkey-type"),
        (("logs", 0, "ml_dsa_44"), encode_vkey(WORLD.trusted_log().ed25519), "policy-vkey-type"),
        (("logs", 0, "ml_dsa_44"), None, "json-text"),
        (("keys",), None, "json-list"),
        (("keys", 0, "member"), "X" * 18, "uscc-form"),
        (("keys", 0, "kind"), "operator", "policy-key-kind"),
        (("keys", 0, "kind"), 1, "json-text"),
        (("keys", 0, "key"), "AA", "base64-length"),
        (("keys", 0, "key"), KEY + "=", "base64url"),
        (("keys", 0, "key"), encode_b64u(b"\1" + bytes(31)), "ed25519-key-small-order"),
        (("keys", 0, "from"), -1, "json-range"),
        (("keys", 0, "from"), 1.5, "json-number"),
        (("keys", 0, "to"), "9", "json-range"),
        (("keys", 0, "to"), 8_000, "policy-key-range"),
        (("chain", "id"), 0, "json-range"),
        (("chain", "engine"), "besu", "policy-engine"),
        (("chain", "contract"), "0x" + "AB" * 20, "hex"),
        (("chain", "contract"), 5, "json-text"),
        (("chain", "block"), None, "json-range"),
        (("chain", "hash"), "0x00", "hex"),
        (("chain", "validators"), [VALIDATOR], "policy-validators"),
        (("chain", "trusted_until"), 253_402_300_800, "json-range"),
        (("chain", "min_validators"), 0, "json-range"),
        (("chain", "rpc"), "file:///etc/passwd", "policy-rpc"),
        (("chain", "rpc"), "http://a b", "policy-rpc"),
        (("chain", "rpc"), None, "json-text"),
        (("certificates",), None, "json-object"),
        (("certificates",), {"members": [], "threshold": 1}, "policy-threshold"),
        (("demand",), None, "json-object"),
        (("demand", "level"), "none", "policy-level"),
        (("demand", "level"), "Anchored", "policy-level"),
        (("demand", "level"), 3, "policy-level"),
        (("demand", "max_status_age"), None, "json-range"),
        (("demand", "max_interval"), -1, "json-range"),
        (("demand", "require"), ["sm2"], "policy-require"),
        (("demand", "require"), ["ml-dsa-44", "ml-dsa-44"], "policy-require"),
        (("demand", "require"), "ml-dsa-44", "json-list"),
    ],
)
def test_wrong_values_are_refused_by_code(path, value, code):
    assert code_of(put(*path, value=value)) == code


def test_other_engines_need_validators():
    assert code_of(put("chain", "engine", value="qbft")) == "policy-validators"
    tree = json.loads(put("chain", "engine", value="qbft"))
    assert parse_policy(put("chain", "validators", value=[VALIDATOR], tree=tree)).chain.validators == (
        VALIDATOR,
    )
    twice = put("chain", "validators", value=[VALIDATOR, VALIDATOR], tree=tree)
    assert code_of(twice) == "policy-validator-twice"


@pytest.mark.parametrize(
    ("engine", "count", "depth"), [("anvil", 0, 0), ("qbft", 4, 0), ("clique", 4, 3), ("clique", 1, 1)]
)
def test_blocks_until_final(engine, count, depth):
    tree = json.loads(put("chain", "engine", value=engine))
    validators = ["0x" + f"{number:040x}" for number in range(count)]
    assert parse_policy(put("chain", "validators", value=validators, tree=tree)).chain.depth_blocks == depth


@pytest.mark.parametrize(("threshold", "fine"), [(1, False), (2, False), (3, True), (4, False)], ids=str)
def test_more_than_two_thirds_sign_certificates(threshold, fine):
    members = [
        {"uscc": uscc, "bls": encode_b64u(bytes([place]) * 48)}
        for place, uscc in enumerate([MEMBER, OTHER_MEMBER, "91110000802100433B"])
    ]
    text = put("certificates", value={"members": members, "threshold": threshold})
    if fine:
        assert parse_policy(text).certificates.threshold == threshold
    else:
        assert code_of(text) == "policy-threshold"


def test_a_certificate_member_stands_once():
    members = [
        {"uscc": MEMBER, "bls": encode_b64u(bytes(48))},
        {"uscc": OTHER_MEMBER, "bls": encode_b64u(bytes(48))},
    ]
    assert (
        code_of(put("certificates", value={"members": members, "threshold": 2})) == "policy-certificate-twice"
    )


def test_a_log_stands_once():
    assert code_of(put("logs", value=TREE["logs"] * 2)) == "policy-log-twice"


def test_two_logs_never_share_a_key():
    successor = EvidenceWorld(number=1)
    shared = build_vkey(successor.origin, MLDSA44, WORLD.log_key_pq.public)
    log = json.loads(encode_policy(successor.policy()))["logs"][0] | {"ml_dsa_44": encode_vkey(shared)}
    assert code_of(put("logs", value=[*TREE["logs"], log])) == "policy-log-key-twice"
    assert parse_vkey(log["ml_dsa_44"]) == shared


def test_one_key_may_have_several_ranges():
    key = TREE["keys"][0]
    text = put("keys", value=[key | {"from": 10, "to": 20}, key | {"from": 30, "to": None}])
    policy = parse_policy(text)
    kid = key_id16(WORLD.record_key.public)
    assert [(k.from_block, k.to_block) for k in policy.find_keys(MEMBER, "record", kid)] == [
        (10, 20),
        (30, None),
    ]
    assert policy.find_keys(MEMBER, "node", kid) == []
    assert policy.find_keys(OTHER_MEMBER, "record", kid) == []


@pytest.mark.parametrize(
    ("dates", "valid"),
    [
        ((None, None), True),
        ((110, None), True),
        ((111, None), False),
        ((None, 101), True),
        ((None, 100), False),
        ((105, 106), True),
        ((0, 100), False),
    ],
)
def test_a_key_counts_when_valid_at_some_block_of_the_interval(dates, valid):
    key = TrustedKey(MEMBER, "record", bytes(32), *dates)
    assert key.valid_within(Interval(1, 2, 100, 110)) is valid


def test_files_that_are_no_policy():
    assert code_of(b"") == "json-syntax"
    assert code_of(b"[]") == "json-object"
    assert code_of(b"\xff") == "json-encoding"
    assert code_of(b'{"v":1,"v":1}') == "json-duplicate"
    assert code_of(b" " * (4 * 1024 * 1024 + 1)) == "json-size"


def test_the_tlog_policy_names_logs_and_no_witness():
    text = encode_tlog_policy(POLICY)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines == [f"log {TREE['logs'][0]['ed25519']}", "quorum none"]
    assert text.endswith("\n")
    assert all(line.startswith("#") for line in text.splitlines() if TREE["logs"][0]["ml_dsa_44"] in line)

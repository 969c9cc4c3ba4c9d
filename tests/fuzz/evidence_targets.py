# SPDX-License-Identifier: Apache-2.0
"""Evidence files and policies, parsed and verified."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from node.core.canonical import encode_json, parse_json
from node.evidence.format import encode_evidence, parse_evidence
from node.evidence.policy import (
    DEFAULT_AGE_SECONDS,
    DEFAULT_MIN_VALIDATORS,
    MAX_POLICY_BYTES,
    CertificateTrust,
    Demand,
    Level,
    TrustedKey,
    encode_policy,
    parse_policy,
)
from node.evidence.verify import verify_evidence
from node.records.record import verify_record
from tests.fuzz.case import Target, check_kept
from tests.support.evidence_world import CERTIFICATE, CHAIN_PROOF, MEMBER, OTHER_MEMBER, EvidenceWorld

VALUES = ("市监罚〔2026〕1号", "罚款", *(None,) * 28)
_UNSIGNED = "as json: no signature covers the file, each part of it has its own"


@cache
def world():
    """One record in a small log, anchored twice."""
    made = EvidenceWorld(lists=1)
    made.issue(values=VALUES)
    made.close_period()
    made.issue(values=VALUES)
    made.close_period()
    return made


@cache
def _policies():
    made = world()
    demand = Demand(
        level=Level.ANCHORED, max_status_age=10_000, max_interval=None, require=frozenset({"ml-dsa-44"})
    )
    return made.policy(), made.policy(rpc=None, demand=demand), made.offline_policy()


def _evidence(data):
    evidence = parse_evidence(data)
    again = encode_evidence(evidence)
    assert parse_evidence(again) == evidence
    assert encode_evidence(parse_evidence(again)) == again
    check_kept(data, again)


def _verify(data):
    """A report, whatever the file; and no satisfied report about a record that was never issued."""
    made = world()
    # Which policy and language follows from the file, so that one case stays short.
    policy, language = _policies()[len(data) % 3], ("zh", "en")[len(data) % 2]
    report = verify_evidence(data, policy, now_seconds=made.chain.time, chain=made.chain)
    report.encode()
    lines = report.render(language).splitlines()
    assert all(line.isprintable() for line in lines), "a report would control the terminal"
    if report.satisfied:
        record = parse_evidence(data).record
        assert record.split("~")[0].encode() in made.entries
        verify_record(record, lambda _kid, _member: made.record_key.public)


def _defaults(level):
    """Give what may be left out of a policy; below anchored nothing proves a time, and no age is demanded unsaid."""
    ages = dict.fromkeys(("max_interval", "max_status_age"), DEFAULT_AGE_SECONDS)
    demand = {"level": Level.ANCHORED.text, "require": [], **(ages if level >= Level.ANCHORED else {})}
    return {"chain": {"min_validators": DEFAULT_MIN_VALIDATORS}, "demand": demand}


def _policy(data):
    """What is read is what is written, but for defaults, which may be left out, and the order of what is required."""
    policy = parse_policy(data)
    again = encode_policy(policy)
    assert parse_policy(again) == policy
    assert encode_policy(parse_policy(again)) == again
    said = parse_json(data, max_bytes=MAX_POLICY_BYTES)
    for part, defaults in _defaults(policy.demand.level).items():
        said[part] = defaults | said[part]
    said["demand"]["require"].sort()
    check_kept(encode_json(said), again)


@cache
def _evidence_seeds():
    made = world()
    built = made.export(made.records[0], ("subject", "CF_WSH"))
    full = parse_evidence(built.data)
    bare = made.export(made.records[0], ("CF_WSH",), anchored=False, status=False)
    return [
        bare.data,
        built.data,
        encode_evidence(full._replace(chain_proof=CHAIN_PROOF, certificate=CERTIFICATE)),
    ]


def _policy_seeds():
    policy = world().policy()
    more = replace(
        world().offline_policy(),
        keys=(*policy.keys, TrustedKey(OTHER_MEMBER, "exchange", bytes(1216), None, 7)),
        chain=policy.chain._replace(engine="clique", validators=("0x" + "01" * 20, "0x" + "02" * 20)),
        certificates=CertificateTrust(((MEMBER, bytes(48)), (OTHER_MEMBER, b"\x01" * 48)), 2),
    )
    # Small ones, so that mutations meet what may be left out.
    said = parse_json(encode_policy(replace(policy, logs=(), keys=())), max_bytes=MAX_POLICY_BYTES)
    chain = {name: value for name, value in said["chain"].items() if name != "min_validators"}
    require = ["ml-dsa-44", "certificate"]
    bare = said | {"chain": chain, "demand": {}}
    signed = said | {"demand": {"level": "signed", "max_status_age": 0, "require": require}}
    return [encode_policy(policy), encode_policy(more), encode_json(bare), encode_json(signed)]


TARGETS = (
    Target(
        "evidence",
        "node.evidence.format.parse_evidence",
        _evidence,
        _evidence_seeds,
        _UNSIGNED,
        largest=65_536,
    ),
    Target(
        "evidence-verify",
        "node.evidence.verify.verify_evidence and its report",
        _verify,
        _evidence_seeds,
        _UNSIGNED,
        largest=65_536,
    ),
    Target(
        "policy",
        "node.evidence.policy.parse_policy",
        _policy,
        _policy_seeds,
        "as json; defaults may be left out, and what is required stands in any order; the verifier's own file",
        words=(b'"min_validators":4', b'"max_interval":86400', b'"require":[]', b'"level":"logged"'),
        largest=32_768,
    ),
)

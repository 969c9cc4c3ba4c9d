# SPDX-License-Identifier: Apache-2.0
"""Verify one evidence file under one policy.

Needs no server, no store and no network; the chain is asked only when the policy names an RPC and the caller
hands over a reader for it. The steps, what each one proves and what a reader does with the report: docs/evidence.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.core.types import TreeSize
from node.evidence import chain as on_chain
from node.evidence import checks
from node.evidence import status as on_status
from node.evidence.demand import check_demand, conclude, find_unmet, note_limits
from node.evidence.policy import Level
from node.evidence.report import EntryFinding, IntervalFinding, RecordFinding, Report
from node.evidence.steps import NotChecked, Steps

if TYPE_CHECKING:
    from node.core.types import EntryIndex
    from node.evidence.chain import ChainReader
    from node.evidence.checks import SignedEntry
    from node.evidence.policy import Policy
    from node.evidence.report import StatusFinding
    from node.evidence.steps import Found
    from node.records.record import VerifiedRecord


def verify_evidence(
    data: bytes, policy: Policy, *, now_seconds: int, chain: ChainReader | None = None
) -> Report:
    """Verify an evidence file and report every step.

    No step can use the result of one that did not pass: it is then reported as depending on it.

    Args:
        data: The evidence file, untrusted.
        policy: The verifier's own policy.
        now_seconds: The verifier's clock, seconds since 1970; ages are counted to it.
        chain: Asks the RPC that the policy names; not used when the policy names none.

    Returns:
        The report. A bad file is a report with failed steps, never an exception.
    """
    steps = Steps()
    check, demand = steps.check, policy.demand

    # 1 to 5, level signed: the issuer signed exactly this content.
    file = check("file", lambda: checks.check_file(data))
    record = check("record", lambda: checks.check_record(file.value))
    keys = check("issuer-key", lambda: checks.check_issuer(record.value, policy))
    signed = check("record-signature", lambda: checks.check_record_signature(record.value, keys.value[0]))
    verified = check("disclosures", lambda: checks.check_disclosures(signed.value))

    # 6 to 8, level logged: the issuer's own log promises to contain it.
    named = check("origin", lambda: checks.check_origin(file.value.inclusion, record.value, policy))
    entry = check("checkpoint", lambda: checks.check_checkpoint(named.value, demand))
    index = check("inclusion", lambda: checks.check_inclusion(entry.value, record.value.record.jwt))

    # 9 to 14, level anchored: the chain fixed that state of the log, and the key was valid then.
    anchor = check("anchor", lambda: checks.check_anchor(file.value.anchor, entry.value, policy))
    asked = check("chain", lambda: on_chain.check_chain(policy, chain, wanted=checks.has_anchor(file.value)))
    times = check("anchor-commitment", lambda: asked.value.check_commitment(anchor.value))
    interval = check(
        "interval", lambda: on_chain.check_interval(times.value, index.value, demand.max_interval)
    )
    check("key-dates", lambda: on_chain.check_key_dates(keys.value, interval.value))
    check("claimed-time", lambda: on_chain.check_claimed_time(signed.value, interval.value))

    # 15 to 20, status: what the issuer answered, and since when at the latest that was so.
    part = check("status-list", lambda: on_status.check_list(file.value, signed.value, policy))
    head = check("status-head", lambda: on_status.check_head(part.value, signed.value, policy))
    place = check(
        "status-logged",
        lambda: on_status.check_logged(
            part.value, head.value, signed.value, policy, (entry.value, index.value)
        ),
    )
    dated = check("status-anchor", lambda: checks.check_anchor(part.value.file.anchor, place.value, policy))
    check("status-commitment", lambda: on_status.check_commitment(asked.value, dated.value, head.value))

    def answer() -> StatusFinding:
        proven = steps.passed("status-commitment")
        return on_status.read_answer(
            part.value,
            head.value.head,
            signed.value,
            dated.value,
            now_seconds=now_seconds,
            proven=proven,
        )

    check("in-force", lambda: on_status.check_in_force(answer()))

    # 21 and 22: parts that this version does not verify count for nothing.
    check("chain-proof", lambda: _leave_out(file.value.chain_proof, "链证明", "chain proofs"))
    check("certificate", lambda: _leave_out(file.value.certificate, "纪元证书", "epoch certificates"))

    # 23: the policy's demand. Findings of a level that was not reached are not shown, not even to be judged.
    level = steps.level()
    status = answer() if level >= Level.SIGNED and steps.passed("status-anchor") else None
    unmet = find_unmet(demand, steps, file.find(), status)
    check("demand", lambda: check_demand(demand, unmet, steps))

    found = _describe_entry(entry.value, index.value) if level >= Level.LOGGED else None
    return Report(
        verdict=conclude(steps),
        checked_at=now_seconds,
        level=level,
        demand=demand,
        record=_describe_record(verified.value) if level >= Level.SIGNED else None,
        entry=found,
        interval=IntervalFinding(anchor.value.anchor, proven=steps.passed("anchor-commitment"))
        if found is not None and steps.passed("anchor")
        else None,
        status=status,
        steps=tuple(steps.done),
        unmet=tuple(each.words for each in unmet),
        notes=tuple(note_limits(steps, found)),
    )


def _leave_out(part: object | None, zh: str, en: str) -> Found[None]:
    if part is None:
        raise NotChecked(f"证据中没有{zh}", f"the evidence holds no {en[:-1]}")
    raise NotChecked(f"本版本不验证{zh}", f"this version does not verify {en}", code="not-supported")


def _describe_record(verified: VerifiedRecord) -> RecordFinding:
    claims = verified.claims
    return RecordFinding(
        leaf=verified.leaf,
        issuer=claims.iss,
        vct=claims.vct,
        jti=claims.jti,
        issued_at=claims.iat,
        supersedes=claims.supersedes,
        disclosed=verified.disclosed,
        withheld=verified.withheld_count,
    )


def _describe_entry(entry: SignedEntry, index: EntryIndex) -> EntryFinding:
    return EntryFinding(entry.log.text, index, TreeSize(entry.checkpoint.size), entry.algorithms)

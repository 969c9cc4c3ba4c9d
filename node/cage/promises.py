# SPDX-License-Identifier: Apache-2.0
"""Receipts that members hold from each other, laid against the logs that they promise (protocol section 7).

A receipt whose leaf stands where it says needs no signature to be believed: the log says the same. Signatures are
checked of those that do not fit, before anybody is named; one that does not hold is left out and counted.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, Protocol

from node.access.receipt import MAX_RECEIPT_BYTES, TYP, parse_receipt
from node.cage.receiptrows import Numbered, ReceiptRows
from node.cage.walk import Promise
from node.crypto.jws import parse_jws, verify_jws
from node.errors import InvalidInput, Verification
from node.evidence.honouring import DAY_SECONDS, GRACE_BLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from node.access.receipt import Receipt
    from node.cage.auditedlog import AuditedLog
    from node.cage.findings import Findings
    from node.cage.rows import Scratch
    from node.evidence.policy import Policy
    from node.log.anchor import Anchor

_BEFORE_ALL: Final = -1


class BlockTimes(Protocol):
    """The chain's blocks by their times."""

    def find_block_after(self, seconds: int) -> int | None:
        """Find the first block later than a time; None while there is none."""
        ...

    def head_block(self) -> int:
        """Give the height of the newest block."""
        ...

    def closes_at(self, origin: str) -> int | None:
        """Give the second at which a log was or will be closed; None while no end is known."""
        ...


class _Run:
    """How far the numbers in one log for one member were followed.

    Attributes:
        last: The receipt that fitted last; None before the first.
        proven: The last one whose signature was checked.
        broken: Promises behind ``last`` that were not kept: each names a number that has no event.
    """

    def __init__(self, first: Numbered | None) -> None:
        self.last = self.proven = first
        self.broken = 0

    def fits(self, base: Numbered, receipt: Numbered, log: AuditedLog, aud: str) -> bool:
        """Tell whether two numbers are apart by as many as there are events between them."""
        if receipt.at <= base.at:
            return False
        there = log.numbered.count(aud, base.at, receipt.at)
        return there.least <= receipt.pair - base.pair <= there.most + self.broken

    def go_on(self, receipt: Numbered, *, is_proven: bool = False) -> None:
        """Follow on from a receipt."""
        self.last, self.broken = receipt, 0
        if is_proven:
            self.proven = receipt


def _first_of(log: AuditedLog) -> Numbered | None:
    """Give what stands before the first number of a log; None for a successor, which goes on somewhere."""
    return None if log.n else Numbered(0, 0, log.origin, _BEFORE_ALL)


class Receipts:
    """All receipts that an audit was given.

    Args:
        scratch: Where their texts are kept.
        policy: Whose node keys are believed.
    """

    def __init__(self, scratch: Scratch, policy: Policy) -> None:
        self._rows = ReceiptRows(scratch)
        self._policy = policy

    def load(self, tokens: Iterable[str]) -> None:
        """Take the receipts that an auditor brings.

        Raises:
            InvalidInput: One is malformed.
        """
        self._load(tokens, is_brought=True)

    def load_held(self, tokens: Iterable[str]) -> None:
        """Take the receipts that the nodes themselves show; what is malformed among them is left out."""
        self._load(tokens, is_brought=False)

    def _load(self, tokens: Iterable[str], *, is_brought: bool) -> None:
        for token in tokens:
            try:
                receipt = parse_receipt(token)
            except InvalidInput:
                if is_brought:
                    raise
                continue
            self._rows.add(token, receipt)

    def __len__(self) -> int:
        return len(self._rows)

    def promises(self, origin: str) -> Iterator[Promise]:
        """Give what is promised of a log, by ascending index."""
        for row in self._rows.of_log(origin):
            yield Promise(row.at, row.leaf, row.number)

    def of_requests(self, rids: set[bytes]) -> dict[bytes, list[str]]:
        """Collect the receipts of some requests, by rid."""
        found: dict[bytes, list[str]] = defaultdict(list)
        if rids:
            for origin in self._rows.logs():
                for row in self._rows.of_log(origin):
                    if row.rid in rids:
                        token = self._rows.token(row.number)
                        if self._verifies(token, parse_receipt(token)):
                            found[row.rid].append(token)
        return found

    # ---- what does not fit

    def judge_log(
        self,
        log: AuditedLog,
        broken: Sequence[Promise],
        signed_size: int,
        later: Sequence[AuditedLog],
        chain: BlockTimes,
        findings: Findings,
    ) -> None:
        """Name receipts of a log that were not honoured.

        Args:
            log: The log, walked.
            broken: Promises whose leaf the walk did not meet.
            signed_size: How far a checkpoint or anchor covers what was walked.
            later: The logs of its member that came after it, walked.
            chain: When blocks were.
            findings: Where findings go.
        """
        named: set[str] = set()
        for promise in broken:
            if promise.index < min(signed_size, log.size):
                token = self._proven(promise.number, findings, log)
                if token is not None and token not in named:
                    named.add(token)
                    findings.add(
                        "receipt-not-honoured",
                        log.member,
                        log.origin,
                        receipts=[token],
                        values={"index": promise.index},
                    )
        overdue: dict[str, int] = {}
        unanchored: dict[str, int] = {}
        for row in self._rows.of_log(log.origin):
            cover = log.find_cover(row.at)
            if cover is not None and cover.time <= row.anchor_by:
                continue
            first = chain.find_block_after(row.anchor_by)
            at = chain.head_block() if cover is None else cover.block - 1
            if first is not None and at >= first + GRACE_BLOCKS:
                token = self._proven(row.number, findings, log)
                if token is not None:
                    (unanchored if cover is None else overdue)[token] = row.at
        if unanchored and (closes_at := chain.closes_at(log.origin)) is not None:
            unanchored = _still_overdue(unanchored, closes_at, later, chain)
        for token, at in (overdue | unanchored).items():
            findings.add("receipt-overdue", log.member, log.origin, receipts=[token], values={"index": at})

    def judge_numbers(self, logs: Sequence[AuditedLog], findings: Findings) -> None:
        """Hold the numbers of receipts from one member to another against the events that took them.

        Within a log each event for a member takes the next number, so two numbers are apart by as many as there are such
        events between their places, whichever receipts are shown. Between a log and its successor numbers may jump.

        Args:
            logs: The logs, walked.
            findings: Where findings go.
        """
        by_origin = {log.origin: log for log in logs}
        for iss, aud in self._rows.parties():
            runs: dict[str, _Run] = {}
            before: Numbered | None = None
            for receipt in self._rows.between((iss, aud)):
                log = by_origin.get(receipt.log)
                # What lies behind the end of what was read cannot tell how many there are.
                if log is None or log.member != iss or receipt.at >= log.size:
                    continue
                if before is not None and receipt.pair == before.pair:
                    is_judged = self._judge_twice(before, receipt, findings)
                else:
                    is_judged = False
                before = receipt
                if not is_judged:
                    run = runs.setdefault(log.origin, _Run(_first_of(log)))
                    self._judge_number(run, receipt, log, aud, findings)

    def remark_elsewhere(self, origins: set[str], findings: Findings) -> None:
        """Count receipts of logs that are not audited."""
        for origin, count in self._rows.counts.items():
            if origin not in origins:
                findings.remark("receipts-elsewhere", origin, count)

    def _judge_twice(self, one: Numbered, other: Numbered, findings: Findings) -> bool:
        """Judge two receipts of one number; False where they say nothing because one of them proves nothing."""
        tokens = [self._rows.token(one.number), self._rows.token(other.number)]
        first, second = (parse_receipt(token) for token in tokens)
        if (first.log, first.idx, first.leaf) == (second.log, second.idx, second.leaf):
            return True  # one event, its receipt given again
        if all(map(self._verifies, tokens, (first, second))):
            findings.add("receipt-twice", first.iss, one.log, receipts=tokens, values={"pair": one.pair})
            return True
        return False

    def _judge_number(
        self, run: _Run, receipt: Numbered, log: AuditedLog, aud: str, findings: Findings
    ) -> None:
        """Hold the next receipt of a log against the one before; signatures are checked of what does not fit."""
        base = run.last
        if base is None or run.fits(base, receipt, log, aud):
            run.go_on(receipt)
            return
        token = self._proven(receipt.number, findings, log)
        if token is None:
            return
        if parse_receipt(token).leaf != log.tiles.leaf(receipt.at):
            run.broken += 1  # a promise that was not kept: named by itself, and the number is told of
            return
        if base is not run.proven and self._proven(base.number, findings, log) is None:
            base = run.proven
        if base is not None and not run.fits(base, receipt, log, aud):
            self._name_numbers(base, receipt, log, aud, findings)
        run.go_on(receipt, is_proven=True)

    def _name_numbers(
        self, base: Numbered, receipt: Numbered, log: AuditedLog, aud: str, findings: Findings
    ) -> None:
        tokens = [self._rows.token(each.number) for each in (base, receipt) if each.at >= 0]
        values: dict[str, int | str] = {"aud": aud, "first": base.pair, "last": receipt.pair}
        lacking = receipt.pair - base.pair - log.numbered.count(aud, base.at, receipt.at).most
        code = "pair-order"
        if receipt.at > base.at and lacking > 0:
            code, values["count"] = "pair-gap", lacking
        findings.add(code, log.member, log.origin, receipts=tokens, values=values)

    def _proven(self, number: int, findings: Findings, log: AuditedLog) -> str | None:
        token = self._rows.token(number)
        if self._verifies(token, parse_receipt(token)):
            return token
        findings.remark("receipts-unproven", log.origin)
        return None

    def _verifies(self, token: str, receipt: Receipt) -> bool:
        try:
            verify_signature(token, receipt, self._policy)
        except (InvalidInput, Verification):
            return False
        return True


def _still_overdue(
    unanchored: dict[str, int], closes_at: int, later: Sequence[AuditedLog], chain: BlockTimes
) -> dict[str, int]:
    """Leave out receipts of a closed log whose entry is, or may still be, logged again in time in a later one.

    As ``node.evidence.honouring`` judges a single one: within a day and the receipt's own limit after the closing.
    """
    if chain.find_block_after(closes_at - 1) is None:
        return unanchored
    receipts = {token: parse_receipt(token) for token in unanchored}
    covers = _find_covers({bytes(receipt.leaf) for receipt in receipts.values()}, later)
    is_unread = any(log.partial for log in later)
    overdue = {}
    for token, receipt in receipts.items():
        due = chain.find_block_after(closes_at + DAY_SECONDS + receipt.anchor_by - receipt.iat)
        cover = covers.get(receipt.leaf)
        if cover is None and is_unread:
            continue  # it may stand in what was not read
        at = chain.head_block() if cover is None else cover.block - 1
        if due is not None and at >= due + GRACE_BLOCKS:
            overdue[token] = unanchored[token]
    return overdue


def _find_covers(leaves: set[bytes], later: Sequence[AuditedLog]) -> dict[bytes, Anchor]:
    """Find the first anchor over each of some leaves in later logs, as far as there is one."""
    covers: dict[bytes, Anchor] = {}
    for log in later:
        if log.broken is not None:
            continue  # its anchors are not over what it gives
        for index, leaf in enumerate(log.tiles.leaves(min(log.size, log.anchored))):
            if leaf in leaves and (cover := log.find_cover(index)) is not None:
                covers[leaf] = min(covers.get(leaf, cover), cover, key=lambda anchor: anchor.block)
    return covers


def verify_signature(token: str, receipt: Receipt, policy: Policy) -> None:
    """Verify that a receipt was signed by a node key that the policy has for its issuer.

    Raises:
        Verification: ``receipt-iss`` without such a key, or the code of the signature that does not hold.
    """
    jws = parse_jws(token, typ=TYP, max_bytes=MAX_RECEIPT_BYTES)
    keys = policy.find_keys(receipt.iss, "node", jws.header["kid"])
    if not keys:
        raise Verification(
            "receipt-iss", f"the policy has no node key of {receipt.iss} with the receipt's kid"
        )
    verify_jws(jws, keys[0].public)

# SPDX-License-Identifier: Apache-2.0
"""Receipts that members hold from each other, laid against the logs that they promise (protocol section 7).

A receipt whose leaf stands where it says needs no signature to be believed: the log says the same. Signatures are
checked of those that do not fit, before anybody is named; one that does not hold is left out and counted.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, Protocol

from node.access.receipt import MAX_RECEIPT_BYTES, TYP, parse_receipt
from node.cage.receiptrows import ReceiptRows
from node.cage.walk import Promise
from node.crypto.jws import parse_jws, verify_jws
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from node.access.receipt import Receipt
    from node.cage.auditedlog import AuditedLog
    from node.cage.findings import Findings
    from node.cage.receiptrows import Numbered
    from node.cage.rows import Scratch
    from node.evidence.policy import Policy

GRACE_BLOCKS: Final = 100
"""Blocks behind the first one later than ``anchor_by`` before a receipt convicts (protocol section 7)."""


class BlockTimes(Protocol):
    """The chain's blocks by their times."""

    def find_block_after(self, seconds: int) -> int | None:
        """Find the first block later than a time; None while there is none."""
        ...

    def head_block(self) -> int:
        """Give the height of the newest block."""
        ...


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
        """Take the receipts that the nodes themselves show; what is malformed among them is left out.

        Gaps between their numbers say nothing: a node that shows only some would convict whoever signed the others.
        """
        self._load(tokens, is_brought=False)

    def _load(self, tokens: Iterable[str], *, is_brought: bool) -> None:
        for token in tokens:
            try:
                receipt = parse_receipt(token)
            except InvalidInput:
                if is_brought:
                    raise
                continue
            self._rows.add(token, receipt, is_brought=is_brought)

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
        chain: BlockTimes,
        findings: Findings,
    ) -> None:
        """Name receipts of a log that were not honoured.

        Args:
            log: The log, walked.
            broken: Promises whose leaf the walk did not meet.
            signed_size: How far a checkpoint or anchor covers what was walked.
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
        named.clear()
        for row in self._rows.of_log(log.origin):
            cover = log.find_cover(row.at)
            if cover is not None and cover.time <= row.anchor_by:
                continue
            first = chain.find_block_after(row.anchor_by)
            at = chain.head_block() if cover is None else cover.block - 1
            if first is not None and at >= first + GRACE_BLOCKS:
                token = self._proven(row.number, findings, log)
                if token is not None and token not in named:
                    named.add(token)
                    findings.add(
                        "receipt-overdue",
                        log.member,
                        log.origin,
                        receipts=[token],
                        values={"index": row.at},
                    )

    def judge_pairs(
        self, sizes: Mapping[str, int], lost: Mapping[tuple[str, str], int], findings: Findings
    ) -> None:
        """Name gaps in the numbers of receipts from one member to another, and numbers that stand twice.

        Args:
            sizes: How far each log was read, by origin: what lies behind cannot tell why a receipt never arrived.
            lost: How many receipts from one member to another, or to "" for any, may not have arrived because a
                message did not.
            findings: Where findings go.
        """
        for iss, aud in self._rows.parties():
            allowed = lost.get((iss, aud), 0) + lost.get((iss, ""), 0)
            is_brought = any(receipt.is_brought for receipt in self._rows.between((iss, aud)))
            before: Numbered | None = None
            for receipt in self._rows.between((iss, aud)):
                if receipt.at >= sizes.get(receipt.log, 0):
                    continue
                if before is not None and receipt.pair == before.pair:
                    self._judge_twice(before, receipt, findings)
                elif before is not None and receipt.pair > before.pair + 1 and is_brought:
                    allowed -= receipt.pair - before.pair - 1
                    if allowed < 0:
                        self._judge_gap(before, receipt, findings)
                before = receipt

    def remark_elsewhere(self, origins: set[str], findings: Findings) -> None:
        """Count receipts of logs that are not audited."""
        for origin, count in self._rows.counts.items():
            if origin not in origins:
                findings.remark("receipts-elsewhere", origin, count)

    def _judge_twice(self, one: Numbered, other: Numbered, findings: Findings) -> None:
        tokens = [self._rows.token(one.number), self._rows.token(other.number)]
        first, second = (parse_receipt(token) for token in tokens)
        if (first.log, first.idx, first.leaf) == (second.log, second.idx, second.leaf):
            return  # one event, its receipt given again
        if all(map(self._verifies, tokens, (first, second))):
            findings.add("receipt-twice", first.iss, one.log, receipts=tokens, values={"pair": one.pair})

    def _judge_gap(self, before: Numbered, after: Numbered, findings: Findings) -> None:
        tokens = [self._rows.token(before.number), self._rows.token(after.number)]
        receipts = [parse_receipt(token) for token in tokens]
        # Whoever could name a number without a signature could name a gap.
        if not all(map(self._verifies, tokens, receipts)):
            findings.remark("receipts-unproven", after.log)
            return
        values: dict[str, int | str] = {
            "aud": str(receipts[0].aud),
            "first": before.pair + 1,
            "last": after.pair - 1,
        }
        findings.add("pair-gap", receipts[0].iss, after.log, receipts=tokens, values=values)

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

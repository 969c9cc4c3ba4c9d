# SPDX-License-Identifier: Apache-2.0
"""Was a promise kept? What the chain says about one receipt (protocol section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.evidence.promises import DemandState
from node.evidence.report import iso_time
from node.evidence.steps import Found, NotChecked, Refuted
from node.log.checkpoint import log_id
from node.log.interval import Interval

if TYPE_CHECKING:
    from node.access.receipt import Receipt
    from node.core.types import LogId
    from node.evidence.chain import AskedChain
    from node.evidence.format import AnchorReference
    from node.evidence.policy import Policy
    from node.evidence.promises import ReceiptChain
    from node.log.anchor import Anchor

GRACE_BLOCKS: Final = 100
"""Blocks behind the first block later than ``anchor_by``, so that a chain that was halted convicts nobody."""

DAY_SECONDS: Final = 86_400
"""Within this time what a closed log promised and no anchor covers is logged again (protocol section 2)."""


@dataclass(frozen=True, slots=True)
class Included:
    """A leaf under a signed checkpoint: of the receipt's log, or of a later one that took it over."""

    origin: str
    index: int
    size: int
    root: bytes


class Asking:
    """A chain that is the policy's own, asked about one receipt."""

    def __init__(self, asked: AskedChain, chain: ReceiptChain, policy: Policy, receipt: Receipt) -> None:
        self.receipt = receipt
        self._chain = chain
        self._contract = policy.chain.contract
        self._start = policy.chain.block
        self._final = asked.final_block
        self._log: LogId = log_id(receipt.log)

    def claimed_interval(self) -> Interval:
        """Give the block before and the block after the time at which the receipt says that it was signed."""
        after = self.find_later(self.receipt.iat)
        end = self._final if after is None else after
        return Interval(self.receipt.iat, self.receipt.iat, max(0, end - 1), end)

    def find_later(self, seconds: int) -> int | None:
        """Find the first final block whose time is later; None while there is none."""
        low, high = min(self._start, self._final), self._final
        if self._chain.block_time(high) <= seconds:
            return None
        if self._chain.block_time(low) > seconds:
            low, high = 0, low
        while low < high:
            middle = (low + high) // 2
            if self._chain.block_time(middle) > seconds:
                high = middle
            else:
                low = middle + 1
        return high

    def check_demand(self) -> Found[DemandState]:
        """Check what came of a demand for the promised entry.

        Raises:
            Refuted: ``receipt-other-leaf`` or ``receipt-defaulted``: the receipt convicts.
        """
        demand = self._chain.demand(self._contract, self._log, self.receipt.idx)
        at = iso_time(demand.at)
        if demand.leaf not in {self.receipt.leaf, bytes(32)}:
            raise Refuted(
                "receipt-other-leaf",
                "对质询的答复表明该处是另一条",
                "the answer to a demand shows another entry where this one was promised",
            )
        if demand.state is DemandState.DEFAULTED:
            raise Refuted(
                "receipt-defaulted", f"{at} 的质询未获答复", f"the demand of {at} stayed unanswered"
            )
        if demand.state is DemandState.ANSWERED:
            return Found(
                demand.state,
                f"{at} 的质询已答复，正是所承诺的条目",
                f"the demand of {at} was answered: it is the promised entry",
            )
        if demand.state is DemandState.OPEN:
            return Found(demand.state, f"{at} 提出的质询尚待答复", f"the demand of {at} waits for its answer")
        return Found(demand.state, "没有人就此质询", "nobody has demanded to see this entry")

    def check_promise(
        self, included: Included | None, reference: AnchorReference | None, *, answered: bool
    ) -> Found[None]:
        """Check whether the promise was kept.

        Args:
            included: What a verified inclusion under a confirmed anchor shows; None without one.
            reference: The confirmed anchor.
            answered: Whether the contract verified the promised leaf in answer to a demand.

        Raises:
            Refuted: ``receipt-late`` or ``receipt-unanchored``: the receipt convicts.
            NotChecked: It cannot be said yet, or nothing shows the entry.
        """
        own = reference if included is not None and included.origin == self.receipt.log else None
        due_block = self.find_later(self.receipt.anchor_by)
        cover = (
            own.anchor
            if own is not None
            else self._chain.first_cover(self._contract, self._log, self.receipt.idx)
        )
        if cover is None and included is not None and reference is not None:
            return self._check_logged_again(included, reference.anchor)
        if cover is None:
            raise self._judge_unanchored(due_block)
        if due_block is not None and cover.block > due_block + GRACE_BLOCKS:
            raise _late(cover.block, due_block + GRACE_BLOCKS)
        if own is None and not answered:
            raise NotChecked(
                "已按时锚定，但没有出示该处是哪一条",
                "anchored in time, but nothing shows which entry stands there",
                code="receipt-unshown",
            )
        return Found(None, "按时锚定，且正是所承诺的条目", "anchored in time, and it is the promised entry")

    def _check_logged_again(self, included: Included, anchor: Anchor) -> Found[None]:
        """Check an entry that no anchor of its own log covers and that stands in a later one."""
        closed_at = self._chain.closes_at(self._contract, self._log)
        if closed_at is None or closed_at > anchor.time:
            raise NotChecked(
                "原日志未关闭，后继日志中的条目不能代替",
                "its log is not closed, so an entry of a later one does not stand for it",
                code="receipt-unshown",
            )
        due_block = self._find_due_again(closed_at)
        if due_block is not None and anchor.block > due_block + GRACE_BLOCKS:
            raise _late(anchor.block, due_block + GRACE_BLOCKS)
        return Found(
            None,
            f"原日志关闭后重新登记为 {included.origin} 的第 {included.index} 条",
            f"logged again as entry {included.index} of {included.origin}, after its log was closed",
        )

    def _find_due_again(self, closed_at: int) -> int | None:
        """Find the block from which on an entry of a closed log is late: logged again within a day, anchored as any."""
        return self.find_later(closed_at + DAY_SECONDS + self.receipt.anchor_by - self.receipt.iat)

    def _judge_unanchored(self, due_block: int | None) -> Refuted | NotChecked:
        by = iso_time(self.receipt.anchor_by)
        if due_block is None:
            return NotChecked(
                f"承诺在 {by} 前锚定，链上时间尚未到",
                f"promised by {by}, which the chain has not reached",
                code="receipt-not-due",
                retry=True,
            )
        deadline = due_block + GRACE_BLOCKS
        if deadline > self._final:
            return NotChecked(
                f"期限已过，到区块 {deadline} 仍未锚定方可定责，现为 {self._final}",
                f"the time is over; it convicts from block {deadline} on, the chain is at {self._final}",
                code="receipt-grace",
                retry=True,
            )
        closed_at = self._chain.closes_at(self._contract, self._log)
        if closed_at is not None and closed_at <= self._chain.block_time(deadline):
            due_again = self._find_due_again(closed_at)
            if due_again is None or due_again + GRACE_BLOCKS > self._final:
                return NotChecked(
                    "该日志在期限前已关闭：须由后继日志出示该条目",
                    "the log was closed before it was due: the entry has to be shown in its successor",
                    code="receipt-unshown",
                )
            return Refuted(
                "receipt-unanchored",
                f"日志关闭后，到区块 {due_again + GRACE_BLOCKS} 仍未出示后继日志中的该条目",
                f"its log was closed, and at block {due_again + GRACE_BLOCKS} nothing shows the entry in a successor",
            )
        return Refuted(
            "receipt-unanchored",
            f"到区块 {deadline} 仍未锚定，承诺为 {by}",
            f"not anchored at block {deadline}, it was promised by {by}",
        )


def _late(block: int, latest: int) -> Refuted:
    return Refuted(
        "receipt-late",
        f"直到区块 {block} 才锚定，最迟应为 {latest}",
        f"anchored in block {block} only, block {latest} was the latest",
    )

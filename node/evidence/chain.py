# SPDX-License-Identifier: Apache-2.0
"""What a verifier asks a chain, and the steps that rest on the answers (protocol §2, §3, §5).

The answers are believed as far as the verifier's policy believes the RPC that it names. Nothing is asked
unless the policy names one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from node.evidence.steps import Found, NotChecked, Refuted
from node.log.anchor import anchor_commitment
from node.log.interval import Interval, interval_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.core.types import EntryIndex
    from node.evidence.format import AnchorReference
    from node.evidence.policy import Policy, TrustedChain, TrustedKey
    from node.records.record import Presentation

_NO_COMMITMENT = bytes(32)


class ChainReader(Protocol):
    """Reads from the chain behind the policy's RPC. Every method raises ``Unavailable`` when it does not answer."""

    def chain_id(self) -> int:
        """Return the chain's id."""

    def head_block(self) -> int:
        """Return the number of the newest block."""

    def block_hash(self, number: int) -> bytes:
        """Return the hash, 32 bytes, of a block that is not newer than ``head_block``."""

    def commitment(self, contract: str, log_id: bytes, i: int) -> bytes:
        """Return the AnchorLog's commitment, 32 bytes, to anchor i of a log; zeros when there is none."""


class AskedChain:
    """A chain that was found to be the policy's own."""

    def __init__(self, trusted: TrustedChain, reader: ChainReader, head_block: int) -> None:
        self._trusted = trusted
        self._reader = reader
        self._head_block = head_block

    @property
    def final_block(self) -> int:
        """Number of the newest block that its engine can no longer take back."""
        return max(0, self._head_block - self._trusted.depth_blocks)

    def check_commitment(self, reference: AnchorReference) -> Found[Interval]:
        """Ask whether the contract holds the commitment to exactly this anchor, in a final block.

        Raises:
            Refuted: ``anchor-unknown`` when it holds none, ``anchor-commitment`` when it holds another.
            NotChecked: the chain's newest block is before the anchor's, or the block is not final yet.
            Unavailable: the chain did not answer.
        """
        anchor = reference.anchor
        following = self._head_block - anchor.block
        if following < 0:
            raise NotChecked(
                f"所询问的节点只到区块 {self._head_block}，锚定在区块 {anchor.block}",
                f"the node that was asked is at block {self._head_block}, the anchor in block {anchor.block}",
                code="chain-behind",
                retry=True,
            )
        if following < self._trusted.depth_blocks:
            raise NotChecked(
                f"锚定所在区块尚未终局：其后有 {following} 个区块，需要 {self._trusted.depth_blocks} 个",
                f"the anchor's block is not final yet: {following} blocks follow it, want {self._trusted.depth_blocks}",
                code="anchor-not-final",
                retry=True,
            )
        commitment = self._reader.commitment(self._trusted.contract, reference.log_id, anchor.i)
        if commitment == _NO_COMMITMENT:
            raise Refuted(
                "anchor-unknown",
                f"合约中没有该日志的第 {anchor.i} 次锚定",
                f"the contract holds no anchor {anchor.i} of this log",
            )
        if commitment != anchor_commitment(anchor):
            raise Refuted(
                "anchor-commitment",
                f"合约中该日志的第 {anchor.i} 次锚定与文件所述不同",
                f"the contract holds another anchor {anchor.i} of this log than the file says",
            )
        return Found(
            interval_of(anchor),
            f"合约确认第 {anchor.i} 次锚定，区块 {anchor.block}",
            f"the contract confirms anchor {anchor.i}, block {anchor.block}",
        )


def check_chain(policy: Policy, reader: ChainReader | None, *, wanted: bool) -> Found[AskedChain]:
    """Check that the RPC named in the policy serves the policy's chain.

    Args:
        policy: The verifier's policy.
        reader: Asks the policy's RPC; None when the caller cannot ask.
        wanted: Whether the evidence holds an anchor to ask about.

    Raises:
        Refuted: ``chain-id`` or ``chain-block``: the RPC serves another chain.
        NotChecked: nothing to ask, nobody to ask, or a chain that has not come to the trusted block.
        Unavailable: the chain did not answer.
    """
    trusted = policy.chain
    if not wanted:
        raise NotChecked("证据中没有锚定，无需询问链", "the evidence holds no anchor to ask about")
    if trusted.rpc is None:
        raise NotChecked("策略没有指定 RPC，未询问链", "the policy names no RPC, so no chain was asked")
    if reader is None:
        raise NotChecked("本次验证没有询问链", "the policy's RPC was not asked in this verification")
    chain_id = reader.chain_id()
    if chain_id != trusted.id:
        raise Refuted(
            "chain-id",
            f"所指定的 RPC 是另一条链：链号 {chain_id}，应为 {trusted.id}",
            f"the RPC serves another chain: got id {chain_id}, want {trusted.id}",
        )
    head_block = reader.head_block()
    if head_block < trusted.block:
        raise NotChecked(
            f"所询问的节点只到区块 {head_block}，尚未到可信区块 {trusted.block}",
            f"the node that was asked is at block {head_block}, before the trusted block {trusted.block}",
            code="chain-behind",
            retry=True,
        )
    if reader.block_hash(trusted.block) != trusted.hash:
        raise Refuted(
            "chain-block",
            f"所指定的 RPC 是另一条链：区块 {trusted.block} 的哈希与策略不同",
            f"the RPC serves another chain: block {trusted.block} has another hash than the policy's",
        )
    return Found(
        AskedChain(trusted, reader, head_block),
        f"链 {chain_id} 与策略一致，已到区块 {head_block}",
        f"chain {chain_id} is the policy's, at block {head_block}",
    )


def check_interval(interval: Interval, index: EntryIndex, max_seconds: int | None) -> Found[Interval]:
    """Check that the interval is short enough to give a time (protocol §2).

    Args:
        interval: From a confirmed anchor that first covers the entry.
        index: The entry's, whose inclusion is verified.
        max_seconds: The policy's ``max_interval``, None when it demands none.

    Raises:
        Refuted: ``interval-too-long``.
    """
    length = interval.length_seconds
    if max_seconds is not None and length > max_seconds:
        raise Refuted(
            "interval-too-long",
            f"区间长 {length} 秒，超过策略允许的 {max_seconds} 秒，不能作为时间证明",
            f"the interval is {length} seconds long, the policy allows {max_seconds}: it gives no time",
        )
    return Found(
        interval,
        f"第 {index} 条进入日志的时间区间长 {length} 秒",
        f"entry {index} came to the log within an interval of {length} seconds",
    )


def check_key_dates(keys: Sequence[TrustedKey], interval: Interval) -> Found[None]:
    """Check that a key was valid at some block of the interval.

    Args:
        keys: One public key, once for each range of blocks in which the policy says it is valid.
        interval: From a confirmed anchor.

    Raises:
        Refuted: ``key-not-valid-then``.
    """
    blocks = f"{interval.start_block} … {interval.end_block}"
    if not any(key.valid_within(interval) for key in keys):
        raise Refuted(
            "key-not-valid-then",
            f"在区块 {blocks} 之间，策略不承认该密钥有效",
            f"by the policy the key was not valid at any block of {blocks}",
        )
    return Found(None, f"密钥在区块 {blocks} 之间有效", f"the key was valid within blocks {blocks}")


def check_claimed_time(presentation: Presentation, interval: Interval) -> Found[None]:
    """Compare the time that the issuer claims with the interval.

    Raises:
        Refuted: ``claimed-time``: it lies outside by more than five minutes.
    """
    claimed_seconds = presentation.record.claims.iat
    if not interval.allows_claim(claimed_seconds):
        early = claimed_seconds <= interval.start_time
        off = interval.start_time - claimed_seconds if early else claimed_seconds - interval.end_time
        raise Refuted(
            "claimed-time",
            f"自称的签发时间在区间{'之前' if early else '之后'} {off} 秒，以区间为准",
            f"the claimed time lies {off} seconds {'before' if early else 'after'} the interval, which is what counts",
        )
    return Found(None, "在区间内（前后容差 5 分钟）", "within the interval, give or take 5 minutes")

# SPDX-License-Identifier: Apache-2.0
"""What other members hold of this node, asked at its start: the witnesses that no copy of this machine restores.

A whole machine that is put back, head files and all, continues itself as far as it can see, and the chain knows only what
was anchored. What was signed after the last anchor is known to those who got it. A checkpoint or receipt that this node's
own keys signed and this store does not continue makes the node read-only before it signs anything. Nothing else that a
member says counts: without our signature it could stop us at will.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from node.access.receipt import read_receipt
from node.crypto.jws import verify_jws
from node.crypto.note import parse_vkey
from node.errors import Conflict, InvalidInput, Verification
from node.log.checkpoint import parse_origin, parse_signed_checkpoint, verify_parsed_checkpoint
from node.log.head import Head
from node.log.tree import root_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from node.access.receipt import Receipt
    from node.log.checkpoint import Checkpoint
    from node.ports import HeadFiles
    from node.ports.witnesses import Held
    from node.service.layout import LogKind
    from node.service.reading import LogReader


def check_witnesses(
    held: Iterable[Held],
    readers: Mapping[LogKind, LogReader],
    vkeys: Mapping[LogKind, tuple[str, str]],
    node_keys: Sequence[bytes],
    heads: HeadFiles,
) -> None:
    """Compare both logs with what other members hold of them.

    Args:
        held: As they answered, untrusted.
        readers: The open logs of this node.
        vkeys: Their keys.
        node_keys: This node's present and former node keys, 32 bytes each, but for those declared compromised: whoever
            stole one could stop this node for good.
        heads: The head files; a checkpoint that is ahead of the store is kept there, so that the verdict outlives the
            next start with that member away.

    Raises:
        Conflict: ``behind-witness`` when this node signed more than the store holds, or a later log than it knows;
            ``fork-of-witness`` when the store holds something else in its place.
    """
    for one in held:
        for note in one.notes:
            with suppress(InvalidInput, Verification):
                _check_checkpoint(_verify(note, readers, vkeys), readers, heads, one)
        for token in one.receipts:
            with suppress(InvalidInput, Verification):
                _check_receipt(_verify_receipt(token, node_keys, one), readers, one)


def _verify(
    note: str, readers: Mapping[LogKind, LogReader], vkeys: Mapping[LogKind, tuple[str, str]]
) -> Checkpoint:
    checkpoint, parsed = parse_signed_checkpoint(note)
    for kind, reader in readers.items():
        if reader.origin == checkpoint.origin:
            keys = [parse_vkey(text) for text in vkeys[kind]]
            return verify_parsed_checkpoint(checkpoint, parsed, keys).checkpoint
    # Of an earlier log the store knows the end; a later one is another key's, which this store does not have.
    raise Verification("checkpoint-unknown-log", "checkpoint is of no open log of this node")


def _check_checkpoint(
    signed: Checkpoint, readers: Mapping[LogKind, LogReader], heads: HeadFiles, one: Held
) -> None:
    reader = next(each for each in readers.values() if each.origin == signed.origin)
    size = reader.size()
    if signed.size > size:
        with suppress(Conflict):
            heads.store(Head(signed.origin, signed.size, signed.root))
        raise _behind(reader, size, signed.size, one)
    if root_at(reader.tiles, signed.size) != signed.root:
        raise Conflict(
            "fork-of-witness",
            f"{one.by} holds a checkpoint of log {reader.origin} at size {signed.size} that this node signed, and this "
            "store has another root there. Nothing will be signed on this log again",
        )


def _verify_receipt(token: str, node_keys: Sequence[bytes], one: Held) -> Receipt:
    jws, receipt = read_receipt(token)
    if receipt.aud != one.by:
        raise Verification("receipt-aud", f"receipt is for another member: got {receipt.aud}, want {one.by}")
    for public in node_keys:
        with suppress(Verification):
            verify_jws(jws, public)
            return receipt
    raise Verification("jws-key", "receipt is by no node key of this node")


def _check_receipt(receipt: Receipt, readers: Mapping[LogKind, LogReader], one: Held) -> None:
    promised = parse_origin(receipt.log)
    for reader in readers.values():
        own = parse_origin(reader.origin)
        if (own.domain, own.member, own.kind) != (promised.domain, promised.member, promised.kind):
            continue
        size = reader.size()
        if promised.n > own.n:
            raise Conflict(
                "behind-witness",
                f"{one.by} holds a receipt of log {receipt.log}, which this store does not know: it was restored from "
                "before its succession. Nothing will be signed on this log again",
            )
        if promised.n == own.n and receipt.idx >= size:
            raise _behind(reader, size, receipt.idx + 1, one)
        if promised.n == own.n and reader.leaf(receipt.idx) != receipt.leaf:
            raise Conflict(
                "fork-of-witness",
                f"{one.by} holds a receipt of this node for entry {receipt.idx} of log {reader.origin}, and this store has "
                "another entry there. Nothing will be signed on this log again",
            )


def _behind(reader: LogReader, size: int, promised: int, one: Held) -> Conflict:
    return Conflict(
        "behind-witness",
        f"log {reader.origin} has {size} entries, but {one.by} holds what this node signed about {promised}: the whole "
        "machine was restored, head files among it. Nothing will be signed on this log again",
    )

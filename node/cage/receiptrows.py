# SPDX-License-Identifier: Apache-2.0
"""Receipts in an audit, kept outside memory: rows of one width, found by log and entry, and by members and number.

Rows are spread over files by ranges of their index, and each range is sorted when it is read, so that memory holds one range at a
time. Whoever names indices far beyond any log fills the last range; it is then as large as what he gave.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.access.receipt import Receipt
    from node.cage.rows import Scratch

RANGE_SHIFT: Final = 14
RANGES: Final = 1_024
MOST_NAMES: Final = 4_096
"""Logs, and pairs of members, that are told apart; receipts of more are counted and not looked at."""
_TOKENS: Final = "receipts"
_ROW: Final = struct.Struct("<Q32s16sQQ")
_NUMBERED: Final = struct.Struct("<QQIQ")
_LENGTH_BITS: Final = 13
_HELD_BYTES: Final = 4 << 20


class PromisedLeaf(NamedTuple):
    """What a receipt promises of a log: leaf and rid ``at`` an index. ``number`` names the receipt in this audit."""

    at: int
    leaf: bytes
    rid: bytes
    anchor_by: int
    number: int


class Numbered(NamedTuple):
    """A receipt by its number between two members, with its log and entry."""

    pair: int
    number: int
    log: str
    at: int


class ReceiptRows:
    """Takes receipts, and gives them back in the order of their entries, or of their numbers.

    Args:
        scratch: Where they are kept.
    """

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._logs: dict[str, int] = {}
        self._names: list[str] = []
        self._parties: dict[tuple[str, str], int] = {}
        self._ranges: dict[str, set[int]] = {}
        self._held: dict[str, list[bytes]] = {}
        self._held_bytes = 0
        self._length = 0
        self._count = 0
        self.counts: dict[str, int] = {}
        """Receipts by log; those of logs that are not told apart under ""."""

    def __len__(self) -> int:
        return self._count

    def add(self, token: str, receipt: Receipt) -> None:
        """Add a receipt."""
        data = token.encode("ascii")
        number = self._length << _LENGTH_BITS | len(data)
        self._length += len(data)
        self._count += 1
        self._append(_TOKENS, data)
        known = receipt.log in self._logs or len(self._logs) < MOST_NAMES
        name = receipt.log if known else ""
        self.counts[name] = self.counts.get(name, 0) + 1
        if not known:
            return
        log = self._logs.setdefault(receipt.log, len(self._logs))
        if log == len(self._names):
            self._names.append(receipt.log)
        row = _ROW.pack(receipt.idx, receipt.leaf, receipt.rid, receipt.anchor_by, number)
        self._put(f"receipts-log-{log}", receipt.idx, row)
        party = receipt.iss, receipt.aud
        if receipt.iss != receipt.aud and (party in self._parties or len(self._parties) < MOST_NAMES):
            at = self._parties.setdefault(party, len(self._parties))
            numbered = _NUMBERED.pack(receipt.pair, number, log, receipt.idx)
            self._put(f"receipts-pair-{at}", receipt.pair, numbered)

    def token(self, number: int) -> str:
        """Give the text of a receipt."""
        self._flush()
        length = number & ((1 << _LENGTH_BITS) - 1)
        return self._scratch.read(_TOKENS, number >> _LENGTH_BITS, length).decode("ascii")

    def logs(self) -> list[str]:
        """List the logs that there are receipts of."""
        return list(self._names)

    def of_log(self, origin: str) -> Iterator[PromisedLeaf]:
        """Give what is promised of a log, by ascending index."""
        log = self._logs.get(origin)
        if log is not None:
            for fields in self._sorted(f"receipts-log-{log}", _ROW):
                yield PromisedLeaf._make(fields)

    def parties(self) -> list[tuple[str, str]]:
        """List the pairs of members, signer first, between whom receipts went."""
        return list(self._parties)

    def between(self, party: tuple[str, str]) -> Iterator[Numbered]:
        """Give the receipts from one member to another by their numbers."""
        for pair, number, log, at in self._sorted(f"receipts-pair-{self._parties[party]}", _NUMBERED):
            yield Numbered(pair, number, self._names[log], at)

    def _put(self, name: str, index: int, row: bytes) -> None:
        at = min(index >> RANGE_SHIFT, RANGES - 1)
        self._ranges.setdefault(name, set()).add(at)
        self._append(f"{name}-{at}", row)

    def _append(self, name: str, data: bytes) -> None:
        self._held.setdefault(name, []).append(data)
        self._held_bytes += len(data)
        if self._held_bytes >= _HELD_BYTES:
            self._flush()

    def _flush(self) -> None:
        for name, parts in self._held.items():
            self._scratch.append(name, b"".join(parts))
        self._held.clear()
        self._held_bytes = 0

    def _sorted(self, name: str, form: struct.Struct) -> Iterator[tuple[int, ...]]:
        self._flush()
        for at in sorted(self._ranges.get(name, ())):
            key = f"{name}-{at}"
            data = self._scratch.read(key, 0, self._scratch.length(key))
            yield from sorted(form.iter_unpack(data))

# SPDX-License-Identifier: Apache-2.0
"""Show, list, find and withdraw records. Lists show what lies in the open; showing fields goes through the vault."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from node.access.event import build_pad
from node.core.encoding import encode_b64u
from node.core.types import EntryIndex
from node.core.uscc import fold_identifier
from node.errors import InvalidInput, NotFound
from node.records.record import parse_record
from node.records.sealed import check_subject
from node.records.status import INVALID, REPAIRED, SUSPENDED, VALID
from node.service import layout
from node.service.drafting import OWN_DEPARTMENT, EventDraft, Officer
from node.service.grounds import StatusChange
from node.service.issuing import subject_digest
from node.service.layout import DISCLOSURES, NO_LIST, LogKind
from node.service.status import change_status, current_status, parse_history

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.core.clock import Clock
    from node.core.types import LeafHash
    from node.ports import Reads
    from node.service.drafting import Purpose
    from node.service.grounds import GroundSealer
    from node.service.layout import Row
    from node.service.looking import AccessLog
    from node.service.reading import Logs
    from node.service.sequencer import Sequencer
    from node.service.transaction import Transaction
    from node.service.vault import Opened, Vault

STATUS_WORDS: Final = {VALID: "valid", INVALID: "invalid", SUSPENDED: "suspended", REPAIRED: "repaired"}
ERASED: Final = "erased"
MAX_GROUND_CHARACTERS: Final = 500
PAD_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class RecordLine:
    """One record as lists show it: nothing of its content."""

    index: EntryIndex
    leaf: LeafHash
    item: str
    disclosure: str
    status: str
    stage: str


@dataclass(frozen=True, slots=True)
class ShownRecord:
    """A record with its fields, and the receipt of the look that showed them."""

    line: RecordLine
    opened: Opened
    history: list[StatusChange]
    receipt: str


@dataclass(frozen=True, slots=True)
class FoundRecords:
    """The records about a subject, and the receipt of the look that found them."""

    lines: list[RecordLine]
    receipt: str


class Records:
    """The records of this node."""

    def __init__(
        self,
        reads: Reads,
        reader: Logs,
        sequencer: Sequencer,
        vault: Vault,
        access: AccessLog,
        clock: Clock,
        *,
        item_names: Mapping[int, str],
        index_key: bytes,
        sealer: GroundSealer,
        random: Callable[[int], bytes],
    ) -> None:
        self._random = random
        self._sealer = sealer
        self._reads = reads
        self._reader = reader
        self._sequencer = sequencer
        self._vault = vault
        self._access = access
        self._clock = clock
        self._item_names = item_names
        self._index_key = index_key

    def list_newest(self, *, limit: int, before: int | None = None) -> list[RecordLine]:
        """List records from the newest back.

        Args:
            limit: At most this many.
            before: Only records below this place; None starts at the end.
        """
        lines: list[RecordLine] = []
        for reader in reversed(self._reader.readers):
            stop = reader.size()
            if before is not None:
                stop = max(0, min(stop, before - reader.place(0)))
            while stop > 0 and len(lines) < limit:
                start = max(0, stop - limit)
                block = [(i, row) for i, row in reader.rows(start, stop) if row.status_list != NO_LIST]
                lines.extend(self._line(EntryIndex(reader.place(i)), row) for i, row in reversed(block))
                stop = start
        return lines[:limit]

    def find(self, subject_type: str, subject_id: str, why: Purpose, *, limit: int) -> FoundRecords:
        """Log a ``read``, then list the records about one subject, oldest first: that there are any says something of it.

        Args:
            subject_type: ``uscc``, ``org``, ``reg``, ``rid`` or ``name``.
            subject_id: As typed; codes are folded as an import folds them.
            why: Who looks, and why.
            limit: At most this many; the event names them and no others.

        Raises:
            InvalidInput: It is no identifier of that kind.
            NodeError: The log did not take the event; nothing is shown.
        """
        is_name = subject_type == "name"
        known = normalize("NFC", subject_id.strip()) if is_name else fold_identifier(subject_id)
        check_subject(subject_type, known)
        digest = subject_digest(self._index_key, subject_type, known)
        start, stop = layout.subject_key(digest, 0), layout.stop_of(layout.subject_key(digest))
        indices = [
            EntryIndex(layout.parse_u64(key[-8:])) for key, _ in self._reads.scan(start, stop, limit=limit)
        ]
        rows = [self._reader.row(index) for index in indices]
        jwts = [self._reader.entry(row) for row in rows]
        draft = EventDraft(
            kind="read",
            subject={"type": subject_type, "id": known},
            officer=Officer(why.officer),
            purpose=why.purpose,
            basis=why.basis,
            case=why.case,
            items=[
                {"vct": vct, "fields": []} for vct in sorted({parse_record(jwt).claims.vct for jwt in jwts})
            ],
            rule=OWN_DEPARTMENT,
            released=[[encode_b64u(sha256(jwt).digest()), []] for jwt in jwts],
            n=max(1, len(jwts)),
        )
        logged = self._access.log(draft)
        return FoundRecords([self._line(*pair) for pair in zip(indices, rows, strict=True)], logged.receipt)

    def show(self, leaf: bytes, why: Purpose) -> ShownRecord:
        """Log a ``read``, then show all fields of a record.

        Raises:
            NotFound: No such record.
        """
        index = self._reader.index_of(leaf)
        line = self._line(index, self._record_row(index))
        release = self._vault.plan_release(index, None)
        logged = self._access.log_look("read", why, [release])
        stored = parse_history(self._reads.get(layout.history_key(index)))
        opened = self._vault.open(logged.look, index)
        return ShownRecord(line, opened, self._sealer.open(logged.look, index, stored), logged.receipt)

    def withdraw(self, leaf: bytes, *, officer: str, ground: str) -> RecordLine:
        """Withdraw a record: its status becomes invalid from the next status head on. Final.

        Args:
            leaf: Leaf hash of the record.
            officer: Account that orders it.
            ground: Why, 1 to 500 characters; stays at home.

        Raises:
            NotFound: No such record, or it was erased.
            Conflict: It is withdrawn or superseded already.
        """
        if not 0 < len(ground.strip()) <= MAX_GROUND_CHARACTERS:
            raise InvalidInput(
                "ground", f"ground has {len(ground)} characters, want 1 to {MAX_GROUND_CHARACTERS}"
            )
        index = self._reader.index_of(leaf)
        self._record_row(index)
        change = self._sealer.seal(index, StatusChange(INVALID, self._clock.now_ms(), officer, ground))
        pad = build_pad(self._random(PAD_BYTES))

        def write(transaction: Transaction) -> None:
            change_status(transaction, self._reader, index, change)
            # The change is in no log before the next status head. The padding makes a log grow, so that its head file
            # convicts a copy of the store from before this.
            transaction.append(LogKind.ACCESS, pad)

        self._sequencer.run(write)
        return self._line(index, self._record_row(index))

    def line(self, leaf: bytes) -> RecordLine:
        """Give the open facts about a record.

        Raises:
            NotFound: No such record.
        """
        index = self._reader.index_of(leaf)
        return self._line(index, self._record_row(index))

    def _record_row(self, index: EntryIndex) -> Row:
        row = self._reader.row(index)
        if row.status_list == NO_LIST:
            raise NotFound("record-unknown", f"entry {index} of the records log is no record")
        return row

    def _status(self, index: EntryIndex, row: Row) -> str:
        if self._reads.get(layout.erasure_key(index)) is not None:
            return ERASED
        return STATUS_WORDS[current_status(self._reads, row)]

    def _line(self, index: EntryIndex, row: Row) -> RecordLine:
        return RecordLine(
            index,
            self._reader.leaf(index),
            self._item_names.get(row.kind, "?"),
            DISCLOSURES[row.disclosure],
            self._status(index, row),
            self._reader.stage(index),
        )

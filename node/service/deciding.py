# SPDX-License-Identifier: Apache-2.0
"""What becomes of the issued records of a chunk: new, duplicate, correction or refused; and writing them.

Only the importer writes identities, and it holds its lock from the decision to the commit; so a decision made
outside the writer still holds inside. An erasure takes identities away: what was a duplicate a moment before stays one,
and a correction of the erased record is refused inside and decided again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from operator import add
from typing import TYPE_CHECKING, Final, TypeVar

from node.core.types import EntryIndex
from node.service import layout
from node.service.issuing import DIGEST_BYTES, KEY_BYTES
from node.service.layout import LogKind
from node.service.status import change_status, mark_used, require_changeable
from node.service.transaction import Appended

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.service.issuing import IssuedChunk
    from node.service.reading import Logs
    from node.service.status import Place, StoredChange
    from node.service.transaction import Transaction

T = TypeVar("T")
INDEX_BYTES: Final = 8
CHANGED: Final = "record-changed"
WITHDRAWN: Final = "record-withdrawn"


@dataclass(slots=True)
class Decision:
    """What becomes of the issued records of a chunk, by their number in it; each is in exactly one of these.

    Attributes:
        new: To be appended.
        duplicates: The log, or an earlier row of this chunk that goes into it, says the same.
        corrections: (record, index of the record in the log that it corrects).
        refused: (record, rule).
    """

    new: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    corrections: list[tuple[int, EntryIndex]] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)


def decide(
    chunk: IssuedChunk, found: Sequence[bytes | None], judge: Callable[[EntryIndex], str | None]
) -> Decision:
    """Compare each issued record's identity and content with what the log has.

    Args:
        chunk: What the worker issued.
        found: What the index has for the identity of each record (node.service.identities).
        judge: Asked about a record in the log with the identity of a row and other content: gives the rule by which
            the row is refused, or None when the row corrects the record.
    """
    identities, contents = _split(chunk.identities), _split(chunk.contents)
    if found.count(None) == len(found) == len(set(identities)):
        # As good as every chunk of a file that is new.
        return Decision(new=list(range(len(found))))
    decision = Decision()
    here: dict[bytes, bytes] = {}
    for n, (identity, content, stored) in enumerate(zip(identities, contents, found, strict=True)):
        known = here.get(identity)
        if known is not None:
            if known == content:
                decision.duplicates.append(n)
            else:
                decision.refused.append((n, CHANGED))
            continue
        if stored is None:
            decision.new.append(n)
        elif stored[INDEX_BYTES:] == content:
            decision.duplicates.append(n)
            continue
        else:
            index = EntryIndex(layout.parse_u64(stored[:INDEX_BYTES]))
            rule = judge(index)
            if rule is not None:
                decision.refused.append((n, rule))
                continue
            decision.corrections.append((n, index))
        here[identity] = content
    return decision


def _split(column: bytes, width: int = DIGEST_BYTES) -> list[bytes]:
    return [column[at : at + width] for at in range(0, len(column), width)]


def append_records(
    transaction: Transaction, chunk: IssuedChunk, records: Sequence[int], places: Sequence[Place], kind: int
) -> None:
    """Append issued records with everything that finds them again.

    Args:
        transaction: The commit.
        chunk: What the worker issued.
        records: Which of its records, ascending.
        places: Status place of each row of the chunk.
        kind: Kind number of the catalogue item.
    """
    is_whole = len(records) == len(chunk.rows)

    def column(whole: Sequence[T]) -> Sequence[T]:
        return whole if is_whole else [whole[n] for n in records]

    taken = [places[row] for row in column(chunk.rows)]
    mark_used(transaction, taken)
    leaves = column(chunk.leaves)
    appended = Appended(
        entries=column(chunk.entries),
        keys=column(_split(chunk.jtis, KEY_BYTES)),
        values=column(chunk.values),
        statuses=taken,
        kind=kind,
        disclosures=bytes(column(chunk.disclosures)),
        leaves=leaves,
    )
    indices = transaction.append_all(LogKind.RECORDS, appended)
    base = transaction.place(LogKind.RECORDS, 0)
    own = range(base + indices.start, base + indices.stop)
    encoded = list(map(layout.u64, own))
    transaction.put_all(zip(map(layout.leaf_key, leaves), encoded, strict=True))
    found = map(add, encoded, column(_split(chunk.contents)))
    transaction.put_all(zip(map(layout.identity_key, column(_split(chunk.identities))), found, strict=True))
    subjects = map(layout.subject_key, column(_split(chunk.subjects)), own)
    transaction.put_all(zip(subjects, repeat(b""), strict=False))
    secret_keys = map(layout.secret_key, repeat(LogKind.RECORDS), own)
    transaction.put_all_secrets(zip(secret_keys, column(chunk.secrets), strict=True))


def supersede(
    transaction: Transaction,
    reader: Logs,
    chunk: IssuedChunk,
    corrections: Sequence[tuple[int, EntryIndex]],
    places: Sequence[Place],
    kind: int,
    seal: Callable[[EntryIndex], StoredChange],
) -> None:
    """Append correcting records and set the records they correct to invalid, in the same commit.

    Args:
        transaction: The commit.
        reader: The records logs.
        chunk: What the worker issued, with ``supersedes`` in it.
        corrections: (record of the chunk, index of the record it corrects).
        places: Status place of each row of the chunk.
        kind: Kind number of the catalogue item.
        seal: Gives the status change of a corrected record.

    Raises:
        Conflict: One of these records is withdrawn or superseded by now; nothing is written.
    """
    for _, old_index in corrections:
        require_changeable(transaction, reader, old_index)
    changes = [(old_index, seal(old_index)) for _, old_index in corrections]
    append_records(transaction, chunk, [n for n, _ in corrections], places, kind)
    for old_index, change in changes:
        change_status(transaction, reader, old_index, change)

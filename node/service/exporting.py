# SPDX-License-Identifier: Apache-2.0
"""Build one evidence file for one record (protocol section 5). The look is logged before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.errors import InvalidInput, NotFound, Unavailable
from node.evidence.build import build_evidence, build_reference
from node.evidence.format import AnchorReference, StatusPart
from node.service.drafting import OWN_DEPARTMENT, OWN_DEPARTMENT_WITH_BASIS
from node.service.layout import NO_LIST

if TYPE_CHECKING:
    from collections.abc import Collection

    from node.core.types import EntryIndex
    from node.service.drafting import Purpose, Release
    from node.service.layout import Row
    from node.service.looking import AccessLog
    from node.service.reading import LogReader, Logs, StoredAnchor
    from node.service.status import StatusPublisher
    from node.service.vault import Vault


@dataclass(frozen=True, slots=True)
class Exported:
    """An evidence file with the name it is saved under and the receipt of the look."""

    name: str
    data: bytes
    receipt: str
    stage: str


class EvidenceExporter:
    """Builds evidence files from this node's records log."""

    def __init__(
        self,
        logs: Logs,
        vault: Vault,
        access: AccessLog,
        status: StatusPublisher,
        *,
        chain_id: int,
        contract: str,
    ) -> None:
        self._logs = logs
        self._vault = vault
        self._access = access
        self._status = status
        self._chain_id = chain_id
        self._contract = contract

    def export(self, leaf: bytes, names: Collection[str], why: Purpose) -> Exported:
        """Log the look, open the record, and put together what proves it.

        Args:
            leaf: Leaf hash of the record, 32 bytes.
            names: Fields to disclose, by code; ``subject`` is one of them.
            why: Who asks, and why.

        Raises:
            NotFound: No such record.
            InvalidInput: A name is not a field of this record; ``basis-required`` when the record or a field is
                not open to all and no legal basis is named.
            Unavailable: The record is not under a published checkpoint yet.
        """
        place = self._logs.index_of(leaf)
        row = self._logs.row(place)
        if row.status_list == NO_LIST:
            raise NotFound("record-unknown", f"entry {place} of the records log is no record")
        reader, index = self._logs.proven(place)
        anchor = reader.first_anchor_over(index)
        size = anchor.anchor.size if anchor else _published_size(reader, index)
        inclusion = reader.tlog_proof(index, size)
        status = self._status_part(reader.place(index), row)
        release = self._vault.plan_release(place, names)
        rule = self._deciding_rule(release, why)
        # Whatever can be refused has been by now: a look in the log is one that was had.
        logged = self._access.log_look("export", why, [release], rule=rule)
        opened = self._vault.open(logged.look, place)
        evidence = build_evidence(
            record=opened.presentation,
            inclusion=inclusion,
            anchor=self._reference(reader, anchor) if anchor else None,
            status=status,
        )
        return Exported(evidence.name, evidence.data, logged.receipt, reader.stage(index))

    def _deciding_rule(self, release: Release, why: Purpose) -> str:
        guarded = self._vault.guarded_fields(release)
        if guarded and not (why.basis or "").strip():
            raise InvalidInput(
                "basis-required", f"not open to all: {', '.join(guarded)}; name the legal basis of the export"
            )
        return OWN_DEPARTMENT_WITH_BASIS if guarded else OWN_DEPARTMENT

    def _reference(self, reader: LogReader, stored: StoredAnchor) -> AnchorReference:
        return build_reference(
            stored.anchor,
            origin=reader.origin,
            chain_id=self._chain_id,
            contract=self._contract,
            tx=stored.transaction,
        )

    def _status_part(self, place: int, row: Row) -> StatusPart | None:
        """Take the newest anchored status head; None when it is not behind the record, and so says nothing of it."""
        head = self._status.newest(self._is_anchored)
        if head is None or head.place <= place or row.status_list >= head.lists:
            return None
        reader, index = self._logs.locate(head.place)
        head_anchor = reader.first_anchor_over(index)
        if head_anchor is None:
            return None
        return StatusPart(
            token=self._status.token(head, row.status_list),
            index=row.status_list,
            path=tuple(self._status.path(head, row.status_list)),
            head=reader.entry(reader.row(index)).decode("ascii"),
            inclusion=reader.tlog_proof(index, head_anchor.anchor.size),
            anchor=self._reference(reader, head_anchor),
        )

    def _is_anchored(self, place: int) -> bool:
        reader, index = self._logs.locate(place)
        return index < reader.anchored_size()


def _published_size(reader: LogReader, index: EntryIndex) -> int:
    found = reader.first_checkpoint_over(index)
    if found is None:
        raise Unavailable(
            "not-published",
            f"record at index {index} is under no signed checkpoint yet; anchor, then try again",
        )
    return found[0]

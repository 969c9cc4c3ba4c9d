# SPDX-License-Identifier: Apache-2.0
"""Second approvers of bulk questions: what waits for one, who approved it, and that it is used once (docs/exchange.md).

    key                              value
    E o id(16)                       msgpack [officer, purpose, lines, filed(s), exp(s), approver or None, used by or None, number]

``number`` tells which was filed first, also of two within a second and after the clock was put back. It was not there at
first: what was filed without it is older than all others.

Nothing of the subjects is kept: ``id`` is a keyed digest of the whole question, its officer included. Who approves sends
the question once more, from the file that he was shown; only the very same question is approved, and asked on it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import msgpack

from node.access.question import encode_items, encode_subject
from node.core.canonical import encode_json
from node.errors import AccessDenied, Conflict, NotFound
from node.service import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.core.clock import Clock
    from node.core.types import EntryIndex
    from node.ports import Reads
    from node.service.exchange.orders import Order, Question
    from node.service.sequencer import Sequencer
    from node.service.transaction import Transaction

WAIT_SECONDS: Final = 86_400
"""How long a question waits to be approved and asked."""
MOST_WAITING: Final = 100
"""Most questions that wait at once."""
MOST_OF_ONE: Final = 10
"""Most of them that one officer asks, so that nobody keeps the others from asking."""
ID_BYTES: Final = 16
_APPROVAL: Final = b"Eo"
_LABEL: Final = b"approval\x00"


@dataclass(frozen=True, slots=True)
class Approval:
    """A question that needs a second approver.

    Attributes:
        id: 16 bytes.
        officer: Account of who asks.
        purpose: Code of the purpose.
        lines: Number of subjects.
        filed: Second at which it was asked first.
        exp: Second from which on it is void.
        approver: Account of who approved it; None while it waits.
        used_by: Random bytes of the one time that it was asked on; None before.
        number: Greater than that of all that were there when it was filed.
    """

    id: bytes
    officer: str
    purpose: str
    lines: int
    filed: int
    exp: int
    approver: str | None = None
    used_by: bytes | None = None
    number: int = 0

    def is_open(self, now_seconds: int) -> bool:
        """Whether it still waits to be approved or asked."""
        return self.used_by is None and now_seconds < self.exp


@dataclass(frozen=True, slots=True)
class ApprovalCharge:
    """The use of an approval; implements ``node.service.limiting.Charge``.

    Attributes:
        id: Of the approval.
        run: Random bytes, the same for all departments that one order asks.
        at: Now, in seconds.
    """

    id: bytes
    run: bytes
    at: int

    @classmethod
    def of(cls, approval: Approval, at: int) -> ApprovalCharge:
        """Charge an approval that ``Approvals.take`` gave."""
        assert approval.used_by is not None, "taken"
        return cls(approval.id, approval.used_by, at)

    def check(self, transaction: Transaction) -> None:
        """Refuse an approval that is gone or used.

        Raises:
            AccessDenied: ``approver-required``.
        """
        found = _parse(self.id, transaction.get(_APPROVAL + self.id))
        if (
            found is None
            or found.approver is None
            or found.used_by not in (None, self.run)
            or self.at >= found.exp
        ):
            raise AccessDenied("approver-required", "the approval was used or has expired")

    def write(self, transaction: Transaction, event: EntryIndex) -> None:  # noqa: ARG002 - as Charge has it
        """Note by what it was used."""
        found = _parse(self.id, transaction.get(_APPROVAL + self.id))
        assert found is not None, "checked in this commit"
        _put(replace(found, used_by=self.run), transaction)


class Approvals:
    """Keeps what waits for a second approver; safe to use from any thread.

    Args:
        reads: The store.
        sequencer: Writes to it.
        index_key: Keys the digests of questions, 32 bytes.
        clock: The clock.
    """

    def __init__(self, reads: Reads, sequencer: Sequencer, index_key: bytes, clock: Clock) -> None:
        self._reads = reads
        self._sequencer = sequencer
        self._index_key = index_key
        self._clock = clock

    def name(self, order: Order, question: Question, officer: str) -> bytes:
        """Give the id that the question of an officer has: the same for the same question, 16 bytes."""
        said = {
            "officer": officer,
            "subjects": [encode_subject(subject) for subject in question.subjects],
            "items": encode_items(question.items),
            "purpose": order.purpose,
            "basis": order.basis,
            "case": order.case,
            "providers": None if order.providers is None else list(order.providers),
        }
        return hmac.digest(self._index_key, _LABEL + encode_json(said), "sha256")[:ID_BYTES]

    def find(self, id_: bytes) -> Approval | None:
        """Find a question that waits to be approved or asked."""
        found = _parse(id_, self._reads.get(_APPROVAL + id_))
        return found if found is not None and found.is_open(self._clock.now_seconds()) else None

    def list_waiting(self) -> list[Approval]:
        """List the questions that wait to be approved or asked, the oldest first."""
        now = self._clock.now_seconds()
        waiting = [one for one in self._all() if one.is_open(now)]
        return sorted(waiting, key=lambda one: (one.number, one.filed, one.id))

    def file(self, id_: bytes, order: Order, question: Question) -> Approval:
        """Note durably that a question waits; one that waits already goes on as it is.

        Raises:
            Conflict: ``approvals-full``; ``approvals-officer``: this officer has too many that wait.
        """
        officer, lines = order.officer.id, len(question.subjects)

        def file(transaction: Transaction) -> Approval:
            # What waits is counted by the writer, which takes one question after the other.
            now = self._clock.now_seconds()
            found = _parse(id_, transaction.get(_APPROVAL + id_))
            if found is not None and found.is_open(now):
                return found
            filed = self._filed(transaction)
            _require_room([one for one in filed if one.is_open(now)], officer)
            number = max((one.number for one in filed), default=0) + 1
            approval = Approval(id_, officer, order.purpose, lines, now, now + WAIT_SECONDS, number=number)
            _put(approval, transaction)
            return approval

        return self.find(id_) or self._sequencer.run(file, entries=0)

    def approve(self, id_: bytes, order: Order, question: Question) -> Approval:
        """Approve the question of another officer; ``order.officer`` is who approves.

        Args:
            id_: Of the question.
            order: The same question, as the approver was shown it.
            question: The same, in the form that a request has.

        Raises:
            NotFound: ``approval-unknown``: nothing of this id waits.
            AccessDenied: ``approver-same``: nobody approves a question of his own.
            Conflict: ``approval-differs``: what waits is another question.
        """
        approver = order.officer.id

        def approve(transaction: Transaction) -> Approval:
            found = _parse(id_, transaction.get(_APPROVAL + id_))
            if found is None or not found.is_open(self._clock.now_seconds()):
                raise NotFound("approval-unknown", "no question of this id waits for a second approver")
            if found.officer == approver:
                raise AccessDenied("approver-same", "the second approver is the officer who asks")
            if not hmac.compare_digest(self.name(order, question, found.officer), id_):
                raise Conflict("approval-differs", "the question that waits is not the one that is approved")
            approved = replace(found, approver=found.approver or approver)
            _put(approved, transaction)
            return approved

        return self._sequencer.run(approve, entries=0)

    def sweep(self) -> None:
        """Drop what is void.

        Raises:
            NodeError: The store cannot be written now; calling again goes on.
        """
        now = self._clock.now_seconds()
        over = [one.id for one in self._all() if now >= one.exp]
        if over:
            self._sequencer.run(partial(_drop, over, now), entries=0)

    def _filed(self, transaction: Transaction) -> list[Approval]:
        """Give all that a commit will leave, those that it puts itself among them."""
        keys = {key for key, _ in self._reads.scan(_APPROVAL, layout.stop_of(_APPROVAL))}
        keys.update(transaction.find_put(_APPROVAL))
        found = (_parse(key[len(_APPROVAL) :], transaction.get(key)) for key in keys)
        return [one for one in found if one is not None]

    def _all(self) -> Sequence[Approval]:
        found = (
            _parse(key[len(_APPROVAL) :], data)
            for key, data in self._reads.scan(_APPROVAL, layout.stop_of(_APPROVAL))
        )
        return [one for one in found if one is not None]


def _require_room(waiting: Sequence[Approval], officer: str) -> None:
    if sum(one.officer == officer for one in waiting) >= MOST_OF_ONE:
        raise Conflict(
            "approvals-officer",
            f"{MOST_OF_ONE} questions of this officer wait to be approved or asked: want fewer first",
        )
    if len(waiting) >= MOST_WAITING:
        raise Conflict("approvals-full", f"{MOST_WAITING} questions wait for a second approver already")


def _put(approval: Approval, transaction: Transaction) -> None:
    fields = [
        approval.officer,
        approval.purpose,
        approval.lines,
        approval.filed,
        approval.exp,
        approval.approver,
        approval.used_by,
        approval.number,
    ]
    transaction.put(_APPROVAL + approval.id, msgpack.packb(fields))


def _drop(ids: Sequence[bytes], now: int, transaction: Transaction) -> None:
    for id_ in ids:
        found = _parse(id_, transaction.get(_APPROVAL + id_))
        # The same question may have been asked anew meanwhile.
        if found is not None and now >= found.exp:
            transaction.delete(_APPROVAL + id_)


def _parse(id_: bytes, data: bytes | None) -> Approval | None:
    return None if data is None else Approval(id_, *msgpack.unpackb(data))

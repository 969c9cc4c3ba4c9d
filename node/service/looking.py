# SPDX-License-Identifier: Apache-2.0
"""The access log: whatever is looked at stands in it, durably, before anything is opened or leaves (docs/protocol/access-log.md).

    logged = AccessLog.log(draft, also)

    1. the event is built and its ten values are sealed                 what does not say what it must is refused
    2. one commit: whatever ``also`` writes, the event, its secret      refused, or failed: nothing may be shown
       and the number of its receipt; the head file follows
    3. the receipt is signed, and the :class:`Look` made                 the only key to ``node.service.vault``

Calls of many threads share commits (node.service.sequencer). Receipts for one other side are numbered without gaps.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgpack
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.access.bulk import hash_lines, parse_line
from node.access.event import (
    RID_BYTES,
    SALTED_NAMES,
    SECRET_BYTES,
    build_event,
    check_said,
    event_salts,
    parse_event,
    verify_openings,
)
from node.access.logged import LoggedEvent, select_openings
from node.access.receipt import build_receipt
from node.core.encoding import encode_b64u
from node.core.recent import Recent
from node.core.types import EntryIndex
from node.errors import AccessDenied, Conflict, Unavailable
from node.log.merkle import leaf_hash
from node.records.secret import values_key
from node.service import layout
from node.service.drafting import OWN_DEPARTMENT, TWO_SIDED, EventDraft, Officer, list_items, write_lines
from node.service.layout import LogKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from concurrent.futures import Future

    from node.access.event import Event
    from node.core.clock import Clock
    from node.core.types import LeafHash
    from node.crypto.ed25519 import Ed25519Signer
    from node.ports import SecretKeeper
    from node.service.drafting import DraftLine, Purpose, Release
    from node.service.reading import LogReader
    from node.service.sequencer import Sequencer
    from node.service.subject_index import SubjectIndex
    from node.service.transaction import Transaction

_NONCE_BYTES: Final = 12
_MINT: Final = object()
_TOLD_LATER: Final = "receive"
_GIVEN: Final = 1_024
"""Events of that kind that are kept with their receipts until the other side is told of them; some 2 KiB each."""

Also: TypeAlias = "Callable[[Transaction, EntryIndex], None]"
"""Writes what has to become durable together with an event, which will have that index.

Runs in the writer's thread, before the event is appended; it may read, and refuse by raising before its first write:
then there is no event either.
"""


@dataclass(frozen=True, slots=True)
class Look:
    """Proof that a look is durable in the access log. Only ``AccessLog`` makes one, and nothing changes it.

    It opens each record and each event that it covers once, so that no more secrets come out than events say.

    Attributes:
        index: Its event in the access log.
        releases: What it may show, by entry of the records log.
        events: Places of the events whose openings it may show.
    """

    index: EntryIndex
    releases: Mapping[EntryIndex, Release]
    events: frozenset[int]
    mint: InitVar[object]
    _unused: set[tuple[str, int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self, mint: object) -> None:
        """Refuse a look that was made elsewhere."""
        if mint is not _MINT:
            raise AccessDenied("look-forged", "a look is made by the access log alone")
        unused = {("record", place) for place in self.releases} | {("event", place) for place in self.events}
        object.__setattr__(self, "_unused", unused)

    def use(self, what: str, place: int) -> None:
        """Use the look up for one record or one event.

        Args:
            what: ``record`` or ``event``.
            place: Its place.

        Raises:
            AccessDenied: ``look-used``.
        """
        try:
            self._unused.remove((what, place))
        except KeyError:
            raise AccessDenied("look-used", f"this look at {what} {place} was had already") from None


def require_covered(look: Look, index: EntryIndex) -> Release:
    """Give what a look may show of a record.

    Raises:
        AccessDenied: ``look-does-not-cover``: it is no look, or one at something else.
    """
    release = look.releases.get(index) if isinstance(look, Look) else None
    if release is None:
        raise AccessDenied("look-does-not-cover", f"no logged look covers the record at index {index}")
    return release


@dataclass(frozen=True, slots=True)
class Logged:
    """An event that is durable in the access log.

    Attributes:
        index: Its entry.
        rid: Its 16 bytes.
        event: The entry's bytes.
        openings: The disclosures of its ten values, in the order of ``SALTED_NAMES``.
        receipt: The signed statement that it was logged.
        look: What opens the records that it names.
        lines: The lines of a bulk event, disclosures.
    """

    index: EntryIndex
    rid: bytes
    event: bytes
    openings: tuple[str, ...]
    receipt: str
    look: Look
    lines: tuple[str, ...] = ()

    def to_show(self) -> LoggedEvent:
        """Give what the other side is shown: all but who the officer was."""
        return LoggedEvent(self.event, select_openings(self.openings), self.receipt)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An event that is built, with what belongs to it; ``AccessLog.prepare`` makes one, to be logged once."""

    draft: EventDraft
    rid: bytes
    event: Event
    sealed: bytes
    wrapped: bytes
    aud: str
    iat: int
    lines: tuple[str, ...]

    @property
    def openings(self) -> Sequence[str]:
        """The disclosures of its ten values, in the order of ``SALTED_NAMES``."""
        return self.event.disclosures


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where a commit put an event."""

    index: EntryIndex
    leaf: LeafHash
    pair: int


class AccessLog:
    """Logs events and gives receipts for them."""

    def __init__(
        self,
        sequencer: Sequencer,
        *,
        member: str,
        origin: str,
        node_key: Ed25519Signer,
        keeper: SecretKeeper,
        clock: Clock,
        random: Callable[[int], bytes],
        anchor_limit_seconds: int,
        find_anchored_at: Callable[[], int | None],
        subjects: SubjectIndex,
    ) -> None:
        self._sequencer = sequencer
        self._find_anchored_at = find_anchored_at
        self._anchored_at: int | None = None
        self._member = member
        self._origin = origin
        self._node_key = node_key
        self._keeper = keeper
        self._clock = clock
        self._random = random
        self._anchor_limit_seconds = anchor_limit_seconds
        self._subjects = subjects
        self._given: Recent[tuple[bytes, str]] = Recent(_GIVEN)

    def log_look(
        self, kind: str, why: Purpose, releases: Sequence[Release], *, rule: str = OWN_DEPARTMENT
    ) -> Logged:
        """Log what own staff does with own records: ``read``, ``export``, ``erase`` or ``audit``.

        Args:
            kind: Kind of the event.
            why: Officer, purpose, basis and case.
            releases: What will be shown; one event covers all of them. Of a record to erase, nothing.
            rule: The rule that allows it.

        Raises:
            NodeError: As for ``log``; nothing may be shown.
        """
        return self.log(
            EventDraft(
                kind=kind,
                officer=Officer(why.officer),
                purpose=why.purpose,
                basis=why.basis,
                case=why.case,
                items=list_items(releases),
                rule=rule,
                released=None if releases else [],
                releases=releases,
            )
        )

    def log(self, draft: EventDraft | Prepared, also: Also | None = None) -> Logged:
        """Log one event and wait until it is durable.

        Args:
            draft: What it says; or what ``prepare`` made of that.
            also: Writes what has to be durable together with it.

        Raises:
            InvalidInput: ``event-…`` and ``opening-…``: the draft does not say what its kind must; nothing was logged.
            Unavailable: ``anchor-limit`` when the log's last anchor is older than the network allows (protocol
                section 2: past it a node gives no receipt); or the log did not take the event.
            Conflict, Fatal: The log did not take the event; nothing may be shown.
            NodeError: Whatever ``also`` refused with; nothing was logged.
        """
        (logged,) = self.log_all([(draft, also)])
        if isinstance(logged, AccessDenied):
            raise logged
        return logged

    def log_all(
        self, drafts: Collection[tuple[EventDraft | Prepared, Also | None]]
    ) -> list[Logged | AccessDenied]:
        """Log several events, each by itself, in as few commits as possible, and wait for all of them.

        Returns:
            What each has become: where its ``also`` refused, that refusal; the others stand in the log all the same.

        Raises:
            NodeError: As for ``log``; some of them may stand in the log.
        """
        self._require_young_anchor()
        waiting: list[tuple[Prepared, Future[_Placed]]] = []
        for prepared, also in [(self.prepare(draft), also) for draft, also in drafts]:
            waiting.append((prepared, self._sequencer.submit(self._append(prepared, also))))
        ends = [(prepared, placed, placed.exception()) for prepared, placed in waiting]
        return [
            error if isinstance(error, AccessDenied) else self._give(prepared, placed.result())
            for prepared, placed, error in ends
        ]

    def again(
        self,
        reader: LogReader,
        index: EntryIndex,
        reopen: Callable[[Look, int], tuple[list[str], list[str]]],
        releases: Sequence[Release],
    ) -> Logged:
        """Give once more, byte for byte, what ``log`` gave for an event in the log: the node died before it was used.

        Args:
            reader: The open access log.
            index: The event's entry.
            reopen: ``Vault.open_whole``; the other side gets its openings only with what the event released.
            releases: What it released.

        Raises:
            AccessDenied: ``look-does-not-cover``: the event released something else.
            Conflict: ``log-succeeded``: the event is in an earlier log, for which no receipts are signed any more.
            NotFound, Verification: There is no such event, or what is stored is not what was logged.
            Unavailable: ``anchor-limit``.
        """
        self._require_young_anchor()
        if reader.origin != self._origin:
            raise Conflict("log-succeeded", f"event {index} is in an earlier access log: want {self._origin}")
        entry, place = reader.entry(reader.row(index)), reader.place(index)
        event = parse_event(entry)
        openings, lines = reopen(Look(index, {}, frozenset({place}), _MINT), place)
        released = verify_openings(event, openings)["released"] or []
        released += [pair for text in lines for pair in parse_line(text).released or ()]
        if released != [[each.jwt_digest, sorted(each.fields.values())] for each in releases]:
            raise AccessDenied("look-does-not-cover", f"event {index} released something else")
        receipt = self._sign_again(reader, index, entry, event.rid, event.t_ms)
        covered = MappingProxyType({release.index: release for release in releases})
        look = Look(index, covered, frozenset(), _MINT)
        return Logged(index, event.rid, entry, tuple(openings), receipt, look, tuple(lines))

    def receipt_again(self, reader: LogReader, index: EntryIndex) -> tuple[bytes, str]:
        """Give an event in the open log and its receipt once more, byte for byte; it opens nothing.

        Raises:
            Conflict: ``log-succeeded``: the event is in an earlier log, for which no receipts are signed any more.
            NotFound, InvalidInput: There is no such event.
            Unavailable: ``anchor-limit``.
        """
        self._require_young_anchor()
        if reader.origin != self._origin:
            raise Conflict("log-succeeded", f"event {index} is in an earlier access log: want {self._origin}")
        given = self._given.find(index)
        if given is not None:
            return given
        entry = reader.entry(reader.row(index))
        event = parse_event(entry)
        return entry, self._sign_again(reader, index, entry, event.rid, event.t_ms)

    def _sign_again(self, reader: LogReader, index: EntryIndex, entry: bytes, rid: bytes, t_ms: int) -> str:
        aud, pair = reader.receipt_facts(index)
        return self._sign(aud, index, leaf_hash(entry), rid, pair, t_ms // 1_000)

    def prepare(self, draft: EventDraft | Prepared) -> Prepared:
        """Build an event; nothing is logged. For one whose openings its own commit has to write.

        Raises:
            InvalidInput: ``event-…`` and ``opening-…``: the draft does not say what its kind must.
        """
        if isinstance(draft, Prepared):
            return draft
        now_ms = self._clock.now_ms()
        rid = self._random(RID_BYTES) if draft.rid is None else draft.rid
        secret = self._random(SECRET_BYTES) if draft.secret is None else draft.secret
        salted = draft.salted()
        check_said(draft.kind, salted)
        lines = write_lines(draft.lines, secret)
        n = draft.n
        if n is None:
            n = len(lines) or max(1, len(draft.releases) + len(draft.events))
        event = build_event(
            draft.kind,
            now_ms,
            rid,
            n,
            draft.req,
            salted,
            event_salts(secret),
            set_root=hash_lines(lines).root if lines else None,
            box=draft.box,
            open_by=draft.open_by,
            warrant=draft.warrant,
        )
        rid_text = encode_b64u(rid)
        aud = draft.peer if draft.kind in TWO_SIDED and draft.peer is not None else self._member
        return Prepared(
            draft,
            rid,
            event,
            _seal_event(secret, rid_text, salted, draft.lines),
            self._keeper.wrap(secret, rid_text),
            aud,
            now_ms // 1_000,
            lines,
        )

    def _append(self, prepared: Prepared, also: Also | None) -> Callable[[Transaction], _Placed]:
        def append(transaction: Transaction) -> _Placed:
            if also is not None:
                also(transaction, EntryIndex(transaction.size(LogKind.ACCESS)))
            index = transaction.append(
                LogKind.ACCESS, prepared.event.entry, key=prepared.rid, values=prepared.sealed
            )
            place = transaction.place(LogKind.ACCESS, index)
            transaction.put_secret(layout.secret_key(LogKind.ACCESS, place), prepared.wrapped)
            pair = _next_pair(transaction, prepared.aud)
            transaction.put(layout.receipt_key(place), layout.encode_receipt(prepared.aud, pair))
            self._subjects.note(transaction, prepared.draft, place, prepared.rid)
            return _Placed(index, transaction.leaf(LogKind.ACCESS, index), pair)

        return append

    def _give(self, prepared: Prepared, placed: _Placed) -> Logged:
        """Sign the receipt of an event that is durable, and make what opens the records that it names."""
        receipt = self._sign(prepared.aud, placed.index, placed.leaf, prepared.rid, placed.pair, prepared.iat)
        covered = MappingProxyType({release.index: release for release in prepared.draft.releases})
        look = Look(placed.index, covered, frozenset(prepared.draft.events), _MINT)
        event = prepared.event
        if prepared.draft.kind == _TOLD_LATER:
            self._given.put(placed.index, (event.entry, receipt))
        openings = tuple(event.disclosures)
        return Logged(placed.index, prepared.rid, event.entry, openings, receipt, look, prepared.lines)

    def _sign(self, aud: str, index: EntryIndex, leaf: LeafHash, rid: bytes, pair: int, iat: int) -> str:
        return build_receipt(
            signer=self._node_key,
            iss=self._member,
            aud=aud,
            log=self._origin,
            idx=index,
            leaf=leaf,
            rid=rid,
            pair=pair,
            iat=iat,
            anchor_limit_seconds=self._anchor_limit_seconds,
        )

    def _require_young_anchor(self) -> None:
        now = self._clock.now_seconds()
        known = self._anchored_at
        # The next anchor is a later one: what is young enough under the one known needs no look for it.
        if known is not None and now - known <= self._anchor_limit_seconds:
            return
        anchored_at = self._anchored_at = self._find_anchored_at()
        if anchored_at is None:
            return
        age = now - anchored_at
        if age > self._anchor_limit_seconds:
            raise Unavailable(
                "anchor-limit",
                f"the access log was last anchored {age} seconds ago: want at most {self._anchor_limit_seconds}",
            )


def _next_pair(transaction: Transaction, aud: str) -> int:
    """Count the receipt of an event in this commit; a member that has none yet begins behind what a lost store may have used."""
    key = layout.PAIR_KEY + aud.encode("ascii")
    last = transaction.get(key)
    if last is None:
        last = transaction.get(layout.PAIR_BASE_KEY) or bytes(8)
        base = layout.parse_u64(last)
        if base:
            passed = layout.parse_u64(transaction.get(layout.PASSED_PAIRS_KEY) or bytes(8))
            transaction.put(layout.PASSED_PAIRS_KEY, layout.u64(passed + base))
    pair = layout.parse_u64(last) + 1
    transaction.put(key, layout.u64(pair))
    return pair


def _seal_event(secret: bytes, rid_text: str, salted: Mapping[str, Any], lines: Sequence[DraftLine]) -> bytes:
    """Encrypt what an event says as a record's values are, bound to its rid; openings and lines are re-made.

    Behind the ten values stand the lines of a bulk event, [type, id, released] each.
    """
    values = [salted[name] for name in SALTED_NAMES]
    if lines:
        values.append([[*line.subject, line.released] for line in lines])
    plain: bytes = msgpack.packb(values)
    return AESGCM(values_key(secret)).encrypt(bytes(_NONCE_BYTES), plain, rid_text.encode("ascii"))

# SPDX-License-Identifier: Apache-2.0
"""Show a subject, identified at the department's window, every look at its data (docs/subject-view.md).

    1. the index names the events that are about the subject; those that are still sealed are left out
    2. the ``audit`` of the view itself is durable: who identified the subject, by what kind of document
    3. the vault opens the events; of records that an event names by digest alone, nothing but their subject
    4. each event gets the file that proves it to anybody

If 2 fails nothing is shown. What a subject is shown of an event is what another department is shown: all but who the
officer was.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from node.access.bulk import hash_lines, parse_line
from node.access.deposit import GRANT
from node.access.event import REVOKE, parse_event, verify_openings
from node.access.logged import CONCEALED, select_openings
from node.access.question import encode_subject
from node.access.request import SEALED
from node.core.types import EntryIndex, MemberCode
from node.errors import InvalidInput, NodeError, NotFound
from node.evidence.build import build_reference
from node.evidence.lookfile import LinePart, LookFile, encode_look_file, name_look_file
from node.evidence.promises import ReceiptFile, encode_receipt_file
from node.log.merkle import leaf_hash
from node.records.names import SUBJECT
from node.service.drafting import TWO_SIDED, EventDraft, Officer
from node.service.sealing import find_part, is_still_sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from node.access.event import ParsedEvent
    from node.access.names import Name
    from node.access.question import AskedSubject
    from node.core.clock import Clock
    from node.ports import Reads
    from node.service.drafting import Purpose, Release
    from node.service.exchange.permits import Rules
    from node.service.looking import AccessLog, Logged, Look
    from node.service.reading import LogReader, Logs
    from node.service.subject_index import FoundEvent, SubjectIndex
    from node.service.vault import Vault

KIND: Final = "audit"
RECEIVE: Final = "receive"
PURPOSE: Final = "subject-view"
"""Purpose of the looks that the view itself is."""
DOCUMENTS: Final = (
    "business-licence",
    "resident-id",
    "passport",
    "residence-permit",
    "letter-of-authority",
    "online-identity",
)
"""Kinds of document by which a subject is identified: 营业执照, 居民身份证, 护照, 居留证件, 授权委托书, 网络身份认证."""
_OWN: Final = -1
"""Stands for the place of what this department does itself, whose events share an id that is its own."""
MOST_LOOKS: Final = 200
"""Most looks in one view; the next page is a view of its own."""


@dataclass(frozen=True, slots=True)
class ShownPart:
    """One event of a look.

    Attributes:
        kind: What was done.
        place: Its entry, as a place (node.service.layout).
        origin: The log that it is in.
        index: Its entry there.
        at_ms: When, by this node's clock, in milliseconds.
        n: Records, lines or events.
        is_own: Whether an officer of this department did it; what others asked has none here.
        values: What the subject is shown of it, by name; None where absent. Of a bulk event, what its own line says.
        stage: How far the entry has come.
        name: Customary name of its file.
        file: The file that proves it; None while no signed checkpoint covers it.
    """

    kind: str
    place: int
    origin: str
    index: EntryIndex
    at_ms: int
    n: int
    is_own: bool
    values: Mapping[str, Any]
    stage: str
    name: str
    file: bytes | None


@dataclass(frozen=True, slots=True)
class ShownLook:
    """One look: the events of one request, the oldest first."""

    rid: bytes
    parts: tuple[ShownPart, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """A look in one line.

    Attributes:
        by: USCC of the member that looked.
        of: USCC of the member whose records it concerned.
        outcome: ``given``, ``none``, ``refused``, ``no-answer``, ``open``; ``listed`` for a line of an own bulk question,
            whose answer only the other side has by the line; or ``done`` where nothing was to be given.
        records: How many records were given; None where that is not known here.
    """

    by: str
    of: str
    outcome: str
    records: int | None


def summarise(look: ShownLook, member: str) -> Summary:
    """Say who looked at whose records, and what came of it.

    Args:
        look: One look.
        member: This member.
    """
    first, last = look.parts[0], look.parts[-1]
    released = last.values["released"]
    records = None if released is None else len(released)
    if first.kind not in TWO_SIDED or first.kind == REVOKE:
        if first.kind in {"read", "export"}:
            return Summary(member, member, "given" if records else "none", records)
        return Summary(member, member, "done", None)
    is_own = first.is_own or first.kind == "receive"
    peer = first.values["peer"] or member
    by, of = (member, peer) if is_own else (peer, member)
    if first.kind == "deny":
        return Summary(by, of, "refused", None)
    if first.kind == "bulk" and is_own:
        # What was received is logged for all lines together: for which of them, only the other side's lines say.
        return Summary(by, of, "listed", None)
    if records is not None:
        return Summary(by, of, "given" if records else "none", records)
    # One that was sealed is shown when nobody answers it any more; an end that says nothing was received is not beside it.
    is_open = is_own and first is last and first.kind != SEALED
    return Summary(by, of, "open" if is_open else "no-answer", None)


@dataclass(frozen=True, slots=True)
class ShownLooks:
    """What a subject is shown.

    Attributes:
        looks: The newest first.
        next_before: Where the next page begins; None on the last one.
        view: The event of this view.
        file: Receipt, event and openings of this view, as a ``*.receipt.json``.
        name: Customary name of that file.
    """

    looks: tuple[ShownLook, ...]
    next_before: int | None
    view: Logged
    file: bytes
    name: str


@dataclass(frozen=True, slots=True)
class _Part:
    place: int
    reader: LogReader
    index: EntryIndex
    entry: bytes
    event: ParsedEvent
    found: FoundEvent


class SubjectView:
    """Shows subjects who looked at their data; safe to use from any thread.

    Args:
        reads: The store.
        events: The access logs.
        access: Logs the views.
        vault: Opens what they show.
        index: Finds the events.
        clock: The clock; a seal that was lifted in time is one no more.
        chain_id: Chain of the anchors.
        contract: AnchorLog, 0x….
        find_rules: Gives purposes and catalogue in force, None where there are none.
        find_names: Gives the names of members in force.
    """

    def __init__(
        self,
        reads: Reads,
        events: Logs,
        access: AccessLog,
        vault: Vault,
        index: SubjectIndex,
        clock: Clock,
        *,
        chain_id: int,
        contract: str,
        find_rules: Callable[[], Rules | None],
        find_names: Callable[[], Mapping[MemberCode, Name]],
    ) -> None:
        self._reads = reads
        self._events = events
        self._access = access
        self._vault = vault
        self._index = index
        self._clock = clock
        self._chain_id = chain_id
        self._contract = contract
        self._find_rules = find_rules
        self._find_names = find_names

    def name_members(self, codes: Iterable[str]) -> dict[str, Name]:
        """Name members as the shared document does; those that it does not name are left out."""
        try:
            names = self._find_names()
        except NodeError:  # a list that was logged is shown without names rather than not at all
            return {}
        return {code: found for code in codes if (found := names.get(MemberCode(code))) is not None}

    def name_purpose(self, code: str | None) -> tuple[str, str] | None:
        """Name a purpose in Chinese and English as the shared document does; None where it does not."""
        try:
            rules = self._find_rules()
        except NodeError:  # as for members
            return None
        found = None if rules is None or code is None else rules.purposes.purposes.get(code)
        return None if found is None else (found.zh, found.en)

    def show(
        self,
        subject: AskedSubject,
        document: str,
        why: Purpose,
        *,
        limit: int = MOST_LOOKS,
        before: int | None = None,
    ) -> ShownLooks:
        """Log the view, then show the looks at a subject, the newest first.

        Args:
            subject: Whom the officer has identified.
            document: Kind of document by which; its number is nobody's business here.
            why: The officer, legal basis and case; the purpose is always ``subject-view``.
            limit: At most this many looks, 1 to 200.
            before: Only looks that began below this place: ``next_before`` of the page before.

        Raises:
            InvalidInput: ``identity-document``, ``looks-limit``.
            NodeError: The log did not take the event; nothing is shown.
        """
        if document not in DOCUMENTS:
            raise InvalidInput(
                "identity-document", f"unknown kind of document: want one of {', '.join(DOCUMENTS)}"
            )
        if not 0 < limit <= MOST_LOOKS:
            raise InvalidInput("looks-limit", f"{limit} looks at once, want 1 to {MOST_LOOKS}")
        groups = list(islice(self._group(subject, before), limit + 1))
        chosen = groups[:limit]
        parts = [part for group in chosen for part in group]
        releases = self._plan_records(parts)
        logged = self._access.log(
            EventDraft(
                kind=KIND,
                subject=encode_subject(subject),
                officer=Officer(why.officer),
                purpose=PURPOSE,
                basis=why.basis,
                case=why.case,
                rule=f"identified-by-{document}",
                releases=list(releases.values()),
                events=[part.place for part in parts],
            )
        )
        records = {
            place: self._vault.open(logged.look, release.index).presentation
            for place, release in releases.items()
        }
        looks = tuple(
            ShownLook(
                group[0].event.rid, tuple(self._show(part, subject, logged.look, records) for part in group)
            )
            for group in chosen
        )
        file = ReceiptFile(logged.receipt, logged.event.decode(), select_openings(logged.openings))
        return ShownLooks(
            looks,
            chosen[-1][0].place if len(groups) > limit else None,
            logged,
            encode_receipt_file(file),
            f"{leaf_hash(logged.event).hex()[:16]}.receipt.json",
        )

    def _group(self, subject: AskedSubject, before: int | None) -> Iterator[list[_Part]]:
        """Put the events of each look together, oldest first; the newest look first."""
        found, now = self._index.find(self._reads, subject), self._clock.now_seconds()
        by_rid: defaultdict[bytes, list[int]] = defaultdict(list)
        for place in sorted(found):
            by_rid[found[place].rid].append(place)
        looks: dict[bytes, dict[int, list[_Part]]] = {}
        for place in sorted(found, reverse=True):
            if before is not None and place >= before:
                continue
            rid = found[place].rid
            if rid not in looks:
                parts = [self._load(each, found[each]) for each in by_rid[rid]]
                shown = [part for part in parts if not is_still_sealed(part.event, now)]
                looks[rid] = _split(shown, self._is_answer)
            if place in looks[rid]:
                yield looks[rid][place]

    def _is_answer(self, part: _Part) -> bool:
        """Tell whether an event is what this node answered to another member, rather than its own question or the end of it."""
        if part.event.kind == SEALED:
            return find_part(self._reads, part.place) == GRANT
        return part.event.req is not None and part.event.kind != RECEIVE

    def _load(self, place: int, found: FoundEvent) -> _Part:
        reader, index = self._events.locate(place)
        entry = reader.entry(reader.row(index))
        return _Part(place, reader, index, entry, parse_event(entry), found)

    def _plan_records(self, parts: Sequence[_Part]) -> dict[int, Release]:
        """Name the one field of records that proves whose they are; an erased record proves nothing any more."""
        releases: dict[int, Release] = {}
        for part in parts:
            for record in part.found.records[:1]:
                if record not in releases:
                    try:
                        releases[record] = self._vault.plan_release(EntryIndex(record), (SUBJECT,))
                    except NotFound:
                        continue
        return releases

    def _show(self, part: _Part, subject: AskedSubject, look: Look, records: Mapping[int, str]) -> ShownPart:
        whole, lines = self._vault.open_whole(look, part.place)
        openings = select_openings(whole)
        values = verify_openings(part.event, openings)
        line = _find_line(lines, subject)
        if line is not None:
            values |= {"subject": encode_subject(subject), "released": parse_line(line.text).released}
        reader, index = self._events.proven(part.place)
        record = next((records[place] for place in part.found.records if place in records), None)
        return ShownPart(
            kind=part.event.kind,
            place=part.place,
            origin=part.reader.origin,
            index=part.index,
            at_ms=part.event.t_ms,
            n=part.event.n,
            is_own=verify_openings(part.event, whole)[CONCEALED] is not None,
            values=values,
            stage=reader.stage(index),
            name=name_look_file(part.entry),
            file=self._prove(reader, index, LookFile(part.entry.decode(), openings, "", None, record, line)),
        )

    def _prove(self, reader: LogReader, index: EntryIndex, file: LookFile) -> bytes | None:
        """Put inclusion and anchor to the file of an event; None while no signed checkpoint covers it."""
        stored, anchor = reader.first_anchor_over(index), None
        if stored is not None:
            size = stored.anchor.size
            anchor = build_reference(
                stored.anchor,
                origin=reader.origin,
                chain_id=self._chain_id,
                contract=self._contract,
                tx=stored.transaction,
            )
        elif (covering := reader.first_checkpoint_over(index)) is not None:
            size = covering[0]
        else:
            return None
        return encode_look_file(replace(file, inclusion=reader.tlog_proof(index, size), anchor=anchor))


def _split(parts: Sequence[_Part], is_answer: Callable[[_Part], bool]) -> dict[int, list[_Part]]:
    """Tell looks apart that share an id, by the place of their first event: others choose the ids of what they ask.

    Whoever asks could otherwise put his look behind another one: behind one that is sealed, or one of this department.
    """
    looks: defaultdict[tuple[bool, int], list[_Part]] = defaultdict(list)
    for part in parts:
        looks[part.event.kind == SEALED, part.place if is_answer(part) else _OWN].append(part)
    return {look[0].place: look for look in looks.values()}


def _find_line(lines: Sequence[str], subject: AskedSubject) -> LinePart | None:
    """Find the line about a subject, with its path; None in events without lines."""
    for k, text in enumerate(lines):
        if parse_line(text).subject == subject:
            return LinePart(text, k, tuple(hash_lines(lines).path(k)))
    return None

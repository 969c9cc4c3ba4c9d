# SPDX-License-Identifier: Apache-2.0
"""Walk through one access log from its first entry to its newest checkpoint, and look at each entry once.

    1. leaf hashes, and with them the tree: only its right edge is held
    2. at the size of every anchor and of every checkpoint: is the root of the entries the one that was promised?
    3. each entry: its form, its time against the chain's, its openings against its digests
    4. each interval between two anchors: a heartbeat, counters that do not go back, a size that is padded
    5. events with another side go on to be paired (node.cage.pairing)

What the node gives is untrusted until an anchored root covers it; a log whose entries have another root than the
chain is walked to its end all the same, for what its checkpoint signs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from node.access.event import Heartbeat
from node.cage.findings import Place
from node.cage.lines import EXCHANGED, NUMBERED, Line, parse_line
from node.cage.opened import AGREED, NOTHING, mark_set, read_openings
from node.cage.rows import ELSEWHERE, KINDS, NOT_OPENED, OPENED, pack_row
from node.cage.unwraps import UnwrapCount
from node.errors import InvalidInput, Verification
from node.log.interval import CLAIM_TOLERANCE_SECONDS
from node.log.merkle import HASH_BYTES
from node.log.succession import check_succession, parse_succession

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from node.access.unsealed import OpenedBox
    from node.cage.auditedlog import AuditedLog
    from node.cage.findings import Findings
    from node.cage.opened import Opened
    from node.cage.rows import Buckets
    from node.log.anchor import Anchor
    from node.log.checkpoint import Checkpoint
    from node.log.interval import Interval

STEP: Final = 16
"""Access logs are padded to a multiple of this at each anchor (protocol section 6)."""

_RELEASES: Final = frozenset({"grant", "read", "export"})
_KIND: Final = {kind: number for number, kind in enumerate(KINDS)}
_RARE: Final = frozenset({"sealed", "bulk"})
_MS: Final = 1_000
_FAR: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers that the network agreed on, and the moment of the audit.

    Attributes:
        period_seconds: Between two anchors.
        anchor_limit_seconds: Age of the last anchor past which nothing is released.
        now_seconds: Time of the chain's newest block.
        caps: Most lines of a question under a purpose that one officer may ask by himself, by the purpose's mark
            (node.cage.opened.mark_text); empty where the auditor brought no purposes.
    """

    period_seconds: int = 300
    anchor_limit_seconds: int = 4 * 3600
    now_seconds: int = 0
    caps: Mapping[bytes, int] = field(default_factory=dict)


class Beat(NamedTuple):
    """A heartbeat: where it stands, and the time that it claims."""

    at: int
    t_ms: int


class Statement(NamedTuple):
    """What a regulator signed that a box held, verified; and its text."""

    opened: OpenedBox
    token: str


def by_box(statements: Iterable[Statement]) -> dict[bytes, list[Statement]]:
    """Put statements in order by the SHA-256 of their box: of one box several may speak, and not all of them may."""
    found: dict[bytes, list[Statement]] = {}
    for statement in statements:
        found.setdefault(statement.opened.box, []).append(statement)
    return found


@dataclass(slots=True)
class Promise:
    """A receipt's claim: leaf at an index. ``number`` names the receipt."""

    index: int
    leaf: bytes
    number: int


class Walk:
    """Walks one log.

    Args:
        log: The log.
        signed: Checkpoints of it whose signatures hold; the largest says how far it goes.
        promises: What receipts say of it, by ascending index.
        members: Number of each member in the audit, by USCC.
        rules: Of the network.
        buckets: Where events go to be paired.
        findings: Where findings go.
        opened: What regulators signed that boxes held, by their SHA-256.
    """

    def __init__(
        self,
        log: AuditedLog,
        signed: Sequence[Checkpoint],
        promises: Iterator[Promise],
        members: Mapping[str, int],
        rules: Rules,
        buckets: Buckets,
        findings: Findings,
        opened: Mapping[bytes, Sequence[Statement]] | None = None,
    ) -> None:
        self._opened = opened or {}
        self._log = log
        self._members = members
        self._rules = rules
        self._buckets = buckets
        self._findings = findings
        self._promises = promises
        self._promise = next(promises, None)
        self._signed = sorted(signed, key=lambda checkpoint: checkpoint.size)
        self._next_signed = 0
        self._next_anchor = 0
        self._beats_in_interval = 0
        self._beat: Beat | None = None
        self._unwraps: int | None = None
        self._counted = UnwrapCount()
        self.broken_promises: list[Promise] = []
        self.differing: list[Checkpoint] = []
        self._enter_interval()

    def take(self, entries: Sequence[bytes], openings: Sequence[Sequence[str]] | None) -> None:
        """Take the next entries of the log.

        Args:
            entries: Their bytes, untrusted.
            openings: Of each entry what was opened, nothing for none; None when none were asked for.
        """
        log = self._log
        start = 0
        while start < len(entries):
            stop = min(len(entries), start + self._next_stop() - log.size)
            part = entries[start:stop]
            leaves = b"".join([sha256(b"\x00" + entry).digest() for entry in part])
            log.tiles.extend(leaves)
            self._check_promises(leaves)
            self._take_part(part, None if openings is None else openings[start:stop])
            log.size += len(part)
            start = stop
            self._check_roots()

    def take_alone(
        self, index: int, entry: bytes, opened: Sequence[str], interval: Interval | None, since: Beat | None
    ) -> None:
        """Take one entry out of its order, for the few of a finding's file; the tree stays as it is.

        Args:
            index: Where it stands.
            entry: Its bytes.
            opened: What is opened of it.
            interval: By the chain, None while no anchor covers it.
            since: A heartbeat under the anchor before; one of time 0 where nothing shows that an event is too early, None where
                the interval alone does.
        """
        if interval is not None:
            self._set_interval(interval.start_time, interval.end_time)
            self._note_beat(since)
        self._take_part([entry], [opened])
        self._log.size = index + 1

    def finish(self) -> None:
        """Look at what only shows at the end."""
        log, rules = self._log, self._rules
        if log.anchors and log.is_open:
            last = log.anchors[-1]
            self._check_silence(last.i, rules.now_seconds - last.time)
        if log.partial is None and log.size < log.anchored:
            self._add("entries-withheld", size=log.anchored, given=log.size)
        self._findings.remark("not-anchored", log.origin, max(0, log.size - log.anchored))
        while self._promise is not None:
            self.broken_promises.append(self._promise)
            self._promise = next(self._promises, None)

    # ---- tree

    def _next_stop(self) -> int:
        anchors, signed = self._log.anchors, self._signed
        stops = [_FAR]
        if self._next_anchor < len(anchors):
            stops.append(anchors[self._next_anchor].size)
        if self._next_signed < len(signed):
            stops.append(signed[self._next_signed].size)
        # What was promised for size 0 or twice for one size is behind us at once.
        return max(min(stops), self._log.size + 1)

    def _check_roots(self) -> None:
        log = self._log
        while self._next_signed < len(self._signed) and self._signed[self._next_signed].size <= log.size:
            checkpoint = self._signed[self._next_signed]
            self._next_signed += 1
            if checkpoint.size == log.size and checkpoint.root != log.tiles.root():
                self.differing.append(checkpoint)
        while self._next_anchor < len(log.anchors) and log.anchors[self._next_anchor].size <= log.size:
            anchor = log.anchors[self._next_anchor]
            self._next_anchor += 1
            self._leave_interval(anchor)
            self._enter_interval()

    def _leave_interval(self, anchor: Anchor) -> None:
        log = self._log
        if log.broken is None and anchor.root != log.tiles.root():
            log.broken = anchor.size
            self._add("root-differs", size=anchor.size)
        if not self._beats_in_interval:
            self._add("heartbeat-missing", i=anchor.i)
        if anchor.size % STEP:
            self._add("size-unpadded", i=anchor.i, size=anchor.size)
        self._check_silence(anchor.i - 1, anchor.time - anchor.prev_time)
        self._beats_in_interval = 0

    def _enter_interval(self) -> None:
        """Set what the entries up to the next anchor are measured by."""
        anchors, at = self._log.anchors, self._next_anchor
        if at < len(anchors):
            self._set_interval(anchors[at].prev_time, anchors[at].time)
        else:
            self._set_interval(anchors[-1].time if anchors else 0, 0)

    def _set_interval(self, start: int, end: int) -> None:
        self._start, self._end = start, end
        # A claim is compared in whole seconds, as node.log.interval does.
        self._earliest_ms = (self._start - CLAIM_TOLERANCE_SECONDS + 1) * _MS
        self._latest_ms = (self._end + CLAIM_TOLERANCE_SECONDS + 1) * _MS - 1 if self._end else _FAR
        if not self._end:
            # Until an anchor covers it, no file could show since when an entry was there.
            self._earliest_ms = 0
        self._note_beat(self._beat)
        if not self._end:
            self._earliest_event_ms = self._earliest_logged = 0
        if self._log.n and self._next_anchor == 0:
            # What the log before had promised is logged again, with its own times; no heartbeat is.
            self._earliest_event_ms = self._earliest_logged = 0
        self._limit_ms = (self._start + self._rules.anchor_limit_seconds + CLAIM_TOLERANCE_SECONDS) * _MS

    def _note_beat(self, beat: Beat | None) -> None:
        """Let events claim a time from the heartbeat on that stands under the last anchor.

        What is logged while an anchor waits for the chain is behind it, and may be older than its block.
        """
        self._since, self._earliest_event_ms, self._earliest_logged = beat, self._earliest_ms, self._start
        if beat is None and self._next_anchor:
            self._earliest_logged = 0  # nothing says since when; that there is no heartbeat is named
        if beat is not None:
            self._earliest_event_ms = min(self._earliest_ms, beat.t_ms - CLAIM_TOLERANCE_SECONDS * _MS)
            self._earliest_logged = max(0, min(self._start, beat.t_ms // _MS - CLAIM_TOLERANCE_SECONDS))

    def _check_silence(self, i: int, seconds: int) -> None:
        if seconds > self._rules.anchor_limit_seconds:
            self._add("unanchored", i=i, seconds=seconds)
        elif seconds > 2 * self._rules.period_seconds:
            self._add("node-silent", i=i, seconds=seconds)

    def _check_promises(self, leaves: bytes) -> None:
        log, promise = self._log, self._promise
        while promise is not None and promise.index < log.size + len(leaves) // HASH_BYTES:
            at = (promise.index - log.size) * HASH_BYTES
            if at < 0 or leaves[at : at + HASH_BYTES] != promise.leaf:
                self.broken_promises.append(promise)
            promise = next(self._promises, None)
        self._promise = promise

    # ---- entries

    def _take_part(self, entries: Sequence[bytes], openings: Sequence[Sequence[str]] | None) -> None:
        index = self._log.size - 1
        if index < 0 and self._log.n and self._take_succession(entries[0]):
            entries, index = entries[1:], 0
        for entry in entries:
            index += 1
            try:
                line = parse_line(entry)
            except InvalidInput as error:
                self._log.numbered.note(index, None)
                self._add("entry-malformed", index, error=error.code)
                continue
            if type(line) is Line:
                self._take_event(index, line, None if openings is None else openings[index - self._log.size])
            elif isinstance(line, Heartbeat):
                self._take_heartbeat(index, line)

    def _take_event(self, index: int, line: Line, texts: Sequence[str] | None) -> None:
        log, kind, t_ms = self._log, line.kind, line.t_ms
        log.events += 1
        self._counted.note_look(kind, line.n)
        opened = NOTHING
        if texts:
            try:
                opened = read_openings(line.digests, texts)
            except (InvalidInput, Verification) as error:
                self._add("opening-differs", index, error=error.code)
        if not self._earliest_event_ms <= t_ms <= self._latest_ms:
            self._note_time(index, t_ms, self._earliest_event_ms, self._since)
        if kind in _RELEASES and t_ms > self._limit_ms and self._start:
            self._add("logged-past-limit", index, kind=kind)
        if opened.attested is False:
            self._findings.remark("not-attested", log.origin)
        if kind in _RARE:
            self._take_rare(index, line, opened, asked=texts is not None)
        # One that names nobody has a receipt for its own department.
        if kind in NUMBERED and (opened.peer or not opened.complete):
            log.numbered.note(index, opened.peer or None)
        # What a regulator holds of an event is no part of a look itself.
        if kind in EXCHANGED and not (line.open_by is not None and line.n == 0):
            if not texts and line.open_by is None:
                self._findings.remark("not-opened", log.origin)
            self._buckets.add(line.rid, self._pack(index, line, opened))

    def _judge_lines(self, index: int, lines: int, opened: Opened) -> None:
        """Name a question about more subjects than its officer may ask about without a second, who is named nowhere."""
        cap = self._rules.caps.get(opened.marks[AGREED.index("purpose")])
        if cap is not None and lines > cap and not opened.seconded:
            self._add("second-missing", index, lines=lines, cap=cap)

    def _take_rare(self, index: int, line: Line, opened: Opened, *, asked: bool) -> None:
        """Take an event of a kind that has rules of its own."""
        if line.open_by is None:
            if not line.req:
                self._judge_lines(index, line.n, opened)
            return
        for statement in self._opened.get(line.box or b"", ()):
            self._judge_box(index, line, statement)
        # What a regulator holds of an event is no part of a look itself.
        if line.n and not opened.complete:
            self._judge_sealed(index, line.open_by, asked=asked)

    def _judge_box(self, index: int, line: Line, statement: Statement) -> None:
        """Hold what its regulator says that a box held against the sealed event; the regulator's own of the box says nothing.

        What is said under another warrant than that of the event is of somebody who is not its regulator.
        """
        if statement.opened.iss == self._log.member:
            return
        if statement.opened.warrant.digest != line.warrant:
            self._findings.remark("opened-elsewhere", self._log.origin)
            return
        try:
            if statement.opened.member != self._log.member:
                raise Verification("sealed-box", "another member deposited the box of the event")
            read_openings(line.digests, statement.opened.openings)
        except (InvalidInput, Verification) as error:
            self._findings.add(
                "sealed-differs",
                self._log.member,
                self._log.origin,
                [Place(self._log.number, index)],
                opened=[statement.token],
                values={"regulator": str(statement.opened.iss), "error": error.code},
            )
        else:
            self._findings.remark("sealed-agrees", self._log.origin)

    def _judge_sealed(self, index: int, open_by: int, *, asked: bool) -> None:
        """Name a sealed event that its node does not open though its day is over, of the openings that were asked for."""
        if open_by + CLAIM_TOLERANCE_SECONDS >= self._rules.now_seconds:
            self._findings.remark("still-sealed", self._log.origin)
        elif not asked or (self._log.n and self._next_anchor == 0):
            # What a successor logs again is opened in the log before.
            self._findings.remark("sealed-unseen", self._log.origin)
        else:
            self._add("sealed-unopened", index)

    def _pack(self, index: int, line: Line, opened: Opened) -> bytes:
        peer = NOT_OPENED
        if opened.peer:
            peer = self._members.get(opened.peer, ELSEWHERE)
        return pack_row(
            line.rid,
            line.req,
            self._log.number,
            _KIND[line.kind],
            OPENED if opened is not NOTHING else 0,
            index,
            line.t_ms,
            peer,
            b"".join(opened.marks),
            mark_set(line.set_root) if line.set_root and line.req else opened.released,
            self._earliest_logged,
            self._end,
            -1 if self._since is None else self._since.at,
        )

    def _take_heartbeat(self, index: int, beat: Heartbeat) -> None:
        self._beats_in_interval += 1
        self._log.beats.append(beat.t_ms)
        self._beat = Beat(index, beat.t_ms)
        if not self._earliest_ms <= beat.t_ms <= self._latest_ms:
            self._note_time(index, beat.t_ms, self._earliest_ms, None)
        if self._unwraps is not None and (beat.unwraps is None or beat.unwraps < self._unwraps):
            after = "null" if beat.unwraps is None else beat.unwraps
            self._add("counter-back", index, before=self._unwraps, after=after)
        self._unwraps = beat.unwraps
        unexplained, is_too_many = self._counted.compare(beat.t_ms, beat.unwraps)
        if is_too_many:
            self._add("unwraps-unexplained", index, count=unexplained)
        elif unexplained:
            self._findings.remark("unwraps-let-pass", self._log.origin, unexplained)

    def _take_succession(self, entry: bytes) -> bool:
        """Take the first entry of a successor; False where it is not the statement with which every successor begins."""
        try:
            succession = parse_succession(entry)
            check_succession(succession, self._log.origin)
        except InvalidInput as error:
            self._add("succession-unplanned", 0, reason=error.code)
            return False
        if succession.planned:
            self._findings.remark("succession-planned", self._log.origin)
        else:
            self._add("succession-unplanned", 0, reason=succession.reason)
        return True

    def _note_time(self, index: int, t_ms: int, earliest_ms: int, since: Beat | None) -> None:
        """Name an entry whose time is none of its interval; with the heartbeat by which it is too early, where there is one."""
        outside = max(earliest_ms - t_ms, t_ms - self._latest_ms)
        places = [Place(self._log.number, index)]
        if t_ms < earliest_ms and since is not None:
            places.append(Place(self._log.number, since.at))
        values: dict[str, int | str] = {"seconds": -(-outside // _MS)}
        self._findings.add("time-outside", self._log.member, self._log.origin, places, values=values)

    def _add(self, code: str, index: int | None = None, **values: int | str) -> None:
        places = () if index is None else (Place(self._log.number, index),)
        self._findings.add(code, self._log.member, self._log.origin, places, values=values)

# SPDX-License-Identifier: Apache-2.0
"""An audit of the access logs of several members, from their nodes, the chain, and receipts (docs/audit.md).

    1. every log, one after the other: newest checkpoint, entries to its end, openings (node.cage.walk)
    2. every request: the events of both sides (node.cage.pairing)
    3. every receipt: is what it promises there? (node.cage.promises)
    4. for every finding that is listed, the file that proves it (node.cage.proof, node.log.fork)

A node that is away makes the audit partial and stops nothing: what it gave is judged as far as it goes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from node.access.event import parse_event
from node.cage.auditedlog import AuditedLog, Tiles
from node.cage.findings import Findings, Place
from node.cage.numbering import Numbering
from node.cage.pairing import Pairing
from node.cage.promises import BlockTimes, Receipts
from node.cage.proof import FILE_SUFFIX, FindingFile, ShownEntry, encode_finding
from node.cage.rows import BUCKETS, Buckets
from node.cage.walk import Promise, Rules, Statement, Walk, by_box
from node.errors import InvalidInput, NodeError, NotFound, Unavailable, Verification
from node.evidence.unsealed import authenticate_under
from node.log import fork
from node.log.checkpoint import parse_origin, verify_checkpoint
from node.log.merkle import leaf_hash
from node.log.proof import TlogProof, encode_tlog_proof
from node.log.tree import TileCache, build_inclusion_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from node.cage.findings import Finding
    from node.cage.rows import Scratch
    from node.core.types import LeafHash
    from node.evidence.policy import Policy
    from node.log.anchor import Anchor
    from node.log.checkpoint import Checkpoint

_SHOWN_ENTRIES: Final = 16
"""Entries in one proof; a request has three, and whoever repeats one a thousand times is shown with these."""
_REMEMBERED: Final = 64
_MISSING: Final = frozenset({"answer-missing", "ask-missing", "receive-missing", "part-missing"})


class LogSource(Protocol):
    """A log as its node gives it; all of it untrusted. Raises ``Unavailable`` while the node is away."""

    @property
    def origin(self) -> str:
        """Name of the log."""
        ...

    def fetch_checkpoint(self) -> str:
        """Fetch the newest signed checkpoint.

        Raises:
            NotFound: The log has published none.
        """
        ...

    def fetch_entries(self, start: int, stop: int) -> list[bytes]:
        """Fetch entries ``start`` to ``stop`` - 1, of one bundle.

        Raises:
            NotFound, AccessDenied: The node does not give them.
            InvalidInput: What it gives is no bundle.
        """
        ...

    def fetch_openings(self, start: int, stop: int) -> list[list[str]] | None:
        """Fetch the openings of these entries, an empty list for what has none; None when they are not to be had."""
        ...


class AuditChain(BlockTimes, Protocol):
    """What an audit asks the chain."""

    def anchors(self, origin: str) -> Sequence[Anchor]:
        """Give all anchors of a log, oldest first, each following the one before."""
        ...


@dataclass(slots=True)
class Given:
    """What an auditor brings along beside his policy.

    Attributes:
        receipts: Compact JWS that members hold from each other.
        notes: Signed checkpoints that others hold.
        complete: Whether ``sources`` are the logs of every member there is.
        held: Receipts as the nodes themselves show what they hold, which may be some of them.
        opened: What regulators signed that boxes held, JWT.
    """

    receipts: Iterable[str] = ()
    notes: Sequence[str] = ()
    complete: bool = False
    held: Iterable[str] = ()
    opened: Iterable[str] = ()


@dataclass(slots=True)
class Report:
    """What an audit found.

    Attributes:
        logs: What was read.
        findings: What does not fit, and remarks.
        receipts: How many receipts were given.
    """

    logs: list[AuditedLog]
    findings: Findings
    receipts: int

    @property
    def partial(self) -> bool:
        """Whether a log could not be read to its end."""
        return any(log.partial for log in self.logs)

    def to_json(self) -> dict[str, Any]:
        """Give it as the JSON report has it."""
        return {
            "v": 1,
            "partial": self.partial,
            "logs": [
                {
                    "member": log.member,
                    "log": log.origin,
                    "entries": log.size,
                    "events": log.events,
                    "anchored": log.anchored,
                    "anchors": len(log.anchors),
                    "partial": log.partial,
                }
                for log in self.logs
            ],
            "receipts": self.receipts,
            "findings": [finding.to_json() for finding in self.findings.listed],
            "counts": [
                {"code": code, "log": origin, "count": count}
                for (code, origin), count in sorted(self.findings.counts.items())
            ],
            "remarks": [
                {"code": code, "log": origin, "count": count}
                for (code, origin), count in sorted(self.findings.remarks.items())
            ],
        }


@dataclass(slots=True)
class _Reading:
    """A log while it is audited: where it comes from and what was signed of it."""

    source: LogSource
    log: AuditedLog
    note: str | None = None
    signed: Checkpoint | None = None
    notes: list[tuple[Checkpoint, str]] = field(default_factory=list)
    broken: list[Promise] = field(default_factory=list)


class Audit:
    """One audit.

    Args:
        sources: The logs.
        chain: Where they are anchored.
        policy: The auditor's own: whose keys are believed.
        rules: What the network agreed on, and the time of the chain's newest block.
        scratch: Room outside memory.
        given: Receipts and checkpoints of others.
        tell: Told the origin of a log, or a step, and how many of how many are done.
    """

    def __init__(
        self,
        sources: Sequence[LogSource],
        chain: AuditChain,
        policy: Policy,
        rules: Rules,
        scratch: Scratch,
        given: Given,
        tell: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
    ) -> None:
        self._chain = chain
        self._policy = policy
        self._rules = rules
        self._scratch = scratch
        self._given = given
        self._tell = tell
        self._vkeys = [key for log in policy.logs for key in (log.ed25519, log.ml_dsa_44)]
        self._findings = Findings()
        self._opened: dict[bytes, list[Statement]] = {}
        self._buckets = Buckets(scratch)
        self._receipts = Receipts(scratch, policy)
        members = dict.fromkeys(parse_origin(source.origin).member for source in sources)
        self._members: dict[str, int] = {str(member): number for number, member in enumerate(members)}
        newest = {
            parse_origin(source.origin).member: source.origin
            for source in sorted(sources, key=lambda source: parse_origin(source.origin).n)
        }
        self._newest: dict[str, str] = {str(member): origin for member, origin in newest.items()}
        self._readings = [self._open(number, source) for number, source in enumerate(sources)]

    def run(self) -> Report:
        """Audit.

        Raises:
            Unavailable: The chain gives no answer; without it nothing is proven.
            InvalidInput, Verification: A receipt, checkpoint or statement that the auditor brought is malformed, or not signed.
        """
        tokens = dict.fromkeys(self._given.opened)
        self._opened = by_box(Statement(authenticate_under(token, self._policy), token) for token in tokens)
        self._receipts.load(self._given.receipts)
        self._receipts.load_held(self._given.held)
        for note in self._given.notes:
            self._take_note(note)
        for reading in self._readings:
            self._read(reading)
        logs = [reading.log for reading in self._readings]
        pairing = Pairing(logs, self._members, self._findings, complete=self._given.complete)
        for number in range(BUCKETS):
            for rows in self._buckets.requests(number):
                pairing.judge(rows)
            self._tell("pairing", number + 1, BUCKETS)
        for reading in self._readings:
            covered = max(reading.log.anchored, reading.signed.size if reading.signed else 0)
            later = [log for log in logs if log.member == reading.log.member and log.n > reading.log.n]
            self._receipts.judge_log(reading.log, reading.broken, covered, later, self._chain, self._findings)
        self._receipts.judge_numbers(logs, self._findings)
        self._receipts.remark_elsewhere({log.origin for log in logs}, self._findings)
        _Proofs(self._readings, self._receipts, self._findings).build()
        return Report(logs, self._findings, len(self._receipts))

    def _open(self, number: int, source: LogSource) -> _Reading:
        origin = parse_origin(source.origin)
        log = AuditedLog(
            number,
            origin.member,
            source.origin,
            origin.n,
            self._newest[origin.member] == source.origin,
            self._chain.anchors(source.origin),
            Tiles(self._scratch, f"leaves-{number}"),
            Numbering(self._scratch, f"numbered-{number}"),
        )
        return _Reading(source, log)

    def _take_note(self, note: str) -> None:
        verified = verify_checkpoint(note, self._vkeys).checkpoint
        for reading in self._readings:
            if reading.log.origin == verified.origin:
                reading.notes.append((verified, note))

    # ---- reading a log

    def _read(self, reading: _Reading) -> None:
        log = reading.log
        try:
            self._read_checkpoint(reading)
        except Unavailable as error:
            log.partial = error.code
        signed = [checkpoint for checkpoint, _ in reading.notes]
        promises = self._receipts.promises(log.origin)
        walk = Walk(
            log, signed, promises, self._members, self._rules, self._buckets, self._findings, self._opened
        )
        try:
            self._walk(reading, walk, reading.signed.size if reading.signed else 0)
        except NodeError as error:
            log.partial = error.code
        walk.finish()
        reading.broken = walk.broken_promises
        if log.broken is None:
            for checkpoint in walk.differing:
                self._note_differing(reading, checkpoint)

    def _walk(self, reading: _Reading, walk: Walk, size: int) -> None:
        log, source = reading.log, reading.source
        while log.partial is None and log.size < size:
            stop = min(size, (log.size // 256 + 1) * 256)
            try:
                entries = source.fetch_entries(log.size, stop)
            except NotFound:
                return  # named by the walk, when the chain has more
            if len(entries) != stop - log.size:
                raise InvalidInput("bundle-form", "a bundle holds another number of entries than was asked")
            walk.take(entries, source.fetch_openings(log.size, stop))
            self._tell(log.origin, log.size, size)

    def _read_checkpoint(self, reading: _Reading) -> None:
        try:
            note = reading.source.fetch_checkpoint()
            checkpoint = verify_checkpoint(note, self._vkeys).checkpoint
            if checkpoint.origin != reading.log.origin:
                raise Verification("checkpoint-unknown-log", "the checkpoint is of another log")
        except NotFound:
            return
        except (InvalidInput, Verification) as error:
            reading.log.partial = error.code
            self._findings.add(
                "checkpoint-invalid", reading.log.member, reading.log.origin, values={"error": error.code}
            )
            return
        reading.note, reading.signed = note, checkpoint
        reading.notes.append((checkpoint, note))

    def _note_differing(self, reading: _Reading, checkpoint: Checkpoint) -> None:
        """A checkpoint is signed over another root than the entries have, which the chain or another one covers."""
        log = reading.log
        note = next(text for known, text in reading.notes if known == checkpoint)
        if note == reading.note or reading.signed is None or reading.note is None:
            self._findings.add(
                "checkpoint-differs", log.member, log.origin, notes=[note], values={"size": checkpoint.size}
            )
            return
        self._findings.add(
            "fork",
            log.member,
            log.origin,
            notes=[note, reading.note],
            values={"size_a": checkpoint.size, "size_b": reading.signed.size},
        )


class _Proofs:
    """Builds the files that prove findings, once everything was read."""

    def __init__(self, readings: Sequence[_Reading], receipts: Receipts, findings: Findings) -> None:
        self._readings = readings
        self._by_origin = {reading.log.origin: reading for reading in readings}
        self._receipts = receipts
        self._findings = findings
        self._shown: dict[Place, ShownEntry | None] = {}
        self._trees: dict[int, TileCache] = {}

    def build(self) -> None:
        """Build them."""
        self._attach_receipts()
        for number, finding in enumerate(self._findings.listed, start=1):
            reading = self._by_origin[finding.origin]
            contradiction = self._build_fork(finding, reading)
            if contradiction is not None:
                finding.proof = fork.encode_fork(contradiction)
                finding.file = f"{number:04}-{finding.code}{fork.FILE_SUFFIX}"
            else:
                finding.proof = encode_finding(self._build_file(finding, reading))
                finding.file = f"{number:04}-{finding.code}{FILE_SUFFIX}"

    def _attach_receipts(self) -> None:
        """Give findings about something missing the receipts of their request: they promise what is not there."""
        wanted: dict[bytes, list[Finding]] = defaultdict(list)
        for finding in self._findings.listed:
            if finding.code in _MISSING:
                shown = self._show(finding.entries[0])
                if shown is not None:
                    wanted[parse_event(shown.entry).rid].append(finding)
        for rid, tokens in self._receipts.of_requests(set(wanted)).items():
            for finding in wanted[rid]:
                finding.receipts = tuple(tokens[:_SHOWN_ENTRIES])

    def _build_fork(self, finding: Finding, reading: _Reading) -> fork.ForkProof | None:
        try:
            if finding.code == "fork":
                tiles = self._tree(reading)
                return fork.build_fork(finding.notes[0], finding.notes[1], None, tiles)
            if finding.code == "receipt-twice":
                return fork.ForkProof(fork.Form.RECEIPTS, finding.receipts[0], finding.receipts[1])
            if finding.code == "receipt-not-honoured" and reading.note and reading.signed:
                index = int(finding.values["index"])
                if index < reading.signed.size == reading.log.size:
                    path = build_inclusion_path(self._tree(reading), index, reading.log.size)
                    side = fork.LeafProof(_leaf(reading, index), tuple(path))
                    return fork.ForkProof(fork.Form.RECEIPT, reading.note, finding.receipts[0], index, side)
        except (Verification, InvalidInput):
            pass  # not of a form that convicts by itself: the file below holds what there is
        return None

    def _build_file(self, finding: Finding, reading: _Reading) -> FindingFile:
        shown = [self._show(place) for place in finding.entries[:_SHOWN_ENTRIES]]
        notes = dict.fromkeys(finding.notes)
        if reading.note is not None:
            notes[reading.note] = None
        other = next((each for each in self._readings if each.log.member == finding.member), reading)
        if other.note is not None:
            notes[other.note] = None
        anchors = reading.log.anchors
        i = finding.values.get("i")
        wanted = [anchor for anchor in anchors if isinstance(i, int) and i <= anchor.i <= i + 1]
        if finding.code in {"root-differs", "entries-withheld"}:
            wanted = [anchor for anchor in anchors if anchor.size == finding.values["size"]]
        return FindingFile(
            finding.code,
            finding.member,
            finding.origin,
            tuple(entry for entry in shown if entry is not None),
            tuple(wanted),
            finding.receipts,
            tuple(notes),
            finding.opened,
        )

    def _show(self, place: Place) -> ShownEntry | None:
        """Fetch an entry again and prove its place; None when its node is away by now or gives another."""
        if place not in self._shown:
            if len(self._shown) >= _REMEMBERED:
                self._shown.clear()
            try:
                self._shown[place] = self._prove(self._readings[place.log], place.at)
            except NodeError:
                self._shown[place] = None
        return self._shown[place]

    def _prove(self, reading: _Reading, index: int) -> ShownEntry | None:
        log = reading.log
        if reading.signed is None or reading.note is None or reading.signed.size != log.size:
            return None
        start = index // 256 * 256
        stop = min(start + 256, log.size)
        entry = reading.source.fetch_entries(start, stop)[index - start]
        if leaf_hash(entry) != _leaf(reading, index):
            return None
        openings = reading.source.fetch_openings(index, index + 1)
        tree = self._tree(reading)
        path = build_inclusion_path(tree, index, log.size)
        inclusion = encode_tlog_proof(TlogProof(index, tuple(path), reading.note))
        anchor = log.find_cover(index)
        if anchor is not None and (anchor.size > log.size or log.broken is not None):
            anchor = None
        return ShownEntry(
            log.origin,
            index,
            entry,
            inclusion,
            tuple(openings[0]) if openings else (),
            anchor,
            tuple(build_inclusion_path(tree, index, anchor.size)) if anchor else (),
        )

    def _tree(self, reading: _Reading) -> TileCache:
        return self._trees.setdefault(reading.log.number, TileCache(reading.log.tiles))


def _leaf(reading: _Reading, index: int) -> LeafHash:
    return reading.log.tiles.leaf(index)

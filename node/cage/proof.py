# SPDX-License-Identifier: Apache-2.0
"""The file that proves a finding offline: the entries that show it, each under the signature of the log it stands in.

    {"v":1,"finding":"terms-differ","member":"<USCC>"|null,"log":"<origin>",
     "entries":[{"log","index","entry":"<base64>","inclusion":"<tlog-proof>","open":["<disclosure>"],
                 "anchor":{…},"anchor_path":["<base64>"]}],
     "anchors":[{…}],"receipts":["<JWS>"],"notes":["<signed checkpoint>"],"opened":["<JWT>"]}

``opened`` is absent where no regulator said what a box held (node.access.unsealed).
``anchor`` is the first over the entry, ``anchors`` are those that the finding is about; both are what the chain has, and
whoever wants to be sure asks it. That something is *not* in a log cannot be shown by a file: for such a finding the file
holds what there is, with the receipts that promise the rest, and the checkpoint up to which the log was read.
Contradictions between two checkpoints or with a receipt are fork proofs (node.log.fork) and not of this form.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.access.event import Heartbeat
from node.access.receipt import parse_receipt
from node.cage.auditedlog import AuditedLog, Tiles
from node.cage.findings import Findings, finding_codes
from node.cage.lines import parse_line
from node.cage.numbering import Numbering
from node.cage.pairing import Pairing
from node.cage.promises import verify_signature
from node.cage.rows import BUCKETS, Buckets
from node.cage.walk import Beat, Rules, Statement, Walk, by_box
from node.core.canonical import check_members, encode_json, parse_json
from node.core.encoding import encode_b64, encode_hex, parse_b64, parse_hex
from node.core.members import check_integer, check_list, check_text
from node.core.types import LeafHash, RootHash
from node.errors import InvalidInput, Verification
from node.evidence.unsealed import authenticate_under
from node.log.anchor import Anchor
from node.log.checkpoint import parse_origin, verify_checkpoint
from node.log.interval import interval_of
from node.log.merkle import leaf_hash, verify_inclusion
from node.log.proof import parse_tlog_proof, verify_tlog_proof

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.evidence.policy import Policy

FILE_SUFFIX: Final = ".finding.json"
MAX_FINDING_BYTES: Final = 8 << 20
MAX_PARTS: Final = 64
_MAX_TEXT: Final = 4 << 20
_ANCHOR: Final = ("i", "prev_size", "prev_block", "prev_time", "size", "block", "time")


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry with what proves its place.

    Attributes:
        log: Origin.
        index: Place.
        entry: Its bytes.
        inclusion: tlog-proof under a signed checkpoint of the log.
        opened: Disclosures, none where none were given.
        anchor: The first anchor over it; None while there is none.
        anchor_path: Its inclusion path under that anchor.
    """

    log: str
    index: int
    entry: bytes
    inclusion: str
    opened: tuple[str, ...] = ()
    anchor: Anchor | None = None
    anchor_path: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class FindingFile:
    """A parsed file. Nothing in it has been verified."""

    code: str
    member: str | None
    log: str
    entries: tuple[ShownEntry, ...] = ()
    anchors: tuple[Anchor, ...] = ()
    receipts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()


def encode_finding(file: FindingFile) -> bytes:
    """Encode as canonical JSON."""
    members: dict[str, Any] = {
        "v": 1,
        "finding": file.code,
        "member": file.member,
        "log": file.log,
        "entries": [_encode_entry(entry) for entry in file.entries],
        "anchors": [_encode_anchor(anchor) for anchor in file.anchors],
        "receipts": list(file.receipts),
        "notes": list(file.notes),
    }
    if file.opened:
        members["opened"] = list(file.opened)
    return encode_json(members)


def parse_finding(data: bytes) -> FindingFile:
    """Parse a file.

    Raises:
        InvalidInput: ``finding-form`` and the codes of JSON, numbers and base64.
    """
    members = check_members(
        parse_json(data, max_bytes=MAX_FINDING_BYTES, max_depth=6, what="finding"),
        "finding",
        required=("v", "finding", "member", "log", "entries", "anchors", "receipts", "notes"),
        optional=("opened",),
    )
    if members["v"] != 1 or type(members["v"]) is not int:
        raise InvalidInput("finding-form", "finding has a version that is not known here: want 1")
    code = check_text(members["finding"], "finding")
    if code not in finding_codes():
        raise InvalidInput("finding-form", "finding has a code that is not known here")
    member = members["member"]
    return FindingFile(
        code,
        None if member is None else check_text(member, "member"),
        check_text(members["log"], "log"),
        tuple(_parse_entry(item) for item in _list(members, "entries")),
        tuple(_parse_anchor(item) for item in _list(members, "anchors")),
        tuple(check_text(item, "receipt") for item in _list(members, "receipts")),
        tuple(check_text(item, "note") for item in _list(members, "notes")),
        tuple(check_text(item, "opened", max_chars=_MAX_TEXT) for item in _list(members, "opened"))
        if "opened" in members
        else (),
    )


def verify_finding(file: FindingFile, policy: Policy) -> bool:
    """Verify what a file shows: every entry, opening, receipt and checkpoint in it is what its signer made.

    Args:
        file: Parsed, untrusted.
        policy: The verifier's own.

    Returns:
        Whether the contradiction follows from the file alone. False for findings about what is missing or about
        anchors: there the chain, or the log up to the checkpoint, has to be looked at.

    Raises:
        InvalidInput: A part is malformed.
        Verification: A signature, path or digest does not hold, or ``finding-differs``: the parts are sound and do
            not show what the file says.
    """
    vkeys = [key for log in policy.logs for key in (log.ed25519, log.ml_dsa_44)]
    for shown in file.entries:
        leaf = leaf_hash(shown.entry)
        proof = parse_tlog_proof(shown.inclusion)
        verified = verify_tlog_proof(proof, leaf, vkeys)
        if verified.checkpoint.origin != shown.log or proof.index != shown.index:
            raise Verification("finding-differs", "an entry's proof is of another log or place than it says")
        if shown.anchor is not None:
            _verify_anchor_path(shown, leaf)
    for token in file.receipts:
        verify_signature(token, parse_receipt(token), policy)
    for note in file.notes:
        verify_checkpoint(note, vkeys)
    statements = [Statement(authenticate_under(token, policy), token) for token in file.opened]
    return _follows(file, statements)


def _verify_anchor_path(shown: ShownEntry, leaf: LeafHash) -> None:
    anchor = shown.anchor
    assert anchor is not None, "the caller looked"
    if not anchor.prev_size <= shown.index < anchor.size:
        raise Verification("anchor-not-first", f"anchor {anchor.i} is not the first over entry {shown.index}")
    verify_inclusion(shown.index, anchor.size, leaf, shown.anchor_path, anchor.root)


# ---- does it follow?

_ALONE: Final = frozenset(
    {
        "event-twice",
        "rid-reused",
        "request-differs",
        "terms-differ",
        "released-differs",
        "peer-differs",
        "order-differs",
        "time-outside",
        "entry-malformed",
        "opening-differs",
        "sealed-differs",
    }
)
"""Findings that entries of the file show by themselves."""


def _follows(file: FindingFile, statements: Sequence[Statement]) -> bool:
    """Judge the entries of the file as an audit would, as if they were all there is."""
    if file.code not in _ALONE:
        return False
    findings = judge_alone(file.entries, statements)
    if file.code not in {code for code, _ in findings.counts}:
        raise Verification("finding-differs", "the entries of the file do not show what it says")
    return True


def judge_alone(entries: Sequence[ShownEntry], statements: Sequence[Statement] = ()) -> Findings:
    """Judge a few entries as if their logs held nothing else.

    Args:
        entries: The entries.
        statements: What regulators signed that boxes held, verified.
    """
    opened = by_box(statements)
    origins = list(dict.fromkeys(shown.log for shown in entries))
    members: dict[str, int] = {}
    for origin in origins:
        members.setdefault(_member_of(origin), len(members))
    scratch, findings = MemoryScratch(), Findings()
    buckets = Buckets(scratch)
    logs = [
        AuditedLog(
            number,
            _member_of(origin),
            origin,
            parse_origin(origin).n,
            False,
            (),
            Tiles(scratch, f"tree-{number}"),
            Numbering(scratch, f"numbered-{number}"),
        )
        for number, origin in enumerate(origins)
    ]
    for shown in entries:
        log = logs[origins.index(shown.log)]
        walk = Walk(log, (), iter(()), members, Rules(), buckets, findings, opened)
        log.size = shown.index
        walk.take_alone(
            shown.index,
            shown.entry,
            shown.opened,
            None if shown.anchor is None else interval_of(shown.anchor),
            _beat_before(shown, entries),
        )
    pairing = Pairing(logs, members, findings, complete=True, settled=True)
    for number in range(BUCKETS):
        for rows in buckets.requests(number):
            pairing.judge(rows)
    return findings


def _beat_before(shown: ShownEntry, entries: Sequence[ShownEntry]) -> Beat | None:
    """Find the newest heartbeat of the file under the anchor before that of an entry; one of time 0 where there is none.

    Before the first anchor of a log there is none, and none that could have waited: None. What a successor logs before its
    first may be what its predecessor had promised, of any age.
    """
    end = 0 if shown.anchor is None else shown.anchor.prev_size
    if shown.anchor is not None and not end and not parse_origin(shown.log).n:
        return None
    newest = Beat(-1, 0)
    for other in entries:
        if other.log == shown.log and newest.at < other.index < end:
            with suppress(InvalidInput):
                line = parse_line(other.entry)
                if isinstance(line, Heartbeat):
                    newest = Beat(other.index, line.t_ms)
    return newest


def _member_of(origin: str) -> str:
    parts = origin.split("/")
    if len(parts) != 4:  # noqa: PLR2004 - domain, member, kind, number
        raise InvalidInput("origin-form", "origin is not <domain>/<member>/<records|access>/<n>")
    return parts[1]


class MemoryScratch:
    """Keeps it in memory after all: for a few entries, and for tests."""

    def __init__(self) -> None:
        self._kept: dict[str, bytearray] = {}

    def append(self, name: str, data: bytes) -> None:
        """Append to what is kept under a name."""
        self._kept.setdefault(name, bytearray()).extend(data)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read as much of it as is there."""
        return bytes(self._kept.get(name, b"")[offset : offset + length])

    def length(self, name: str) -> int:
        """Give how many bytes are kept under a name."""
        return len(self._kept.get(name, b""))


# ---- form


def _encode_entry(shown: ShownEntry) -> dict[str, Any]:
    members: dict[str, Any] = {
        "log": shown.log,
        "index": shown.index,
        "entry": encode_b64(shown.entry),
        "inclusion": shown.inclusion,
        "open": list(shown.opened),
    }
    if shown.anchor is not None:
        members["anchor"] = _encode_anchor(shown.anchor)
        members["anchor_path"] = [encode_b64(item) for item in shown.anchor_path]
    return members


def _encode_anchor(anchor: Anchor) -> dict[str, Any]:
    return {name: getattr(anchor, name) for name in _ANCHOR} | {"root": encode_hex(anchor.root)}


def _parse_entry(value: Any) -> ShownEntry:
    members = check_members(
        value,
        "entry of a finding",
        required=("log", "index", "entry", "inclusion", "open"),
        optional=("anchor", "anchor_path"),
    )
    if ("anchor" in members) != ("anchor_path" in members):
        raise InvalidInput("finding-form", "an entry has one of anchor and anchor_path, want both or none")
    anchored = "anchor" in members
    return ShownEntry(
        check_text(members["log"], "log"),
        check_integer(members["index"], "index"),
        parse_b64(check_text(members["entry"], "entry", max_chars=_MAX_TEXT)),
        check_text(members["inclusion"], "inclusion", max_chars=_MAX_TEXT),
        tuple(check_text(item, "opening", max_chars=_MAX_TEXT) for item in _list(members, "open")),
        _parse_anchor(members["anchor"]) if anchored else None,
        tuple(parse_b64(check_text(item, "hash"), length=32) for item in _list(members, "anchor_path"))
        if anchored
        else (),
    )


def _parse_anchor(value: Any) -> Anchor:
    members = check_members(value, "anchor", required=(*_ANCHOR, "root"))
    numbers = {name: check_integer(members[name], name) for name in _ANCHOR}
    return Anchor(**numbers, root=RootHash(parse_hex(check_text(members["root"], "root"), length=32)))


def _list(members: dict[str, Any], name: str) -> list[Any]:
    return check_list(members[name], name, max_items=MAX_PARTS)

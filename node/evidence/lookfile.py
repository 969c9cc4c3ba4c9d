# SPDX-License-Identifier: Apache-2.0
"""The file of one look, ``*.look.json``: an event of an access log as the subject that it is about takes it home.

    {"v":1,"event":"<bytes>","open":["<disclosure>"],"inclusion":"<tlog-proof>","anchor":{…},
     "record":"<SD-JWT>~…~","line":{"text":"<disclosure>","k":0,"path":["<base64 32 bytes>"]}}

``anchor`` is absent while the chain has none over the event. ``record`` is there where the event names a record by digest
alone: the record, with nothing disclosed but its subject. ``line`` is there for a bulk event: the subject's own line
(docs/subject-view.md, The file of a look).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.access.event import MAX_ENTRY_BYTES, SALTED_NAMES, parse_event, verify_openings
from node.access.opening import MAX_OPENING_BYTES
from node.core.canonical import check_members, encode_json, parse_json
from node.core.encoding import encode_b64, parse_b64
from node.core.members import check_integer, check_list, check_text
from node.errors import InvalidInput
from node.evidence.format import (
    MAX_EVIDENCE_BYTES,
    MAX_PATH_HASHES,
    MAX_PROOF_CHARS,
    MAX_RECORD_CHARS,
    encode_reference,
    parse_reference,
)
from node.log.merkle import leaf_hash

if TYPE_CHECKING:
    from node.evidence.format import AnchorReference

FILE_SUFFIX: Final = ".look.json"
_MAX_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class LinePart:
    """One line of a bulk event: its text, its number from 0, and its path in the tree of the lines."""

    text: str
    k: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LookFile:
    """A parsed file of a look. Nothing in it has been verified.

    Attributes:
        event: The event's bytes.
        openings: Disclosures of its salted names, any of the ten.
        inclusion: tlog-proof of the event under a signed checkpoint.
        anchor: The first anchor that covers it; None while there is none.
        record: Presentation of the record that it names by digest; None where it names its subject itself.
        line: The subject's line; None where the event is no bulk event.
    """

    event: str
    openings: tuple[str, ...]
    inclusion: str
    anchor: AnchorReference | None = None
    record: str | None = None
    line: LinePart | None = None


def parse_look_file(data: bytes) -> LookFile:
    """Parse the file of a look.

    Args:
        data: JSON, untrusted, at most 2 MiB.

    Raises:
        InvalidInput: ``json-…``, ``hex`` and ``anchor-form`` codes, ``look-file`` for another version.
    """
    members = check_members(
        parse_json(data, max_bytes=MAX_EVIDENCE_BYTES, max_depth=_MAX_DEPTH, what="file of a look"),
        "file of a look",
        required=("v", "event", "open", "inclusion"),
        optional=("anchor", "record", "line"),
    )
    if members["v"] != 1 or type(members["v"]) is not int:
        raise InvalidInput("look-file", "file of a look has a version that is not known here: want 1")
    openings = check_list(members["open"], "open", max_items=len(SALTED_NAMES))
    return LookFile(
        event=check_text(members["event"], "event", max_chars=MAX_ENTRY_BYTES),
        openings=tuple(check_text(each, "open", max_chars=2 * MAX_OPENING_BYTES) for each in openings),
        inclusion=check_text(members["inclusion"], "inclusion", max_chars=MAX_PROOF_CHARS),
        anchor=parse_reference(members["anchor"], "anchor") if "anchor" in members else None,
        record=check_text(members["record"], "record", max_chars=MAX_RECORD_CHARS)
        if "record" in members
        else None,
        line=_parse_line(members["line"]) if "line" in members else None,
    )


def encode_look_file(file: LookFile) -> bytes:
    """Encode the file of a look as canonical JSON; absent parts are left out.

    Raises:
        InvalidInput, Verification: What was put together is not what every verifier would read: the openings are not
            of the event, or a part is too large.
    """
    members: dict[str, Any] = {
        "v": 1,
        "event": file.event,
        "open": list(file.openings),
        "inclusion": file.inclusion,
    }
    if file.anchor is not None:
        members["anchor"] = encode_reference(file.anchor)
    if file.record is not None:
        members["record"] = file.record
    if file.line is not None:
        path = [encode_b64(each) for each in file.line.path]
        members["line"] = {"text": file.line.text, "k": file.line.k, "path": path}
    data = encode_json(members)
    parsed = parse_look_file(data)
    verify_openings(parse_event(parsed.event.encode()), parsed.openings)
    return data


def _parse_line(value: Any) -> LinePart:
    members = check_members(value, "line", required=("text", "k", "path"))
    path = check_list(members["path"], "line.path", max_items=MAX_PATH_HASHES)
    return LinePart(
        check_text(members["text"], "line.text", max_chars=2 * MAX_OPENING_BYTES),
        check_integer(members["k"], "line.k"),
        tuple(parse_b64(check_text(each, "line.path", max_chars=44), length=32) for each in path),
    )


def name_look_file(event: bytes) -> str:
    """Name the file of a look: the first 16 hex digits of the event's leaf hash, which says nothing of it."""
    return leaf_hash(event).hex()[:16] + FILE_SUFFIX

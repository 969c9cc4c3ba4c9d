# SPDX-License-Identifier: Apache-2.0
"""Bulk events by the line (protocol §6, §8): one event for many subjects, with a root over one line for each.

Line k is the RFC 9901 disclosure of [salt, "line", {"subject", "released"}]. The tree is RFC 6962 over these texts,
its root stands in the event as ``set`` and the number of lines as ``n``. A subject can be shown its own line with a
path of a few hashes and learns of the others only how many there are; without the salt, a line cannot be guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import shake_256
from typing import TYPE_CHECKING, Any, Final

from node.access.event import SALT_BYTES, SECRET_BYTES
from node.access.opening import MAX_OPENING_BYTES, check_opened
from node.access.question import AskedSubject, encode_subject, parse_subject
from node.core.canonical import check_members, encode_json, parse_json
from node.core.encoding import encode_b64u, parse_b64u
from node.core.types import RootHash
from node.errors import InvalidInput, Verification
from node.log.merkle import leaf_hash, path_of, root_of, verify_inclusion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.access.event import ParsedEvent
    from node.core.types import LeafHash

NAME: Final = "line"
MAX_LINES: Final = 1_000_000
_SALTS_LABEL: Final = b"ironcage/v1/lines\x00"
_MAX_DEPTH: Final = 6
_ITEMS: Final = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bulk event.

    Attributes:
        salt: 18 bytes.
        subject: About whom.
        released: [[SHA-256 of JWT, [digests]]] as in an event; empty when nothing was found, None in the asker's own
            event, before there is an answer.
    """

    salt: bytes
    subject: AskedSubject
    released: list[list[Any]] | None


@dataclass(frozen=True, slots=True)
class LineSet:
    """The lines of one bulk event, hashed.

    Attributes:
        leaves: RFC 6962 leaf hashes of the lines, in order.
        root: ``set`` of the event.
    """

    leaves: tuple[LeafHash, ...]
    root: RootHash

    def path(self, k: int) -> list[bytes]:
        """Build the inclusion path of line k, leaf sibling first.

        Raises:
            InvalidInput: ``leaf-index``.
        """
        return path_of(self.leaves, k)


def line_salts(secret: bytes, count: int) -> list[bytes]:
    """Derive the salts of the lines from the event's secret, as those of its ten names: SHAKE-256, 18 bytes each.

    Args:
        secret: The event's secret, exactly 32 bytes.
        count: Number of lines.

    Raises:
        InvalidInput: ``event-secret``, ``bulk-lines`` unless there are 1 to 1,000,000.
    """
    if len(secret) != SECRET_BYTES:
        raise InvalidInput("event-secret", f"event secret has {len(secret)} bytes, want {SECRET_BYTES}")
    _check_count(count)
    raw = shake_256(_SALTS_LABEL + secret).digest(SALT_BYTES * count)
    return [raw[at : at + SALT_BYTES] for at in range(0, len(raw), SALT_BYTES)]


def encode_line(line: Line) -> str:
    """Encode a line as a disclosure: base64url of the canonical JSON of [salt, "line", {subject, released}].

    Raises:
        InvalidInput: As ``parse_line``.
    """
    value = {"subject": encode_subject(line.subject), "released": line.released}
    text = encode_b64u(encode_json([encode_b64u(line.salt), NAME, value]))
    parse_line(text)
    return text


def parse_line(text: str) -> Line:
    """Parse a line in its one spelling.

    Args:
        text: A disclosure, untrusted.

    Raises:
        InvalidInput: ``bulk-line`` for anything but such an array, ``opening-size``, and the codes of subject and
            ``released``.
    """
    if len(text) > 2 * MAX_OPENING_BYTES:
        raise InvalidInput(
            "opening-size", f"line is too large: want at most {MAX_OPENING_BYTES} bytes of JSON"
        )
    data = parse_b64u(text)
    array = parse_json(data, max_bytes=MAX_OPENING_BYTES, max_depth=_MAX_DEPTH, what="line")
    if type(array) is not list or len(array) != _ITEMS or array[1] != NAME or encode_json(array) != data:
        raise InvalidInput("bulk-line", f'line is not a canonical array of salt, "{NAME}" and what it says')
    members = check_members(array[2], NAME, required=("subject", "released"))
    check_opened("released", members["released"])
    return Line(
        parse_b64u(array[0], length=SALT_BYTES), parse_subject(members["subject"]), members["released"]
    )


def hash_lines(lines: Sequence[str]) -> LineSet:
    """Hash the lines of an event.

    Args:
        lines: From ``encode_line``, in order.

    Raises:
        InvalidInput: ``bulk-lines`` unless there are 1 to 1,000,000.
    """
    _check_count(len(lines))
    leaves = tuple(leaf_hash(line.encode("ascii")) for line in lines)
    return LineSet(leaves, root_of(leaves))


def released_set(root: bytes) -> list[list[Any]]:
    """Give ``released`` of the ``receive`` that ends a bulk question: the provider's lines, named by their root.

    Args:
        root: ``set`` of the provider's event, 32 bytes.
    """
    return [[encode_b64u(root), []]]


def verify_line(event: ParsedEvent, text: str, k: int, path: Sequence[bytes]) -> Line:
    """Verify that a line is line k of a bulk event.

    Args:
        event: An event whose leaf is known to be in the log.
        text: The line, untrusted.
        k: Its number, from 0, untrusted.
        path: Sibling hashes, leaf sibling first, untrusted.

    Raises:
        InvalidInput: As ``parse_line``.
        Verification: ``bulk-kind`` for an event without lines, and the codes of ``verify_inclusion``.
    """
    if event.set_root is None:
        raise Verification("bulk-kind", f"event of kind {event.kind} has no lines")
    line = parse_line(text)
    verify_inclusion(k, event.n, leaf_hash(text.encode("ascii")), path, RootHash(event.set_root))
    return line


def _check_count(count: int) -> None:
    if not 0 < count <= MAX_LINES:
        raise InvalidInput("bulk-lines", f"bulk event has {count} lines, want 1 to {MAX_LINES}")

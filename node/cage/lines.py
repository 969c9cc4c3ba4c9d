# SPDX-License-Identifier: Apache-2.0
"""Read entries of an access log quickly: a million of them in seconds.

One regular expression is the canonical form of the plain events, byte for byte. What it takes is what
``node.access.event.parse_entry`` takes, with the same values; a property test holds the two together. All other
entries (heartbeats, padding, sealed and bulk events, malformed ones) go to that strict reader.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from node.access.event import Heartbeat, Pad, ParsedEvent, parse_entry
from node.core.encoding import MAX_SAFE_INTEGER, encode_b64u

ANSWERS: Final = frozenset({"grant", "deny"})
EXCHANGED: Final = frozenset({"ask", "grant", "deny", "receive", "sealed", "bulk"})
"""Kinds of events that another member's log has its part of."""
NUMBERED: Final = EXCHANGED | {"revoke"}
"""Kinds of events whose receipt is for the other side where they name one, and takes a number for it."""

_DIGEST: Final = rb"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"
_RID: Final = rb"[A-Za-z0-9_-]{21}[AQgw]"
_INTEGER: Final = rb"0|[1-9][0-9]{0,15}"
_EVENT: Final = re.compile(
    rb'\{"_sd":\["(%b(?:","%b){9})"\],"kind":"([a-z]+)","n":(%b),(?:"req":"(%b)",)?"rid":"(%b)","t":(%b),"v":1\}'
    % (_DIGEST, _DIGEST, _INTEGER, _DIGEST, _RID, _INTEGER)
)
_WITH_REQ: Final = {b"grant": "grant", b"deny": "deny", b"receive": "receive"}
_WITHOUT_REQ: Final = {
    b"ask": "ask",
    b"read": "read",
    b"export": "export",
    b"consent": "consent",
    b"revoke": "revoke",
    b"erase": "erase",
    b"audit": "audit",
}


class Line(NamedTuple):
    """An event of an access log.

    Attributes:
        kind: As in the event.
        n: Records or lines.
        rid: 22 base64url characters.
        t_ms: The time that the event claims.
        digests: The ten, 43 base64url characters each.
        req: 43 base64url characters; empty for kinds that have none.
        open_by: Second by which a sealed event must be opened, None for all others.
        set_root: Root over the lines of a bulk event, 43 base64url characters; empty for all others.
        box: SHA-256 of what a sealed event was sealed into, 32 bytes; None for all others.
        warrant: SHA-256 of the warrant of a sealed event, 32 bytes; None for all others.
    """

    kind: str
    n: int
    rid: bytes
    t_ms: int
    digests: list[bytes]
    req: bytes = b""
    open_by: int | None = None
    set_root: bytes = b""
    box: bytes | None = None
    warrant: bytes | None = None


def parse_line(entry: bytes) -> Line | Heartbeat | Pad:
    """Parse an entry, quickly where it is a plain event.

    Raises:
        InvalidInput: As ``parse_entry``.
    """
    match = _EVENT.fullmatch(entry)
    if match is not None:
        sd, kind, n, req, rid, t = match.groups()
        name = _WITHOUT_REQ.get(kind) if req is None else _WITH_REQ.get(kind)
        digests = sd.split(b'","')
        count, t_ms = int(n), int(t)
        if (
            name is not None
            and digests == sorted(set(digests))
            and count <= MAX_SAFE_INTEGER
            and t_ms <= MAX_SAFE_INTEGER
        ):
            return Line(name, count, rid, t_ms, digests, req or b"")
    parsed = parse_entry(entry)
    return to_line(parsed) if isinstance(parsed, ParsedEvent) else parsed


def to_line(event: ParsedEvent) -> Line:
    """Take an event as the strict reader gives it."""
    return Line(
        event.kind,
        event.n,
        encode_b64u(event.rid).encode(),
        event.t_ms,
        [digest.encode() for digest in event.digests],
        encode_b64u(event.req).encode() if event.req is not None else b"",
        event.open_by,
        encode_b64u(event.set_root).encode() if event.set_root is not None else b"",
        event.box,
        event.warrant,
    )

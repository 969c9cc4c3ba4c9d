# SPDX-License-Identifier: Apache-2.0
"""Entries of the access log: events with ten salted names, heartbeats and padding (protocol §6).

An event tells everybody that a look happened, of which kind and when, and nobody what it was about: that
stands behind ten salted digests, always ten, so that not even their number says anything. Who may know opens
some of them with RFC 9901 disclosures, which the node re-makes from the event's secret and values.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256, shake_256
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from node.access.opening import check_opened, parse_opening
from node.core.canonical import check_members, encode_json, read_json
from node.core.encoding import are_digests, check_digest, encode_b64u, parse_b64u
from node.core.members import check_integer, check_list, check_text
from node.core.recent import Recent
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SALTED_NAMES: Final = (
    "peer",
    "subject",
    "officer",
    "purpose",
    "basis",
    "case",
    "items",
    "consent",
    "rule",
    "released",
)
"""The ten names of every event, in the order in which their salts are derived."""

KINDS: Final = (
    "ask",
    "grant",
    "deny",
    "receive",
    "read",
    "export",
    "consent",
    "revoke",
    "erase",
    "audit",
    "sealed",
    "bulk",
)
MAX_ENTRY_BYTES: Final = 65_535
RID_BYTES: Final = 16
SECRET_BYTES: Final = 32
SALT_BYTES: Final = 18
SALT_CHARS: Final = 24

_NAMES: Final = frozenset(SALTED_NAMES)
_SALTS_LABEL: Final = b"ironcage/v1/salts\x00"
_DIGEST_BYTES: Final = 32
_MAX_DEPTH: Final = 4
_ANSWERS: Final = frozenset({"grant", "deny", "receive"})
BULK: Final = "bulk"
REVOKE: Final = "revoke"
_SEALED_MEMBERS: Final = ("box", "open_by", "warrant")
_LOCAL: Final = (("officer", "purpose", "items", "rule", "released"), ("peer",))
_SAYS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "ask": (("peer", "subject", "officer", "purpose", "items"), ("released",)),
    "grant": (("peer", "subject", "purpose", "items", "rule", "released"), ("officer",)),
    "deny": (("peer", "rule"), ("released",)),
    "receive": (("peer",), ()),
    "read": _LOCAL,
    "export": _LOCAL,
    "consent": (("subject", "officer", "purpose", "consent"), ("released",)),
    "revoke": (("consent",), ("released",)),
    "erase": _LOCAL,
    "audit": (("officer", "purpose"), ("peer",)),
    "sealed": (("peer", "purpose", "items"), ()),
    "bulk": (("peer", "purpose", "items"), ("subject", "released")),
}


@dataclass(frozen=True, slots=True)
class Event:
    """A new event: the bytes that go into the log, and its openings in the order of ``SALTED_NAMES``."""

    entry: bytes
    disclosures: list[str]


@dataclass(frozen=True, slots=True)
class ParsedEvent:
    """An event as it stands in a log. ``digests`` are b64u, sorted, exactly ten."""

    kind: str
    t_ms: int
    n: int
    rid: bytes
    digests: tuple[str, ...]
    req: bytes | None = None
    set_root: bytes | None = None
    box: bytes | None = None
    open_by: int | None = None
    warrant: bytes | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A heartbeat: counts since the last one. ``unwraps`` is None where nothing independent counts them."""

    t_ms: int
    rejects: int
    unwraps: int | None


@dataclass(frozen=True, slots=True)
class Pad:
    """An entry that says nothing, so that the log grows in steps."""

    x: bytes


_RECENT: Final[Recent[ParsedEvent | Heartbeat | Pad]] = Recent(128)
"""An entry of a message is read as it is made or taken in, against its receipt, and for its openings."""


def event_salts(secret: bytes) -> list[str]:
    """Derive the salts of an event from its secret, one for each of ``SALTED_NAMES``.

    An event's secret gives salts as a record's does: SHAKE-256 of label, zero byte and secret, 18 bytes each.

    Args:
        secret: The event's secret, exactly 32 bytes.

    Raises:
        InvalidInput: ``event-secret`` for another length.
    """
    if len(secret) != SECRET_BYTES:
        raise InvalidInput("event-secret", f"event secret has {len(secret)} bytes, want {SECRET_BYTES}")
    raw = shake_256(_SALTS_LABEL + secret).digest(SALT_BYTES * len(SALTED_NAMES))
    # 18 bytes are 24 characters, with nothing left over.
    text = encode_b64u(raw)
    return [text[at : at + SALT_CHARS] for at in range(0, len(text), SALT_CHARS)]


def build_openings(salted: Mapping[str, Any], salts: Sequence[str]) -> list[str]:
    """Build the ten disclosures of an event from its values, byte for byte the same each time.

    Args:
        salted: The value of each of ``SALTED_NAMES``, None where absent.
        salts: From ``event_salts``.

    Raises:
        InvalidInput: ``event-names`` unless there are exactly the ten names, or a code of ``check_opened``.
    """
    if salted.keys() != _NAMES or len(salts) != len(SALTED_NAMES):
        raise InvalidInput("event-names", "event does not have exactly its ten salted names and salts")
    disclosures = []
    for name, salt in zip(SALTED_NAMES, salts, strict=True):
        check_opened(name, salted[name])
        disclosures.append(encode_b64u(encode_json([salt, name, salted[name]])))
    return disclosures


def check_said(kind: str, salted: Mapping[str, Any]) -> None:
    """Refuse to log an event that does not say what its kind must, or says what it must not.

    A look must say who looked, why and at what, or nobody can later ask about it.

    Args:
        kind: One of ``KINDS``.
        salted: The value of each of ``SALTED_NAMES``, None where absent.

    Raises:
        InvalidInput: ``event-look``.
    """
    must, must_not = _SAYS.get(kind, ((), ()))
    lacks = [name for name in must if salted[name] is None]
    surplus = [name for name in must_not if salted[name] is not None]
    if kind == REVOKE and salted["officer"] is None and salted["peer"] is None:
        # An officer here did it, or another member says that one of its officers did.
        lacks.append("officer")
    if lacks or surplus:
        raise InvalidInput(
            "event-look", f"{kind} event does not say what it must: lacks {lacks}, must not have {surplus}"
        )


def build_event(
    kind: str,
    t_ms: int,
    rid: bytes,
    n: int,
    req: bytes | None,
    salted: Mapping[str, Any],
    salts: Sequence[str],
    *,
    set_root: bytes | None = None,
    box: bytes | None = None,
    open_by: int | None = None,
    warrant: bytes | None = None,
) -> Event:
    """Build an event.

    Args:
        kind: One of ``KINDS``.
        t_ms: Time in milliseconds since 1970, from this node's clock.
        rid: 16 random bytes, shared by the events of one request only.
        n: Number of records or lines, at least 0.
        req: SHA-256 of the request JWS; grant, deny and receive have one, the bulk event of a provider too, no other has.
        salted: The value of each of ``SALTED_NAMES``, None where absent.
        salts: From ``event_salts``.
        set_root: RFC 6962 root over the lines of a bulk event, 32 bytes.
        box: SHA-256 of a sealed event's ciphertext.
        open_by: Second by which a sealed event must be opened.
        warrant: SHA-256 of a sealed event's warrant.

    Raises:
        InvalidInput: ``event-…`` codes, one for each rule.
    """
    members: dict[str, Any] = {"kind": kind, "n": n, "rid": encode_b64u(rid), "t": t_ms, "v": 1}
    for name, digest in (("req", req), ("set", set_root), ("box", box), ("warrant", warrant)):
        if digest is not None:
            members[name] = encode_b64u(digest)
    if open_by is not None:
        members["open_by"] = open_by
    disclosures = build_openings(salted, salts)
    members["_sd"] = sorted(digest_of(text) for text in disclosures)
    entry = encode_json(members)
    _RECENT.put(entry, _parse_members(members))
    return Event(entry, disclosures)


def build_heartbeat(t_ms: int, *, rejects: int, unwraps: int | None) -> bytes:
    """Build a heartbeat entry.

    Args:
        t_ms: Time in milliseconds since 1970.
        rejects: Requests refused before they were logged, since the last heartbeat.
        unwraps: The unwrap counter of a key process of its own, None where there is none.
    """
    entry = encode_json({"kind": "heartbeat", "rejects": rejects, "t": t_ms, "unwraps": unwraps, "v": 1})
    parse_entry(entry)
    return entry


def build_pad(x: bytes) -> bytes:
    """Build a padding entry from 16 random bytes."""
    entry = encode_json({"kind": "pad", "v": 1, "x": encode_b64u(x)})
    parse_entry(entry)
    return entry


def parse_entry(entry: bytes) -> ParsedEvent | Heartbeat | Pad:
    """Parse an entry of an access log: the one RFC 8785 spelling of an event, a heartbeat or a pad.

    Args:
        entry: The leaf's bytes, untrusted.

    Raises:
        InvalidInput: ``json-…``, ``base64…`` and ``event-…`` codes, one for each rule.
    """
    members, is_canonical = read_json(
        entry, max_bytes=MAX_ENTRY_BYTES, max_depth=_MAX_DEPTH, what="access entry"
    )
    if type(members) is not dict or not (is_canonical or encode_json(members) == entry):
        raise InvalidInput("event-canonical", "access entry is not a canonical JSON object")
    return _parse_members(members)


def _parse_members(members: dict[str, Any]) -> ParsedEvent | Heartbeat | Pad:
    if members.get("v") != 1 or type(members["v"]) is not int:
        raise InvalidInput("event-version", "access entry has a version that is not known here: want 1")
    kind = members.get("kind")
    if kind == "heartbeat":
        return _parse_heartbeat(members)
    if kind == "pad":
        check_members(members, "pad", required=("kind", "v", "x"))
        return Pad(parse_b64u(check_text(members["x"], "x"), length=RID_BYTES))
    if type(kind) is not str or kind not in KINDS:
        raise InvalidInput("event-kind", f"kind of access entry is unknown: want one of {', '.join(KINDS)}")
    return _parse_event(kind, members)


def parse_event(entry: bytes) -> ParsedEvent:
    """Parse an entry that must be an event.

    Raises:
        InvalidInput: As ``parse_entry``; ``event-kind`` for a heartbeat or pad.
    """
    parsed = _RECENT.find(entry)
    if parsed is None:
        parsed = parse_entry(entry)
        _RECENT.put(entry, parsed)
    if not isinstance(parsed, ParsedEvent):
        raise InvalidInput("event-kind", "access entry is a heartbeat or padding, want an event")
    return parsed


def verify_openings(event: ParsedEvent, disclosures: Iterable[str]) -> dict[str, Any]:
    """Verify openings against an event and return the values by name; a value of None was absent.

    Args:
        event: An event whose leaf is known to be in the log.
        disclosures: Openings, untrusted, each at most once.

    Raises:
        InvalidInput: ``opening-…``: an opening is malformed, or its value has not the shape of its name.
        Verification: ``opening-digest`` for one whose digest is not in the event, ``opening-twice`` for a name
            or an opening that stands twice.
    """
    values: dict[str, Any] = {}
    for text in disclosures:
        name, value = parse_opening(text)
        if digest_of(text) not in event.digests:
            raise Verification("opening-digest", "an opening matches no digest of the event")
        if name in values:
            raise Verification("opening-twice", f"{name} is opened twice")
        values[name] = value
    return values


def digest_of(disclosure: str) -> str:
    """Compute the digest under which a disclosure stands in the event (RFC 9901 §4.2.3)."""
    return encode_b64u(sha256(disclosure.encode()).digest())


def _parse_heartbeat(members: dict[str, Any]) -> Heartbeat:
    check_members(members, "heartbeat", required=("kind", "rejects", "t", "unwraps", "v"))
    unwraps = members["unwraps"]
    return Heartbeat(
        check_integer(members["t"], "t"),
        check_integer(members["rejects"], "rejects"),
        None if unwraps is None else check_integer(unwraps, "unwraps"),
    )


def _parse_event(kind: str, members: dict[str, Any]) -> ParsedEvent:
    required = ["_sd", "kind", "n", "rid", "t", "v"]
    optional: tuple[str, ...] = ()
    if kind in _ANSWERS:
        required.append("req")
    elif kind == BULK:
        required.append("set")
        optional = ("req",)  # of the provider, whose event answers a request
    elif kind == "sealed":
        required += _SEALED_MEMBERS
    check_members(members, f"{kind} event", required=required, optional=optional)
    return ParsedEvent(
        kind=kind,
        t_ms=check_integer(members["t"], "t"),
        n=check_integer(members["n"], "n"),
        rid=parse_b64u(check_text(members["rid"], "rid"), length=RID_BYTES),
        digests=_parse_digests(members["_sd"]),
        req=_find_digest(members, "req"),
        set_root=_find_digest(members, "set"),
        box=_find_digest(members, "box"),
        open_by=check_integer(members["open_by"], "open_by") if "open_by" in members else None,
        warrant=_find_digest(members, "warrant"),
    )


def _parse_digests(value: Any) -> tuple[str, ...]:
    digests = check_list(value, "_sd", max_items=len(SALTED_NAMES))
    if not are_digests(digests):
        # One by one it is found out what is wrong.
        for digest in digests:
            check_digest(check_text(digest, "_sd"))
    if len(digests) != len(SALTED_NAMES) or any(a >= b for a, b in pairwise(digests)):
        raise InvalidInput("event-digests", f"_sd is not sorted or not exactly {len(SALTED_NAMES)} digests")
    return tuple(digests)


def _find_digest(members: dict[str, Any], name: str) -> bytes | None:
    if name not in members:
        return None
    return parse_b64u(check_text(members[name], name), length=_DIGEST_BYTES)

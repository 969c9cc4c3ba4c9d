# SPDX-License-Identifier: Apache-2.0
"""What an event of the access log will say, before it is logged: who looks, why, at what, and what may be shown of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from node.access.bulk import Line, encode_line, line_salts
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from node.access.question import AskedSubject
    from node.core.types import EntryIndex

OWN_DEPARTMENT: Final = "own-department"
"""Rule: own staff may look, with a purpose."""
OWN_DEPARTMENT_WITH_BASIS: Final = "own-department-with-basis"
"""Rule: what is not open leaves the department only on a legal basis."""
TWO_SIDED: Final = frozenset({"ask", "grant", "deny", "receive", "sealed", "bulk", "revoke"})
"""Kinds of event that another member is told of: the receipt is for it."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why someone of this department looks.

    Attributes:
        officer: Account name of the person.
        purpose: Text that goes into the access log, e.g. ``own-records``.
        basis: Legal basis or duty, or None.
        case: Case number, or None.
    """

    officer: str
    purpose: str
    basis: str | None = None
    case: str | None = None


@dataclass(frozen=True, slots=True)
class Officer:
    """Who looks.

    Attributes:
        id: Account name.
        idp: Who attests the account; None for a local one.
        auth: b64u SHA-256 of the token or assertion whose nonce is the event's ``rid``; None for a local account.
        second: Who approved it in person, where a bulk question needed that.
    """

    id: str
    idp: str | None = None
    auth: str | None = None
    second: Officer | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the value that stands in an event."""
        value: dict[str, Any] = {"id": self.id, "idp": self.idp, "auth": self.auth}
        if self.second is not None:
            value["second"] = self.second.to_json()
        return value


@dataclass(frozen=True, slots=True)
class Release:
    """What a look may show of one record: its entry, digest and the fields with their digests."""

    index: EntryIndex
    jwt_digest: str
    vct: str
    fields: Mapping[str, str]


class DraftLine(NamedTuple):
    """One line of a bulk event, before it has its salt.

    Attributes:
        subject: About whom.
        released: [[digest of JWT, [digests of disclosures]]]; empty where nothing was found, None in the asker's own event.
    """

    subject: AskedSubject
    released: list[list[Any]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDraft:
    """What an event says, before it is logged. Of the ten salted values whatever is None is absent.

    Attributes:
        kind: One of ``node.access.event.KINDS``.
        peer: USCC of the other side; the receipt is for it where the kind is one of ``TWO_SIDED``.
        subject: {type, id}.
        officer: Who looks.
        purpose: Why.
        basis: Legal basis.
        case: Case number.
        items: [{vct, fields}], as the request has it; by default taken from ``releases``.
        consent: b64u digest of the consent.
        rule: The rule that decided.
        released: [[digest of JWT, [digests of disclosures]]] as another member released it; what this node releases is
            taken from ``releases``.
        releases: What the look will be allowed to open here.
        events: Places of events of this node's access logs whose openings it will be allowed to show.
        n: Records, lines or events that are looked at; by default the number of ``lines``, or of ``releases`` and
            ``events``, at least 1.
        rid: 16 bytes of the request that it belongs to; fresh ones by default.
        req: SHA-256 of the request; grant, deny and receive have one, and the bulk event of a provider.
        lines: Lines of a bulk event.
        box: SHA-256 of a sealed event's ciphertext.
        open_by: Second by which a sealed event must be opened.
        warrant: SHA-256 of its warrant.
        secret: 32 bytes that its salts follow from; fresh ones by default. A sealed event has them before it is logged.
        concerns: Digests (node.service.issuing.subject_digest) of subjects whom it is about and does not name.
        follows: Place of an event of this node: whomever that one is about, this one is, too, and need not name.
    """

    kind: str
    peer: str | None = None
    subject: Mapping[str, str] | None = None
    officer: Officer | None = None
    purpose: str | None = None
    basis: str | None = None
    case: str | None = None
    items: Sequence[Mapping[str, Any]] | None = None
    consent: str | None = None
    rule: str | None = None
    released: Sequence[Sequence[Any]] | None = None
    releases: Sequence[Release] = ()
    events: Sequence[int] = ()
    n: int | None = None
    rid: bytes | None = None
    req: bytes | None = None
    lines: Sequence[DraftLine] = ()
    box: bytes | None = None
    open_by: int | None = None
    warrant: bytes | None = None
    secret: bytes | None = field(default=None, repr=False)
    concerns: Sequence[bytes] = ()
    follows: int | None = None

    def salted(self) -> dict[str, Any]:
        """Give the ten values, None where absent.

        Raises:
            InvalidInput: ``event-released``: both ``released`` and ``releases`` are given.
        """
        items, released = self.items, self.released
        if self.releases and released is not None:
            raise InvalidInput("event-released", "what this node releases is named by its releases alone")
        if self.releases:
            items = list_items(self.releases) if items is None else items
            if not self.lines:
                released = [[each.jwt_digest, sorted(each.fields.values())] for each in self.releases]
        return {
            "peer": self.peer,
            "subject": None if self.subject is None else dict(self.subject),
            "officer": None if self.officer is None else self.officer.to_json(),
            "purpose": self.purpose,
            "basis": self.basis,
            "case": self.case,
            "items": None if items is None else [dict(item) for item in items],
            "consent": self.consent,
            "rule": self.rule,
            "released": None if released is None else [list(pair) for pair in released],
        }


def write_lines(lines: Sequence[DraftLine], secret: bytes) -> tuple[str, ...]:
    """Give the lines of a bulk event the salts that follow from its secret; disclosures, in order.

    Raises:
        InvalidInput: As ``encode_line`` and ``line_salts``.
    """
    if not lines:
        return ()
    salts = line_salts(secret, len(lines))
    return tuple(encode_line(Line(salt, *line)) for salt, line in zip(salts, lines, strict=True))


def list_items(releases: Sequence[Release]) -> list[dict[str, Any]]:
    """Give the items of an event that releases records: each kind of record once, with the fields of any of them."""
    by_item: dict[str, set[str]] = {}
    for release in releases:
        by_item.setdefault(release.vct, set()).update(release.fields)
    return [{"vct": vct, "fields": sorted(fields)} for vct, fields in sorted(by_item.items())]

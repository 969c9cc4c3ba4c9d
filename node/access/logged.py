# SPDX-License-Identifier: Apache-2.0
"""What each side of an exchange shows the other of its own log: event, openings, receipt (protocol §7, §8).

``{"event": "<the entry's bytes as text>", "open": ["<disclosure>"], "receipt": "<JWS>"}``. The receiver learns from it
that the other side stands by the event: its leaf is promised by the receipt, and nine of its ten values are opened,
all but ``officer``, who is known to his own department and to nobody else before an audit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.access.event import MAX_ENTRY_BYTES, SALTED_NAMES, parse_event, verify_openings
from node.access.opening import MAX_OPENING_BYTES
from node.access.receipt import MAX_RECEIPT_BYTES, check_receipt_time, parse_receipt, verify_receipt
from node.core.canonical import check_members
from node.core.members import check_list, check_text
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from node.access.event import ParsedEvent
    from node.access.receipt import Receipt

CONCEALED: Final = "officer"
OPENED_NAMES: Final = tuple(name for name in SALTED_NAMES if name != CONCEALED)
"""The nine names whose openings are given to the other side, in the order of the ten."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event of the sender's access log, as it stands in a message; nothing is verified.

    Attributes:
        event: The entry's bytes.
        open: Disclosures of ``OPENED_NAMES``, in any order.
        receipt: The sender's receipt for it, compact JWS.
    """

    event: bytes
    open: tuple[str, ...]
    receipt: str


@dataclass(frozen=True, slots=True)
class OpenedEvent:
    """A verified event of the other side.

    Attributes:
        event: What stands in the open.
        values: Value by name of ``OPENED_NAMES``, None where absent.
        receipt: The promise that it stands in the log.
    """

    event: ParsedEvent
    values: Mapping[str, Any]
    receipt: Receipt


def select_openings(disclosures: Sequence[str]) -> tuple[str, ...]:
    """Choose, of the ten disclosures in the order of ``SALTED_NAMES``, those that the other side is given.

    Raises:
        InvalidInput: ``event-names`` unless there are ten.
    """
    if len(disclosures) != len(SALTED_NAMES):
        raise InvalidInput("event-names", "event does not have exactly its ten salted names and salts")
    return tuple(text for name, text in zip(SALTED_NAMES, disclosures, strict=True) if name != CONCEALED)


def encode_logged(logged: LoggedEvent) -> dict[str, Any]:
    """Give the member of a message that shows a logged event."""
    return {"event": logged.event.decode(), "open": list(logged.open), "receipt": logged.receipt}


def parse_logged(value: Any, what: str, *, may_lack: int = 0) -> LoggedEvent:
    """Parse the member of a message that shows a logged event; nothing is verified.

    Args:
        value: A parsed JSON value, untrusted.
        what: Name of the member, for messages.
        may_lack: How many of the openings of ``OPENED_NAMES`` may be left out.

    Raises:
        InvalidInput: ``json-…``, ``event-…`` and ``receipt-…`` codes, ``logged-open`` for another number of openings.
    """
    members = check_members(value, what, required=("event", "open", "receipt"))
    event = check_text(members["event"], "event", max_chars=MAX_ENTRY_BYTES).encode()
    parse_event(event)
    openings = check_list(members["open"], "open", max_items=len(SALTED_NAMES))
    if not len(OPENED_NAMES) - may_lack <= len(openings) <= len(OPENED_NAMES):
        raise InvalidInput(
            "logged-open",
            f"{what} has {len(openings)} openings, want {len(OPENED_NAMES)}: all but {CONCEALED}",
        )
    receipt = check_text(members["receipt"], "receipt", max_chars=MAX_RECEIPT_BYTES)
    parse_receipt(receipt)
    return LoggedEvent(
        event,
        tuple(check_text(text, "opening", max_chars=2 * MAX_OPENING_BYTES) for text in openings),
        receipt,
    )


def verify_logged(
    logged: LoggedEvent,
    *,
    public: bytes,
    iss: str,
    aud: str,
    log: str,
    now_seconds: int,
    anchor_limit_seconds: int | None = None,
) -> OpenedEvent:
    """Verify that the other side promises this event, and that it opens all but the officer.

    Args:
        logged: From a message whose signature is verified.
        public: Node key of ``iss``, 32 bytes, from the registry.
        iss: The member whose log it is.
        aud: The member that is told.
        log: Origin of iss's open access log, from the registry.
        now_seconds: This node's clock.
        anchor_limit_seconds: The network's limit; None leaves ``anchor_by`` to the caller.

    Raises:
        InvalidInput: ``opening-…``: an opening is malformed.
        Verification: As ``verify_receipt``; ``receipt-time``, ``opening-digest``, ``opening-twice``; ``logged-open`` when other
            names are opened than ``OPENED_NAMES``.
    """
    receipt = verify_receipt(
        logged.receipt,
        public=public,
        entry=logged.event,
        iss=iss,
        aud=aud,
        log=log,
        anchor_limit_seconds=anchor_limit_seconds,
    )
    event = parse_event(logged.event)
    check_receipt_time(receipt, event, now_seconds=now_seconds)
    values = verify_openings(event, logged.open)
    if values.keys() != set(OPENED_NAMES):
        raise Verification("logged-open", f"other values are opened than all but {CONCEALED}")
    return OpenedEvent(event, values, receipt)

# SPDX-License-Identifier: Apache-2.0
"""What a request brings along of earlier ones: the asker's ``receive`` events toward this provider (protocol §8).

A ``receive`` is logged when a question is over, and there is no message then that its receipt could stand in. It goes with
the next request to that provider: ``received``, an array of ``{"event","open","receipt"}`` like ``ask``. So the provider
holds a promise for each end of a question too, and an asker that takes one out of its log is convicted by it.

All is opened that the provider itself knows, which is all but ``officer``. ``released`` may be left out where it is long:
the provider knows best what it gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from node.access.event import parse_event, verify_openings
from node.access.logged import OPENED_NAMES, OpenedEvent, parse_logged
from node.access.receipt import MAX_SKEW_SECONDS, check_receipt_event_time, read_receipt, verify_receipt
from node.core.members import check_list
from node.errors import InvalidInput, Verification
from node.log.checkpoint import parse_origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.access.logged import LoggedEvent

RECEIVE: Final = "receive"
RELEASED: Final = "released"
MAX_RECEIVED: Final = 16
"""Most ``receive`` events that come with one request."""
MAX_RELEASED_CHARS: Final = 8 * 1024
"""Longest opening of ``released`` that an asker sends along; sixteen of them leave room in a request."""

_WITHOUT_RELEASED: Final = frozenset(OPENED_NAMES) - {RELEASED}


def select_received(openings: tuple[str, ...]) -> tuple[str, ...]:
    """Choose, of the nine openings of ``select_openings``, those that go along: ``released`` unless it is long."""
    *others, released = openings
    return openings if len(released) <= MAX_RELEASED_CHARS else tuple(others)


def parse_received(value: Any) -> tuple[LoggedEvent, ...]:
    """Parse the member ``received`` of a request; nothing is verified.

    Args:
        value: A parsed JSON value, untrusted.

    Raises:
        InvalidInput: As ``parse_logged``; ``received-twice`` when two are of one request.
    """
    shown = tuple(
        parse_logged(each, "received", may_lack=1)
        for each in check_list(value, "received", max_items=MAX_RECEIVED)
    )
    if len({parse_event(each.event).rid for each in shown}) < len(shown):
        raise InvalidInput("received-twice", "two of the events that were received are of one request")
    return shown


def verify_received(
    shown: LoggedEvent,
    *,
    find_key: Callable[[str], bytes],
    iss: str,
    aud: str,
    log: str,
    now_seconds: int,
    anchor_limit_seconds: int | None = None,
) -> OpenedEvent:
    """Verify that the asker promises this end of a question to this provider.

    It may be from long ago: the asker says it when it asks again. Left to the caller, who has the store: what was answered.

    Args:
        shown: From a request whose signature is verified.
        find_key: Returns a node key (32 bytes) that the asker has or had, by ``kid``, or raises.
        iss: The asker.
        aud: This member.
        log: Origin of the asker's open access log, from the registry; an earlier one of the same member will do.
        now_seconds: This node's clock.
        anchor_limit_seconds: The network's limit; None leaves ``anchor_by`` to the caller.

    Raises:
        InvalidInput: ``opening-…``.
        Verification: ``received-event`` when it is no ``receive``, ``received-differs`` when it is of another member's
            answer, ``logged-open``, ``receipt-log`` and ``receipt-time``, the codes of ``verify_receipt``, or what
            ``find_key`` raises.
    """
    jws, receipt = read_receipt(shown.receipt)
    verify_receipt(
        shown.receipt,
        public=find_key(jws.header["kid"]),
        entry=shown.event,
        iss=iss,
        aud=aud,
        log=receipt.log,
        anchor_limit_seconds=anchor_limit_seconds,
    )
    promised, own = parse_origin(receipt.log), parse_origin(log)
    if promised.domain != own.domain or promised.n > own.n:
        raise Verification(
            "receipt-log", f"receipt is of another log: got {receipt.log}, want {log} or one before"
        )
    event = parse_event(shown.event)
    if event.kind != RECEIVE:
        raise Verification("received-event", f"event of kind {event.kind} says of no question how it ended")
    check_receipt_event_time(receipt, event)
    if receipt.iat > now_seconds + MAX_SKEW_SECONDS:
        raise Verification(
            "receipt-time",
            f"receipt was signed {receipt.iat - now_seconds} seconds from now: compare the clocks",
        )
    values = verify_openings(event, shown.open)
    if values.keys() != set(OPENED_NAMES) and values.keys() != _WITHOUT_RELEASED:
        raise Verification("logged-open", "other values are opened than all but officer")
    if values["peer"] != aud:
        raise Verification("received-differs", "event is about an answer of another member")
    return OpenedEvent(event, values, receipt)

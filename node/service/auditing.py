# SPDX-License-Identifier: Apache-2.0
"""What an auditor reads of this node's own access logs beside the entries: their openings, a bundle at a time.

One ``audit`` event covers a bundle, so that reading a log of a million events adds four thousand. Sealed events are
for auditors from the day on by which they are to be opened: until then their regulator opens them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.access.event import ParsedEvent, parse_entry
from node.errors import InvalidInput, NotFound
from node.log.tree import TILE_WIDTH
from node.service.drafting import EventDraft, Officer

if TYPE_CHECKING:
    from node.service.looking import AccessLog
    from node.service.reading import Logs
    from node.service.sealing import Seals
    from node.service.vault import Vault

AUDIT: Final = "audit"


def open_range(
    logs: Logs,
    access: AccessLog,
    vault: Vault,
    seals: Seals,
    number: int,
    start: int,
    stop: int,
    officer: str,
) -> list[list[str]]:
    """Log an ``audit`` that names a range of events, then give their openings.

    Args:
        logs: The access logs.
        access: Logs the look.
        vault: Opens the events.
        seals: Says which of them are sealed.
        number: Succession number of the log.
        start: First entry.
        stop: Entry behind the last, at most 256 further.
        officer: Account of the auditor.

    Returns:
        For each entry its ten openings; none for what is no event, for those still sealed, for those that were taken over from
        the log before (they are opened there) and for those whose secret was erased.

    Raises:
        NotFound: ``log-unknown``; ``tile-unknown`` for what is not published.
        InvalidInput: ``audit-range``.
        NodeError: The log did not take the ``audit``; nothing is shown.
    """
    reader = logs.find(number)
    if reader is None:
        raise NotFound("log-unknown", "this node has no such access log: want a succession number")
    if not start < stop <= start + TILE_WIDTH:
        raise InvalidInput("audit-range", f"a range of entries is not one of 1 to {TILE_WIDTH}")
    if stop > reader.published_size():
        raise NotFound("tile-unknown", "the published log does not reach that far")
    places: dict[int, int] = {}
    for index, row in reader.rows(start, stop):
        entry = reader.entry(row)
        if not row.values_length or not entry.startswith(b"{"):
            continue
        event = parse_entry(entry)
        if (
            isinstance(event, ParsedEvent)
            and not seals.hold(event)
            and _has_secret(logs, reader.place(index))
        ):
            places[index] = reader.place(index)
    if not places:
        return [[] for _ in range(start, stop)]
    draft = EventDraft(kind=AUDIT, officer=Officer(officer), purpose=AUDIT, events=list(places.values()))
    look = access.log(draft).look
    return [vault.open_event(look, places[index]) if index in places else [] for index in range(start, stop)]


def _has_secret(logs: Logs, place: int) -> bool:
    try:
        logs.wrapped_secret(place)
    except NotFound:
        return False
    return True

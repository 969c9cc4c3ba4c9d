# SPDX-License-Identifier: Apache-2.0
"""The receipts of other members that this node holds, for an auditor to lay against their logs (docs/audit.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.access.event import parse_event
from node.service.auditing import AUDIT
from node.service.drafting import Purpose
from node.service.exchange.ledger import list_promises

if TYPE_CHECKING:
    from node.ports import Reads
    from node.service.looking import AccessLog
    from node.service.reading import Logs

SEALED: Final = "sealed"


def read_promised(
    reads: Reads, logs: Logs, access: AccessLog, *, after: int | None, limit: int, officer: str
) -> tuple[list[str], int | None]:
    """Log an ``audit``, then give receipts of other members in the order of this node's own events.

    A receipt says who the other side of an event is, which the log does not tell in the open: so the look is logged, and
    what belongs to a sealed event stays here.

    Args:
        reads: The store.
        logs: The access logs.
        access: Logs the look.
        after: Place behind which to go on; None begins at the first.
        limit: At most so many.
        officer: Account of the auditor.

    Returns:
        The receipts, compact JWS, and the place behind which to go on; None at the end.

    Raises:
        NodeError: The log did not take the ``audit``; nothing is shown.
    """
    found = list_promises(reads, after=after, limit=limit)
    if not found:
        return [], None
    access.log_look(AUDIT, Purpose(officer=officer, purpose=AUDIT), [])
    shown = [receipt for place, receipt in found if parse_event(logs.entry(logs.row(place))).kind != SEALED]
    return shown, found[-1][0] if len(found) >= limit else None

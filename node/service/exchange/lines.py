# SPDX-License-Identifier: Apache-2.0
"""What an answer lets out, as its plan and its event have it: about one subject, or by the line (protocol section 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.access.bulk import hash_lines, released_set
from node.service.drafting import DraftLine, write_lines
from node.service.exchange.ledger import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.access.bulk_request import BulkRequest
    from node.service.drafting import EventDraft
    from node.service.exchange.searching import Found


def plan_answer(found: Sequence[Found], kind: str, exp: int, *, is_bulk: bool) -> Plan:
    """Plan an answer.

    Args:
        found: What there is about each subject, all searched in one state of the records log.
        kind: Of the plan: ``grant``.
        exp: Second from which on the request is void.
        is_bulk: Whether it is an answer by the line.
    """
    rows = [(release.index, tuple(release.fields)) for one in found for release in one.releases]
    withheld = sum(one.withheld for one in found)
    return Plan(
        place=0,
        kind=kind,
        exp=exp,
        code=next((one.code for one in found if one.code is not None), None),
        found=len(rows) + withheld,
        withheld=withheld,
        searched=found[0].searched,
        rows=tuple(rows),
        lines=tuple((len(one.releases), one.withheld, one.code) for one in found) if is_bulk else (),
    )


def draft_lines(request: BulkRequest, found: Sequence[Found]) -> list[DraftLine]:
    """Draft the lines of a provider's event: each subject with what is released about it."""
    return [
        DraftLine(line.subject, [[each.jwt_digest, sorted(each.fields.values())] for each in one.releases])
        for line, one in zip(request.lines, found, strict=True)
    ]


def name_released(draft: EventDraft) -> list[list[Any]] | None:
    """Name what an event releases as the ``receive`` at its other end will: one by one, or by the root of its lines."""
    if not draft.lines:
        released: list[list[Any]] | None = draft.salted()["released"]
        return released
    assert draft.secret is not None, "drafted with one, so that its lines are known"
    return released_set(hash_lines(write_lines(draft.lines, draft.secret)).root)

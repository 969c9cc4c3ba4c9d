# SPDX-License-Identifier: Apache-2.0
"""Files of looks from a node in this process: a question that was granted, a look by own staff, a bulk question."""

from __future__ import annotations

from functools import cache

from node.access.question import AskedSubject
from node.service.drafting import DraftLine, EventDraft, Officer, Purpose
from tests.support.node_world import DOMAIN, WHY, NodeWorld, penalty
from tests.support.rows import COMPANY

OTHER = "91520100MA0000170J"
PEER = "1152010000700002X2"
VCT = f"urn:ironcage:{DOMAIN}:penalty:2018"
FIRM, SECOND = AskedSubject("uscc", COMPANY), AskedSubject("uscc", OTHER)


@cache
def made():
    """Give the node, whose log has a question that was granted, a look by own staff and a bulk question, and the file of each by subject and kind."""
    world = NodeWorld()
    world.join()
    world.import_rows([penalty(0), penalty(1, CF_XDR_SHXYM=OTHER)])
    services = world.services
    services.access.log(
        EventDraft(
            kind="grant",
            peer=PEER,
            subject={"type": "uscc", "id": COMPANY},
            purpose="pre-listing",
            items=[{"vct": VCT, "fields": ["CF_WSH"]}],
            rule="open-data",
            released=[],
            req=b"q" * 32,
        )
    )
    services.records.show(world.leaf(0), WHY)
    services.access.log(
        EventDraft(
            kind="bulk",
            peer=PEER,
            officer=Officer("li"),
            purpose="tender-check",
            items=[{"vct": VCT, "fields": ["CF_WSH"]}],
            lines=[DraftLine(SECOND, []), DraftLine(FIRM, None), DraftLine(AskedSubject("name", "某人"), [])],
        )
    )
    world.anchor()
    files = {}
    for subject in (FIRM, SECOND):
        shown = services.subjects.show(subject, "passport", Purpose("wang", ""))
        files |= {(subject, part.kind): part.file for look in shown.looks for part in look.parts}
    services.records.show(world.leaf(1), WHY)
    world.anchor()
    shown = services.subjects.show(SECOND, "passport", Purpose("wang", ""))
    files[SECOND, "read"] = next(p.file for look in shown.looks for p in look.parts if p.kind == "read")
    return world, files

# SPDX-License-Identifier: Apache-2.0
"""The view of a subject holds the events that a naive reader finds who opens the whole log: no more, no fewer, in their order."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from node.access.bulk import parse_line
from node.access.event import ParsedEvent, parse_entry, verify_openings
from node.access.question import AskedSubject
from node.core.encoding import encode_b64u
from node.service.drafting import DraftLine, EventDraft, Officer, Purpose
from node.service.looking import _MINT, Look
from tests.support.node_world import DOMAIN, WHY, NodeWorld, penalty
from tests.support.rows import COMPANY

OTHER = "91520100MA0000170J"
NOBODY = "91520100MA0000189F"
SUBJECTS = [AskedSubject("uscc", code) for code in (COMPANY, OTHER, NOBODY)]
OWNERS = [0, 0, 1, 1]
"""Subject of each record."""
PEER = "1152010000700002X2"
VCT = f"urn:ironcage:{DOMAIN}:penalty:2018"
SUBJECT = st.integers(0, len(SUBJECTS) - 1)
RECORD = st.integers(0, len(OWNERS) - 1)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["ask", "grant", "deny", "receive", "audit", "sealed"]), SUBJECT),
        st.tuples(st.sampled_from(["read", "export", "anchor"]), RECORD),
        st.tuples(st.sampled_from(["find", "view"]), SUBJECT),
        st.tuples(st.just("lost"), SUBJECT),
        st.tuples(st.just("bulk"), st.lists(SUBJECT, min_size=1, max_size=3, unique=True)),
    ),
    max_size=8,
)


def act(world, number, action, what):
    """Do one thing that the log has an event for."""
    services = world.services
    if action == "anchor":
        world.anchor()
    elif action == "read":
        services.records.show(world.records.leaf(what), WHY)
    elif action == "export":
        services.access.log_look("export", WHY, [services.records._vault.plan_release(what, ("CF_WSH",))])
    elif action == "find":
        services.records.find("uscc", SUBJECTS[what].id, WHY, limit=10)
    elif action == "view":
        view(world, what)
    elif action == "lost":
        lose(services.access, number, what)
    else:
        services.access.log(draft(number, action, what))


def lose(access, number, what):
    """A question, and the end of it that its node logs when it comes back: it names nobody."""
    asked = access.log(draft(number, "ask", what))
    end = {"kind": "receive", "peer": PEER, "rid": asked.rid, "req": bytes(32)}
    access.log(EventDraft(**end, follows=asked.index))


def draft(number, action, what):
    said = {"kind": action, "purpose": "p", "peer": PEER, "items": [{"vct": VCT, "fields": ["CF_WSH"]}]}
    if action == "bulk":
        return EventDraft(**said, officer=Officer("li"), lines=[DraftLine(SUBJECTS[one], []) for one in what])
    if action in {"grant", "deny", "receive"}:
        said["req"] = sha256(bytes([number])).digest()
    if action in {"ask", "audit"}:
        said["officer"] = Officer("li")
    if action == "audit":
        del said["peer"]
    if action == "grant":
        said |= {"released": []}
    if action == "sealed":
        said |= {"box": bytes(32), "open_by": 4_000_000_000, "warrant": bytes(32)}
    subject = SUBJECTS[what]
    return EventDraft(**said, rule="r", subject={"type": subject.type, "id": subject.id})


def view(world, number):
    shown = world.services.subjects.show(SUBJECTS[number], "passport", Purpose("wang", ""), limit=200)
    return [part for look in shown.looks for part in look.parts]


def naive(world, number):
    """Open everything and filter."""
    subject, vault = SUBJECTS[number], world.services.records._vault
    jwts = {
        encode_b64u(sha256(world.records.entry(world.records.row(index))).digest())
        for index, owner in enumerate(OWNERS)
        if owner == number
    }
    found, asked = [], set()
    for index, row in world.access.rows(0, world.access.size()):
        event = parse_entry(world.access.entry(row))
        if not isinstance(event, ParsedEvent) or event.kind == "sealed":
            continue
        place = world.access.place(index)
        openings, lines = vault.open_whole(Look(index, {}, frozenset({place}), _MINT), place)
        values = verify_openings(event, openings)
        named = {AskedSubject(**values["subject"])} if values["subject"] else set()
        named |= {parse_line(line).subject for line in lines}
        if event.kind == "ask" and subject in named:
            asked.add(event.rid)
        if event.kind == "receive" and event.rid in asked:
            named = {subject}
        opened = {jwt for jwt, fields in values["released"] or () if fields}
        if subject in named or (not named and opened & jwts):
            found.append(index)
    return found


@given(actions=ACTIONS)
@settings(max_examples=25)
def test_a_view_is_the_filter_of_all_openings(actions):
    with NodeWorld() as world:
        world.join()
        world.import_rows([penalty(n, CF_XDR_SHXYM=SUBJECTS[owner].id) for n, owner in enumerate(OWNERS)])
        for number, (action, what) in enumerate(actions):
            act(world, number, action, what)
        for number in range(len(SUBJECTS)):
            expected = naive(world, number)
            assert sorted(part.index for part in view(world, number)) == expected
        # No regulator holds what these sealed events were sealed into.
        assert {found.code for found in world.check()} <= {"fsck-sealed"}

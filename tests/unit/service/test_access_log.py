# SPDX-License-Identifier: Apache-2.0
"""Every kind of event goes into the access log by one call, with whatever must be durable together with it."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from node.access.bulk import hash_lines, parse_line
from node.access.event import KINDS, SALTED_NAMES, parse_event, verify_openings
from node.access.logged import verify_logged
from node.access.question import AskedSubject
from node.access.receipt import parse_receipt, verify_receipt
from node.core.encoding import encode_b64u
from node.errors import AccessDenied, Conflict, Fatal, InvalidInput, Unavailable
from node.service import layout
from node.service.drafting import TWO_SIDED, DraftLine, EventDraft, Officer
from node.service.layout import LogKind
from tests.support.errors import raises_code
from tests.support.lives import begun_life, lose_newest
from tests.support.node_world import WHY, NodeWorld

TAX = "11330100002489014L"
COURT = "113301060024960114"
DIGEST = encode_b64u(bytes(range(32)))
ITEMS = ({"vct": "urn:ironcage:zj.example:penalty:2018", "fields": ["CF_WSH", "CF_NR"]},)
SUBJECT = {"type": "uscc", "id": TAX}
OFFICER = Officer("li", "https://sso.yunzhou.example", DIGEST)
LOCAL = {"officer": OFFICER, "purpose": "own-records", "items": ITEMS, "rule": "own", "released": []}
ASKED = {"peer": TAX, "subject": SUBJECT, "purpose": "tender", "items": ITEMS}
LINES = [
    DraftLine(AskedSubject("uscc", TAX), [[DIGEST, [DIGEST]]]),
    DraftLine(AskedSubject("name", "某某"), []),
]
DRAFTS = {
    "ask": EventDraft(kind="ask", officer=OFFICER, basis="条例第九条", case="2026-17", **ASKED),
    "grant": EventDraft(
        kind="grant", rule="tender-1", released=[[DIGEST, [DIGEST]]], req=bytes(32), rid=bytes(16), **ASKED
    ),
    "deny": EventDraft(kind="deny", peer=TAX, rule="rate", req=bytes(32), n=7),
    "receive": EventDraft(kind="receive", peer=TAX, req=bytes(32)),
    "read": EventDraft(kind="read", **LOCAL),
    "export": EventDraft(kind="export", **LOCAL),
    "consent": EventDraft(
        kind="consent", peer=TAX, subject=SUBJECT, officer=OFFICER, purpose="loan", consent=DIGEST
    ),
    "revoke": EventDraft(kind="revoke", peer=TAX, consent=DIGEST, rule="window"),
    "erase": EventDraft(kind="erase", **LOCAL),
    "audit": EventDraft(kind="audit", officer=Officer("zhao"), purpose="audit"),
    "sealed": EventDraft(kind="sealed", box=bytes(32), open_by=1_900_000_000, warrant=bytes(32), **ASKED),
    "bulk": EventDraft(kind="bulk", officer=OFFICER, peer=TAX, purpose="tender", items=ITEMS, lines=LINES),
}
MUST = [
    ("ask", "peer"),
    ("ask", "officer"),
    ("ask", "purpose"),
    ("grant", "released"),
    ("grant", "rule"),
    ("deny", "rule"),
    ("deny", "peer"),
    ("receive", "peer"),
    ("read", "officer"),
    ("export", "released"),
    ("consent", "consent"),
    ("revoke", "consent"),
    ("revoke", "peer"),
    ("erase", "purpose"),
    ("audit", "officer"),
    ("sealed", "purpose"),
    ("bulk", "items"),
]


@pytest.fixture
def world():
    with NodeWorld() as made:
        yield made


@pytest.fixture
def access(world):
    return world.services.access


def entry_of(world, logged):
    return world.access.entry(world.access.row(logged.index))


# ---- what an event says


def test_there_is_a_draft_of_every_kind():
    assert DRAFTS.keys() == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_logged_with_a_receipt_for_the_other_side(world, access, kind):
    draft = DRAFTS[kind]
    logged = access.log(draft)
    assert entry_of(world, logged) == logged.event
    event = parse_event(logged.event)
    assert (event.kind, event.t_ms, event.rid) == (kind, world.clock.now_ms(), logged.rid)
    assert (event.n, event.req) == (draft.n or len(draft.lines) or 1, draft.req)
    said = [parse_line(text) for text in logged.lines]
    assert [(line.subject, line.released) for line in said] == list(draft.lines)
    assert event.set_root == (hash_lines(logged.lines).root if draft.lines else None)
    assert (event.box, event.open_by, event.warrant) == (
        draft.box,
        draft.open_by,
        draft.warrant,
    )
    values = verify_openings(event, logged.openings)
    assert values == draft.salted()
    assert values.keys() == set(SALTED_NAMES)
    aud = TAX if kind in TWO_SIDED else world.identity.member
    receipt = verify_receipt(
        logged.receipt,
        public=world.keys.node.public,
        entry=logged.event,
        iss=world.identity.member,
        aud=aud,
        log=world.access.origin,
        anchor_limit_seconds=world.identity.anchor_limit_seconds,
    )
    assert (receipt.idx, receipt.pair, receipt.iat) == (logged.index, 1, event.t_ms // 1_000)
    # Nobody here holds what a sealed event was sealed into, as somebody must.
    missing = [] if draft.box is None else [("fsck-sealed", "event at place 0")]
    assert [(finding.code, finding.place) for finding in world.check()] == missing


def test_the_request_s_rid_is_kept_and_another_one_is_fresh(access):
    assert access.log(DRAFTS["grant"]).rid == bytes(16)
    fresh = {access.log(DRAFTS["ask"]).rid for _ in range(5)}
    assert len(fresh) == 5
    assert {len(rid) for rid in fresh} == {16}


@pytest.mark.parametrize("kind", sorted(TWO_SIDED))
def test_the_other_side_is_shown_all_but_the_officer(world, access, kind):
    logged = access.log(DRAFTS[kind])
    opened = verify_logged(
        logged.to_show(),
        public=world.keys.node.public,
        iss=world.identity.member,
        aud=TAX,
        log=world.access.origin,
        now_seconds=world.clock.now_seconds(),
        anchor_limit_seconds=world.identity.anchor_limit_seconds,
    )
    assert opened.values == {n: v for n, v in DRAFTS[kind].salted().items() if n != "officer"}


@pytest.mark.parametrize(("kind", "name"), MUST)
def test_an_event_that_does_not_say_what_it_must_is_not_logged(world, access, kind, name):
    before = (world.access.size(), world.store.commits)
    with raises_code(InvalidInput, "event-look"):
        access.log(replace(DRAFTS[kind], **{name: None}))
    assert (world.access.size(), world.store.commits) == before


@pytest.mark.parametrize(("kind", "name"), [("grant", "officer"), ("read", "peer"), ("ask", "released")])
def test_an_event_that_says_what_it_must_not_is_not_logged(world, access, kind, name):
    value = {"officer": OFFICER, "peer": TAX, "released": [[DIGEST, [DIGEST]]]}[name]
    with raises_code(InvalidInput, "event-look"):
        access.log(replace(DRAFTS[kind], **{name: value}))
    assert world.access.size() == 0


def test_what_this_node_releases_is_named_by_what_it_will_open(world, access):
    world.import_penalties([1])
    release = world.services.exporter._vault.plan_release(0, ["CF_WSH"])
    logged = access.log(replace(DRAFTS["grant"], released=None, releases=[release]))
    values = verify_openings(parse_event(logged.event), logged.openings)
    assert values["released"] == [[release.jwt_digest, [release.fields["CF_WSH"]]]]
    assert logged.look.releases == {0: release}
    with raises_code(InvalidInput, "event-released"):
        access.log(replace(DRAFTS["grant"], releases=[release]))


# ---- numbers of receipts


def test_receipts_for_each_other_side_are_numbered_without_gaps(world, access):
    """Whatever order threads come in, and over a restart."""
    given = []

    def work(peer):
        given.extend(access.log(replace(DRAFTS["ask"], peer=peer)).receipt for _ in range(6))
        given.append(access.log_look("read", WHY, []).receipt)

    threads = [threading.Thread(target=work, args=(peer,)) for peer in (TAX, COURT, TAX)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    world.restart()
    given.extend(
        world.services.access.log(replace(DRAFTS["deny"], peer=peer)).receipt for peer in (TAX, COURT)
    )
    receipts = sorted(map(parse_receipt, given), key=lambda receipt: receipt.idx)
    numbers = {}
    for receipt in receipts:
        numbers.setdefault(receipt.aud, []).append(receipt.pair)
    assert numbers == {
        TAX: list(range(1, 14)),
        COURT: list(range(1, 8)),
        world.identity.member: list(range(1, 4)),
    }
    assert world.check() == []


def test_after_a_loss_no_number_is_given_twice_to_anybody():
    """A member that the restored store does not know may have been given receipts by the store that was lost."""
    with begun_life() as life:
        access = life.world.services.access
        kept = access.log(replace(DRAFTS["ask"], peer=TAX)).receipt
        copy = life.world.store.copy()
        lost = [access.log(replace(DRAFTS["ask"], peer=peer)).receipt for peer in (TAX, COURT, COURT)]
        life.put_back(copy)
        with raises_code(Conflict, "log-behind"):
            life.world.join()
        life.successions.succeed()
        life.world.join()
        access = life.world.services.access
        after = [access.log(replace(DRAFTS["ask"], peer=peer)).receipt for peer in (TAX, COURT, TAX, COURT)]
        receipts = [parse_receipt(text) for text in [kept, *lost, *after]]
        numbers = [(receipt.aud, receipt.pair) for receipt in receipts]
        assert len(set(numbers)) == len(numbers)
        assert life.world.check() == []
        lose_newest(life)  # and again
        with raises_code(Conflict, "log-behind"):
            life.world.join()
        life.successions.succeed()
        assert life.world.check() == []


# ---- what is durable together with an event


def test_what_comes_along_is_in_the_same_commit_and_knows_the_index(world, access):
    seen = []
    world.store.on_commit = lambda batch: seen.append(dict(batch.changes))
    access.log(DRAFTS["ask"])
    logged = access.log(
        DRAFTS["grant"], lambda transaction, index: transaction.put(b"j-count", layout.u64(index))
    )
    assert logged.index == 1
    assert [b"j-count" in puts for puts in seen] == [False, True]
    assert seen[1][b"j-count"] == layout.u64(1)
    assert layout.size_key(LogKind.ACCESS) in seen[1]


def test_what_comes_along_and_refuses_leaves_no_event_and_takes_no_number(world, access):
    def use_up(transaction, _index):
        if transaction.get(b"j-uses") is not None:
            raise Conflict("consent-used", "it was for one use")
        transaction.put(b"j-uses", b"1")

    first = access.log(DRAFTS["grant"], use_up)
    with raises_code(Conflict, "consent-used"):
        access.log(DRAFTS["grant"], use_up)
    assert world.access.size() == 1
    pairs = [parse_receipt(text).pair for text in (first.receipt, access.log(DRAFTS["deny"]).receipt)]
    assert pairs == [1, 2]


@pytest.mark.parametrize(
    ("error", "stored"),
    [
        (Unavailable("store-disk-full", "disk is full"), False),
        (Fatal("store-commit-failed", "sync failed"), False),
        (Fatal("store-commit-failed", "sync failed"), True),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_when_the_log_does_not_take_it_there_is_no_receipt(world, access, kind, error, stored):
    world.store.fail_next(error, stored=stored)
    with raises_code(type(error), error.code):
        access.log(DRAFTS[kind], lambda transaction, _index: transaction.put(b"j-count", b"1"))
    assert (world.store.get(b"j-count") is not None) == (world.access.size() == 1) == stored


def test_past_the_anchor_limit_nothing_is_promised(world, access):
    world.join()
    world.anchor()
    world.clock.advance(seconds=world.identity.anchor_limit_seconds + 1)
    size = world.access.size()
    for draft in DRAFTS.values():
        with raises_code(Unavailable, "anchor-limit"):
            access.log(draft)
    assert world.access.size() == size


# ---- commits are shared


def test_events_that_come_while_a_commit_runs_share_the_next_one(world, access):
    """Forty threads, two commits: the one that the first event found free, and the one of all others."""
    begun, go_on, others = threading.Event(), threading.Event(), 39
    sequencer = world.services.sequencer

    def hold(_batch):
        begun.set()
        assert go_on.wait(120)

    world.store.on_commit = hold
    commits = world.store.commits
    threads = [threading.Thread(target=access.log, args=(DRAFTS["ask"],)) for _ in range(others + 1)]
    threads[0].start()
    assert begun.wait(120)
    for thread in threads[1:]:
        thread.start()
    while sequencer._queue.qsize() < others:
        threads[-1].join(0.005)
    go_on.set()
    for thread in threads:
        thread.join(120)
    assert world.access.size() == others + 1
    assert world.store.commits == commits + 2


def test_questions_to_many_are_logged_in_one_commit(world, access):
    begun, barrier = threading.Event(), threading.Event()
    held = world.services.sequencer.submit(lambda _transaction: (begun.set(), barrier.wait(120)))
    assert begun.wait(120), "what is asked from here on finds the writer busy"
    results = []
    drafts = [(replace(DRAFTS["ask"], peer=peer), None) for peer in (TAX, COURT, TAX)]
    asking = threading.Thread(target=lambda: results.extend(access.log_all(drafts)))
    commits = world.store.commits
    asking.start()
    while world.services.sequencer._queue.qsize() < len(drafts):
        asking.join(0.005)
    barrier.set()
    asking.join(120)
    held.result(120)
    assert [logged.index for logged in results] == [0, 1, 2]
    assert world.store.commits == commits + 1


def test_of_many_one_that_is_refused_costs_only_itself(world, access):
    def refuse(_transaction, _index):
        raise Conflict("consent-used", "it was for one use")

    with raises_code(Conflict, "consent-used"):
        access.log_all([(DRAFTS["ask"], None), (DRAFTS["ask"], refuse), (DRAFTS["ask"], None)])
    assert world.access.size() == 2

    def deny(_transaction, _index):
        raise AccessDenied("rate-officer", "another question was first")

    first, denied, last = access.log_all(
        [(DRAFTS["ask"], None), (DRAFTS["ask"], deny), (DRAFTS["ask"], None)]
    )
    assert (first.index, denied.code, last.index) == (2, "rate-officer", 3)
    with raises_code(AccessDenied, "rate-officer"):
        access.log(DRAFTS["ask"], deny)
    with raises_code(InvalidInput, "event-look"):
        access.log_all([(DRAFTS["ask"], None), (replace(DRAFTS["ask"], officer=None), None)])
    assert world.access.size() == 4, "what is malformed is found before anything is logged"

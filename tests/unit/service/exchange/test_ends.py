# SPDX-License-Identifier: Apache-2.0
"""How a question ended is told with the next one: each side holds a promise for every event of the other."""

from __future__ import annotations

import pytest

from node.access.event import build_openings, event_salts
from node.access.logged import LoggedEvent, select_openings
from node.access.receipt import parse_receipt
from node.access.received import MAX_RECEIVED
from node.errors import Unavailable
from node.log.merkle import leaf_hash
from node.service.drafting import EventDraft
from node.service.exchange.ledger import find_end, list_promises, list_proofs, list_untold
from node.service.exchange.untold import MAX_TOLD_CHARS
from tests.support.exchange_world import COURT, MARKET, TAX


def held(world, by, of=COURT):
    """Receipts of a member that another one holds, by number."""
    promises = list_promises(world.nodes[by].store, after=None, limit=1_000)
    return sorted(
        (one.pair, one.idx) for one in (parse_receipt(text) for _, text in promises) if one.iss == of
    )


def untold(world, to=MARKET, by=COURT):
    return [place for place, _ in list_untold(world.nodes[by].store, to, limit=1_000)]


def receives(world):
    return [index for index, event in world.events(COURT) if event.kind == "receive"]


def log_receive(world, *, rid, released=None, peer=MARKET, req=bytes(32), kind="receive", **changes):
    """What an asker logs who writes his own program, as he would show it."""
    node, secret = world.nodes[COURT], bytes(range(32))
    draft = EventDraft(kind=kind, peer=peer, rid=rid, req=req, released=released, secret=secret, **changes)
    logged = node.services.access.log(draft)
    openings = build_openings(draft.salted(), event_salts(secret))
    return LoggedEvent(logged.event, select_openings(openings), logged.receipt)


def test_the_next_question_tells_how_the_last_one_ended(world):
    world.ask_one()
    (first,) = receives(world)
    assert untold(world) == [first]
    assert [idx for _, idx in held(world, MARKET)] == [first - 1]
    world.ask_one()
    second = receives(world)[1]
    assert [idx for _, idx in held(world, MARKET)] == [first - 1, first, second - 1]
    assert [pair for pair, _ in held(world, MARKET)] == [1, 2, 3]
    assert untold(world) == [second]


def test_every_provider_is_told_of_its_own_questions_alone(world):
    world.ask(providers=(MARKET, TAX))
    world.ask_one(providers=(TAX,))
    assert len(held(world, TAX)) == 3
    assert len(held(world, MARKET)) == 1
    assert (len(untold(world, TAX)), len(untold(world, MARKET))) == (1, 1)


def test_a_denial_tells_as_well_as_an_answer(world):
    world.ask_one()
    denied = world.ask_by_hand(
        case=None, received=world.exchanges[COURT].asker._side.untold.take(MARKET).events
    )
    assert denied.result == "deny"
    assert len(held(world, MARKET)) == 3


def test_what_was_sent_and_not_answered_is_told_again(world):
    world.ask_one()

    def lose(_body):
        raise Unavailable("peer-slow", "no answer")

    world.post.on_answer = lose
    assert world.ask_one().code == "peer-slow"
    first, second = receives(world)
    assert untold(world) == [first, second]
    assert len(held(world, MARKET)) == 3, "it came there, and the asker does not know"
    world.post.on_answer = lambda body: body
    world.ask_one()
    assert untold(world) == receives(world)[2:]
    assert [pair for pair, _ in sorted(set(held(world, MARKET)))] == [1, 2, 3, 4, 5]


def test_what_never_left_the_house_is_told_to_nobody(world):
    world.exchanges[COURT].asker._side.gossip.require_honest = _refuse
    assert world.ask_one().code == "member-forked"
    assert untold(world) == []


def _refuse(_member):
    raise Unavailable("member-forked", "as if")


def test_a_question_without_answer_is_told_of_after_a_restart(world):
    def lose(_body):
        raise KeyboardInterrupt

    world.post.on_answer = lose
    with pytest.raises(KeyboardInterrupt):
        world.ask_one()
    world.restart(COURT)
    world.clock.advance(seconds=300)
    assert world.exchanges[COURT].asker.close_lost() == 1
    world.post.on_answer = lambda body: body
    world.anchor()
    world.ask_one()
    first, second = receives(world)
    assert [idx for _, idx in held(world, MARKET)][1] == first
    assert untold(world) == [second]


def test_more_than_sixteen_are_told_in_turns(world):
    world.post.away = {MARKET}
    for _ in range(18):
        world.ask_one()
    assert len(untold(world)) == 18
    world.post.away = set()
    world.ask_one()
    assert len(untold(world)) == 3
    world.ask_one()
    assert untold(world) == receives(world)[-1:]


def test_what_goes_along_leaves_room_for_the_question(world):
    """Events and receipts count as well as openings: a request that grows too long is never sent, nor is any after it."""
    world.post.away = {MARKET}
    for _ in range(18):
        world.ask_one(case="案" * 1_000)
    queue = world.exchanges[COURT].asker._side.untold
    told = queue.take(MARKET)
    chars = sum(len(one.event) + len(one.receipt) + sum(map(len, one.open)) for one in told.events)
    assert MAX_TOLD_CHARS // 2 < chars <= MAX_TOLD_CHARS
    assert len(told.events) < MAX_RECEIVED
    queue.give_back(told)
    world.post.away = set()
    assert world.ask_one().result == "ok"
    assert len(untold(world)) == 19 - len(told.places)


def test_the_queue_says_nothing_to_who_reads_the_disk(world):
    world.ask_one()
    ((_, data),) = list_untold(world.nodes[COURT].store, MARKET, limit=2)
    for word in (b"peer", b"pre-listing", MARKET.encode()):
        assert word not in data


def bad_end(world, what):
    """An end that the asker's own receipt stands for and that is not what happened; gives its code, too."""
    outcome = world.ask_one()
    rid = parse_receipt(outcome.receipts[1]).rid
    req = outcome.answer.req
    if what == "another end":
        world.ask_one()
        return log_receive(world, rid=rid, req=req), "received-twice"
    if what == "more than was given":
        return log_receive(world, rid=rid, req=req, released=[["A" * 43, []]], n=1), "received-differs"
    if what == "another request":
        return log_receive(world, rid=rid, req=bytes(31) + b"\x01"), "received-differs"
    if what == "of another provider":
        return log_receive(world, rid=rid, req=req, peer=TAX), "receipt-aud"
    return log_receive(world, rid=bytes(16), released=[["A" * 43, []]], n=1), "received-unknown"


@pytest.mark.parametrize(
    "what",
    ["another end", "more than was given", "another request", "of another provider", "what never was"],
)
def test_what_does_not_hold_is_refused_and_kept(world, what):
    bad, code = bad_end(world, what)
    good = log_receive(world, rid=b"a lost question!")
    before = len(held(world, MARKET))
    token, reply = world.sign_request(received=[bad, good])
    body = world.seal(token)
    answer = world.open(world.post.deliver(MARKET, body), token, reply)
    assert (answer.result, answer.code) == ("deny", code)
    node = world.nodes[MARKET]
    (index, event) = world.events(MARKET, "deny")[-1]
    assert list_proofs(node.store, COURT, limit=9) == [(node.access.place(index), body)]
    assert event.req == answer.req
    assert len(held(world, MARKET)) == before + 2, "its ask, and what holds"
    assert find_end(node.store, COURT, b"a lost question!") == leaf_hash(good.event)
    before = len(world.kinds(MARKET))
    assert world.exchanges[MARKET].contradictions.open(COURT, "zhao") == [token]
    assert world.kinds(MARKET)[before:] == ["audit"], "whoever looks at it is logged"
    assert world.exchanges[MARKET].contradictions.open(TAX, "zhao") == []
    assert len(world.kinds(MARKET)) == before + 1


def test_the_same_end_twice_changes_nothing(world):
    shown = log_receive(world, rid=b"a lost question!")
    for _ in range(2):
        assert world.ask_by_hand(received=[shown]).result == "ok"
    assert len(held(world, MARKET)) == 3


def test_proofs_of_one_member_do_not_fill_the_disk(world):
    for number in range(20):
        shown = log_receive(world, rid=bytes(15) + bytes([number]), released=[["A" * 43, []]], n=1)
        assert world.ask_by_hand(received=[shown]).code == "received-unknown"
    assert len(list_proofs(world.nodes[MARKET].store, COURT, limit=99)) == 16

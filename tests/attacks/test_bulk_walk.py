# SPDX-License-Identifier: Apache-2.0
"""A walk through a register: an officer wants to know about everybody, and has one plausible purpose and case.

He asks by the list, as often and as large as he can; splits one large question into small ones; approves his own; has
one approval do for many questions; and at last writes his own program that signs what his department's node would not.
What stops him is counted by the line, on both sides, in the commit of each event: his own rate at his node, the
department's rate at the provider, whose log then holds a line about every subject that he ever asked about.
"""

from __future__ import annotations

import pytest

from node.access.box import MAX_ANSWER_BYTES, encode_envelope, open_answer, parse_envelope, seal_request
from node.access.bulk_answer import parse_bulk_answer
from node.access.bulk_request import build_bulk_request
from node.access.question import AskedSubject, parse_items
from node.crypto.hpke import ExchangeKey
from node.crypto.token import token_digest
from node.errors import AccessDenied
from node.service.drafting import DraftLine, EventDraft
from tests.support.errors import raises_code
from tests.support.exchange_world import COURT, FIELDS, MARKET, VCT
from tests.support.many import APPROVED, CAP, LI, WANG, approve, ask_many, companies, market_world

OFFICER_HOUR, MEMBER_HOUR = 500, 2_000
"""Most lines of ``tender-check`` in an hour, in the sample purposes."""


@pytest.fixture
def world():
    with market_world() as made:
        yield made


def logged_lines(world, code):
    return sum(event.n for _, event in world.events(code, "bulk"))


def ask_by_hand(world, ids, *, approved=False):
    """What a program signs that holds the court's node key, and asks its own node for nothing but the log."""
    node = world.nodes[COURT]
    items = [{"vct": VCT["penalty:2018"], "fields": [*FIELDS, "subject"]}]
    why = {"purpose": "tender-check", "basis": "gov-procurement-22", "case": "2026-招-17"}
    lines = [DraftLine(AskedSubject("uscc", code), None) for code in ids]
    draft = EventDraft(kind="bulk", peer=MARKET, officer=LI, items=items, lines=lines, **why)
    logged = node.services.access.log(draft)
    reply, now = ExchangeKey.generate(node.random), world.clock.now_seconds()
    token, _ = build_bulk_request(
        signer=node.keys.node,
        iss=COURT,
        aud=MARKET,
        iat=now,
        exp=now + 120,
        rid=logged.rid,
        texts=logged.lines,
        approved=approved,
        items=parse_items(items),
        reply=reply.public,
        ask=logged.to_show(),
        checkpoint=node.access.find_checkpoint()[1],
        **why,
    )
    key = world.exchange_key(MARKET).public
    body = world.post.deliver(
        MARKET, encode_envelope(seal_request(token, public=key, from_=COURT, to=MARKET))
    )
    envelope = parse_envelope(body, max_plaintext_bytes=MAX_ANSWER_BYTES)
    return parse_bulk_answer(open_answer(envelope, reply, req=token_digest(token)))


def test_small_questions_add_up_to_the_officers_rate(world):
    """Split into questions that need nobody: after 500 lines in the hour his node refuses, and logs that it did."""
    for number in range(OFFICER_HOUR // CAP):
        (outcome,) = ask_many(world, companies(CAP, start=number * CAP)).outcomes
        assert outcome.result in ("ok", "none")
    (outcome,) = ask_many(world, companies(1, start=OFFICER_HOUR)).outcomes
    assert (outcome.result, outcome.code) == ("refused", "rate-officer")
    assert logged_lines(world, COURT) == logged_lines(world, MARKET) == OFFICER_HOUR
    assert world.kinds(COURT)[-1] == "deny"


def test_nobody_approves_his_own_walk(world):
    ids = companies(APPROVED)
    waiting = ask_many(world, ids).waiting
    with raises_code(AccessDenied, "approver-same"):
        approve(world, waiting, ids, officer=LI)
    assert ask_many(world, ids).waiting.approver is None
    assert world.post.sent == []


def test_one_approval_does_for_one_question(world):
    """A colleague approves 51 subjects once; the next 51, and the same ones again, wait for him again."""
    ids = companies(CAP + 1)
    approve(world, ask_many(world, ids).waiting, ids)
    assert ask_many(world, ids).waiting is None
    assert ask_many(world, ids).waiting is not None
    assert ask_many(world, companies(CAP + 1, start=CAP)).waiting is not None
    assert logged_lines(world, MARKET) == CAP + 1


def test_a_larger_question_than_anybody_may_ask_is_refused(world):
    """``pre-listing`` allows 20 lines with an approver; 21 wait for nobody."""
    changes = {"purpose": "pre-listing", "basis": "enforcement-publicity"}
    (outcome,) = ask_many(world, companies(21), **changes).outcomes
    assert (outcome.result, outcome.code) == ("refused", "bulk-too-large")
    assert world.exchanges[COURT].many.approvals.list_waiting() == []


def test_an_own_program_meets_the_providers_rules(world):
    answer = ask_by_hand(world, companies(CAP + 1))
    assert (answer.result, answer.code, answer.lines) == ("deny", "approver-required", ())
    answer = ask_by_hand(world, companies(CAP))
    assert (answer.result, len(answer.lines)) == ("ok", CAP)


def test_an_own_program_that_claims_an_approver_meets_the_members_rate(world):
    """It can lie about the approver, which its log then shows; it cannot ask for more lines than its department may."""
    given = 0
    while given < MEMBER_HOUR:
        answer = ask_by_hand(world, companies(APPROVED, start=given), approved=True)
        assert answer.result != "deny"
        given += APPROVED
    answer = ask_by_hand(world, companies(1, start=given), approved=True)
    assert (answer.result, answer.code) == ("deny", "rate-member")
    assert logged_lines(world, MARKET) == MEMBER_HOUR
    ((index, _), *_) = world.events(COURT, "bulk")
    assert "second" not in world.values(COURT, index)["officer"], "what convicts it at the next audit"


def test_what_colleagues_ask_for_him_names_each_of_them(world):
    """Every colleague has a rate of his own; the department's log says who asked about whom."""
    for officer in (LI, WANG):
        (outcome,) = ask_many(world, companies(CAP), officer=officer).outcomes
        assert outcome.result == "ok"
    officers = [world.values(COURT, index)["officer"]["id"] for index, _ in world.events(COURT, "bulk")]
    assert officers == ["li", "wang"]

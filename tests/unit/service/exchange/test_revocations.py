# SPDX-License-Identifier: Apache-2.0
"""A consent that is taken back at the window that gave it: its provider, another member, is told until it knows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.access.box import encode_envelope, parse_envelope
from node.access.receipt import parse_receipt
from node.access.revocation import (
    MAX_REVOCATION_BYTES,
    MAX_REVOKED_BYTES,
    build_revocation,
    open_revocation,
    open_revoked,
    parse_revoked,
    seal_revocation,
)
from node.core.encoding import encode_b64u
from node.crypto.token import token_digest
from node.errors import AccessDenied, Fatal, NodeError, Unavailable, Verification
from node.service.consents import LISTED_SECONDS
from node.service.exchange.ledger import list_promises
from node.service.exchange.revoking import (
    AT_ONCE,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    find_known,
)
from node.service.limiting import KEPT_SECONDS, TOLD_IN_HOUR, ToldCharge, find_told, told_counter
from tests.attacks.test_members_that_may_not_act import suspend
from tests.support.audit_world import codes_of
from tests.support.errors import raises_code
from tests.support.exchange_audit import audit, held_by, settle
from tests.support.exchange_world import COURT, MARKET, TAX, ExchangeWorld
from tests.support.node_world import WHY
from tests.support.rows import PERSON
from tests.unit.service.exchange.test_consents import SUBJECT, by_hand, give, outcome


@pytest.fixture
def world(world):
    world.nodes[MARKET].import_penalties([7], **PERSON)
    world.anchor()
    return world


def take_back(world, given, *, at=TAX):
    """What the window's route does, but for telling."""
    return world.exchanges[at].window.take_back(given.digest, WHY)[0]


def tell(world, given):
    return world.exchanges[TAX].outbox.tell(MARKET, given.digest)


def trouble(world, given):
    return world.exchanges[TAX].outbox.trouble_of(MARKET, given.digest)


def is_known(world, given):
    """Whether the window has seen that the provider knows it."""
    return find_known(world.nodes[TAX].store, given.digest) is not None


def is_told(world, given, *, issuer=TAX):
    return find_told(world.nodes[MARKET].store, issuer, given.digest) is not None


def say(world, *, by=TAX, signer=None, envelope_from=None, to=MARKET, **changes):
    """A revocation as somebody writes it who holds a member's keys; gives the code of the answer, or that of the refusal."""
    claims = {
        "iss": by,
        "aud": to,
        "iat": world.clock.now_seconds(),
        "rid": bytes(16),
        "consent": bytes(32),
        "exp": world.clock.now_seconds() + 3_600,
    }
    token = build_revocation(signer=signer or world.nodes[by].keys.node, **claims | changes)
    key = world.exchange_key(MARKET)
    envelope = seal_revocation(token, public=key.public, from_=envelope_from or by, to=MARKET)
    try:
        body = world.exchanges[MARKET].revocations.take(encode_envelope(envelope))
    except NodeError as error:
        return f"refused {error.code}"
    answer = parse_envelope(body, max_plaintext_bytes=MAX_REVOKED_BYTES)
    return parse_revoked(open_revoked(answer, world.exchange_key(by), req=token_digest(token))).code


def test_the_provider_is_told_and_grants_nothing_more(world):
    given = give(world, at=TAX, uses=5)
    assert outcome(world, given.token) == ("ok", None)
    logged = take_back(world, given)
    assert tell(world, given)
    assert by_hand(world, given.token) == ("deny", "consent-revoked")
    assert world.kinds(MARKET) == ["grant", "revoke", "deny"]
    assert world.kinds(TAX) == ["consent", "revoke"]
    ((index, event),) = world.events(MARKET, "revoke")
    assert event.rid == logged.rid
    said = {name: value for name, value in world.values(MARKET, index).items() if value is not None}
    assert said == {
        "peer": TAX,
        "purpose": "consent-revocation",
        "consent": encode_b64u(given.digest),
        "rule": "window",
    }
    # The window holds the provider's receipt for it.
    ((place, receipt),) = list_promises(world.nodes[TAX].store, after=None, limit=10)
    promised = parse_receipt(receipt)
    assert (promised.iss, promised.aud, promised.idx) == (MARKET, TAX, index)
    assert place == world.nodes[TAX].access.place(logged.index)
    for code in (MARKET, TAX):
        assert world.nodes[code].check() == []


def test_a_consent_that_was_never_shown_is_remembered_across_restarts(world):
    given = give(world, at=TAX)
    take_back(world, given)
    assert tell(world, given)
    world.restart(MARKET)
    assert by_hand(world, given.token) == ("deny", "consent-revoked")
    assert world.nodes[MARKET].check() == []


def test_telling_again_changes_nothing(world):
    given = give(world, at=TAX)
    take_back(world, given)
    assert tell(world, given)
    (body, answer), sizes = world.post.revocations[-1], world.nodes[MARKET].access.size()
    assert tell(world, given), "it is known: nothing is sent"
    assert len(world.post.revocations) == 1
    world.restart(MARKET)
    again = world.exchanges[MARKET].revocations.take(body)
    req = token_digest(_token_in(world, body))
    first, second = (
        parse_revoked(
            open_revoked(
                parse_envelope(one, max_plaintext_bytes=MAX_REVOKED_BYTES), world.exchange_key(TAX), req=req
            )
        )
        for one in (answer, again)
    )
    assert second.revoke == first.revoke
    assert world.nodes[MARKET].access.size() == sizes


def _token_in(world, body):
    envelope = parse_envelope(body, max_plaintext_bytes=MAX_REVOCATION_BYTES)
    return open_revocation(envelope, world.exchange_key(MARKET))


def test_a_provider_that_is_away_is_tried_again_later_and_later(world):
    given = give(world, at=TAX)
    take_back(world, given)
    world.post.away = {MARKET}
    assert not tell(world, given)
    assert trouble(world, given) == "peer-away"
    for pause in (min(FIRST_PAUSE_SECONDS * 2**number, LONGEST_PAUSE_SECONDS) for number in range(9)):
        tried = world.post.tried
        world.clock.advance(seconds=pause - 1)
        world.exchanges[TAX].outbox.tell_due()
        assert world.post.tried == tried, "not yet"
        world.clock.advance(seconds=1)
        world.exchanges[TAX].outbox.tell_due()
        assert world.post.tried == tried + 1


def test_what_is_queued_outlives_the_node(world):
    given = give(world, at=TAX)
    take_back(world, given)
    world.post.away = {MARKET}
    assert not tell(world, given)
    world.restart(TAX)
    assert trouble(world, given) is None
    assert world.nodes[TAX].check() == []
    world.post.away = set()
    world.exchanges[TAX].tend()
    assert is_known(world, given)
    assert by_hand(world, given.token) == ("deny", "consent-revoked")
    (shown,) = world.exchanges[TAX].window.show_of(SUBJECT, WHY)
    assert (shown.revoked, shown.known) == (world.clock.now_seconds(),) * 2


def test_one_provider_in_trouble_holds_up_no_other(world):
    first, other = give(world, at=TAX), give(world, at=TAX, provider=COURT, asker=MARKET)
    for given in (first, other):
        take_back(world, given)
    world.post.away = {MARKET}
    world.exchanges[TAX].outbox.tell_due()
    assert (is_known(world, first), is_known(world, other)) == (False, True)


def test_a_long_queue_is_told_a_few_at_a_time(world):
    many = [give(world, at=TAX) for _ in range(AT_ONCE + 3)]
    for given in many:
        take_back(world, given)
    world.exchanges[TAX].outbox.tell_due()
    assert sum(is_known(world, given) for given in many) == AT_ONCE
    world.exchanges[TAX].outbox.tell_due()
    assert all(is_known(world, given) for given in many)


def test_an_ended_consent_is_not_told_any_more(world):
    given = give(world, at=TAX, end=world.clock.now_seconds() + 100)
    take_back(world, given)
    world.clock.advance(seconds=100)
    world.exchanges[TAX].outbox.tell_due()
    assert world.post.revocations == []
    assert world.nodes[TAX].check() == []
    assert not tell(world, given)
    assert world.post.revocations == []


def test_a_provider_whose_clock_is_ahead_has_nothing_to_take_back(world):
    given = give(world, at=TAX, end=world.clock.now_seconds() + 3)
    take_back(world, given)
    world.post.on_revocation = lambda body: world.clock.advance(seconds=5) or body
    assert tell(world, given)
    assert world.kinds(MARKET) == []


@pytest.mark.parametrize("code", [TAX, MARKET])
@pytest.mark.parametrize("stored", [True, False])
def test_a_crash_at_every_commit_of_either_node(world, code, stored):
    """Taken back, told, kept: whichever commit fails, in the end the provider knows, and each log has its one event."""
    for number in range({TAX: 2, MARKET: 1}[code]):
        given = give(world, at=TAX, uses=5)
        node, before = world.nodes[code], len(world.events(MARKET, "revoke"))
        node.store.faults[node.store.commits + number] = (Fatal("store-commit-failed", "power cut"), stored)
        try:
            take_back(world, given)
            tell(world, given)
        except Fatal:
            assert code == TAX
        else:
            assert code == MARKET, "that commit was reached"
        node.store.faults.clear()
        world.restart(code)
        assert world.nodes[code].check() == []
        shown = {one.digest: one for one in world.exchanges[TAX].window.show_of(SUBJECT, WHY)}
        if shown[given.digest].revoked is None:
            assert (code, number, stored) == (TAX, 0, False)
            take_back(world, given)
        world.clock.advance(seconds=FIRST_PAUSE_SECONDS)
        world.exchanges[TAX].tend()
        assert is_known(world, given)
        assert len(world.events(MARKET, "revoke")) == before + 1
        assert by_hand(world, given.token) == ("deny", "consent-revoked")
        for each in (TAX, MARKET):
            assert world.nodes[each].check() == []


def test_a_lost_answer_is_given_again(world):
    given = give(world, at=TAX)
    take_back(world, given)

    def lose(_body):
        raise Verification("box-open", "lost on its way")

    world.post.on_revoked = lose
    assert not tell(world, given)
    assert (is_told(world, given), is_known(world, given)) == (True, False)
    world.post.on_revoked = lambda body: body
    # Hours later, and it is the first event whose receipt comes.
    world.clock.advance(seconds=3 * 3_600)
    world.anchor()
    world.exchanges[TAX].tend()
    assert is_known(world, given)
    assert len(world.events(MARKET, "revoke")) == 1


def test_a_question_is_decided_by_the_order_of_commits(world):
    """It was judged with the consent in force; the revocation is durable before its grant is."""
    given = give(world, at=TAX)
    take_back(world, given)
    side = world.exchanges[MARKET].provider._side
    judge = side.permits.judge

    def judged(request, peer):
        decision = judge(request, peer)
        assert decision.decision.granted
        assert tell(world, given)
        return decision

    object.__setattr__(side, "permits", _Judging(judged))
    assert by_hand(world, given.token) == ("deny", "consent-revoked")
    assert world.kinds(MARKET) == ["revoke", "deny"]


class _Judging:
    def __init__(self, judge):
        self.judge = judge


def test_only_the_window_that_gave_a_consent_can_say_so(world):
    given = give(world, at=TAX, uses=5)
    # Before the consent was ever shown nobody knows whose it is: it counts for consents of the court alone.
    assert say(world, by=COURT, consent=given.digest) is None
    assert by_hand(world, given.token) == ("ok", None)
    # Now it is known.
    assert say(world, by=COURT, consent=given.digest, rid=bytes(15) + b"\x01") is None, "as before"
    other = give(world, at=TAX, uses=5)
    assert by_hand(world, other.token) == ("ok", None)
    assert say(world, by=COURT, consent=other.digest) == "revocation-issuer"
    assert by_hand(world, other.token) == ("ok", None)
    # The court's word does not stand in the way of the window's.
    take_back(world, given)
    assert tell(world, given)
    assert by_hand(world, given.token) == ("deny", "consent-revoked")
    assert world.kinds(MARKET).count("revoke") == 2
    assert world.nodes[MARKET].check() == []


def test_what_no_member_signed_is_counted_and_not_logged(world):
    keys = world.nodes[COURT].keys.node
    cases = (
        (say(world, by=TAX, signer=keys), "refused member-key"),
        (say(world, by=COURT, envelope_from=TAX, signer=keys), "refused member-key"),
    )
    for got, want in cases:
        assert got == want
    assert world.rejects[MARKET] == len(cases)
    assert (world.kinds(MARKET), is_told(world, _Digest())) == ([], False)


class _Digest:
    digest = bytes(32)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": COURT}, "revocation-other"),
        ({"iss": COURT}, "revocation-other"),
        ({"exp": 0}, "consent-expired"),
    ],
)
def test_what_a_member_says_wrongly_is_answered_with_a_code(world, changes, code):
    assert say(world, **changes) == code
    assert (world.kinds(MARKET), world.rejects[MARKET]) == ([], 0)
    assert not is_told(world, _Digest())


def test_a_suspended_member_may_take_back_what_it_gave(world):
    given = give(world, at=TAX)
    take_back(world, given)
    suspend(world, TAX)
    assert tell(world, given)
    assert is_told(world, given)


def test_a_member_says_so_only_so_often(world):
    """Whoever fills his own quota fills no other member's."""
    node = world.nodes[MARKET]
    charge = ToldCharge(told_counter(node.keys.index, TAX), world.clock.now_seconds())
    node.services.sequencer.run(lambda t: [charge.write(t, 0) for _ in range(TOLD_IN_HOUR - 1)], entries=0)
    assert say(world) is None
    given = give(world, at=TAX)
    take_back(world, given)
    assert not tell(world, given)
    assert trouble(world, given) == "revocation-limit"
    assert len(world.events(MARKET, "revoke")) == 1
    assert say(world, by=COURT) is None
    world.clock.advance(seconds=3_700)
    world.anchor()
    world.exchanges[TAX].tend()
    assert is_known(world, given)


def test_a_refused_consent_holds_up_no_other(world):
    mine, other = give(world, at=TAX), give(world, at=TAX)
    for given in (mine, other):
        take_back(world, given)
    desk = world.exchanges[MARKET].revocations
    take = desk._take_once

    def refuse(revocation):
        if revocation.consent == mine.digest:
            raise AccessDenied("revocation-issuer", "a provider that errs")
        return take(revocation)

    desk._take_once = refuse
    world.exchanges[TAX].outbox.tell_due()
    assert (is_known(world, mine), is_known(world, other)) == (False, True)
    assert (trouble(world, mine), trouble(world, other)) == ("revocation-issuer", None)


def test_what_could_not_be_told_for_a_full_store_is_told_later(world):
    """Neither can what ended be taken off the queue; the next turn does both."""
    ended, given = give(world, at=TAX, end=world.clock.now_seconds() + 100), give(world, at=TAX)
    for one in (ended, given):
        take_back(world, one)
    world.clock.advance(seconds=100)
    outbox = world.exchanges[TAX].outbox
    world.nodes[TAX].store.fail_next(Unavailable("store-full", "no space"))
    with raises_code(Unavailable, "store-full"):
        outbox.tell_due()
    outbox.tell_due()
    assert is_known(world, given)
    assert list(world.nodes[TAX].store.scan(b"Ct", b"Cu")) == []


def test_an_answer_about_another_event_holds_up_no_other(world):
    """The window lost its own event, took the consent back anew, and is shown the provider's first one each time."""
    lost, *others = sorted((give(world, at=TAX) for _ in range(3)), key=lambda one: one.digest)
    assert say(world, consent=lost.digest, rid=bytes(16)) is None
    for one in (lost, *others):
        take_back(world, one)
    world.post.away = {MARKET}
    world.exchanges[TAX].outbox.tell_due()
    world.post.away = set()
    world.clock.advance(seconds=FIRST_PAUSE_SECONDS)
    for _ in range(3):
        world.exchanges[TAX].outbox.tell_due()
    assert trouble(world, lost) == "revoked-event"
    assert [is_known(world, one) for one in (lost, *others)] == [False, True, True]


def test_a_consent_that_goes_on_is_not_over_because_its_provider_says_so(world):
    given = give(world, at=TAX)
    take_back(world, given)
    desk = world.exchanges[MARKET].revocations

    def refuse(_revocation):
        raise AccessDenied("consent-expired", "so it says")

    desk._take_once = refuse
    assert not tell(world, given)
    assert trouble(world, given) == "consent-expired"


def test_an_answer_that_does_not_hold_tells_nothing(world):
    given, other = give(world, at=TAX), give(world, at=TAX)
    for one in (given, other):
        take_back(world, one)
    desk = world.exchanges[MARKET].revocations
    take = desk._take_once

    def about_another(revocation):
        return take(replace(revocation, consent=other.digest, rid=bytes(16)))

    desk._take_once = about_another
    assert not tell(world, given)
    assert trouble(world, given) == "revoked-event"
    assert not is_known(world, given)
    assert list_promises(world.nodes[TAX].store, after=None, limit=10) == []


def test_what_was_told_goes_a_year_after_the_consent(world):
    given = give(world, at=TAX, end=world.clock.now_seconds() + 100)
    take_back(world, given)
    assert tell(world, given)
    world.clock.advance(seconds=100 + max(KEPT_SECONDS, LISTED_SECONDS) + 1)
    world.anchor()
    assert is_told(world, given)
    for code in (TAX, MARKET):
        world.exchanges[code].tend()
        assert world.nodes[code].check() == []
    assert not is_told(world, given)
    assert not is_known(world, given)
    for code, prefixes in ((MARKET, (b"Cr", b"Cx")), (TAX, (b"Ct", b"Ck"))):
        for prefix in prefixes:
            assert list(world.nodes[code].store.scan(prefix, prefix + b"\xff")) == []


def test_a_subject_finds_it_at_the_window(world):
    given = give(world, at=TAX)
    take_back(world, given)
    assert tell(world, given)
    shown = world.nodes[TAX].services.subjects.show(SUBJECT, "resident-id", WHY)
    assert [look.parts[0].kind for look in shown.looks] == ["revoke", "consent"]


@pytest.mark.parametrize("is_lost", [False, True])
def test_an_auditor_finds_nothing_amiss(world, is_lost):
    """Also while an answer is lost: the number of the receipt that is not here yet is no gap."""
    world.ask(by=TAX, providers=(MARKET,))
    given = give(world, at=TAX)
    take_back(world, given)
    world.post.on_revoked = (lambda _body: b"{}") if is_lost else world.post.on_revoked
    assert tell(world, given) is not is_lost
    world.ask(by=TAX, providers=(MARKET,))
    settle(world)
    held = [receipt for node in world.nodes.values() for receipt in held_by(node)]
    report = audit(world, held=held)
    assert codes_of(report) == set(), [finding.text("en") for finding in report.findings.listed]


def test_a_provider_that_drops_what_it_was_told_is_convicted(world):
    """It says that it knows, and takes the event out of its log again."""
    given = give(world, at=TAX)
    take_back(world, given)
    desk = world.exchanges[MARKET].revocations
    show = desk._take_once

    def promise(revocation):
        """The receipt of an event that the log does not hold: signed before, and put back."""
        with ExchangeWorld() as other:
            other.clock.advance(seconds=world.clock.now_seconds() - other.clock.now_seconds())
            return other.exchanges[MARKET].revocations._take_once(revocation)

    desk._take_once = promise
    assert tell(world, given)
    desk._take_once = show
    settle(world)
    report = audit(world, held=held_by(world.nodes[TAX]))
    assert {finding.member for finding in report.findings.listed} == {MARKET}
    assert codes_of(report) == {"receipt-not-honoured"}

# SPDX-License-Identifier: Apache-2.0
"""A consent from the window to the answer: given, used as often as it says, taken back; nobody else can use it."""

import pytest

from node.access.question import AskedSubject, ItemQuery
from node.access.receipt import MAX_SKEW_SECONDS
from node.crypto.ed25519 import Ed25519Signer
from node.ports import KeyKind, KeyRegistration
from node.service.consents import Terms
from node.service.limiting import list_uses, read_used
from tests.support.exchange_world import COURT, MARKET, TAX, VCT
from tests.support.node_world import WHY
from tests.support.rows import COMPANY, PERSON, RESIDENT_ID

PENALTY = VCT["penalty:2018"]
FIELDS = ("CF_CFLB", "CF_WSH", "subject")
SUBJECT = AskedSubject("rid", RESIDENT_ID)


@pytest.fixture
def world(world):
    """A natural person, too, about whom the market regulator has a record."""
    world.nodes[MARKET].import_penalties([7], **PERSON)
    world.anchor()
    return world


def give(world, *, at=MARKET, **changes):
    terms = {
        "subject": SUBJECT,
        "provider": MARKET,
        "asker": COURT,
        "purpose": "window-query",
        "items": (ItemQuery(PENALTY, FIELDS),),
        "end": world.clock.now_seconds() + 86_400,
        "uses": 2,
    }
    return world.exchanges[at].window.give(Terms(**terms | changes), WHY)


def question(token, **changes):
    return {
        "subject_type": "rid",
        "subject_id": RESIDENT_ID,
        "fields": {PENALTY: FIELDS},
        "purpose": "window-query",
        "basis": None,
        "case": None,
        "consents": {} if token is None else {MARKET: token},
    } | changes


def outcome(world, token, **changes):
    asked = world.ask_one(**question(token, **changes))
    return asked.result, asked.code


def by_hand(world, token, **changes):
    """What an asker gets whose own program does not refuse first."""
    said = {
        "subject": {"type": "rid", "id": RESIDENT_ID},
        "items": [{"vct": PENALTY, "fields": list(FIELDS)}],
        "purpose": "window-query",
        "basis": None,
        "case": None,
        "consent": token,
    }
    answer = world.ask_by_hand(**said | changes)
    return answer.result, answer.code


def test_a_consent_is_good_for_as_many_answers_as_it_says(world):
    given = give(world)
    assert [outcome(world, given.token) for _ in range(3)] == [
        ("ok", None),
        ("ok", None),
        ("deny", "consent-used-up"),
    ]
    assert world.kinds(MARKET) == ["consent", "grant", "grant", "deny"]
    store = world.nodes[MARKET].store
    events = [world.nodes[MARKET].access.place(index) for index, _ in world.events(MARKET, "grant")]
    assert [place for _, place in list_uses(store, given.digest)] == events
    (shown,) = world.exchanges[MARKET].window.show_of(SUBJECT, WHY)
    assert (shown.used, shown.uses) == (2, 2)


def test_a_consent_need_not_name_the_subject_that_gave_it(world):
    given = give(world, items=(ItemQuery(PENALTY, ("CF_CFLB", "CF_WSH")),))
    assert outcome(world, given.token, fields={PENALTY: ("CF_CFLB", "CF_WSH")}) == ("ok", None)
    fields = [*FIELDS[:2], "CF_JDRQ"]
    assert by_hand(world, given.token, items=[{"vct": PENALTY, "fields": sorted(fields)}]) == (
        "deny",
        "consent-scope",
    )


def test_uses_are_counted_across_restarts(world):
    given = give(world, uses=1)
    assert outcome(world, given.token) == ("ok", None)
    world.restart(MARKET)
    assert outcome(world, given.token) == ("deny", "consent-used-up")
    assert read_used(world.nodes[MARKET].store, given.digest).uses == 1


def test_a_request_that_comes_twice_uses_a_consent_once(world):
    given = give(world)
    assert outcome(world, given.token) == ("ok", None)
    _, body = world.post.sent[-1]
    assert world.post.deliver(MARKET, body) == world.post.answers[-1]
    world.restart(MARKET)
    assert world.post.deliver(MARKET, body) == world.post.answers[-1]
    assert read_used(world.nodes[MARKET].store, given.digest).uses == 1
    assert world.kinds(MARKET).count("grant") == 1


def test_what_was_taken_back_answers_nothing(world):
    given = give(world)
    assert outcome(world, given.token) == ("ok", None)
    world.exchanges[MARKET].window.take_back(given.digest, WHY)
    assert outcome(world, given.token) == ("deny", "consent-revoked")
    assert read_used(world.nodes[MARKET].store, given.digest).uses == 1


def test_a_consent_of_another_window_is_good_and_taken_back_at_the_provider(world):
    given = give(world, at=TAX)
    assert outcome(world, given.token) == ("ok", None)
    _, provider = world.exchanges[TAX].window.take_back(given.digest, WHY)
    assert provider == MARKET
    # Before the regulator was told; who carries the consent there need not wait.
    assert outcome(world, given.token) == ("ok", None)
    third = give(world, at=TAX)
    world.exchanges[MARKET].window.take_back_token(third.token, WHY)
    assert outcome(world, third.token) == ("deny", "consent-revoked")


def test_the_own_window_asks_nothing_on_what_it_took_back(world):
    """Its node knows at once, whether the provider was told or not."""
    given = give(world, at=COURT)
    world.exchanges[COURT].window.take_back(given.digest, WHY)
    assert outcome(world, given.token) == ("refused", "consent-revoked")
    assert world.post.sent == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"asker": TAX}, "consent-asker"),
        ({"provider": TAX}, "consent-aud"),
        ({"purpose": "pre-listing"}, "consent-purpose"),
        ({"subject": AskedSubject("uscc", COMPANY)}, "consent-subject"),
        ({"items": (ItemQuery(PENALTY, ("CF_WSH", "subject")),)}, "consent-scope"),
    ],
)
def test_a_consent_for_something_else_is_refused_on_both_sides(world, changes, code):
    given = give(world, **changes)
    assert outcome(world, given.token) == ("refused", code)
    assert by_hand(world, given.token) == ("deny", code)
    assert read_used(world.nodes[MARKET].store, given.digest).uses == 0


def test_an_expired_consent_is_refused_on_both_sides(world):
    given = give(world, end=world.clock.now_seconds() + 10)
    world.clock.advance(seconds=10)
    assert outcome(world, given.token) == ("refused", "consent-expired")
    assert by_hand(world, given.token) == ("deny", "consent-expired")


def test_without_consent_nothing_leaves(world):
    assert outcome(world, None) == ("refused", "consent-required")
    assert by_hand(world, None) == ("deny", "consent-required")


def test_a_key_that_was_replaced_signs_no_new_consents(world):
    """Who keeps a copy of the old key, or a window that did not notice, gives none with it any more; old ones stay good."""
    before = give(world, at=TAX)
    client = world.chain.client(world.nodes[TAX].identity.operator)
    key = KeyRegistration(KeyKind.NODE, Ed25519Signer(bytes(31) + b"\x01").public)
    client.send(client.sign_register_keys([key], client.next_nonce()).raw)
    world.chain.mine()
    world.clock.advance(seconds=MAX_SKEW_SECONDS + 10)
    after = give(world, at=TAX)
    assert by_hand(world, before.token) == ("ok", None)
    assert by_hand(world, after.token) == ("deny", "member-key")

# SPDX-License-Identifier: Apache-2.0
"""A sealed event without a warrant: a member seals its looks so that the subject is never shown them.

The form of a sealed event demands the digest of a warrant, and anybody can make one up. It does not get past the
other side: a request whose ask event is sealed must bring the warrant itself, of that digest, signed by a regulator,
for this asker, in force, with a day by which everything is opened. Nor can the openings be exchanged afterwards: the
event holds the digest of what the regulator was given.

Nor does a warrant help whoever gives the regulator nothing: the provider seals its own event only as part of a look whose
first box the regulator holds, so it learns there that the asker kept its box to itself, and gives nothing.
"""

from __future__ import annotations

import pytest

from node.access.request import verify_request
from node.access.warrant import build_warrant, parse_warrant, verify_warrant
from node.crypto.token import token_digest
from node.errors import AccessDenied, NotFound, Verification
from node.service.drafting import EventDraft
from tests.support.errors import raises_code
from tests.support.exchange_world import COURT, MARKET
from tests.support.one_exchange import (
    ASKER,
    LOGS,
    NODE_KEYS,
    NOW,
    PROVIDER,
    REGULATOR,
    UNTIL,
    ask,
    request,
    sealed_members,
    warrant,
)
from tests.support.sealed_world import INSPECTOR, SealedWorld


def arrive(token):
    """What the provider does with it."""
    return verify_request(
        token,
        public=NODE_KEYS[ASKER].public,
        from_=ASKER,
        to=PROVIDER,
        log=LOGS[ASKER],
        now_seconds=NOW + 5,
    )


def find_regulator(kid, member):
    """The registry: who is a regulator."""
    if member != REGULATOR:
        raise NotFound("role", f"{member} is no regulator")
    return NODE_KEYS[REGULATOR].public


def sealed_ask(**changes):
    return ask(kind="sealed", name="sealed", **{**sealed_members(), **changes})


def test_a_sealed_look_without_a_warrant_is_refused():
    with raises_code(Verification, "request-event"):
        arrive(request(ask=sealed_ask()))


def test_a_look_that_names_a_warrant_and_is_not_sealed_is_refused():
    with raises_code(Verification, "request-event"):
        arrive(request(sealed=warrant()))


def test_another_warrant_than_the_one_in_the_event_is_refused():
    with raises_code(Verification, "request-event"):
        arrive(request(sealed=warrant(jti=bytes(16)), ask=sealed_ask()))


def test_a_warrant_that_the_asker_wrote_himself_is_refused():
    own = warrant(signer=NODE_KEYS[ASKER], iss=ASKER)
    made = arrive(request(sealed=own, ask=sealed_ask(warrant=token_digest(own))))
    with raises_code(NotFound, "role"):
        verify_warrant(made.sealed, find_key=find_regulator, asker=made.iss, open_by=UNTIL, now_seconds=NOW)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signer": NODE_KEYS[ASKER]}, "jws-key"),
        ({"asker": PROVIDER}, "warrant-asker"),
        ({"exp": NOW - 1, "iat": NOW - 10}, "warrant-expired"),
        ({"open_by": NOW + 30 * 86_400}, "warrant-open-by"),
    ],
    ids=["in the regulator's name", "of another asker", "of yesterday", "to be opened sooner"],
)
def test_a_warrant_that_does_not_fit_is_refused(changes, code):
    wrong = warrant(**changes)
    made = arrive(request(sealed=wrong, ask=sealed_ask(warrant=token_digest(wrong))))
    with raises_code(Verification, code):
        verify_warrant(
            made.sealed,
            find_key=find_regulator,
            asker=made.iss,
            open_by=sealed_members()["open_by"],
            now_seconds=NOW,
        )


@pytest.fixture
def world():
    with SealedWorld() as made:
        made.nodes[MARKET].import_penalties(range(2))
        made.anchor()
        yield made


def ask_sealed(world, warrant, **changes):
    """What a court's own program may log and send under a warrant, whatever it gave the inspector."""
    terms = {"purpose": "discipline-inspection", "basis": "supervision-law-18", "case": "2026-监-3"}
    sealed = {
        "kind": "sealed",
        "box": bytes(32),
        "open_by": parse_warrant(warrant).open_by,
        "warrant": token_digest(warrant),
    }
    return world.ask_by_hand(sealed=warrant, ask=sealed | changes, **terms)


def refused(world, answer, code):
    assert (answer.result, answer.code, answer.records) == ("deny", code, ())
    assert world.events(MARKET, "grant", "sealed") == []


def test_a_box_that_the_inspector_never_saw_gets_nothing(world):
    refused(world, ask_sealed(world, world.issue()), "deposit-look")


def test_the_box_of_another_look_gets_nothing(world):
    warrant = world.issue()
    assert world.ask_one(warrant=warrant).result == "ok"
    held = world.depository.boxes(after=None, limit=1)[0]
    before = world.kinds(MARKET).count("sealed")
    answer = ask_sealed(world, warrant, box=held.box)
    assert (answer.result, answer.code) == ("deny", "deposit-look")
    assert world.kinds(MARKET).count("sealed") == before


def test_a_court_that_is_a_regulator_itself_seals_nothing_of_its_own(world):
    now = world.clock.now_seconds()
    own = build_warrant(
        signer=world.nodes[COURT].keys.node,
        iss=COURT,
        asker=COURT,
        iat=now,
        exp=now + 3_600,
        jti=bytes(16),
        looks=9,
        open_by=now + 3_600,
    )
    answer = ask_sealed(world, own)
    refused(world, answer, "warrant-issuer")
    # Nobody's warrant: the refusal is shown to its subject like any other.
    ((index, _),) = world.events(MARKET, "deny")
    assert world.values(MARKET, index)["subject"] is not None


def test_a_warrant_in_the_inspectors_name_that_another_signed_seals_nothing(world):
    now = world.clock.now_seconds()
    forged = build_warrant(
        signer=world.nodes[COURT].keys.node,
        iss=INSPECTOR,
        asker=COURT,
        iat=now,
        exp=now + 3_600,
        jti=bytes(16),
        looks=9,
        open_by=now + 3_600,
    )
    refused(world, ask_sealed(world, forged), "member-key")


def test_a_provider_cannot_be_made_to_seal_for_another_asker(world):
    """A deposit by whoever is no party to the look is not taken, whatever it knows of it."""
    warrant = world.issue()
    world.ask_one(warrant=warrant)
    ask, *_ = world.depository.boxes(after=None, limit=10)
    sealer = world.exchanges[MARKET].provider._answering._sealer
    draft = EventDraft(
        kind="grant",
        peer=COURT,
        rid=ask.rid,
        purpose="discipline-inspection",
        items=[],
        rule="law",
        released=[],
    )
    with raises_code(AccessDenied, "deposit-look"):
        sealer.seal(draft, token=warrant, part="grant", ask=bytes(32))
    with raises_code(AccessDenied, "warrant-asker"):
        sealer.seal(draft, token=warrant, part="receive", ask=ask.box)

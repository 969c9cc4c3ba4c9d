# SPDX-License-Identifier: Apache-2.0
"""A sealed event without a warrant: a member seals its looks so that the subject is never shown them.

The form of a sealed event demands the digest of a warrant, and anybody can make one up. It does not get past the
other side: a request whose ask event is sealed must bring the warrant itself, of that digest, signed by a regulator,
for this asker, in force, with a day by which everything is opened. Nor can the openings be exchanged afterwards: the
event holds the digest of what the regulator was given.
"""

from __future__ import annotations

import pytest

from node.access.request import verify_request
from node.access.warrant import verify_warrant
from node.crypto.token import token_digest
from node.errors import NotFound, Verification
from tests.support.errors import raises_code
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

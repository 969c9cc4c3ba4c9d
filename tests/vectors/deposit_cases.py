# SPDX-License-Identifier: Apache-2.0
"""Vectors of deposits: what a member hands its regulator under a warrant, the answers, and what must be refused of both."""

from __future__ import annotations

from node.access.box import deposit_info, deposited_info
from node.core.encoding import encode_b64u
from node.crypto.token import token_digest
from tests.support import one_deposit as deposits
from tests.support import one_exchange as world
from tests.vectors.cases import edited_case, signed_case

_OTHER = "91350100M000100Y43"
_YEAR_2100 = 4_102_444_800


def build_cases():
    """Build all of them."""
    token = deposits.deposit()
    return {
        "infos": {
            "deposit": deposit_info(world.ASKER, world.REGULATOR, world.REGULATOR_KEY.kid).decode(),
            "deposited": deposited_info(world.REGULATOR, world.ASKER, token_digest(token)).decode(),
        },
        "deposits": [
            signed_case("of the first event", token),
            signed_case("of the end", deposits.last_deposit()),
        ],
        "answers": [
            signed_case("taken", deposits.deposited()),
            signed_case("refused", deposits.not_deposited()),
        ],
        "refused": [*_deposits(), *_answers()],
    }


def _deposits():
    def changed(name, code, /, **claims):
        return edited_case("of the first event", name, code, **claims)

    return [
        changed("a part that no look has", "deposit-part", part="deny"),
        changed("the first box named by itself", "deposit-part", ask=encode_b64u(deposits.BOX)),
        changed("the end without the first box", "deposit-part", part="receive"),
        changed("with itself", "deposit-self", peer=world.ASKER),
        changed("with the regulator", "deposit-self", peer=world.REGULATOR),
        changed("an empty box", "box-size", box=""),
        changed("a box without a plaintext", "box-size", box=encode_b64u(bytes(1_136))),
        changed("a short rid", "base64-length", rid="AAAA"),
        changed("no warrant", "json-text", warrant=None),
        changed("another member's claims", "json-member-unknown", subject=None),
        {**edited_case("of the first event", "of another kind", "jws-typ"), "typ": "warrant+jwt"},
        {**edited_case("of the first event", "signed by the provider", "jws-key"), "by": world.PROVIDER},
    ]


def _answers():
    def changed(name, code, /, **claims):
        return edited_case("taken", name, code, **claims)

    def logged(name, code, /, **members):
        claims = signed_case("", deposits.deposited(made=deposits.kept(**members)))["claims"]
        return changed(name, code, event=claims["event"], receipt=claims["receipt"])

    return [
        changed("both code and event", "deposited-result", code="warrant-used-up"),
        changed("neither", "deposited-result", event=None, receipt=None),
        changed("an event without receipt", "deposited-result", receipt=None),
        edited_case("refused", "a code that is none", "deposited-result", code="Used up"),
        changed("to another deposit", "deposited-other", req=encode_b64u(bytes(32))),
        changed("for another member", "deposited-other", aud=world.PROVIDER),
        changed("by another regulator", "deposited-other", iss=_OTHER),
        changed("of the year 2100", "answer-time", iat=_YEAR_2100),
        changed("before the deposit", "answer-time", iat=world.NOW - 61),
        logged("of another box", "deposited-event", box=bytes(32)),
        logged("of another warrant", "deposited-event", warrant=bytes(32)),
        logged("of another day", "deposited-event", open_by=world.UNTIL),
        logged("that counts as a look", "deposited-event", n=1),
        {**changed("signed by the asker", "jws-key"), "by": world.ASKER},
    ]

# SPDX-License-Identifier: Apache-2.0
"""Vectors of revocations: what a window tells the provider of a consent, the answers, and what must be refused of both."""

from __future__ import annotations

from node.access.box import revocation_info, revoked_info
from node.core.encoding import encode_b64u
from node.crypto.token import token_digest
from tests.support import one_exchange as world
from tests.support import one_revocation as revocations
from tests.vectors.cases import edited_case, signed_case

_OTHER = "91350100M000100Y43"


def build_cases():
    """Build all of them."""
    token = revocations.revocation()
    window, provider = revocations.WINDOW, world.PROVIDER
    return {
        "infos": {
            "revocation": revocation_info(window, provider, world.PROVIDER_KEY.kid).decode(),
            "revoked": revoked_info(provider, window, token_digest(token)).decode(),
        },
        "revocations": [signed_case("of one consent", token)],
        "answers": [
            signed_case("taken", revocations.revoked()),
            signed_case("refused", revocations.not_revoked()),
        ],
        "refused": [*_revocations(), *_answers()],
    }


def _revocations():
    def changed(name, code, /, **claims):
        return edited_case("of one consent", name, code, **claims)

    return [
        changed("to itself", "revocation-self", aud=revocations.WINDOW),
        changed("a short digest", "base64-length", consent="AAAA"),
        changed("no consent", "json-text", consent=None),
        changed("a short rid", "base64-length", rid="AAAA"),
        changed("an end before all time", "json-range", exp=-1),
        changed("the consent itself", "json-member-unknown", token=world.consent()),
        {**edited_case("of one consent", "of another kind", "jws-typ"), "typ": "consent+jwt"},
        {**edited_case("of one consent", "signed by the asker", "jws-key"), "by": world.ASKER},
    ]


def _answers():
    def changed(name, code, /, **claims):
        return edited_case("taken", name, code, **claims)

    def logged(name, code, /, **changes):
        claims = signed_case("", revocations.revoked(made=revocations.logged(**changes)))["claims"]
        return changed(name, code, revoke=claims["revoke"])

    taken = signed_case("", revocations.revoked())["claims"]["revoke"]
    return [
        changed("both code and event", "revoked-result", code="revocation-limit"),
        changed("neither", "revoked-result", revoke=None),
        edited_case("refused", "a code that is none", "revoked-result", code="Not now"),
        changed("to another revocation", "revoked-other", req=encode_b64u(bytes(32))),
        changed("for another member", "revoked-other", aud=world.ASKER),
        changed("by another provider", "revoked-other", iss=_OTHER),
        changed("an opening too few", "logged-open", revoke=taken | {"open": taken["open"][:-1]}),
        changed(
            "an opening twice",
            "opening-twice",
            revoke=taken | {"open": [*taken["open"][:-1], taken["open"][0]]},
        ),
        logged("of another consent", "revoked-event", said={"consent": encode_b64u(bytes(32))}),
        logged("told by another member", "revoked-event", said={"peer": world.ASKER}),
        logged("under another rule", "revoked-event", said={"rule": "consent"}),
        logged("of another kind", "revoked-event", kind="consent"),
        logged("with a receipt for another member", "receipt-aud", aud=world.ASKER),
        logged("with a receipt far from its event", "receipt-time", iat=world.NOW + 3_600),
        {**changed("signed by the window", "jws-key"), "by": revocations.WINDOW},
    ]

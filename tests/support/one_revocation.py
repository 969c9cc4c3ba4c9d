# SPDX-License-Identifier: Apache-2.0
"""A consent that was taken back at its window: what the window tells the provider, and what it gets for it."""

from __future__ import annotations

from hashlib import sha256

from node.access.consent import parse_consent
from node.access.event import SALTED_NAMES
from node.access.logged import LoggedEvent, select_openings
from node.access.receipt import build_receipt
from node.access.revocation import build_revocation, build_revoked
from node.core.encoding import encode_b64u
from node.crypto.token import token_digest
from node.log.merkle import leaf_hash
from tests.support.one_exchange import (
    LIMIT,
    LOGS,
    NODE_KEYS,
    NOW,
    PROVIDER,
    REGULATOR,
    RID,
    consent,
    event,
)

WINDOW = REGULATOR
"""At whose window the consent of ``one_exchange`` was given."""
CONSENT = sha256(consent().encode()).digest()


def revocation(**changes):
    """What the window tells."""
    arguments = {
        "signer": NODE_KEYS[WINDOW],
        "iss": WINDOW,
        "aud": PROVIDER,
        "iat": NOW,
        "rid": RID,
        "consent": CONSENT,
        "exp": parse_consent(consent()).exp,
    }
    return build_revocation(**(arguments | changes))


def logged(*, aud=WINDOW, iat=NOW + 1, said=None, kind="revoke", **members):
    """The provider's event, as it is shown to the window."""
    values = {
        "peer": WINDOW,
        "purpose": "consent-revocation",
        "consent": encode_b64u(CONSENT),
        "rule": "window",
    }
    made = event(
        "revoked",
        kind,
        {**dict.fromkeys(SALTED_NAMES), **values, **(said or {})},
        **({"rid": RID} | members),
    )
    receipt = build_receipt(
        signer=NODE_KEYS[PROVIDER],
        iss=PROVIDER,
        aud=aud,
        log=LOGS[PROVIDER],
        idx=17,
        leaf=leaf_hash(made.entry),
        rid=RID,
        pair=3,
        iat=iat,
        anchor_limit_seconds=LIMIT,
    )
    return LoggedEvent(made.entry, select_openings(made.disclosures), receipt)


def revoked(token=None, made=None, **changes):
    """The provider's answer."""
    arguments = {
        "signer": NODE_KEYS[PROVIDER],
        "iss": PROVIDER,
        "aud": WINDOW,
        "iat": NOW + 1,
        "req": token_digest(token or revocation()),
        "revoke": made or logged(),
    }
    return build_revoked(**(arguments | changes))


def not_revoked():
    """The provider's answer when it takes nothing."""
    return revoked(code="revocation-limit", revoke=None)

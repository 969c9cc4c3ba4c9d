# SPDX-License-Identifier: Apache-2.0
"""The exchange of ``one_exchange`` under its warrant: what the asker hands the regulator, and what it gets for it."""

from __future__ import annotations

from hashlib import sha256

from node.access.deposit import build_deposit, build_deposited
from node.access.event import SALTED_NAMES
from node.access.receipt import build_receipt
from node.access.warrant import parse_warrant
from node.crypto.token import token_digest
from node.log.checkpoint import build_origin
from node.log.merkle import leaf_hash
from tests.support.one_exchange import (
    ASKER,
    DOMAIN,
    LIMIT,
    NODE_KEYS,
    NOW,
    PROVIDER,
    REGULATOR,
    RID,
    event,
    sealed_box,
    warrant,
)

REGULATOR_LOG = build_origin(DOMAIN, REGULATOR, "access", 0)
BOX = sha256(sealed_box()).digest()


def deposit(**changes):
    """The box of the asker's first event."""
    arguments = {
        "signer": NODE_KEYS[ASKER],
        "iss": ASKER,
        "aud": REGULATOR,
        "iat": NOW,
        "rid": RID,
        "part": "ask",
        "peer": PROVIDER,
        "ask": None,
        "box": sealed_box(),
        "warrant": warrant(),
    }
    return build_deposit(**(arguments | changes))


def last_deposit():
    """The same box as if it were the end of the look: every claim has a value."""
    return deposit(part="receive", ask=BOX)


def kept(**changes):
    """The regulator's own event."""
    said = {"peer": ASKER, "purpose": "sealed-deposit", "items": [], "rule": "warrant"}
    token = parse_warrant(warrant())
    members = {"box": BOX, "open_by": token.open_by, "warrant": token.digest, "n": 0, "rid": RID}
    return event("deposit", "sealed", {**dict.fromkeys(SALTED_NAMES), **said}, **(members | changes))


def deposited(token=None, made=None, **changes):
    """The regulator's answer: its event and receipt."""
    made = made or kept()
    receipt = build_receipt(
        signer=NODE_KEYS[REGULATOR],
        iss=REGULATOR,
        aud=ASKER,
        log=REGULATOR_LOG,
        idx=31,
        leaf=leaf_hash(made.entry),
        rid=RID,
        pair=5,
        iat=NOW + 1,
        anchor_limit_seconds=LIMIT,
    )
    arguments = {
        "signer": NODE_KEYS[REGULATOR],
        "iss": REGULATOR,
        "aud": ASKER,
        "iat": NOW + 1,
        "req": token_digest(token or deposit()),
        "event": made.entry,
        "receipt": receipt,
    }
    return build_deposited(**(arguments | changes))


def not_deposited():
    """The regulator's answer when it takes nothing."""
    return deposited(code="warrant-used-up", event=None, receipt=None)

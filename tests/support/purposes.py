# SPDX-License-Identifier: Apache-2.0
"""Questions under the sample purposes, as the tests and the demo ask them."""

from __future__ import annotations

from functools import cache

from node.access.decision import Asker, ConsentGiven, ItemClasses, Question
from node.access.purposes import PurposeRules, load_sample_purposes, parse_purposes
from node.records.catalogue import load_builtin_items
from node.service.policy import classes_of

DOMAIN = "test.example"
PENALTY = f"urn:ironcage:{DOMAIN}:penalty:2018"
PERMIT = f"urn:ironcage:{DOMAIN}:permit:2018"
ASKER = "11330100002489014L"
PROVIDER = "91350100M000100Y43"
AT = 1_790_000_000


@cache
def sample_rules() -> PurposeRules:
    """The sample that comes with the program."""
    return parse_purposes(load_sample_purposes())


@cache
def builtin_classes() -> dict[str, ItemClasses]:
    """Classes of the built-in items in the exchange domain of the tests."""
    return {f"urn:ironcage:{DOMAIN}:{key}": classes_of(item) for key, item in load_builtin_items().items()}


def question(**changes) -> Question:
    """A question before a tender that is granted, with some of it changed."""
    members = {
        "rules": sample_rules(),
        "catalogue": builtin_classes(),
        "asker": Asker(ASKER, "active", frozenset({"consumer"})),
        "provider": PROVIDER,
        "purpose": "tender-check",
        "basis": "gov-procurement-22",
        "case": "2026-招-17",
        "subject_type": "uscc",
        "asked": {PENALTY: ("CF_CFLB", "CF_JDRQ", "CF_WSH", "subject")},
        "at": AT,
    }
    return Question(**(members | changes))


def consent(**changes) -> ConsentGiven:
    """A consent for one use that fits ``question(consent=consent(purpose=…, items=…))``."""
    members = {
        "asker": ASKER,
        "provider": PROVIDER,
        "purpose": "tender-check",
        "items": {PENALTY: frozenset({"CF_CFLB", "CF_JDRQ", "CF_WSH", "subject"})},
        "expires": AT + 1,
        "uses_left": 1,
        "is_about_subject": True,
    }
    return ConsentGiven(**(members | changes))

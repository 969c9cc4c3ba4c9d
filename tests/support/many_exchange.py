# SPDX-License-Identifier: Apache-2.0
"""One question about three subjects with fixed keys, secrets and times, beside the one of ``one_exchange``."""

from __future__ import annotations

from functools import cache

from node.access.answer import released_of
from node.access.bulk import Line, encode_line, hash_lines, line_salts
from node.access.bulk_answer import build_bulk_answer
from node.access.bulk_request import build_bulk_request
from node.access.question import AskedSubject
from node.crypto.token import token_digest
from tests.support.one_exchange import (
    ABOUT,
    ASKER,
    ITEMS,
    NODE_KEYS,
    NOW,
    PROVIDER,
    REPLY_KEY,
    RID,
    WHY,
    asked,
    event,
    grant,
    logged,
    once,
    record,
    secret_of,
    status,
)

SUBJECTS = (ABOUT, AskedSubject("uscc", PROVIDER), AskedSubject("uscc", ASKER))
SECOND = {"id": "wang", "idp": "https://id.zj.example", "auth": None}


def lines(name, released, subjects=SUBJECTS):
    """The lines of the event of this name."""
    salts = line_salts(secret_of(f"event/{name}"), len(subjects))
    return tuple(
        encode_line(Line(salt, subject, given))
        for salt, subject, given in zip(salts, subjects, released, strict=True)
    )


def ask_many(texts, salted=None, *, name="bulk ask", kind="bulk", **changes):
    """The asker's side as it stands in a request about many."""
    salted = salted or asked(subject=None)
    members = {"n": len(texts), "set_root": hash_lines(texts).root} if kind == "bulk" else {}
    return logged(event(name, kind, salted, **members | changes), iss=ASKER, aud=PROVIDER, idx=1_009, pair=44)


def bulk_request(**changes):
    texts = changes.pop("texts", None) or lines("bulk ask", [None] * len(SUBJECTS))
    arguments = {
        "signer": NODE_KEYS[ASKER],
        "iss": ASKER,
        "aud": PROVIDER,
        "iat": NOW + 2,
        "exp": NOW + 302,
        "rid": RID,
        "texts": texts,
        "approved": False,
        "items": ITEMS,
        **WHY,
        "reply": REPLY_KEY.public,
        "ask": ask_many(texts),
        "checkpoint": once()["ask checkpoint"],
    }
    return build_bulk_request(**{**arguments, **changes})[0]


def approved_request():
    """With a second person in the event, whom the request does not name."""
    texts = lines("bulk ask approved", [None] * len(SUBJECTS))
    officer = {**asked()["officer"], "second": SECOND}
    shown = ask_many(texts, asked(subject=None, officer=officer), name="bulk ask approved")
    return bulk_request(texts=texts, approved=True, ask=shown)


def given_many(token, texts, salted=None, **changes):
    """The provider's side as it stands in the answer to a request about many."""
    salted = salted or asked(subject=None, peer=ASKER, officer=None, rule="penalty/listing-check")
    members = {"name": "bulk grant", "n": len(texts), "set_root": hash_lines(texts).root}
    return grant(token, [], "bulk", salted, **members | changes)


@cache
def given_lines():
    return lines("bulk grant", [released_of([record()]), [], []])


def bulk_answer(result="ok", token=None, **changes):
    token = token or bulk_request()
    texts = () if result == "deny" else given_lines()
    records = [record()]
    if result == "none":
        texts, records = lines("bulk grant", [[], [], []]), []
    withheld = [(0, None), (2, "too-many-records"), (0, None)] if result == "partial" else [(0, None)] * 3
    if result == "deny":
        shown = grant(
            token, [], "deny", asked(subject=None, peer=ASKER, officer=None, rule="bulk"), name="bulk deny"
        )
        records = []
    else:
        shown = given_many(token, texts)
    arguments = {
        "signer": NODE_KEYS[PROVIDER],
        "iss": PROVIDER,
        "aud": ASKER,
        "iat": NOW + 4,
        "req": token_digest(token),
        "result": result,
        "code": {"partial": "too-many-records", "deny": "approver-required"}.get(result),
        "lines": [(text, *more) for text, more in zip(texts, withheld, strict=False)],
        "as_of": once()["as_of"],
        "records": records,
        "status": [status()] if records else [],
        "grant": shown,
        "checkpoint": once()["answer checkpoint"],
    }
    return build_bulk_answer(**{**arguments, **changes})

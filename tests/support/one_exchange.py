# SPDX-License-Identifier: Apache-2.0
"""One exchange with fixed keys, secrets and times: a court asks a provider under a regulator's eyes.

Everything is made by the project's own code and the same in every run, but for what is randomised by its algorithm
(ML-DSA-44 signatures, HPKE) or depends on the machine's zlib: that is made once and kept in
tests/vectors/exchange/once.json.
"""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path

from node.access.answer import StatusProof, build_answer, released_of
from node.access.box import encode_envelope, seal_answer, seal_request
from node.access.bulk import Line, encode_line, hash_lines, line_salts
from node.access.consent import build_consent
from node.access.event import (
    SALTED_NAMES,
    build_event,
    build_heartbeat,
    build_openings,
    build_pad,
    event_salts,
    parse_event,
)
from node.access.logged import LoggedEvent, select_openings
from node.access.question import AskedSubject, ItemQuery, encode_items, encode_subject
from node.access.receipt import build_receipt
from node.access.request import build_request, parse_request
from node.access.sealed import seal_openings
from node.access.warrant import build_warrant
from node.core.encoding import encode_b64u, parse_b64u
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.hpke import ExchangeKey
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import ED25519, MLDSA44, build_vkey
from node.crypto.token import token_digest
from node.log.checkpoint import Checkpoint, build_origin, sign_checkpoint
from node.log.merkle import leaf_hash, root_of
from node.records.names import parse_status_uri
from node.records.record import present_record
from node.records.status import StatusList, build_status_head, encode_status_token, status_path
from tests.support.records import (
    DOMAIN,
    FIELD_CODES,
    MEMBER,
    OTHER_MEMBER,
    SECRET,
    STATUS_URI,
    SUBJECT,
    VALUES,
    issue_record,
)
from tests.support.records import SIGNER as RECORD_KEY

ONCE = Path(__file__).resolve().parents[1] / "vectors" / "exchange" / "once.json"
ASKER, PROVIDER, REGULATOR = OTHER_MEMBER, MEMBER, "91440300708461136T"
NOW = 1_790_000_000
LIMIT = 14_400
"""The network's anchor_limit in seconds."""


def secret_of(name):
    """Derive 32 fixed bytes."""
    return sha256(f"ironcage vectors/{name}".encode()).digest()


NODE_KEYS = {
    member: Ed25519Signer(secret_of(f"node key/{member}")) for member in (ASKER, PROVIDER, REGULATOR)
}
LOG_KEYS = {
    (member, kind): (
        Ed25519Signer(secret_of(f"log key/{member}/{kind}")),
        MlDsa44Signer(secret_of(f"log key pq/{member}/{kind}")),
    )
    for member in (ASKER, PROVIDER)
    for kind in ("access", "records")
}
PROVIDER_KEY = ExchangeKey(secret_of("exchange key"))
REGULATOR_KEY = ExchangeKey(secret_of("regulator key"))
REPLY_KEY = ExchangeKey(secret_of("reply key"))
LOGS = {member: build_origin(DOMAIN, member, "access", 0) for member in (ASKER, PROVIDER)}
RECORDS_LOG = build_origin(DOMAIN, PROVIDER, "records", 0)
ABOUT = AskedSubject("uscc", "91330106MA27Y8LH7C")
VCT = "urn:ironcage:zj.example:penalty:2018"
ITEMS = (ItemQuery(VCT, ("CF_CFLB", "CF_JDRQ", "CF_WSH", "subject")),)
RID = secret_of("rid")[:16]
WHY = {"purpose": "listing-check", "basis": "国办发〔2020〕49号", "case": "(2026)浙0106执1号"}
OFFICER = {"id": "zhang", "idp": "https://id.zj.example", "auth": encode_b64u(secret_of("assertion"))}
TREE_SIZE = 1_024
UNTIL = NOW + 90 * 86_400
"""By when the sealed events here are opened."""


@cache
def once():
    return json.loads(ONCE.read_text(encoding="utf-8"))


def make_once():
    """Make what no second run makes again: notes and status list first, then the boxes of messages that hold them."""
    made = {
        "ask checkpoint": sign_note(LOGS[ASKER], ASKER, "access"),
        "answer checkpoint": sign_note(LOGS[PROVIDER], PROVIDER, "access"),
        "as_of": sign_note(RECORDS_LOG, PROVIDER, "records"),
        "status list": encode_status_token(StatusList(), parse_status_uri(STATUS_URI), NOW - 600, RECORD_KEY),
    }
    box = seal_openings(sealed_openings(), public=REGULATOR_KEY.public, from_=ASKER, to=REGULATOR)
    made["sealed box"] = encode_b64u(box)
    write_once(made)
    token = request()
    sealed = seal_request(token, public=PROVIDER_KEY.public, from_=ASKER, to=PROVIDER)
    reply = seal_answer(
        answer("ok"), reply=REPLY_KEY.public, req=token_digest(token), from_=PROVIDER, to=ASKER
    )
    made |= {
        "request envelope": encode_envelope(sealed).decode(),
        "answer envelope": encode_envelope(reply).decode(),
    }
    write_once(made)


def write_once(made):
    ONCE.write_text(json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    once.cache_clear()
    sealed_box.cache_clear()


def sign_note(origin, member, kind):
    root = root_of([leaf_hash(b"entry %d" % number) for number in range(TREE_SIZE)])
    return sign_checkpoint(Checkpoint(origin, TREE_SIZE, root), *LOG_KEYS[member, kind], NOW - 120)


def vkeys(member, kind):
    ed25519, ml_dsa = LOG_KEYS[member, kind]
    origin = RECORDS_LOG if kind == "records" else LOGS[member]
    return build_vkey(origin, ED25519, ed25519.public), build_vkey(origin, MLDSA44, ml_dsa.public)


def asked(**changes):
    """The salted values of an ask event."""
    values = {
        **dict.fromkeys(SALTED_NAMES),
        "peer": PROVIDER,
        "subject": encode_subject(ABOUT),
        "officer": OFFICER,
        **WHY,
        "items": encode_items(ITEMS),
        "rule": "listing-check/court",
    }
    return {**values, **changes}


def granted(records, **changes):
    """The salted values of a grant event."""
    values = {
        "peer": ASKER,
        "officer": None,
        "rule": "penalty/listing-check",
        "released": released_of(records),
    }
    return asked(**{**values, **changes})


def event(name, kind, salted, *, rid=RID, n=1, t_ms=NOW * 1000 + 123, req=None, **more):
    return build_event(kind, t_ms, rid, n, req, salted, event_salts(secret_of(f"event/{name}")), **more)


def local(**changes):
    """Salted values of an event with no other side."""
    return {
        **dict.fromkeys(SALTED_NAMES),
        "officer": OFFICER,
        "purpose": "own-records",
        "rule": "own-department",
        "items": [{"vct": VCT, "fields": ["CF_WSH"]}],
        "released": [[encode_b64u(secret_of("jwt")), [encode_b64u(secret_of("sd"))]]],
        **changes,
    }


def sealed_members():
    """The open members of a sealed event."""
    return {"box": sha256(sealed_box()).digest(), "open_by": UNTIL, "warrant": token_digest(warrant())}


def sealed_openings():
    """The ten openings of the sealed event, which stand in its box."""
    return build_openings(asked(), event_salts(secret_of("event/sealed")))


@cache
def sealed_box():
    return parse_b64u(once()["sealed box"])


@cache
def events():
    """One event of each kind, by name, with what it was made of."""
    req = secret_of("some request")
    consented = encode_b64u(token_digest(consent()))
    lines = bulk()
    plans = {
        "ask": ("ask", asked(), {}),
        "grant": ("grant", granted([record()]), {"req": req}),
        "grant of nothing": ("grant", granted([]), {"req": req}),
        "deny": ("deny", asked(peer=ASKER, officer=None, rule="case-missing"), {"req": req, "n": 3}),
        "receive": ("receive", asked(released=released_of([record()])), {"req": req}),
        "receive on time-out": ("receive", asked(), {"req": req}),
        "read": ("read", local(), {}),
        "export": ("export", local(basis="政府信息公开条例第三十六条"), {}),
        "consent": ("consent", asked(consent=consented, case=None), {}),
        "revoke": ("revoke", asked(consent=consented, items=None), {}),
        "erase": ("erase", local(released=[]), {}),
        "audit": ("audit", local(purpose="audit", items=None), {}),
        "sealed": ("sealed", asked(), sealed_members()),
        "bulk": ("bulk", asked(subject=None), {"n": len(lines["lines"]), "set_root": lines["set"].root}),
    }
    return {
        name: {"kind": kind, "salted": salted, "more": more, "event": event(name, kind, salted, **more)}
        for name, (kind, salted, more) in plans.items()
    }


def fixed_entries():
    """Heartbeats and padding."""
    return {
        "heartbeat": build_heartbeat(NOW * 1000, rejects=0, unwraps=None),
        "heartbeat with counts": build_heartbeat(NOW * 1000 + 300_000, rejects=17, unwraps=4_711),
        "pad": build_pad(secret_of("pad")[:16]),
    }


def receipt(entry, *, iss, aud, idx, pair, rid=RID, iat=NOW + 1):
    return build_receipt(
        signer=NODE_KEYS[iss],
        iss=iss,
        aud=aud,
        log=LOGS[iss],
        idx=idx,
        leaf=leaf_hash(entry),
        rid=rid,
        pair=pair,
        iat=iat,
        anchor_limit_seconds=LIMIT,
    )


def logged(made, *, iss, aud, idx, pair, **changes):
    return LoggedEvent(
        made.entry,
        select_openings(made.disclosures),
        receipt(made.entry, iss=iss, aud=aud, idx=idx, pair=pair, **changes),
    )


def consent(**changes):
    arguments = {
        "signer": NODE_KEYS[REGULATOR],
        "iss": REGULATOR,
        "aud": PROVIDER,
        "iat": NOW - 86_400,
        "exp": NOW + 30 * 86_400,
        "jti": secret_of("consent")[:16],
        "asker": ASKER,
        "subject": ABOUT,
        "items": ITEMS,
        "purpose": WHY["purpose"],
        "uses": 3,
    }
    return build_consent(**{**arguments, **changes})


def warrant(**changes):
    arguments = {
        "signer": NODE_KEYS[REGULATOR],
        "iss": REGULATOR,
        "asker": ASKER,
        "iat": NOW - 86_400,
        "exp": NOW + 30 * 86_400,
        "jti": secret_of("warrant")[:16],
        "looks": 20,
        "open_by": NOW + 120 * 86_400,
    }
    return build_warrant(**{**arguments, **changes})


def ask(salted=None, *, name="ask", kind="ask", **changes):
    """The asker's side as it stands in a request."""
    made = event(name, kind, salted or asked(), **changes)
    return logged(made, iss=ASKER, aud=PROVIDER, idx=1_007, pair=42)


def request(**changes):
    arguments = {
        "signer": NODE_KEYS[ASKER],
        "iss": ASKER,
        "aud": PROVIDER,
        "iat": NOW + 2,
        "exp": NOW + 302,
        "rid": RID,
        "subject": ABOUT,
        "items": ITEMS,
        **WHY,
        "reply": REPLY_KEY.public,
        "ask": ask(),
        "checkpoint": once()["ask checkpoint"],
    }
    return build_request(**{**arguments, **changes})[0]


def request_with_consent():
    digest = encode_b64u(token_digest(consent()))
    return request(consent=consent(), ask=ask(asked(consent=digest), name="ask with consent"))


EARLIER_RID = secret_of("earlier rid")[:16]
"""Of a question of an hour before, the end of which comes along with the next one."""


def received(salted=None, *, name="earlier receive", kind="receive", idx=1_005, pair=41, **changes):
    """How an earlier question ended, as it stands in a later request."""
    arguments = {"rid": EARLIER_RID, "t_ms": (NOW - 3_600) * 1000 + 7, "req": secret_of("earlier request")}
    salted = salted or asked(released=released_of([record()]))
    made = event(name, kind, salted, **{**arguments, **changes})
    return logged(
        made, iss=ASKER, aud=PROVIDER, idx=idx, pair=pair, rid=parse_event(made.entry).rid, iat=NOW - 3_600
    )


def request_with_received():
    """With the ends of two earlier questions: one that was answered, one that was not."""
    lost = received(
        asked(), name="earlier time-out", idx=1_006, pair=42, rid=secret_of("lost rid")[:16], req=bytes(32)
    )
    return request(received=[received(), lost])


def request_under_warrant():
    return request(sealed=warrant(), ask=ask(kind="sealed", name="sealed", **sealed_members()))


@cache
def record(disclose=ITEMS[0].fields):
    issued = issue_record()
    return present_record(issued.jwt, SECRET, SUBJECT, VALUES, FIELD_CODES, disclose=disclose)


@cache
def status():
    token = once()["status list"]
    digests = [token_digest(token), secret_of("another list")]
    head = build_status_head(PROVIDER, NOW - 300, 7, digests, RECORD_KEY)
    return StatusProof(token, 0, tuple(status_path(digests, 0)), head)


def grant(token, records, kind="grant", salted=None, *, name=None, req=None, n=None, **changes):
    """The provider's side as it stands in the answer to a request."""
    made = event(
        name or f"{kind} of {len(records)}",
        kind,
        salted or granted(records),
        req=token_digest(token) if req is None else req,
        n=max(1, len(records)) if n is None else n,
        t_ms=NOW * 1000 + 3_456,
        **changes,
    )
    return logged(made, iss=PROVIDER, aud=ASKER, idx=2_048, pair=7, iat=NOW + 3)


def answer(result="ok", token=None, **changes):
    token = token or request()
    records = [record()] if result in {"ok", "partial"} else []
    withheld = 1 if result == "partial" else 0
    if result == "deny":
        shown = grant(token, [], "deny", asked(peer=ASKER, officer=None, rule="case-missing"))
    else:
        shown = grant(token, records)
    arguments = {
        "signer": NODE_KEYS[PROVIDER],
        "iss": PROVIDER,
        "aud": ASKER,
        "iat": NOW + 4,
        "req": token_digest(token),
        "result": result,
        "code": {"partial": "suspended", "deny": "case-missing"}.get(result),
        "found": len(records) + withheld,
        "withheld": withheld,
        "as_of": once()["as_of"],
        "records": records,
        "status": [status()] if records else [],
        "grant": shown,
        "checkpoint": once()["answer checkpoint"],
    }
    return build_answer(**{**arguments, **changes})


@cache
def bulk():
    """Five lines of a bulk event: salts from its secret, the tree over them."""
    subjects = [ABOUT, *(AskedSubject("name", f"某某{number}有限公司") for number in range(1, 5))]
    salts = line_salts(secret_of("event/bulk"), len(subjects))
    released = [released_of([record()]), [], None, [], []]
    lines = [
        Line(salt, subject, given) for salt, subject, given in zip(salts, subjects, released, strict=True)
    ]
    texts = [encode_line(line) for line in lines]
    return {"lines": lines, "texts": texts, "set": hash_lines(texts)}


def find_node_key(member):
    """The registry: one node key of a member, by kid."""

    def find(_kid):
        return NODE_KEYS[member].public

    return find


def parsed_request(**changes):
    return parse_request(request(**changes))

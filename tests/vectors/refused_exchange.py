# SPDX-License-Identifier: Apache-2.0
"""Messages that a node must refuse, named by what was done to them, each with the code that our node gives.

A member that says what it likes signs them: but for the few about signatures, all are signed by the right key.
"""

from __future__ import annotations

import json

from node.access.logged import encode_logged
from node.access.question import ItemQuery, encode_items
from node.core.canonical import encode_json
from node.core.encoding import encode_b64u, parse_b64u
from node.crypto.jws import sign_jws
from node.log.checkpoint import build_origin
from tests.support import one_exchange as world

_OTHER = "91350100M000100Y43"
_YEAR_2100 = 4_102_444_800
_BASES = {
    "request": "requests/plain",
    "answer": "answers/ok",
    "consent": "consents/three uses",
    "warrant": "warrants/twenty looks",
    "envelope": "boxes/request",
}


def refused():
    """Build all of them."""
    return [*_requests(), *_answers(), *_consents(), *_warrants(), *_lines(), *_envelopes()]


def case(kind, name, data, code):
    """One message: what is wrong with it, and the code of its refusal."""
    return {"format": kind, "name": name, "input": data, "code": code}


def edited(kind, name, code, /, **edits):
    """The good message of a format with edits that tests/vectors/test_exchange.py makes; the file stays small.

    Edits: ``base`` another message to start from, ``set`` and ``remove`` claims, then signed again by ``signed_by`` (its
    own signer) with ``typ`` (its own); ``alter`` the character at a place, ``cut`` to a length; of a box, ``flip`` a
    bit of the byte at a place, ``box_cut`` to a length.
    """
    return {"format": kind, "name": name, "code": code, "base": _BASES[kind], **edits}


def resigned(token, key, **changes):
    """A token with other claims, signed again."""
    claims = {**json.loads(parse_b64u(token.split(".")[1])), **changes}
    return sign_jws(json.loads(parse_b64u(token.split(".")[0]))["typ"], claims, key)


def spelled(token, key):
    """The same claims with a space behind each comma, signed again: a second spelling."""
    head, body, _ = token.split(".")
    body = encode_b64u(json.dumps(json.loads(parse_b64u(body)), sort_keys=True, ensure_ascii=False).encode())
    return f"{head}.{body}.{encode_b64u(key.sign(f'{head}.{body}'.encode()))}"


def _requests():
    token, key = world.request(), world.NODE_KEYS[world.ASKER]
    now, items = world.NOW, encode_items(world.ITEMS)

    def changed(name, code, /, **changes):
        return edited("request", name, code, set=changes)

    def asked(name, code, /, event=None, **changes):
        values = world.asked(**changes)
        return changed(name, code, ask=encode_logged(world.ask(values, name=name, **(event or {}))))

    def shown(name, code, /, **changes):
        return changed(name, code, ask={**encode_logged(world.ask()), **changes})

    opened = list(world.ask().open)
    other_log = build_origin(world.DOMAIN, world.ASKER, "access", 1)
    for_other = world.logged(
        world.event("ask", "ask", world.asked()), iss=world.ASKER, aud=world.REGULATOR, idx=1_007, pair=1
    )
    return [
        edited("request", "signature altered", "ed25519-signature", alter=len(token) - 10),
        edited("request", "signed by another member", "jws-key", signed_by=world.PROVIDER),
        edited("request", "signed as an answer", "jws-typ", typ="exchange-answer+jwt"),
        case("request", "second spelling", spelled(token, key), "token-not-canonical"),
        edited("request", "cut off", "jws-form", cut=len(token) // 2),
        edited("request", "member missing", "json-member-missing", remove=["case"]),
        changed("member unknown", "json-member-unknown", note=""),
        changed(
            "from another member", "request-iss", iss=_OTHER, checkpoint=token_note(world.PROVIDER, _OTHER)
        ),
        changed("re-sealed to another node", "request-aud", aud=_OTHER),
        changed("to itself", "request-self", aud=world.ASKER),
        changed("valid for 301 seconds", "request-validity", exp=now + 303),
        changed("valid for no time", "request-validity", exp=now + 2),
        changed("from the future", "request-early", iat=now + 66, exp=now + 300),
        changed("expired", "request-expired", iat=now - 290, exp=now + 5),
        changed("rid of 15 bytes", "base64-length", rid=encode_b64u(bytes(15))),
        changed("rid of another event", "request-event", rid=encode_b64u(bytes(16))),
        changed("purpose empty", "question-words", purpose=""),
        changed("basis empty", "question-words", basis=""),
        changed("subject of unknown type", "question-subject", subject={"id": "x", "type": "phone"}),
        changed("subject not NFC", "question-subject", subject={"id": "e\u0301", "type": "name"}),
        changed(
            "subject with a wrong check digit",
            "uscc-check-digit",
            subject={"id": "91330106MA27Y8LH7D", "type": "uscc"},
        ),
        changed("no items", "question-items", items=[]),
        changed("no fields", "question-items", items=[{"fields": [], "vct": world.VCT}]),
        changed(
            "fields not in order", "question-items", items=[{**items[0], "fields": items[0]["fields"][::-1]}]
        ),
        changed("field twice", "question-items", items=[{**items[0], "fields": ["CF_WSH", "CF_WSH"]}]),
        changed("item of no catalogue", "question-items", items=[{**items[0], "vct": "penalty"}]),
        changed("reply key of 1,215 bytes", "base64-length", reply=encode_b64u(world.REPLY_KEY.public[:-1])),
        changed(
            "reply key of small order",
            "exchange-key",
            reply=encode_b64u(world.REPLY_KEY.public[:1184] + bytes(32)),
        ),
        changed(
            "reply key out of range",
            "exchange-key",
            reply=encode_b64u(b"\xff" * 1184 + world.REPLY_KEY.public[1184:]),
        ),
        changed(
            "checkpoint of another member",
            "request-checkpoint",
            checkpoint=world.once()["answer checkpoint"],
        ),
        changed("checkpoint without signature", "note-form", checkpoint="x"),
        changed("consent that is none", "jws-form", consent="x"),
        changed("consent that the event does not name", "request-differs", consent=world.consent()),
        changed("warrant that the event does not name", "request-event", sealed=world.warrant()),
        asked(
            "event about another subject",
            "request-differs",
            subject={"id": "91350100M000100Y43", "type": "uscc"},
        ),
        asked("event about fewer fields", "request-differs", items=[{**items[0], "fields": ["CF_WSH"]}]),
        asked("event for another purpose", "request-differs", purpose="curiosity"),
        asked("event to another provider", "request-differs", peer=_OTHER),
        asked("event that knows the answer", "request-differs", released=[]),
        asked("event of another kind", "request-event", {"kind": "bulk", "set_root": bytes(32)}),
        asked("event that counts two", "request-event", {"n": 2}),
        shown(
            "officer opened",
            "logged-open",
            open=list(world.event("ask", "ask", world.asked()).disclosures[:3]) + opened[3:],
        ),
        shown("eight openings", "logged-open", open=opened[:-1]),
        shown("opening twice", "opening-twice", open=[opened[0], *opened[:-1]]),
        shown(
            "opening of another event",
            "opening-digest",
            open=[world.events()["receive"]["event"].disclosures[9], *opened[1:]],
        ),
        shown("event altered", "receipt-leaf", event=world.ask().event.decode().replace('"n":1', '"n":2')),
        shown("receipt for another member", "receipt-aud", receipt=for_other.receipt),
        shown(
            "receipt of another log", "receipt-log", receipt=resigned(world.ask().receipt, key, log=other_log)
        ),
        shown(
            "receipt by another key",
            "jws-key",
            receipt=resigned(world.ask().receipt, world.NODE_KEYS[world.PROVIDER]),
        ),
        shown(
            "receipt with another limit",
            "receipt-anchor-by",
            receipt=resigned(world.ask().receipt, key, anchor_by=now + 99_999),
        ),
        shown(
            "receipt of the year 2100",
            "receipt-time",
            receipt=resigned(world.ask().receipt, key, iat=_YEAR_2100, anchor_by=_YEAR_2100 + world.LIMIT),
        ),
        shown(
            "receipt of last week",
            "receipt-time",
            receipt=resigned(
                world.ask().receipt, key, iat=now - 604_800, anchor_by=now - 604_800 + world.LIMIT
            ),
        ),
        asked("event of an hour ago", "receipt-time", {"t_ms": (now - 3_600) * 1_000}),
    ]


def _answers():
    token, request = world.answer(), world.request()
    status = json.loads(parse_b64u(token.split(".")[1]))["status"]
    record = world.record()
    narrow = world.record(("CF_WSH",))

    def changed(name, code, /, **changes):
        return edited("answer", name, code, set=changes)

    def granted(name, code, /, result="ok", kind="grant", records=(record,), salted=None, **more):
        shown = encode_logged(world.grant(request, list(records), kind, salted, name=name, **more))
        return edited("answer", name, code, base=f"answers/{result}", set={"grant": shown})

    return [
        edited("answer", "signature altered", "ed25519-signature", alter=len(token) - 10),
        edited("answer", "signed by another member", "jws-key", signed_by=world.ASKER),
        edited("answer", "signed as a request", "jws-typ", typ="exchange-request+jwt"),
        changed("member unknown", "json-member-unknown", note=""),
        changed("for another asker", "answer-aud", aud=_OTHER),
        changed("to another request", "answer-req", req=encode_b64u(bytes(32))),
        changed("of the year 1970", "answer-time", iat=1),
        changed("from before the request", "answer-time", iat=world.NOW + 2 - 61),
        changed("from the future", "answer-time", iat=world.NOW + 5 + 61),
        changed(
            "receipt of the year 2100",
            "receipt-time",
            grant={
                **encode_logged(world.grant(request, [record])),
                "receipt": resigned(
                    world.grant(request, [record]).receipt,
                    world.NODE_KEYS[world.PROVIDER],
                    iat=_YEAR_2100,
                    anchor_by=_YEAR_2100 + world.LIMIT,
                ),
            },
        ),
        changed("result unknown", "answer-result", result="maybe"),
        changed("ok with a code", "answer-result", code="late"),
        changed("ok and one withheld", "answer-result", withheld=1, found=2),
        changed("more found than given", "answer-result", found=2),
        changed("none with a record", "answer-result", result="none"),
        changed("deny with a record", "answer-result", result="deny", code="no"),
        changed("code with a space", "answer-result", result="partial", code="not now", found=2, withheld=1),
        changed("record twice", "answer-record", records=[record, record], found=2),
        changed("record cut off", "answer-record", records=[record[:-1]]),
        changed("two states for one record", "answer-status", status=[*status, {**status[0], "list": "x"}]),
        changed("path node of 31 bytes", "base64-length", status=[{**status[0], "path": ["A" * 42 + "=="]}]),
        changed("as_of of the access log", "answer-as-of", as_of=world.once()["answer checkpoint"]),
        changed(
            "as_of of another member", "answer-as-of", as_of=token_note(world.PROVIDER, _OTHER, "records")
        ),
        changed("checkpoint of the records log", "answer-checkpoint", checkpoint=world.once()["as_of"]),
        changed("fewer disclosures than released", "answer-released", records=[narrow]),
        changed("another record than released", "answer-released", records=[record.replace("A", "B", 1)]),
        granted(
            "less released than disclosed",
            "answer-released",
            salted=world.granted([record]) | {"released": []},
        ),
        granted("event counts two", "answer-released", n=2),
        granted(
            "event of a denial",
            "answer-event",
            kind="deny",
            salted=world.asked(peer=world.ASKER, officer=None, rule="x"),
        ),
        granted("grant under a denial", "answer-event", result="deny", records=()),
        granted("event of another request", "answer-event", req=bytes(32)),
        granted("event with another rid", "receipt-rid", rid=bytes(16)),
        granted(
            "event about another subject",
            "answer-differs",
            salted=world.granted([record], subject={"id": _OTHER, "type": "uscc"}),
        ),
        granted(
            "event of more items than asked",
            "answer-differs",
            salted=world.granted([record], items=encode_items([ItemQuery(world.VCT, ("CF_NR",))])),
        ),
        granted("event without rule", "answer-event", salted=world.granted([record]) | {"rule": None}),
        granted(
            "event without released", "answer-event", salted=world.granted([record]) | {"released": None}
        ),
    ]


def _consents():
    token, key = world.consent(), world.NODE_KEYS[world.REGULATOR]

    def changed(name, code, /, **changes):
        return edited("consent", name, code, set=changes)

    return [
        edited("consent", "signature altered", "ed25519-signature", alter=len(token) - 10),
        case("consent", "second spelling", spelled(token, key), "token-not-canonical"),
        edited("consent", "member missing", "json-member-missing", remove=["uses"]),
        changed("no use", "json-range", uses=0),
        changed("ends before it begins", "consent-validity", exp=world.NOW - 90_000),
        changed("expired", "consent-expired", exp=world.NOW),
        changed("not begun", "consent-early", iat=world.NOW + 100),
        changed("for another provider", "consent-aud", aud=_OTHER),
        changed("for another asker", "consent-asker", asker=_OTHER),
        changed("of another subject", "consent-subject", subject={"id": "other", "type": "name"}),
        changed("for another purpose", "consent-purpose", purpose="other"),
        changed("for fewer fields", "consent-scope", items=[{"fields": ["CF_WSH"], "vct": world.VCT}]),
        changed("for another item", "consent-scope", items=[{"fields": ["CF_WSH"], "vct": world.VCT + "0"}]),
    ]


def _warrants():
    token = world.warrant()

    def changed(name, code, /, **changes):
        return edited("warrant", name, code, set=changes)

    return [
        edited("warrant", "signature altered", "ed25519-signature", alter=len(token) - 10),
        changed("looks without end", "json-range", looks=None),
        changed("opened before its end", "warrant-validity", open_by=world.NOW),
        changed("sealed for six years", "warrant-validity", open_by=world.NOW + 6 * 366 * 86_400),
        changed("expired", "warrant-expired", exp=world.NOW),
        changed("not begun", "warrant-early", iat=world.NOW + 100),
        changed("for another asker", "warrant-asker", asker=_OTHER),
        changed(
            "opened too early for the event",
            "warrant-open-by",
            open_by=world.NOW + 30 * 86_400,
            exp=world.NOW + 30 * 86_400,
        ),
    ]


def _lines():
    text = world.bulk()["texts"][1]
    array = json.loads(parse_b64u(text))

    def line(name, value, code):
        return case("line", name, encode_b64u(encode_json(value)), code)

    return [
        case("line", "another line of the set", world.bulk()["texts"][2], "inclusion-root"),
        case("line", "with spaces", encode_b64u(json.dumps(array, ensure_ascii=False).encode()), "bulk-line"),
        line("named otherwise", [array[0], "subject", array[2]], "bulk-line"),
        line("guessed", ["A" * 24, "line", array[2]], "inclusion-root"),
        line("short salt", ["AAAA", "line", array[2]], "base64-length"),
        line("without released", [array[0], "line", {"subject": array[2]["subject"]}], "json-member-missing"),
        line(
            "released of no digests", [array[0], "line", {**array[2], "released": [["x", []]]}], "base64url"
        ),
    ]


def _envelopes():
    text = world.once()["request envelope"]
    value = json.loads(text)

    def changed(name, code, /, **changes):
        return edited("envelope", name, code, set=changes)

    return [
        case("envelope", "with spaces", json.dumps(value, sort_keys=True), "envelope-canonical"),
        changed("member unknown", "json-member-unknown", note=""),
        changed("version 2", "envelope-version", v=2),
        changed("version true", "envelope-version", v=True),
        changed("key without name", "envelope-kid", kid="x"),
        edited("envelope", "one byte short", "envelope-box", box_cut=12_288 + 1_135),
        edited("envelope", "no ciphertext", "envelope-box", box_cut=1_136),
        changed("from another member", "box-open", **{"from": _OTHER}),
        changed("to another member", "box-open", to=_OTHER),
        changed("sealed to another key", "box-kid", kid="0" * 16),
        changed("as an answer", "box-kid", kid="reply"),
        edited("envelope", "ML-KEM ciphertext altered", "box-open", flip=0),
        edited("envelope", "ephemeral key altered", "box-open", flip=1_100),
        edited("envelope", "ciphertext altered", "box-open", flip=2_000),
        edited("envelope", "tag altered", "box-open", flip=12_288 + 1_135),
        edited("envelope", "a block short", "box-open", box_cut=8_192 + 1_136),
    ]


def token_note(member, other, kind="access"):
    """A note of another member's log, for parsers that check no signature."""
    note = world.once()["answer checkpoint" if kind == "access" else "as_of"]
    return note.replace(member, other)

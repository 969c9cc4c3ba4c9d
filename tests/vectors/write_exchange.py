# SPDX-License-Identifier: Apache-2.0
"""Write the vectors of protocol §6 to §8: ``python -m tests.vectors.write_exchange``.

Everything follows from fixed secrets (tests/support/one_exchange.py), so each run writes the same bytes. What cannot
be made twice lies in ``once.json`` and is only made, with ``--once``, when a format changes.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

from node.access.box import MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, answer_info, request_info, sealed_info
from node.access.event import event_salts
from node.core.encoding import encode_b64u
from node.crypto.note import encode_vkey
from node.log.merkle import leaf_hash
from tests.support import many_exchange as many
from tests.support import one_exchange as world
from tests.vectors import deposit_cases, revocation_cases
from tests.vectors.cases import signed_case
from tests.vectors.refused_exchange import refused
from tests.vectors.refused_many import refused_many
from tests.vectors.refused_received import refused_received

HERE = Path(__file__).resolve().parent / "exchange"


def build():
    """Build all files: content by name."""
    files = {
        "keys": keys(),
        "events": [event_case(name, plan) for name, plan in world.events().items()],
        "entries": [
            {"name": name, "entry": entry.decode(), "leaf": encode_b64u(leaf_hash(entry))}
            for name, entry in world.fixed_entries().items()
        ],
        "receipts": [receipt_case(name, plan) for name, plan in world.events().items()],
        "consents": [
            signed_case("three uses", world.consent()),
            signed_case("one use", world.consent(uses=1)),
        ],
        "warrants": [signed_case("twenty looks", world.warrant())],
        "bulk": bulk(),
        "many": {
            "requests": [
                signed_case("plain", many.bulk_request()),
                signed_case("approved", many.approved_request()),
            ],
            "answers": [
                signed_case(result, many.bulk_answer(result)) for result in ("ok", "none", "partial", "deny")
            ],
            "refused": refused_many(),
        },
        "requests": [
            request_case("plain", world.request()),
            request_case("with consent", world.request_with_consent()),
            request_case("under a warrant", world.request_under_warrant()),
            request_case("with what was received before", world.request_with_received()),
        ],
        "answers": [
            answer_case(result, world.answer(result)) for result in ("ok", "none", "partial", "deny")
        ],
        "boxes": boxes(),
        "sealed": sealed(),
        "deposits": deposit_cases.build_cases(),
        "revocations": revocation_cases.build_cases(),
        "refused": [*refused(), *refused_received()],
    }
    return {
        f"{name}.json": json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        for name, content in files.items()
    }


def keys():
    node = {
        member: {
            "node_seed": world.secret_of(f"node key/{member}").hex(),
            "node_public": encode_b64u(key.public),
            "kid": key.kid,
        }
        for member, key in world.NODE_KEYS.items()
    }
    logs = {
        world.RECORDS_LOG if kind == "records" else world.LOGS[member]: [
            encode_vkey(vkey) for vkey in world.vkeys(member, kind)
        ]
        for member, kind in ((world.ASKER, "access"), (world.PROVIDER, "access"), (world.PROVIDER, "records"))
    }
    exchange = {
        name: {
            "seed": world.secret_of(f"{name} key").hex(),
            "public": encode_b64u(key.public),
            "kid": key.kid,
        }
        for name, key in (
            ("exchange", world.PROVIDER_KEY),
            ("reply", world.REPLY_KEY),
            ("regulator", world.REGULATOR_KEY),
        )
    }
    roles = {"asker": world.ASKER, "provider": world.PROVIDER, "regulator": world.REGULATOR}
    return {
        "members": roles,
        "node_keys": node,
        "log_keys": logs,
        "exchange_keys": exchange,
        "anchor_limit": world.LIMIT,
        "now": world.NOW,
    }


def event_case(name, plan):
    made = plan["event"]
    secret = world.secret_of(f"event/{name}")
    more = {
        {"set_root": "set"}.get(key, key): encode_b64u(value) if isinstance(value, bytes) else value
        for key, value in plan["more"].items()
    }
    return {
        "name": name,
        "members": {
            "kind": plan["kind"],
            "rid": encode_b64u(world.RID),
            "t": world.NOW * 1000 + 123,
            "n": 1,
            **more,
        },
        "secret": secret.hex(),
        "salts": event_salts(secret),
        "salted": plan["salted"],
        "disclosures": made.disclosures,
        "entry": made.entry.decode(),
        "leaf": encode_b64u(leaf_hash(made.entry)),
    }


def receipt_case(name, plan):
    iss, aud = world.ASKER, world.PROVIDER
    if plan["salted"]["peer"] is None:
        aud = iss
    entry = plan["event"].entry
    token = world.receipt(entry, iss=iss, aud=aud, idx=1_007, pair=42)
    return {**signed_case(name, token), "entry": entry.decode()}


def request_case(name, token):
    return {
        **signed_case(name, token),
        "from": world.ASKER,
        "to": world.PROVIDER,
        "log": world.LOGS[world.ASKER],
        "now": world.NOW + 5,
    }


def answer_case(name, token):
    return {**signed_case(name, token), "request": "plain", "log": world.LOGS[world.PROVIDER]}


def bulk():
    made = world.bulk()
    tree = made["set"]
    return {
        "secret": world.secret_of("event/bulk").hex(),
        "lines": [
            {
                "salt": encode_b64u(line.salt),
                "value": {
                    "subject": {"type": line.subject.type, "id": line.subject.id},
                    "released": line.released,
                },
                "text": text,
                "leaf": encode_b64u(leaf),
                "path": [encode_b64u(node) for node in tree.path(k)],
            }
            for k, (line, text, leaf) in enumerate(
                zip(made["lines"], made["texts"], tree.leaves, strict=True)
            )
        ],
        "n": len(made["lines"]),
        "set": encode_b64u(tree.root),
        "entry": world.events()["bulk"]["event"].entry.decode(),
    }


def boxes():
    """Envelopes that were sealed once; what is in them is made again."""
    token = world.request()
    digest = sha256(token.encode()).digest()
    kid = world.PROVIDER_KEY.kid
    return [
        {
            "name": "request",
            "key": "exchange",
            "info": request_info(world.ASKER, world.PROVIDER, kid).decode(),
            "jws": token,
            "max_plaintext": MAX_REQUEST_BYTES,
            "envelope": world.once()["request envelope"],
        },
        {
            "name": "answer",
            "key": "reply",
            "info": answer_info(world.PROVIDER, world.ASKER, digest).decode(),
            "jws": world.answer("ok"),
            "max_plaintext": MAX_ANSWER_BYTES,
            "envelope": world.once()["answer envelope"],
        },
    ]


def sealed():
    """The box of the sealed event, and what is in it."""
    return {
        "key": "regulator",
        "info": sealed_info(world.ASKER, world.REGULATOR, world.REGULATOR_KEY.kid).decode(),
        "openings": world.sealed_openings(),
        "box": world.once()["sealed box"],
        "entry": world.events()["sealed"]["event"].entry.decode(),
    }


if __name__ == "__main__":
    if "--once" in sys.argv:
        world.make_once()
    for name, text in build().items():
        (HERE / name).write_text(text, encoding="utf-8")

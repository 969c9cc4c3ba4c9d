# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from hashlib import sha256

import pytest

from node.access.purposes import load_sample_purposes

RULES = load_sample_purposes()
DIGEST = sha256(RULES).hexdigest()


def add(world, data, role="administrator", **fields):
    return world.call("POST", "/api/v1/documents", role, files={"file": ("rules.json", data)}, data=fields)


def propose(world, digest, **changes):
    body = {"kind": "purposes", "name": "exchange", "digest": digest, **changes}
    return world.post("/api/v1/documents/proposals", "administrator", body)


def test_a_document_is_given_to_anybody_by_its_digest(world):
    added = add(world, RULES)
    assert (added.status_code, added.json()) == (200, {"digest": DIGEST, "size": len(RULES)})
    given = world.get(f"/documents/{DIGEST}")
    assert given.content == RULES
    assert given.headers["content-type"] == "application/octet-stream"
    assert "immutable" in given.headers["cache-control"]


@pytest.mark.parametrize(
    ("digest", "status", "code"),
    [
        ("0" * 64, 404, "document-unknown"),
        (DIGEST.upper(), 400, "request-shape"),
        ("0" * 63, 400, "request-shape"),
    ],
)
def test_what_is_not_here_is_not_given(world, digest, status, code):
    answer = world.get(f"/documents/{digest}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_rules_are_put_into_their_spelling(world):
    pretty = json.dumps(json.loads(RULES), indent=1, ensure_ascii=False).encode()
    assert add(world, pretty, kind="purposes").json()["digest"] == DIGEST
    assert add(world, pretty).json()["digest"] == sha256(pretty).hexdigest()
    assert add(world, b"{", kind="purposes").status_code == 400
    for passed_over in ({"knd": "purposes"}, {"kind": ["other", "purposes"]}, {"kind": ""}):
        assert add(world, pretty, **passed_over).json()["code"] == "request-shape"


def test_a_document_may_not_be_larger_than_a_body(world):
    assert add(world, bytes((1 << 20) - 4096)).status_code == 200
    assert add(world, bytes(1 << 20)).status_code == 413
    assert add(world, b"").status_code == 400


@pytest.mark.parametrize("role", ["officer", "operator", "auditor"])
def test_only_administrators_speak_for_the_member(world, role):
    assert add(world, RULES, role).status_code == 403
    for path in ("proposals", "proposals/1/vote", "refresh"):
        assert world.post(f"/api/v1/documents/{path}", role, {}).status_code == 403
    assert world.get("/api/v1/documents", role).json() == []
    assert world.get("/api/v1/documents/proposals", role).json() == []


def test_a_sole_member_decides_at_once(world):
    world.node.loop.prepare()
    add(world, RULES)
    passed = propose(world, DIGEST)
    assert passed.status_code == 200, passed.text
    assert (passed.json()["executed"], passed.json()["votes"], passed.json()["needed"]) == (True, 1, 1)
    (shown,) = world.get("/api/v1/documents", "officer").json()
    assert (shown["kind"], shown["name"], shown["version"], shown["digest"]) == (
        "purposes",
        "exchange",
        1,
        DIGEST,
    )
    assert (shown["in_force"], shown["held"]) == (True, True)
    gone = propose(world, None)
    assert gone.json()["version"] == 2
    assert [d["in_force"] for d in world.post("/api/v1/documents/refresh", "administrator").json()] == [
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"digest": "0" * 64}, 404, "document-unknown"),
        ({"kind": "Purposes"}, 400, "request-shape"),
        ({"name": ""}, 400, "request-shape"),
        ({"from_block": -1}, 400, "request-shape"),
        ({"digest": None}, 409, "document-same"),
        ({"kind": "item"}, 400, None),
    ],
)
def test_what_cannot_be_proposed(world, changes, status, code):
    world.node.loop.prepare()
    add(world, RULES)
    answer = propose(world, **{"digest": DIGEST, **changes})
    assert answer.status_code == status, answer.text
    assert code is None or answer.json()["code"] == code


def test_nothing_is_sent_while_the_chain_is_away(world):
    world.node.loop.prepare()
    add(world, RULES)
    world.node.chain.away = True
    assert propose(world, DIGEST).status_code == 503
    assert world.post("/api/v1/documents/proposals/1/vote", "administrator").status_code == 503
    assert world.get("/api/v1/documents/proposals", "officer").status_code == 503
    assert world.get("/api/v1/documents", "officer").status_code == 200


def test_an_unknown_proposal(world):
    world.node.loop.prepare()
    answer = world.post("/api/v1/documents/proposals/1/vote", "administrator")
    assert (answer.status_code, answer.json()["code"]) == (404, "proposal-unknown")

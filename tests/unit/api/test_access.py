# SPDX-License-Identifier: Apache-2.0
"""Who may call what: every route of the application, with every token that does not fit."""

from hashlib import sha256

import httpx
import pytest
from fastapi.routing import APIRoute, APIRouter
from starlette.routing import Route

from node.api import app as application
from node.api.app import all_roles
from node.core.canonical import encode_json
from node.errors import AccessDenied, NodeError
from node.service.tokens import (
    PREFIX,
    ROLES,
    check_token,
    encode_tokens,
    new_token,
    parse_tokens,
    revoke_token,
)
from tests.support.api_world import WHY, ApiWorld, csv_of, new_app
from tests.support.errors import raises_code
from tests.support.node_world import FixedRandom, penalty
from tests.support.rows import PENALTY

OPEN = None
OFFICERS = {"officer", "operator"}
OPERATORS = {"operator"}
AUDITORS = {"auditor"}
ADMINISTRATORS = {"administrator"}
STAFF = {"officer", "operator", "auditor"}

MANY = {
    "type": "uscc",
    "subjects": ["91520100MA00000156"],
    "items": [{"item": "penalty:2018"}],
    "purpose": "tender-check",
}
# Every route: who is let in (an administrator always is), and a call that is well formed.
ROUTES = {
    ("GET", "/openapi.json"): (OPEN, {}),
    ("GET", "/api/v1/node"): (OPEN, {}),
    ("POST", "/api/v1/anchors"): (OPERATORS, {}),
    ("GET", "/api/v1/anchors"): (STAFF, {}),
    ("POST", "/api/v1/imports"): (
        OPERATORS,
        {"files": {"file": ("a.csv", b"x")}, "data": {"item": "penalty:2018"}},
    ),
    ("GET", "/api/v1/imports"): (OPERATORS, {}),
    ("GET", "/api/v1/imports/{job_id}"): (OPERATORS, {}),
    ("GET", "/api/v1/imports/{job_id}/refusals"): (OPERATORS, {}),
    ("POST", "/api/v1/records/search"): (OFFICERS, {"json": {}}),
    ("POST", "/api/v1/records/find"): (
        OFFICERS,
        {"json": WHY | {"subject": {"type": "uscc", "id": "91520100MA00000156"}}},
    ),
    ("POST", "/api/v1/subjects/index"): (OPERATORS, {}),
    ("POST", "/api/v1/subjects/looks"): (
        OFFICERS,
        {"json": {"subject": {"type": "uscc", "id": "91520100MA00000156"}, "document": "passport"}},
    ),
    ("POST", "/api/v1/records/{leaf}/show"): (OFFICERS, {"json": WHY}),
    ("POST", "/api/v1/records/{leaf}/evidence"): (OFFICERS, {"json": WHY | {"disclose": ["subject"]}}),
    ("POST", "/api/v1/records/{leaf}/withdraw"): (OPERATORS, {"json": {"ground": "g"}}),
    ("POST", "/api/v1/records/{leaf}/correct"): (OPERATORS, {"json": {"values": {"a": "b"}, "ground": "g"}}),
    ("POST", "/api/v1/records/{leaf}/erase"): (ADMINISTRATORS, {"json": {"ground": "ordered"}}),
    ("GET", "/api/v1/records/{leaf}/erasure"): (STAFF, {}),
    ("GET", "/api/v1/erasures"): (STAFF, {}),
    ("POST", "/api/v1/access"): (AUDITORS, {"json": {}}),
    ("POST", "/api/v1/access/{number}/{index}/show"): (AUDITORS, {"json": {"purpose": "audit"}}),
    ("POST", "/api/v1/access/openings"): (AUDITORS, {"json": {"log": 0, "start": 0, "stop": 1}}),
    ("POST", "/api/v1/access/receipts"): (AUDITORS, {"json": {}}),
    ("POST", "/api/v1/access/contradictions"): (AUDITORS, {"json": {"member": "91440300708461136T"}}),
    ("POST", "/api/v1/backups"): (OPERATORS, {"json": {"directory": "/nowhere"}}),
    ("GET", "/api/v1/backups/newest"): (OPERATORS, {}),
    ("GET", "/api/v1/held/{member}"): (OPEN, {}),
    ("POST", "/api/v1/demands"): (OPERATORS, {"json": {"log": "zj.example/x/access/0", "index": 1}}),
    ("POST", "/exchange/v1"): (OPEN, {"content": b"{}"}),
    ("POST", "/api/v1/ask"): (
        OFFICERS,
        {
            "json": {
                "subject": {"type": "uscc", "id": "91520100MA00000156"},
                "items": [{"item": "penalty:2018"}],
                "purpose": "tender-check",
            }
        },
    ),
    ("POST", "/api/v1/ask-many"): (OFFICERS, {"json": MANY}),
    ("GET", "/api/v1/approvals"): (OFFICERS, {}),
    ("POST", "/api/v1/approvals/{id}/approve"): ({"officer"}, {"json": MANY}),
    ("POST", "/api/v1/consents"): (
        OFFICERS,
        {
            "json": {
                "subject": {"type": "uscc", "id": "91520100MA00000156"},
                "provider": "91520100MA00000156",
                "asker": "91520100MA00000156",
                "purpose": "window-query",
                "items": [{"item": "penalty:2018", "fields": ["subject"]}],
                "end": 1_900_000_000,
            }
        },
    ),
    ("POST", "/api/v1/consents/search"): (
        OFFICERS,
        {"json": {"subject": {"type": "uscc", "id": "91520100MA00000156"}}},
    ),
    ("POST", "/api/v1/consents/revoke"): (OFFICERS, {"json": {"consent": "x"}}),
    ("POST", "/api/v1/consents/{digest}/revoke"): (OFFICERS, {"json": {}}),
    ("POST", "/exchange/v1/deposit"): (OPEN, {"content": b"{}"}),
    ("POST", "/exchange/v1/revocation"): (OPEN, {"content": b"{}"}),
    ("POST", "/api/v1/warrants"): (
        ADMINISTRATORS,
        {
            "json": {
                "asker": "91520100MA00000156",
                "looks": 1,
                "end": 1_900_000_000,
                "open_by": 1_900_000_000,
                "purpose": "discipline",
            }
        },
    ),
    ("GET", "/api/v1/warrants"): (AUDITORS, {}),
    ("POST", "/api/v1/warrants/{digest}/revoke"): (ADMINISTRATORS, {"json": {"purpose": "discipline"}}),
    ("POST", "/api/v1/sealed"): (AUDITORS, {"json": {}}),
    ("POST", "/api/v1/sealed/{box}/open"): (AUDITORS, {"json": {"purpose": "discipline"}}),
    ("GET", "/api/v1/sealed/counts"): (OPEN, {}),
    ("GET", "/documents/{digest}"): (OPEN, {}),
    ("GET", "/api/v1/documents"): (STAFF, {}),
    ("POST", "/api/v1/documents"): (ADMINISTRATORS, {"files": {"file": ("rules.json", b"{}")}}),
    ("GET", "/api/v1/documents/proposals"): (STAFF, {}),
    ("POST", "/api/v1/documents/proposals"): (
        ADMINISTRATORS,
        {"json": {"kind": "list", "name": "one", "digest": None}},
    ),
    ("POST", "/api/v1/documents/proposals/{proposal}/vote"): (ADMINISTRATORS, {}),
    ("POST", "/api/v1/documents/refresh"): (ADMINISTRATORS, {}),
    ("GET", "/log/{kind}/{number}/checkpoint"): (OPEN, {}),
    ("GET", "/log/{kind}/{number}/proof/{index}"): (OPEN, {}),
    ("GET", "/log/access/{number}/tile/entries/{path:path}"): (AUDITORS, {}),
    ("GET", "/log/records/{number}/tile/entries/{path:path}"): (OPEN, {}),
    ("GET", "/log/{kind}/{number}/tile/{path:path}"): (OPEN, {}),
    ("GET", "/healthz"): (OPEN, {}),
    ("GET", "/readyz"): (OPEN, {}),
    ("GET", "/metrics"): (OPEN, {}),
}
ENVELOPES = ["/exchange/v1", "/exchange/v1/deposit", "/exchange/v1/revocation"]
"""Routes for what members sign and seal; no token, the signature inside says who calls."""
OTHER_MEMBER = "91520100MA00000156"
CLOSED = [(method, path) for (method, path), (roles, _) in ROUTES.items() if roles is not OPEN]
FOREIGN = new_token("operator-name", "operator", None, FixedRandom("another node"))[0]
"""A good token of another node, for an account of the same name."""
UNANSWERED = {"token-missing", "token-unknown", "token-expired", "role-insufficient"}


def all_routes(app):
    """Every route that the application serves, whether OpenAPI shows it or not."""
    found = set()
    for route in app.routes:
        # An included router stands for its routes.
        inner = getattr(route, "original_router", None)
        for each in inner.routes if inner is not None else [route]:
            assert isinstance(each, APIRoute | Route), each
            found |= {(method, each.path) for method in each.methods - {"HEAD"}}
    return found


@pytest.fixture
def filled(world):
    """A node with an import, records and an anchor, and the path of every route in it."""
    job = world.import_csv(csv_of([penalty(n) for n in range(3)], PENALTY.field_codes))
    assert job.accepted == 3
    world.node.services.documents.add(b"{}")
    world.node.anchor()

    def path_of(pattern):
        values = {
            "{job_id}": job.id,
            "{leaf}": world.leaves()[0],
            "{kind}": "records",
            "{number}": "0",
            "{id}": "0" * 32,
            "{index}": "1",
            "{box}": sha256(b"box").hexdigest(),
            "{digest}": sha256(b"{}").hexdigest(),
            "{proposal}": "1",
            "{member}": OTHER_MEMBER,
            "entries/{path:path}": "entries/000.p/3",
            "{path:path}": "0/000.p/4",
        }
        for name, value in values.items():
            pattern = pattern.replace(name, value)
        return pattern

    world.path_of = path_of
    return world


def test_every_route_is_in_the_table(world):
    """A new route fails here until somebody has said who may call it."""
    assert all_routes(world.app) == ROUTES.keys()


def test_every_route_declares_whom_the_table_expects():
    declared = {key: roles and set(roles) for key, roles in all_roles().items()}
    expected = {(method, path.replace(":path", "")): roles for (method, path), (roles, _) in ROUTES.items()}
    assert declared == {key: roles for key, roles in expected.items() if key[1] != "/openapi.json"}


def test_a_program_with_a_route_that_does_not_say_does_not_start(monkeypatch):
    router = APIRouter()
    router.add_api_route("/forgotten", lambda: None)
    monkeypatch.setattr(application, "ROUTERS", (*application.ROUTERS, router))
    with pytest.raises(LookupError, match="/forgotten does not say who may call it"):
        new_app()


def test_open_routes_answer_everybody(filled):
    for (method, pattern), (roles, arguments) in ROUTES.items():
        if roles is OPEN and method == "GET":
            assert filled.call(method, filled.path_of(pattern), **arguments).status_code == 200, pattern


@pytest.mark.parametrize(("method", "pattern"), CLOSED)
def test_closed_routes_refuse_whoever_does_not_fit(filled, method, pattern):
    roles, arguments = ROUTES[method, pattern]
    path = filled.path_of(pattern)
    before = (filled.node.store.commits, filled.node.sizes(), filled.woken)

    def refused(status, code, **who):
        answer = filled.call(method, path, **who, **arguments)
        assert (answer.status_code, answer.json()["code"]) == (status, code)

    refused(401, "token-missing")
    refused(401, "token-unknown", token=PREFIX + "A" * 43)
    refused(401, "token-unknown", token="x")
    refused(401, "token-unknown", token=filled.tokens["administrator"][:-1])
    refused(401, "token-unknown", token=FOREIGN)
    refused(401, "token-unknown", token=filled.tokens["operator"].upper())
    refused(401, "token-expired", role="expired")
    entries = list(filled.entries)
    filled.entries[:] = revoke_token(entries, "administrator-name")
    refused(401, "token-unknown", role="administrator")
    filled.entries[:] = entries
    for role in sorted(set(ROLES) - roles - {"administrator"}):
        refused(403, "role-insufficient", role=role)
    for scheme in ("Basic", "bearer x", ""):
        headers = {"Authorization": f"{scheme} {filled.tokens['administrator']}"}
        answer = filled.call(method, path, headers=headers, **arguments)
        assert answer.status_code == 401
    # Nothing was written, logged, stored or started by any of it.
    assert (filled.node.store.commits, filled.node.sizes(), filled.woken) == before
    assert filled.stored_uploads() == []


class Unread(httpx.AsyncByteStream):
    """A body that says whether anybody asked for it."""

    def __init__(self):
        self.asked = False

    async def __aiter__(self):
        self.asked = True
        yield b"{bad"


@pytest.mark.parametrize(("method", "pattern"), CLOSED)
def test_no_body_is_read_before_the_token(filled, method, pattern):
    """Whoever has no token would fill memory with bodies, and learn what a route takes."""
    headers = {"Content-Type": "application/json"}
    strangers = [{}, {"role": "expired"}]
    strangers += [
        {"role": role} for role in sorted(set(ROLES) - ROUTES[method, pattern][0] - {"administrator"})
    ]
    for who in strangers:
        body = Unread()
        answer = filled.call(method, filled.path_of(pattern), **who, headers=headers, content=body)
        assert answer.status_code == (403 if who.get("role") in ROLES else 401)
        assert not body.asked


def test_an_open_route_takes_no_body_but_those_for_envelopes():
    taking = [
        (method, path) for (method, path), roles in all_roles().items() if roles is OPEN and method != "GET"
    ]
    assert sorted(taking) == [("POST", path) for path in ENVELOPES]


def test_a_token_that_is_revoked_while_the_body_comes_is_refused(filled):
    class Slow(Unread):
        async def __aiter__(self):
            yield b"{"
            filled.entries[:] = revoke_token(filled.entries, "operator-name")
            yield b'"directory":"/nowhere"}'

    headers = {"Content-Type": "application/json"}
    answer = filled.call("POST", "/api/v1/backups", "operator", headers=headers, content=Slow())
    assert (answer.status_code, answer.json()["code"]) == (401, "token-unknown")


@pytest.mark.parametrize(("method", "pattern"), CLOSED)
def test_closed_routes_let_in_whoever_fits(filled, method, pattern):
    roles, arguments = ROUTES[method, pattern]
    for role in [*sorted(roles), "administrator"]:
        answer = filled.call(method, filled.path_of(pattern), role, **arguments)
        code = answer.json().get("code") if answer.status_code >= 400 else None
        assert code not in UNANSWERED, (pattern, role)


def test_the_scheme_is_named_on_closed_routes_only(world):
    for path, operations in world.described["paths"].items():
        for method, operation in operations.items():
            key = next(k for k in ROUTES if k[0].lower() == method and k[1].replace(":path", "") == path)
            closed = ROUTES[key][0] is not OPEN
            assert operation.get("security", []) == ([{"HTTPBearer": []}] if closed else []), path
            assert {"401", "403"} <= operation["responses"].keys() if closed else True
            # A route for envelopes refuses whoever is no member; that is no matter of tokens.
            refusing = {"401"} if path in ENVELOPES else {"401", "403"}
            assert closed or not refusing & operation["responses"].keys()


def test_a_caller_is_known_by_the_name_of_the_token(filled):
    leaf = filled.leaves()[0]
    filled.post(f"/api/v1/records/{leaf}/withdraw", "operator", {"ground": "撤销处罚"})
    shown = filled.post(f"/api/v1/records/{leaf}/show", "officer", WHY).json()
    assert shown["history"][0]["officer"] == "operator-name"


# ---- tokens


NOW = 1_800_000_000


def test_a_token_is_its_secret_and_only_its_digest_is_kept():
    text, entry = new_token("li", "officer", None, FixedRandom())
    assert text.startswith(PREFIX)
    assert text not in encode_tokens([entry]).decode()
    caller = check_token([entry], text, ("officer",), NOW)
    assert (caller.name, caller.role) == ("li", "officer")


def test_tokens_survive_their_file():
    entries = [new_token(f"n{n}", role, n or None, FixedRandom(role))[1] for n, role in enumerate(ROLES)]
    assert parse_tokens(encode_tokens(entries)) == entries


@pytest.mark.parametrize("expires", [1, 1_799_999_999, 1_800_000_000])
def test_a_token_ends_on_the_second(expires):
    text, entry = new_token("li", "officer", expires, FixedRandom())
    with raises_code(AccessDenied, "token-expired"):
        check_token([entry], text, ("officer",), NOW)
    assert check_token([entry], text, ("officer",), expires - 1).name == "li"


def test_an_unknown_role_gets_no_token():
    with pytest.raises(NodeError):
        new_token("li", "root", None, FixedRandom())


GOOD = {"digest": "A" * 43, "expires": None, "name": "li", "role": "officer"}


@pytest.mark.parametrize(
    "token",
    [
        GOOD | {"role": "root"},
        GOOD | {"role": 1},
        GOOD | {"digest": "A" * 42},
        GOOD | {"digest": "é" * 43},
        GOOD | {"expires": "tomorrow"},
        GOOD | {"expires": -1},
        GOOD | {"name": None},
        GOOD | {"more": 1},
        {"digest": "A" * 43},
        [],
    ],
)
def test_a_token_file_that_is_none_is_refused(token):
    assert parse_tokens(encode_json({"tokens": [GOOD], "v": 1}))
    for file in ({"tokens": [token], "v": 1}, {"tokens": [GOOD], "v": 2}, {"tokens": GOOD, "v": 1}):
        with pytest.raises(NodeError):
            parse_tokens(encode_json(file))


def test_the_world_is_closed_by_default(tmp_path):
    """A node without tokens answers the open routes only."""
    with ApiWorld(tmp_path) as world:
        world.entries.clear()
        assert world.get("/api/v1/node").status_code == 200
        assert world.get("/api/v1/imports", "administrator").status_code == 401

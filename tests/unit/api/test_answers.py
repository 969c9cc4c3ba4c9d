# SPDX-License-Identifier: Apache-2.0
"""Shapes of answers and errors: languages, limits of bodies, what is refused before anything is done."""

import asyncio
import json

import pytest

from node.api.app import MAX_BODY_BYTES
from node.errors import Conflict, Fatal, Unavailable
from tests.support.api_world import MAX_UPLOAD_BYTES, WHY, check_problem, csv_of, exchange, new_app, request
from tests.support.node_world import penalty
from tests.support.rows import COMPANY, PENALTY, RESIDENT_ID


@pytest.fixture
def filled(world):
    world.import_csv(csv_of([penalty(n) for n in range(3)], PENALTY.field_codes))
    return world


# ---- problems


@pytest.mark.parametrize(
    ("language", "title"),
    [
        ("zh", "没有该记录"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "没有该记录"),
        ("en", None),
        ("en-GB,en;q=0.9", None),
        ("fr", "没有该记录"),
        ("", "没有该记录"),
    ],
)
def test_titles_are_in_the_language_of_the_caller(world, language, title):
    answer = world.post(
        f"/api/v1/records/{'00' * 32}/show", "officer", WHY, headers={"Accept-Language": language}
    )
    body = answer.json()
    assert body["code"] == "record-unknown"
    assert body["title"].isascii() == language.startswith("en")
    if title is not None:
        assert any(character >= "\u4e00" for character in body["title"])


def test_unknown_paths_and_methods_are_problems_too(world):
    for method, path, status in (
        ("GET", "/", 404),
        ("GET", "/api/v1", 404),
        ("GET", "/api/v1/node/", 404),
        ("GET", "/docs", 404),
        ("DELETE", "/api/v1/imports", 405),
        ("POST", "/api/v1/node", 405),
        ("PUT", "/healthz", 405),
    ):
        answer = asyncio.run(request(world.app, method, path))
        assert answer.status_code == status, path
        check_problem(answer)
        assert answer.json()["code"] == f"http-{status}"
        assert status != 405 or "allow" in answer.headers


def test_a_fault_tells_its_kind_to_the_log_and_nothing_to_anybody(world, capsys):
    def break_down():
        raise ValueError(f"invalid row: {RESIDENT_ID}")

    world.bare_app = new_app()
    world.app.add_api_route("/break", break_down)
    answer = world.get("/break")
    assert (answer.status_code, answer.json()["code"]) == (500, "fault")
    logged = capsys.readouterr()
    assert "ValueError" in logged.out + logged.err
    assert "test_answers.py" in logged.out + logged.err
    assert RESIDENT_ID not in answer.text + logged.out + logged.err


# ---- shapes of requests

BAD_BODIES = [
    ("/api/v1/records/search", {"limit": 0}),
    ("/api/v1/records/search", {"limit": 1_001}),
    ("/api/v1/records/search", {"limit": "5"}),
    ("/api/v1/records/search", {"limit": 5.0}),
    ("/api/v1/records/search", {"before": -1}),
    ("/api/v1/records/search", {"more": 1}),
    ("/api/v1/records/find", WHY | {"subject": {"type": "passport", "id": "x"}}),
    ("/api/v1/records/find", WHY | {"subject": {"type": "uscc", "id": COMPANY, "x": 1}}),
    ("/api/v1/records/find", WHY | {"subject": {"type": "uscc", "id": "123"}}),
    ("/api/v1/records/find", WHY | {"subject": {"type": "uscc"}}),
    ("/api/v1/records/search", {"subject": {"type": "uscc", "id": COMPANY}}),
    ("/api/v1/records/find", {"subject": {"type": "uscc", "id": COMPANY}}),
    ("/api/v1/records/find", WHY | {"subject": {"type": "uscc", "id": COMPANY}, "limit": 1_001}),
    ("/api/v1/subjects/looks", {"subject": {"type": "uscc", "id": COMPANY}}),
    (
        "/api/v1/subjects/looks",
        {"subject": {"type": "uscc", "id": COMPANY}, "document": "110101199003070396"},
    ),
    ("/api/v1/subjects/looks", {"subject": {"type": "uscc", "id": "123"}, "document": "passport"}),
    (
        "/api/v1/subjects/looks",
        {"subject": {"type": "uscc", "id": COMPANY}, "document": "passport", "limit": 201},
    ),
    ("/api/v1/records/search", []),
    ("/api/v1/records/search", None),
    ("/api/v1/records/{leaf}/show", {}),
    ("/api/v1/records/{leaf}/show", WHY | {"purpose": ""}),
    ("/api/v1/records/{leaf}/show", WHY | {"purpose": None}),
    ("/api/v1/records/{leaf}/show", WHY | {"purpose": "x" * 201}),
    ("/api/v1/records/{leaf}/show", WHY | {"officer": "someone else"}),
    ("/api/v1/records/{leaf}/evidence", WHY),
    ("/api/v1/records/{leaf}/evidence", WHY | {"disclose": "subject"}),
    ("/api/v1/records/{leaf}/evidence", WHY | {"disclose": ["CF_WSH"] * 251}),
    ("/api/v1/records/{leaf}/evidence", WHY | {"disclose": ["CF_XX"]}),
    ("/api/v1/records/{leaf}/evidence", WHY | {"disclose": [1]}),
    ("/api/v1/records/{leaf}/withdraw", {"ground": ""}),
    ("/api/v1/records/{leaf}/withdraw", {"ground": " "}),
    ("/api/v1/records/{leaf}/withdraw", {"ground": "x" * 501}),
    ("/api/v1/records/{leaf}/withdraw", {}),
    ("/api/v1/records/{leaf}/correct", {"values": {}, "ground": "g"}),
    ("/api/v1/records/{leaf}/correct", {"values": {"CF_WSH": True}, "ground": "g"}),
    ("/api/v1/records/{leaf}/correct", {"values": {"CF_WSH": ["x"]}, "ground": "g"}),
    ("/api/v1/records/{leaf}/correct", {"values": {"CF_WSH": 10**20}, "ground": "g"}),
    ("/api/v1/records/{leaf}/correct", {"values": {"CF_WSH": 10**400}, "ground": "g"}),
    ("/api/v1/records/{leaf}/correct", {"values": {"CF_WSH": "\ud800"}, "ground": "g"}),
    ("/api/v1/records/{leaf}/correct", {"values": {"\ud800": "x"}, "ground": "g"}),
    ("/api/v1/records/{leaf}/correct", {"values": {"CF_WSH": "x" * 32_768}, "ground": "g"}),
    ("/api/v1/records/{leaf}/correct", {"values": {"某列": "x"}, "ground": "g"}),
    ("/api/v1/records/{leaf}/correct", {"values": {"CF_WSH": "x"}, "ground": "g", "item": "\ud800"}),
    ("/api/v1/records/{leaf}/show", WHY | {"case": "\ud800"}),
    ("/api/v1/records/{leaf}/withdraw", {"ground": "\udfff"}),
    ("/api/v1/records/find", WHY | {"subject": {"type": "name", "id": "\ud800"}}),
]


@pytest.mark.parametrize(("path", "body"), BAD_BODIES)
def test_what_is_not_well_formed_is_refused_and_changes_nothing(filled, path, body):
    filled.node.anchor()
    before = (filled.node.store.commits, filled.node.sizes())
    content = json.dumps(body).encode()
    answer = filled.call(
        "POST",
        path.replace("{leaf}", filled.leaves()[0]),
        "administrator",
        content=content,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400, answer.text
    assert (filled.node.store.commits, filled.node.sizes()) == before


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b'{"limit": NaN}', b"[" * 10_000, b'{"limit": 1e400}', b"null", b'"x"']
)
def test_what_is_no_json_is_refused(filled, content):
    answer = filled.call(
        "POST",
        "/api/v1/records/search",
        "officer",
        content=content,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("cell", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_has_not_are_refused(filled, cell):
    content = b'{"values": {"CF_NR_FK": %s}, "ground": "g"}' % cell.encode()
    path = f"/api/v1/records/{filled.leaves()[0]}/correct"
    headers = {"Content-Type": "application/json"}
    answer = filled.call("POST", path, "operator", content=content, headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "leaf",
    ["x", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "٣" * 64, "%00" * 32, "0" * 62 + "..", " " + "0" * 63],
)
def test_leaves_are_64_hex_digits(filled, leaf):
    for action, body in (("show", WHY), ("evidence", WHY | {"disclose": []}), ("withdraw", {"ground": "g"})):
        answer = filled.post(f"/api/v1/records/{leaf}/{action}", "administrator", body)
        assert answer.status_code == (400 if (leaf.isalnum() and leaf.isascii()) or "." in leaf else 404), (
            leaf
        )


@pytest.mark.parametrize(
    "limit", ["0", "-1", "1001", "x", "", "1_0", "+5", " 5", "5.0", "٣", "0x10", "1e2", "05"]
)
def test_numbers_of_queries_are_plain_decimals(world, limit):
    for path in ("/api/v1/imports", "/api/v1/anchors"):
        answer = world.call("GET", path, "operator", params={"limit": limit})
        assert answer.status_code == 400, path
    assert world.get("/api/v1/imports?limit=5", "operator").json() == []


def test_refusals_of_shape_name_no_value_and_no_name_that_the_caller_made_up(filled):
    leaf = filled.leaves()[0]
    for body in (
        WHY | {RESIDENT_ID: 1},
        WHY | {"孙样本": 1},
        WHY | {"purpose": [RESIDENT_ID]},
        WHY | {"case": {"孙样本": RESIDENT_ID}},
    ):
        answer = filled.post(f"/api/v1/records/{leaf}/show", "officer", body)
        assert answer.status_code == 400
        assert RESIDENT_ID not in answer.text
        assert "孙样本" not in answer.text


def test_a_refused_row_names_column_and_rule_not_the_value(filled):
    values = dict(zip(PENALTY.field_codes, penalty(0), strict=True)) | {"CF_XDR_SHXYM": "91520100MA00000157"}
    answer = filled.post(
        f"/api/v1/records/{filled.leaves()[0]}/correct", "operator", {"values": values, "ground": "g"}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "row-refused")
    assert "CF_XDR_SHXYM" in answer.json()["detail"]
    assert "91520100MA00000157" not in answer.text


# ---- sizes of bodies


def test_a_body_that_says_it_is_too_large(world):
    answer = world.call(
        "POST", "/api/v1/records/search", "officer", content=b" " * (MAX_BODY_BYTES + 1), headers={}
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body-size")
    assert world.post("/api/v1/records/search", "officer", {}).status_code == 200


def send_pieces(world, path, pieces, role, content_type=b"application/json", declared=None):
    """Send a body in pieces, with no length or a wrong one; status and body."""
    headers = [(b"host", b"node"), (b"content-type", content_type)]
    if role:
        headers.append((b"authorization", f"Bearer {world.tokens[role]}".encode()))
    if declared is not None:
        headers.append((b"content-length", declared))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("node", 80),
        "root_path": "",
    }
    return asyncio.run(exchange(world.app, scope, pieces))


@pytest.mark.parametrize("declared", [None, b"10", b"x", b"9" * 5_000, b"\xb2"])
def test_a_body_without_an_honest_length_is_counted(world, declared):
    pieces = [b" " * 65_536] * (MAX_BODY_BYTES // 65_536 + 1)
    status, body = send_pieces(world, "/api/v1/records/search", pieces, "officer", declared=declared)
    assert (status, json.loads(body)["code"]) == (413, "body-size")


def test_an_upload_may_be_larger_but_not_without_end(world):
    start = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    content_type = b"multipart/form-data; boundary=b"
    pieces = [start, *[b"x" * 65_536] * ((MAX_UPLOAD_BYTES + MAX_BODY_BYTES) // 65_536 + 1)]
    status, body = send_pieces(world, "/api/v1/imports", pieces, "operator", content_type)
    assert (status, json.loads(body)["code"]) == (413, "body-size")
    assert json.loads(body)["detail"] == f"file is larger than {MAX_UPLOAD_BYTES} bytes: send it in several"
    assert world.stored_uploads() == []


@pytest.mark.parametrize(
    ("role", "status"), [(None, 401), ("expired", 401), ("officer", 403), ("auditor", 403)]
)
def test_nothing_of_an_upload_is_read_for_whoever_may_not_import(world, role, status):
    """What is read goes to the disk; a stranger must not fill it."""

    class Unread(list):
        def pop(self, _at):
            pytest.fail("the body was read")

    assert send_pieces(world, "/api/v1/imports", Unread([b"x"]), role)[0] == status


# ---- a node that cannot


def test_a_read_only_node_says_so_on_every_route_that_writes(filled):
    filled.node.anchor()
    filled.node.services.sequencer.set_read_only(Conflict("log-behind", "store holds fewer entries"))
    leaf = filled.leaves()[0]
    values = dict(zip(PENALTY.field_codes, penalty(7), strict=True))
    before = filled.node.store.commits
    for path, body in (
        ("anchors", None),
        (f"records/{leaf}/show", WHY),
        (f"records/{leaf}/evidence", WHY | {"disclose": ["subject"]}),
        (f"records/{leaf}/withdraw", {"ground": "g"}),
        (f"records/{leaf}/correct", {"values": values, "ground": "g"}),
    ):
        answer = filled.post(f"/api/v1/{path}", "administrator", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "log-behind"), path
    assert filled.upload("x").json()["code"] == "log-behind"
    assert filled.get("/log/access/0/tile/entries/000.p/1", "auditor").json()["code"] == "log-behind"
    assert filled.stored_uploads() == []
    assert filled.node.store.commits == before
    assert filled.get("/readyz").status_code == 503
    assert filled.get("/healthz").status_code == 200
    # What was published before can still be checked by anyone.
    assert filled.get("/log/records/0/checkpoint").status_code == 200
    assert filled.get("/log/records/0/tile/0/000.p/4").status_code == 200
    assert filled.post("/api/v1/records/search", "officer", {}).status_code == 200


def test_a_stopped_node_says_so(filled):
    filled.node.services.sequencer.halt(Fatal("commit-failed", "commit failed: OSError"))
    leaf = filled.leaves()[0]
    answer = filled.post(f"/api/v1/records/{leaf}/show", "officer", WHY)
    assert (answer.status_code, answer.json()["code"]) == (500, "commit-failed")
    for path in ("/healthz", "/readyz"):
        answer = filled.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "commit-failed")
    assert filled.get("/api/v1/node").json()["state"]["mode"] == "stopped"


def test_a_full_disk_is_not_now(filled):
    leaf = filled.leaves()[0]
    full = Unavailable("store-disk-full", "disk is full")
    for call in (
        lambda: filled.post(f"/api/v1/records/{leaf}/show", "officer", WHY),
        lambda: filled.post(f"/api/v1/records/{leaf}/withdraw", "operator", {"ground": "g"}),
        lambda: filled.upload(csv_of([penalty(9)], PENALTY.field_codes)),
    ):
        filled.node.store.fail_next(full)
        answer = call()
        assert (answer.status_code, answer.json()["code"]) == (503, "store-disk-full")
    assert filled.stored_uploads() == []


def test_before_the_chain_was_asked_nothing_is_signed(filled):
    filled.node.anchor()
    condition = filled.node.services.condition
    condition.verified = False
    leaf = filled.leaves()[0]
    size = filled.node.access.size()
    for answer in (
        filled.post(f"/api/v1/records/{leaf}/show", "officer", WHY),
        filled.post(f"/api/v1/records/{leaf}/evidence", "officer", WHY | {"disclose": ["subject"]}),
        filled.get("/log/access/0/tile/entries/000.p/1", "auditor"),
        filled.post("/api/v1/anchors", "operator"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "chain-not-compared")
    assert filled.node.access.size() == size
    condition.verified, condition.joined = True, False
    assert filled.post("/api/v1/anchors", "operator").json()["code"] == "chain-not-joined"
    condition.chain = Unavailable("chain-away", "chain node gives no answer")
    assert filled.post("/api/v1/anchors", "operator").json()["code"] == "chain-away"

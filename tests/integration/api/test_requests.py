# SPDX-License-Identifier: Apache-2.0
"""Requests that are not what they should be, byte by byte against the real server."""

import pytest

from node.api.edge import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PATH_BYTES, MAX_QUERY_BYTES
from tests.support.api_world import check_problem
from tests.support.http_server import Wire, ask, get

SEARCH = "POST /api/v1/records/search HTTP/1.1"
HELLO = get("/healthz")


def post(world, *headers, body="", first=SEARCH):
    token = f"Authorization: Bearer {world.tokens['officer']}"
    return "\r\n".join([first, "Host: node", token, *headers, "", body])


def is_problem(answer, status):
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json["status"] == status
    return True


# ---- what is no HTTP, or could be read in two ways

NO_REQUESTS = {
    "no words": "\x00\x01\x02\r\n\r\n",
    "HTTP/0.9": "GET /healthz\r\n\r\n",
    "HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another protocol": "SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "TLS to a plain port": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no Host": "GET /healthz HTTP/1.1\r\n\r\n",
    "two Hosts": "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a blank before the colon": "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n",
    "NUL in a header": "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    "CR in a header": "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n",
    "NUL in the path": "GET /health\x00z HTTP/1.1\r\nHost: a\r\n\r\n",
    "a blank in the path": "GET /health z HTTP/1.1\r\nHost: a\r\n\r\n",
    "bytes beyond ASCII in the path": "GET /health\xe9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "two lengths": f"{SEARCH}\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}",
    "a list of lengths": f"{SEARCH}\r\nHost: a\r\nContent-Length: 2, 3\r\n\r\n{{}}",
    "a negative length": f"{SEARCH}\r\nHost: a\r\nContent-Length: -2\r\n\r\n{{}}",
    "a length with a sign": f"{SEARCH}\r\nHost: a\r\nContent-Length: +2\r\n\r\n{{}}",
    "a length in hex": f"{SEARCH}\r\nHost: a\r\nContent-Length: 0x2\r\n\r\n{{}}",
    "two codings": f"{SEARCH}\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", NO_REQUESTS)
def test_what_is_no_request_is_refused_and_the_connection_ends(port, name):
    with Wire(port) as wire:
        answer = wire.send(NO_REQUESTS[name] + HELLO).answer()
        assert is_problem(answer, 501 if name == "two codings" else 400)
        assert answer.headers["connection"] == "close"
        # What followed in the same bytes is nobody's request.
        assert wire.ended()


@pytest.mark.parametrize(
    "coding", ["gzip", "chunked, gzip", "gzip, chunked", "identity", "xchunked", "chunked;q=1"]
)
def test_other_codings_than_chunked_are_refused(world, port, coding):
    with Wire(port) as wire:
        wire.send(post(world, f"Transfer-Encoding: {coding}", body="2\r\n{}\r\n0\r\n\r\n") + HELLO)
        assert is_problem(wire.answer(), 501)
        assert wire.ended()


@pytest.mark.parametrize("length", [0, 2, 12, 9_999])
def test_a_request_with_a_length_and_chunks_is_refused(world, port, length):
    """Whoever stands in front may have believed the other one; what comes behind must not be taken for a request."""
    with Wire(port) as wire:
        request = post(
            world, f"Content-Length: {length}", "Transfer-Encoding: chunked", body="2\r\n{}\r\n0\r\n\r\n"
        )
        answer = wire.send(request + HELLO).answer()
        assert is_problem(answer, 400)
        assert wire.ended()


@pytest.mark.parametrize(
    "chunks",
    [
        "x\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n",
        "2\r\n{}xx0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "f" * 30 + "\r\n",
    ],
)
def test_chunks_that_are_none_end_the_connection(world, port, chunks):
    with Wire(port) as wire:
        answer = wire.send(post(world, "Transfer-Encoding: chunked", body=chunks) + HELLO).answer()
        assert answer is None or is_problem(answer, 400)
        assert wire.ended()
    assert ask(port, HELLO).status == 200


def test_chunks_are_read_like_any_body(world, port):
    body = "1\r\n{\r\n1;name=value\r\n}\r\n0\r\nTrailer: x\r\n\r\n"
    assert (
        ask(
            port, post(world, "Content-Type: application/json", "Transfer-Encoding: chunked", body=body)
        ).status
        == 200
    )


def test_a_length_that_says_too_little_ends_the_body(world, port):
    """What lies behind the length is the next request, and as such no request."""
    with Wire(port) as wire:
        wire.send(
            post(world, "Content-Type: application/json", "Content-Length: 2", body='{}{"limit": 1}\r\n\r\n')
        )
        assert wire.answer().status == 200
        assert is_problem(wire.answer(), 400)
        assert wire.ended()


def test_requests_in_one_piece_are_answered_in_their_order(port):
    with Wire(port) as wire:
        wire.send(get("/healthz") + get("/nothing") + get("/readyz") + get("/log/records/0/checkpoint"))
        statuses = [wire.answer().status for _ in range(4)]
        assert statuses == [200, 404, 200, 200]
        wire.send(get("/healthz", "Connection: close"))
        assert wire.answer().status == 200
        assert wire.ended()


def test_a_folded_header_is_one_header(port):
    """RFC 9112 §5.2: its line breaks become blanks, and what is in it is no header of its own."""
    request = (
        "GET /healthz HTTP/1.1\r\nHost: node\r\nX-Request-Id: 01234567\r\n 89\r\n\tContent-Length: 5\r\n\r\n"
    )
    answer = ask(port, request)
    assert answer.status == 200
    assert len(answer.headers["x-request-id"]) == 32


def test_http_1_0(port):
    with Wire(port) as wire:
        assert wire.send("GET /healthz HTTP/1.0\r\n\r\n").answer().json == {"status": "ok"}
        assert wire.ended()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "[::1]", "node:99999", "a b", "\xe9"])
def test_nothing_depends_on_the_host_header(port, host):
    """It is not checked against a list, so no answer may repeat or follow it."""
    for path in ("/healthz", "/healthz/", "/nothing"):
        answer = ask(port, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
        assert answer.status == (200 if path == "/healthz" else 404)
        assert host not in answer.body.decode()
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "http://evil.example/healthz", 404),
        ("GET", "healthz", 404),
        ("OPTIONS", "*", 404),
        ("CONNECT", "evil.example:443", 404),
        ("TRACE", "/healthz", 405),
        ("PROPFIND", "/api/v1/node", 405),
        ("get", "/healthz", 405),
    ],
)
def test_targets_and_methods_that_are_not_ours(port, method, target, status):
    assert is_problem(
        ask(port, f"{method} {target} HTTP/1.1\r\nHost: node\r\nX: secret-value\r\n\r\n"), status
    )


def test_an_upgrade_is_not_taken(port):
    wanted = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: eA==",
        "Sec-WebSocket-Version: 13",
    )
    assert ask(port, get("/healthz", *wanted)).status == 200
    assert (
        ask(
            port, get("/healthz", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA")
        ).status
        == 200
    )


# ---- sizes of heads


def test_a_head_that_does_not_end(port):
    with Wire(port) as wire:
        wire.send("GET /healthz HTTP/1.1\r\nHost: node\r\nX: " + "x" * (MAX_HEAD_BYTES + 1))
        assert is_problem(wire.answer(), 431)
        assert wire.ended()


def test_too_many_headers(port):
    most = [f"X-{n}: y" for n in range(MAX_HEADERS - 1)]
    assert ask(port, get("/healthz", *most)).status == 200
    assert is_problem(ask(port, get("/healthz", *most, "X: y")), 431)


def test_addresses_that_are_too_long(port):
    assert ask(port, get("/healthz?" + "q" * MAX_QUERY_BYTES)).status == 200
    assert is_problem(ask(port, get("/healthz?" + "q" * (MAX_QUERY_BYTES + 1))), 414)
    assert is_problem(ask(port, get("/" + "p" * (MAX_PATH_BYTES - 1))), 404)
    assert is_problem(ask(port, get("/" + "p" * MAX_PATH_BYTES)), 414)


# ---- bodies


def test_a_body_is_not_asked_for_when_it_will_be_refused(world, port):
    """100-continue: a stranger learns that he may not, before he sends a gigabyte."""
    first = "POST /api/v1/imports HTTP/1.1"
    headers = (
        "Expect: 100-continue",
        "Content-Length: 60000",
        "Content-Type: multipart/form-data; boundary=b",
    )
    assert is_problem(ask(port, post(world, *headers, first=first)), 403)
    assert is_problem(ask(port, post(world, "Expect: 100-continue", "Content-Length: 99999999")), 413)


WRONG_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "application/xml",
    "",
    "x",
]


@pytest.mark.parametrize("content_type", WRONG_TYPES)
def test_bodies_of_another_type_are_refused(world, port, content_type):
    answer = ask(port, post(world, f"Content-Type: {content_type}", "Content-Length: 2", body="{}"))
    assert is_problem(answer, 400)
    assert answer.json["code"] == "request-shape"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 300,
    ],
)
def test_uploads_that_are_no_form_are_refused(world, port, content_type):
    request = (
        f"POST /api/v1/imports HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {world.tokens['operator']}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: 60\r\n\r\n"
        + "--b\r\nContent-Disposition: form-data\r\n".ljust(60, "x")
    )
    assert is_problem(ask(port, request), 400)
    assert world.stored_uploads() == []


# ---- paths

TRICKS = [
    "..",
    "../..",
    "../checkpoint",
    "0/../../../checkpoint",
    "%2e%2e/checkpoint",
    "%2e%2e%2fcheckpoint",
    "..%2f..%2fkeys",
    "0%2f000",
    "0/000%00",
    "0/000%0a",
    "0/000%20",
    "0//000",
    "/0/000",
    "//0/000",
    "0/000/",
    "./0/000",
    "0/./000",
    "0\\000",
    "0/0",
    "0/00",
    "0/0000",
    "0/1000",
    "0/x000/000",
    "0/x00/000",
    "0/X001/000",
    "0/000.p/0",
    "0/000.p/00",
    "0/000.p/256",
    "0/000.p/257",
    "0/000.p/-1",
    "0/000.p/+1",
    "0/000.p/1/",
    "0/000.p/1/1",
    "0/000.p",
    "0/000.p/",
    "00/000",
    "64/000",
    "-1/000",
    "0/" + "x999/" * 7 + "999",
    "0/" + "x001/" * 300 + "000",
    "entries",
    "entries/",
    "entries/../0/000",
    "entries%2f000",
    "0/%30%30%30",
    "٣/000".encode().decode("latin-1").encode("unicode_escape").decode(),
]


@pytest.mark.parametrize("trick", TRICKS)
def test_tiles_have_one_path_each(world, port, trick):
    for log in ("records", "access"):
        for place in (f"/log/{log}/0/tile/{trick}", f"/log/{log}/0/tile/entries/{trick}"):
            answer = ask(port, get(place, f"Authorization: Bearer {world.tokens['auditor']}"))
            assert answer.status in {400, 404, 414}, place
            assert answer.headers["content-type"] == "application/problem+json"
    assert ask(port, get("/log/records/0/tile/0/000.p/40")).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "//healthz",
        "/healthz/",
        "/healthz//",
        "/./healthz",
        "/x/../healthz",
        "/healthz%2f",
        "/%68ealthz",
        "/healthz%00",
        "/healthz;x",
        "/HEALTHZ",
        "/healthz.",
        "/api//v1/node",
        "/api/v1/node#",
        "/log/records/00/checkpoint",
        "/log/records/0/../0/checkpoint",
        "/log/Records/0/checkpoint",
        "/log/records/-0/checkpoint",
    ],
)
def test_nothing_has_two_addresses(port, path):
    assert is_problem(ask(port, get(path)), 404)


# ---- what every answer carries


def test_every_answer_is_of_no_use_to_a_web_page(world, port):
    origin = ("Origin: https://evil.example", "Access-Control-Request-Method: GET")
    for request in (
        get("/api/v1/node", *origin),
        get("/api/v1/imports", *origin),
        get("/api/v1/imports", *origin, f"Authorization: Bearer {world.tokens['operator']}"),
        get("/log/records/0/checkpoint", *origin),
        get("/nothing", *origin),
        get("/openapi.json", *origin),
        "OPTIONS /api/v1/imports HTTP/1.1\r\nHost: node\r\n" + "\r\n".join(origin) + "\r\n\r\n",
    ):
        headers = ask(port, request).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
        assert "strict-transport-security" not in headers
        assert not [name for name in headers if name.startswith("access-control-")]


def test_what_may_be_cached_is_what_never_changes(world, port):
    def cached(path, role=None):
        who = () if role is None else (f"Authorization: Bearer {world.tokens[role]}",)
        return ask(port, get(path, *who)).headers["cache-control"]

    assert cached("/log/records/0/tile/0/000.p/40") == "public, max-age=31536000, immutable"
    assert cached("/log/records/0/checkpoint") == "no-cache"
    for path in (
        "/api/v1/node",
        "/api/v1/imports",
        "/api/v1/anchors",
        "/nothing",
        "/healthz",
        "/metrics",
        "/log/records/0/tile/0/001",
    ):
        assert cached(path, "operator") == "no-store", path
    assert cached("/log/access/0/tile/entries/000.p/1", "auditor") == "no-store"


@pytest.mark.parametrize("given", ["0123abcd", "a" * 64, "trace-1.2_3"])
def test_a_request_id_is_kept(port, given):
    assert ask(port, get("/healthz", f"X-Request-Id: {given}")).headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["", "short", "a" * 65, "a b c d e", "x<script>y", "\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9"]
)
def test_a_request_id_that_is_none_is_replaced(port, given):
    ids = {ask(port, get("/healthz", f"X-Request-Id: {given}")).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(len(each) == 32 and each != given for each in ids)


def test_calls_are_in_the_log_by_their_id_and_without_what_they_said(world, port, capsys):
    leaf = world.leaves()[0]
    body = '{"ground": "because of 孙样本"}'.encode().decode("latin-1")
    first = f"POST /api/v1/records/{leaf}/withdraw HTTP/1.1"
    answer = ask(
        port, post(world, f"Content-Length: {len(body)}", "X-Request-Id: withdraw-1", body=body, first=first)
    )
    assert answer.status == 403
    ask(port, get("/api/v1/imports?limit=424242", "X-Request-Id: strange-1"))
    ask(port, get("/healthz", "X-Request-Id: boring-1"))
    logged = capsys.readouterr()
    logged = logged.out + logged.err
    assert "withdraw-1" in logged
    assert "/api/v1/records/{leaf}/withdraw" in logged
    assert "strange-1" in logged
    assert "boring-1" not in logged
    assert leaf not in logged
    assert "孙样本" not in logged
    assert "424242" not in logged
    assert world.tokens["officer"] not in logged


def test_problems_of_the_server_are_those_of_the_application(port):
    class Seen:
        """What ``check_problem`` reads of an answer."""

        def __init__(self, answer):
            self.headers = answer.headers
            self.status_code = answer.status
            self.json = lambda: answer.json

    for request in ("no http\r\n\r\n", get("/x"), post_of_nobody()):
        check_problem(Seen(ask(port, request)))


def post_of_nobody():
    return "POST /api/v1/records/search HTTP/1.1\r\nHost: node\r\nContent-Length: 2\r\n\r\n{}"

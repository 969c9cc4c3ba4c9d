# SPDX-License-Identifier: Apache-2.0
"""What comes in at the edges: settings, tokens, answers of other nodes, files of rows, messages of readers, the store."""

from __future__ import annotations

import io
import json
import logging
import tomllib
import warnings
import zipfile
from functools import cache, partial
from pathlib import Path

import httpx
import msgpack
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from node.client.api import NodeClient
from node.config import parse_settings
from node.core.canonical import encode_json, parse_json
from node.errors import InvalidInput, NodeError
from node.readers.frames import FAILURE, HEAD, HEADS_END, ROWS, ROWS_END, receive_frame, send_frame
from node.readers.opening import find_format, open_table
from node.readers.sheet_xml import Book
from node.readers.table import Limits
from node.readers.workbook import _Child
from node.records.chunks import CELL_TYPES, encode_chunk, parse_chunk
from node.records.headers import find_header, map_headers
from node.records.rows import RowValidator
from node.service.tokens import TokenEntry, encode_tokens, parse_tokens
from node.storage.manifest import (
    MAX_MANIFEST_BYTES,
    BackedUpFile,
    BackedUpLog,
    Manifest,
    encode_manifest,
    parse_manifest,
)
from node.storage.state import (
    FORMAT,
    Journal,
    State,
    check_owner,
    encode_journal,
    encode_owner,
    encode_state,
    parse_journal,
    parse_state,
)
from tests.fuzz.case import Target, as_text, check_error, check_kept, scratch_directory
from tests.support.rows import ISSUER, PERMIT, PERMIT_ROW, TODAY, build_row
from tests.support.workbooks import store_parts

# It tells what is wrong with every form, at length.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

FIND = partial(find_header, PERMIT)
LIMITS = Limits(line_bytes=16_384, columns=200)
CODES = list(PERMIT.field_codes)
_OWN_STORE = "msgpack, in this node's own store, whose databases have checksums"


def _config(data):
    settings = parse_settings(data)
    assert settings.home == Path()
    assert tomllib.loads(data.decode()).keys() <= type(settings).model_fields.keys()
    told = settings.model_dump()
    assert set(told) == set(type(settings).model_fields)
    texts = [str(value) for value in told.values() if isinstance(value, str | Path)]
    assert not any("\x00" in text or "\x1b" in text for text in texts), (
        "a path that cannot be, or what a terminal obeys"
    )


def _tokens(data):
    entries = parse_tokens(data)
    again = encode_tokens(entries)
    assert parse_tokens(again) == entries
    assert encode_tokens(parse_tokens(again)) == again
    check_kept(data, again)


def _client_answer(data):
    """A line with status and headers in JSON, then the body, from whoever listens at a node's address."""
    head, _, body = data.partition(b"\n")
    try:
        status, headers = json.loads(head)
        headers = [(str(name), str(value)) for name, value in headers.items()]
        httpx.Headers(headers)
        code = status if 200 <= status < 600 else 200
    except (ValueError, TypeError, AttributeError, RecursionError):
        return
    client = _client()
    client._answer = lambda: httpx.Response(code, headers=headers, stream=httpx.ByteStream(body))
    refusals = []
    for call in (client.get, client.get_text, client.get_bytes, client.post):
        try:
            call("/x")
        except NodeError as error:
            check_error(error)
            refusals.append(error)
    if len(refusals) == 4:
        raise refusals[0]


@cache
def _client():
    client = NodeClient("http://127.0.0.1:1")
    client._http.close()
    client._http = httpx.Client(
        transport=httpx.MockTransport(lambda _request: client._answer()), base_url="http://127.0.0.1:1"
    )
    return client


def _node_url(data):
    text = as_text(data)
    if text.startswith("https:"):  # loading the machine's certificates takes longer than a case
        text = "http:" + text[6:]
    client = NodeClient(text)
    host, port = client._http.base_url.host, client._http.base_url.port
    client.close()
    # What the socket does before it asks anybody.
    assert host.encode("idna")
    assert 0 < (port or 80) < 65_536


def _table(name):
    """Read a whole file: every chunk is one, every row is checked."""

    def run(data):
        path = scratch_directory() / name
        path.write_bytes(data)
        with open_table(path, find_header=FIND, limits=LIMITS) as table:
            validator = RowValidator(
                PERMIT, map_headers(PERMIT, table.header), issuer=ISSUER, today=TODAY, date1904=table.date1904
            )
            for chunk in map(parse_chunk, table.chunks):
                for number, row in enumerate(chunk.rows, chunk.first_row):
                    validator.check(row, number)

    return run


def _workbook_parts(data):
    """Parts of a workbook, each behind a line ``@name``, in a good archive."""
    parts = {}
    for part in data.split(b"\n@")[:10]:
        name, _, content = part.lstrip(b"@").partition(b"\n")
        parts[name.decode("utf-8", "replace") or "x"] = content
    with zipfile.ZipFile(scratch_directory() / "parts.xlsx", "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    _read_workbook(scratch_directory() / "parts.xlsx")


def _workbook_archive(data):
    path = scratch_directory() / "archive.xlsx"
    path.write_bytes(data)
    if find_format(path, LIMITS) == "xlsx":
        _read_workbook(path)


def _read_workbook(path):
    book = Book(path, LIMITS)
    try:
        for name, part in book.sheets:
            assert type(name) is str
            book.size_of(part)
            for row in book.read_rows(part):
                assert CELL_TYPES.issuperset(map(type, row))
    finally:
        book.close()


class _Pipes:
    """Stands for the process of a reader that a workbook has taken over; what it sends is there at once."""

    def __init__(self, data):
        self.stdout, self.stdin = io.BytesIO(data), io.BytesIO()

    def wait(self, _seconds=None):
        return 1

    def kill(self):
        pass


def _reader_messages(data):
    child = _Child.__new__(_Child)
    child._process, child.out_of_memory = _Pipes(data), False
    child._output = child._process.stdout
    head, place, notes = child.find_table(FIND)
    assert all(note.isprintable() for note in notes)
    header = head.rows[place.header]
    map_headers(PERMIT, header)
    for chunk in child.read_chunks(head.sheet, place.header + 1, len(header), 1):
        parse_chunk(chunk)


def _multipart(data):
    """A line with the type of content, then the body: what the import route sees of it, or a refusal of status 400."""
    with warnings.catch_warnings():
        # The file of a part that is cut off is closed by nobody but the collector.
        warnings.simplefilter("ignore", ResourceWarning)
        _read_form(data)


def _read_form(data):
    content_type, _, body = data.partition(b"\n")
    pieces = [body[at : at + 700] for at in range(0, len(body), 700)] or [b""]

    async def receive():
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", content_type)], "app": None}
    reading = Request(scope, receive).form().__await__()
    try:
        # Nothing waits for anything, so that one step is the whole reading.
        next(reading)
    except StopIteration as done:
        form = done.value
        for _name, value in form.multi_items():
            assert isinstance(value, str | UploadFile)
            if isinstance(value, UploadFile):
                value.file.close()
    except HTTPException as refusal:
        raise InvalidInput(f"http-{refusal.status_code}", "the form is malformed") from None


def _multipart_seeds():
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="item"\r\n\r\npenalty:2018\r\n',
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\na,b\r\n1,2\r\n\r\n--b--\r\n',
    ]
    text = b"multipart/form-data; boundary=b\n"
    return [
        text + b"".join(parts),
        text + parts[1],
        b"application/x-www-form-urlencoded\na=b&c=%E5%B1%80&a=1",
    ]


def _frames(data):
    pipe = io.BytesIO(data)
    again = io.BytesIO()
    while (frame := receive_frame(pipe)) is not None:
        send_frame(again, *frame)
    assert data.startswith(again.getvalue())


def _owner(data):
    check_owner(data, b"zj.example/" + ISSUER.encode())


def _state(data):
    state = parse_state(data)
    assert parse_state(encode_state(state)) == state


def _journal(data):
    journal = parse_journal(data)
    assert parse_journal(encode_journal(journal)) == journal


def _backup_manifest(data):
    manifest = parse_manifest(data, newest_format=FORMAT)
    assert parse_manifest(encode_manifest(manifest), newest_format=FORMAT) == manifest
    # What is not in a backup is said to people; no program reads it.
    told = parse_json(data, max_bytes=len(data))["not_included"]
    written = parse_json(encode_manifest(manifest), max_bytes=MAX_MANIFEST_BYTES)
    check_kept(data, encode_json(written | {"not_included": told}))


def _manifest_seeds():
    identity = f"zj.example/{ISSUER}"
    digest = "ab" * 32
    logs = [BackedUpLog(f"{identity}/{log}/0", 7, digest, *anchor) for log, anchor in _ANCHORS.items()]
    files = [
        BackedUpFile("store/main/000005.ldb", 4_096, digest),
        BackedUpFile("store/secrets/MANIFEST-000002", 50, digest),
        BackedUpFile(f"store/streams/records.0/entries/{0:020d}.seg", 64, digest),
        BackedUpFile(f"store/streams/records.0/entries/{64:020d}.seg", 6, digest),
    ]
    streams = {"records.0/entries": 70, "access.0/entries": 0}
    made = 1_790_000_000
    return [
        encode_manifest(Manifest(identity, FORMAT, "0.4.0", made, made + 10, logs, streams, files)),
        encode_manifest(Manifest(identity, 1, "0.3.0", made, made, [], {}, [])),
    ]


def _config_seeds():
    needed = f'member = "{ISSUER}"\nname_zh = "局"\n'
    more = 'rpc_url = "http://127.0.0.1:8545"\nlisten_port = 8620\nworkers = 2\nlanguage = "en"\npassphrase_file = "p"\nidle_timeout_seconds = 1.5\nbehind_proxy = true\n'
    return [needed.encode(), (needed + more).encode()]


def _token_seeds():
    digest = "A" * 43
    return [
        encode_tokens([]),
        encode_tokens(
            [
                TokenEntry("li", "officer", digest, None),
                TokenEntry("wang", "administrator", digest[:-1] + "E", 1_790_000_000),
            ]
        ),
    ]


def _answer(status, body, **headers):
    return json.dumps([status, headers]).encode() + b"\n" + body


def _answer_seeds():
    problem = json.dumps({"code": "record-unknown", "detail": "no record", "status": 404}).encode()
    packed = bytes.fromhex("1f8b08000000000002ffabae050043bfa6a302000000")
    return [
        _answer(200, b'{"state":"running"}', **{"content-type": "application/json"}),
        _answer(404, problem),
        _answer(200, b"text", **{"content-type": "text/plain; charset=gb18030"}),
        _answer(200, packed, **{"content-encoding": "gzip"}),
        _answer(301, b"", location="http://other.example/"),
    ]


def _csv_seeds():
    row = build_row(item=PERMIT)
    lines = [",".join(CODES), ",".join(row), "", ",".join(f'"{cell}"' for cell in row), ",".join(row[:5])]
    text = "\n".join(lines) + "\n"
    return [
        text.encode(),
        text.replace(",", "\t").replace("\n", "\r\n").encode("gb18030"),
        ("\ufeff" + "许可,,\n" + text).encode(),
    ]


def _ndjson_seeds():
    line = json.dumps(PERMIT_ROW, ensure_ascii=False)
    return [
        f"{line}\n\n{line}\n".encode(),
        json.dumps({**PERMIT_ROW, "XK_NR": 1.50, "BZ": None}, ensure_ascii=False).encode("gb18030"),
    ]


@cache
def _workbook():
    sheet = (
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>b &amp; c</t></is></c></row>'
        '<row r="3"><c r="A3"><v>12.5</v></c><c r="C3" s="1"><v>45000</v></c><c r="D3" t="b"><v>1</v></c>'
        '<c r="E3" t="str"><f>A1</f><v>x</v></c><c r="F3" t="e"><v>#REF!</v></c></row><row r="5"/>'
    )
    path = scratch_directory() / "seed.xlsx"
    store_parts(
        path,
        sheet,
        workbook_pr='<workbookPr date1904="1"/>',
        strings="<si><t>a</t></si><si><r><t>b</t></r><r><t>c</t></r></si>",
        styles='<numFmts><numFmt numFmtId="200" formatCode="yyyy-mm-dd"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="200"/></cellXfs>',
    )
    return path


def _part_seeds():
    with zipfile.ZipFile(_workbook()) as archive:
        return [b"\n".join(b"@" + name.encode() + b"\n" + archive.read(name) for name in archive.namelist())]


def _archive_seeds():
    # Times and compression of an archive differ; this one has neither.
    packed = io.BytesIO()
    with zipfile.ZipFile(_workbook()) as archive, zipfile.ZipFile(packed, "w") as plain:
        for name in archive.namelist():
            plain.writestr(zipfile.ZipInfo(name), archive.read(name))
    return [packed.getvalue()]


def _message_seeds():
    row = build_row(item=PERMIT)
    pipe = io.BytesIO()
    send_frame(pipe, HEAD, [0, "许可", False, True, [["许可"], CODES, row]])
    send_frame(pipe, HEAD, [1, "Sheet2", False, True, [["x"]]])
    send_frame(pipe, HEADS_END)
    send_frame(pipe, ROWS, encode_chunk(3, [row, [], "row-cut"]))
    send_frame(pipe, ROWS_END)
    failed = io.BytesIO()
    send_frame(failed, FAILURE, ["workbook-unreadable", "the workbook is damaged"])
    return [pipe.getvalue(), failed.getvalue()]


_ANCHORS = {"records": (5, 1_790_000_000), "access": (0, None)}
_STATE = State(7, 6, {"records.0/entries": 4_096, "access.0/entries": 0})
TARGETS = (
    Target(
        "config",
        "node.config.parse_settings",
        _config,
        _config_seeds,
        "TOML; own file",
        words=(
            b"_env_file = 'x'\n",
            b"_cli_parse_args = true\n",
            b"self = 1\n",
            b"[a]\n",
            b"a.b.c = 1\n",
            b"1979-05-27T07:32:00Z",
            b'"""',
            b"inf",
            b"nan",
            b"0x1F",
            b"\\u0000",
            b"\\u001b",
        ),
    ),
    Target(
        "backup-manifest",
        "node.storage.manifest.parse_manifest",
        _backup_manifest,
        _manifest_seeds,
        "as json; nothing is signed over it, and `not_included` is any texts",
        words=(b'"store/../x"', b"9007199254740991", b'["aa"]', b'"store/main/LOCK"', b'"v":2'),
    ),
    Target("tokens", "node.service.tokens.parse_tokens", _tokens, _token_seeds, "as json; own file"),
    Target(
        "client-answer",
        "node.client.api.NodeClient, any answer",
        _client_answer,
        _answer_seeds,
        "HTTP; nothing is signed over it",
        words=(b"content-encoding", b"deflate", b"br", b"gzip", b"charset=", b"\x1b]0;"),
    ),
    Target(
        "node-url",
        "node.client.api.NodeClient, its address",
        _node_url,
        lambda: [b"http://127.0.0.1:8620", b"https://node.example/x", b"http://[::1]:1"],
        "RFC 3986; the caller's own",
        words=(b"[", b"]", b"@", b":99999", b"%", b"a" * 64, b"..", b"xn--"),
    ),
    Target(
        "multipart",
        "the form of an upload, as the import route reads it",
        _multipart,
        _multipart_seeds,
        "RFC 7578; the file inside is stored as it is, and hashed",
        words=(
            b"--b",
            b"--b--",
            b"\r\n\r\n",
            b"boundary=",
            b"filename*=utf-8''%ff",
            b"charset=utf-7",
            b"Content-Disposition: form-data; name=",
            b"_charset_",
            b";" * 50,
        ),
    ),
    Target(
        "csv",
        "node.readers.opening.open_table of text",
        _table("rows.csv"),
        _csv_seeds,
        "a department's file; every value is written anew into a record",
        words=("，".encode(), b'"', b'""', b"=", b'="', b"\xff\xfe", b"\x81\x30\x81\x30"),
        largest=16_384,
    ),
    Target(
        "ndjson",
        "node.readers.opening.open_table of NDJSON",
        _table("rows.ndjson"),
        _ndjson_seeds,
        "as csv",
        words=(b"1e400", b"1E-7", b"0.10", b"{}"),
        largest=16_384,
    ),
    Target(
        "workbook-parts",
        "node.readers.sheet_xml.Book, parts of a workbook in a good archive",
        _workbook_parts,
        _part_seeds,
        "as csv",
        words=(
            b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
            b"&b;",
            b"<row>",
            b"</row>",
            b"<c r='ZZZZZ1'><v>1</v></c>",
            b"<c r='A99999999'/>",
            b"<v>1e400</v>",
            b"<v>-1</v>",
            b"<mergeCell ref='A1:XFD1048576'/>",
            b"<![CDATA[",
            b"encoding='utf-16'",
            b"&#0;",
            b"<t>" * 300,
        ),
    ),
    Target(
        "workbook-archive",
        "node.readers.opening.find_format and the archive of a workbook",
        _workbook_archive,
        _archive_seeds,
        "as csv",
        words=(
            b"PK\x01\x02",
            b"PK\x03\x04",
            b"PK\x05\x06",
            b"PK\x06\x06",
            b"PK\x06\x07",
            b"\xff" * 4,
            b"EncryptedPackage",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        ),
    ),
    Target(
        "reader-messages",
        "node.readers.workbook._Child, messages of its process",
        _reader_messages,
        _message_seeds,
        "msgpack between two processes of a node",
        words=(
            b"h\x00\x00\x00\x01",
            b"z\x00\x00\x00\x00",
            b"r\x00\x00\x00\x01\x90",
            b"f\x00\x00\x00\x02\x91\xa0",
            b"e\xff\xff\xff\xff",
        ),
        largest=16_384,
    ),
    Target(
        "frames",
        "node.readers.frames.receive_frame",
        _frames,
        _message_seeds,
        "one, up to where a message is cut off",
        words=(b"r\xff\xff\xff\xff", b"r\x10\x00\x00\x01"),
    ),
    Target(
        "store-owner",
        "node.storage.state.check_owner",
        _owner,
        lambda: [encode_owner(b"zj.example/" + ISSUER.encode()), msgpack.packb([99, b"x"])],
        _OWN_STORE,
        binary=True,
    ),
    Target(
        "store-state",
        "node.storage.state.parse_state",
        _state,
        lambda: [encode_state(_STATE)],
        _OWN_STORE,
        binary=True,
    ),
    Target(
        "store-journal",
        "node.storage.state.parse_journal",
        _journal,
        lambda: [encode_journal(Journal(7, [(b"key", b"value"), (b"other", None)]))],
        _OWN_STORE,
        binary=True,
    ),
)

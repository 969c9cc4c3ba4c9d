# SPDX-License-Identifier: Apache-2.0
"""The HTTP application over a whole node in this process, and a caller who holds every answer against OpenAPI."""

from __future__ import annotations

import asyncio
import re
from functools import cache, partial
from urllib.parse import unquote

import httpx

from node.api.app import build_app
from node.api.auth import TokenGate
from node.api.problems import MEDIA_TYPE
from node.api.state import ApiState
from node.core.texts import title_of
from node.readers.opening import open_table
from node.records.headers import find_header
from node.service.backups import Backups
from node.service.jobs import unfinished_jobs
from node.service.tokens import ROLES, new_token
from node.storage.placemark import is_marked
from node.worker.uploads import Uploads
from tests.support.node_world import NodeWorld

MAX_UPLOAD_BYTES = 1 << 16
WHY = {"purpose": "own-records", "basis": "条例第九条", "case": "2026-17"}


def new_app(**options):
    """Build an application that serves no node yet."""
    return build_app(None, None, language="zh", max_upload_bytes=MAX_UPLOAD_BYTES, version="0", **options)


@cache
def shared_app():
    """The application of all worlds, one after the other: to build and describe it takes longer than most tests."""
    return new_app()


class StoredFiles:
    """Uploaded files on disk, opened by the real readers."""

    def __init__(self, directory):
        self.uploads = Uploads(directory, MAX_UPLOAD_BYTES)

    def open_file(self, job, item):
        path = self.uploads.path(job.id)
        return open_table(path, find_header=partial(find_header, item), start_row=job.last_row + 1)


class ApiWorld:
    """A node with its API. Use as a context manager.

    Args:
        directory: Where uploads lie.
        store: An open store instead of one in memory.
    """

    def __init__(self, directory, store=None):
        self.node = NodeWorld(store=store)
        self.files = StoredFiles(directory)
        self.node.uploads = self.files
        self.node.restart()
        self.node.join()
        self.woken = 0
        self.tokens = {}
        entries = []
        for name, expires in [*((role, None) for role in ROLES), ("expired", 1_700_000_000)]:
            role = name if name in ROLES else "administrator"
            self.tokens[name], entry = new_token(f"{name}-name", role, expires, self.node.random)
            entries.append(entry)
        self.entries = entries
        self.gate = TokenGate(lambda: self.entries, self.node.clock)
        self.bare_app = shared_app()
        self.described = self.bare_app.openapi()

    @property
    def app(self):
        """The application, serving this node from now on."""
        state = ApiState(
            self.node.services,
            self.files.uploads,
            wake_imports=self._wake,
            sleep=self.node.sleep,
            backups=Backups(self._back_up),
            is_marked=is_marked,
        )
        self.bare_app.state.node, self.bare_app.state.gate = state, self.gate
        return self.bare_app

    @staticmethod
    def _back_up(directory, tell):
        """Pretend to write a megabyte: what a backup is, is tested on a disk."""
        tell(1 << 20)
        return directory / "backup", 1 << 20, 1_800_000_000

    def _wake(self):
        self.woken += 1

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.node.close()

    def call(self, method, path, role=None, *, token=None, headers=None, **arguments):
        """Call a route, and check that its answer is one that OpenAPI has for it."""
        sent = dict(headers or {})
        token = token or (self.tokens[role] if role else None)
        if token:
            sent["Authorization"] = f"Bearer {token}"
        answer = asyncio.run(request(self.app, method, path, headers=sent, **arguments))
        self.check(method, path, answer, sent.get("Accept-Language", ""))
        return answer

    def get(self, path, role=None, **arguments):
        return self.call("GET", path, role, **arguments)

    def post(self, path, role=None, body=None, **arguments):
        return self.call("POST", path, role, json=body, **arguments)

    def check(self, method, path, answer, language=""):
        operation = self.operation(method, path)
        if operation is not None:
            documented = operation["responses"]
            assert str(answer.status_code) in documented, (method, path, answer.status_code, answer.text)
            content = documented[str(answer.status_code)].get("content", {})
            assert answer.headers["content-type"].partition(";")[0] in content, (method, path)
        if answer.status_code >= 400:
            check_problem(answer, language)

    def operation(self, method, path):
        """Find what OpenAPI says about a call; None for a path that no route has."""
        bare = path.partition("?")[0]
        # The most particular pattern first, as the application has them.
        patterns = sorted(self.described["paths"], key=lambda pattern: (pattern.count("{"), -len(pattern)))
        for pattern in patterns:
            form = re.sub(r"\\\{path\\\}", ".*", re.escape(pattern))
            form = re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", form)
            if re.fullmatch(form, bare):
                return self.described["paths"][pattern].get(method.lower())
        return None

    def raw_get(self, path, role=None):
        """Send a path as it stands, where a client would tidy it up; status and body."""
        headers = [(b"host", b"node")]
        if role:
            headers.append((b"authorization", f"Bearer {self.tokens[role]}".encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("node", 80),
            "root_path": "",
        }
        return asyncio.run(exchange(self.app, scope, [b""]))

    # ---- what a day brings

    def upload(self, text, *, item="penalty:2018", role="operator", name="处罚.csv", **fields):
        data = text if isinstance(text, bytes) else text.encode()
        files = {"file": (name, data)}
        return self.call("POST", "/api/v1/imports", role, files=files, data={"item": item, **fields})

    def run_imports(self):
        """Run what was ordered, as the background loop does; the ended jobs."""
        ended = []
        for job in unfinished_jobs(self.node.store):
            ended.append(self.node.services.importer.run_job(job.id))
            self.files.uploads.remove(job.id)
        return ended

    def stored_uploads(self):
        """Names of the uploaded files that are kept."""
        return [path.name for path in self.files.uploads._directory.iterdir()]

    def import_csv(self, text, **options):
        answer = self.upload(text, **options)
        assert answer.status_code == 202, answer.text
        return self.run_imports()[-1]

    def leaves(self):
        """Leaf hashes of all records as hex, oldest first."""
        return [line.leaf.hex() for line in self.node.lines()]


def csv_of(rows, header):
    """Write rows as a department's program would."""
    return "".join(",".join(f'"{cell}"' for cell in row) + "\r\n" for row in [header, *rows])


def check_problem(answer, language=""):
    """Hold an error against RFC 9457 and our titles."""
    assert answer.headers["content-type"] == MEDIA_TYPE
    body = answer.json()
    assert body.keys() == {"type", "title", "status", "code", "detail"}
    assert body["status"] == answer.status_code
    assert body["type"] == f"urn:ironcage:error:{body['code']}"
    assert body["title"] == title_of(body["code"], "en" if language.startswith("en") else "zh")
    assert body["code"] not in body["title"], "a code without a title"
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) > 0


async def request(app, method, path, **arguments):
    """Send one request to the application in this process."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        return await client.request(method, path, **arguments)


async def exchange(app, scope, pieces):
    """Run one request, its body in pieces; status and body of the answer."""
    waiting = list(pieces)
    sent = []

    async def receive():
        if not waiting:
            return {"type": "http.disconnect"}
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body

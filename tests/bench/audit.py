# SPDX-License-Identifier: Apache-2.0
"""How long an audit of a million access events takes, and in how much memory: two logs of honest exchanges on disk.

The logs are made by a writer of its own, quick and sloppy (the builders would take longer than the audit): the bytes
are those of the protocol. No node and no network take part: what is measured is reading, hashing and pairing.
"""

from __future__ import annotations

import base64
import json
import random
import resource
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

from tests.support.audit_world import BLOCK_SECONDS, MEMBERS, PERIOD, START, AuditNode, AuditWorld

EVENTS_A_PERIOD = 3_000
ENTRIES_A_STEP = 256


def measure_audit(scratch, events):
    """Audit ``events`` events with and without openings, each in a process of its own."""
    made = make_logs(Path(scratch) / "logs", events)
    runs = {name: _run(scratch, name) for name in ("entries", "openings")}
    return {"events": made, **runs}


def _run(scratch, name):
    command = [sys.executable, "-m", "tests.bench.audit", str(scratch), name]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


# ---- writing


class _Log:
    def __init__(self, folder, node):
        folder.mkdir(parents=True)
        self.node, self.count = node, 0
        self.entries, self.openings = (folder / "entries").open("wb"), (folder / "openings").open("wb")
        self.leaves = bytearray()

    def append(self, entry, openings=b""):
        self.entries.write(len(entry).to_bytes(2, "big") + entry)
        self.openings.write(len(openings).to_bytes(3, "big") + openings)
        self.leaves += sha256(b"\x00" + entry).digest()
        self.count += 1

    def anchor(self, at):
        unwraps = len(self.node.anchors)
        self.append(b'{"kind":"heartbeat","rejects":0,"t":%d,"unwraps":%d,"v":1}' % (at * 1000, unwraps))
        while self.count % 16:
            self.append(b'{"kind":"pad","v":1,"x":"AAAAAAAAAAAAAAAAAAAAAA"}')
        self.node.tree.extend(bytes(self.leaves))
        self.leaves.clear()
        self.node.entries = range(self.count)
        self.node.anchor(at)


def make_logs(folder, events):
    """Write two logs of exchanges and give the number of their events."""
    nodes = [AuditNode(member) for member in MEMBERS[:2]]
    logs = [_Log(folder / str(number), node) for number, node in enumerate(nodes)]
    chance, made, at = random.Random(1), 0, START + 30
    while made < events:
        for number in range(EVENTS_A_PERIOD // 3):
            asker, provider = (logs[0], logs[1]) if number % 2 else (logs[1], logs[0])
            _exchange(chance, asker, provider, at + number * 200 // EVENTS_A_PERIOD)
            made += 3
        at += PERIOD
        for log in logs:
            log.anchor(at - 60)
    for _ in range(4):
        at += PERIOD
        for log in logs:
            log.anchor(at - 60)
    for log, node in zip(logs, nodes, strict=True):
        log.entries.close()
        log.openings.close()
        head = {"now": at, "anchors": [[*_numbers(a), a.root.hex()] for a in node.anchors], "size": log.count}
        head["note"] = _sign(node)
        (folder / node.member).write_text(json.dumps(head))
    return made


def _numbers(a):
    return a.i, a.prev_size, a.prev_block, a.prev_time, a.size, a.block, a.time


def _sign(node):
    from node.log.checkpoint import Checkpoint, sign_checkpoint

    checkpoint = Checkpoint(node.origin, node.tree.size, node.tree.root())
    return sign_checkpoint(checkpoint, node.ed25519, node.ml_dsa, START)


def _exchange(chance, asker, provider, at):
    rid, req = _b64(chance.randbytes(16)), _b64(chance.randbytes(32))
    released = b'[["%b",["%b","%b"]]]' % tuple(_b64(chance.randbytes(32)) for _ in range(3))
    same = {
        b"subject": b'{"id":"91350100M000100Y43","type":"uscc"}',
        b"purpose": b'"tender"',
        b"basis": '"条例第九条"'.encode(),
        b"case": b'"2026-17"',
        b"items": b'[{"fields":["CF_WSH","CF_NR"],"vct":"urn:ironcage:city.example:penalty:1"}]',
        b"consent": b"null",
    }
    a, b = asker.node.member.encode(), provider.node.member.encode()
    officer = b'{"auth":"%b","id":"li","idp":"city"}' % req
    for kind, log, peer, seconds, more in (
        (b"ask", asker, b, 0, {b"officer": officer}),
        (b"grant", provider, a, 1, {b"rule": b'"purpose"', b"released": released}),
        (b"receive", asker, b, 2, {b"released": released}),
    ):
        values = {
            b"peer": b'"%b"' % peer,
            b"officer": b"null",
            b"rule": b"null",
            b"released": b"null",
            **same,
            **more,
        }
        salts = chance.randbytes(180)
        texts = [
            _b64(b'["%b","%b",%b]' % (_b64(salts[18 * place : 18 * place + 18]), name, value))
            for place, (name, value) in enumerate(values.items())
        ]
        digests = b'","'.join(sorted(_b64(sha256(text).digest()) for text in texts))
        named = b"" if kind == b"ask" else b'"req":"%b",' % req
        entry = b'{"_sd":["%b"],"kind":"%b","n":1,%b"rid":"%b","t":%d,"v":1}' % (
            digests,
            kind,
            named,
            rid,
            (at + seconds) * 1000,
        )
        log.append(entry, b" ".join(texts))


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


# ---- reading


class StoredLog:
    """A log of ``make_logs`` as a ``LogSource``."""

    def __init__(self, folder, number, member, *, opens):
        from node.core.types import RootHash
        from node.log.anchor import Anchor

        self.node = AuditNode(member)
        self.origin = self.node.origin
        head = json.loads((folder / member).read_bytes())
        self.now, self.note, self.size = head["now"], head["note"], head["size"]
        self.anchors = [
            Anchor(i, ps, pb, pt, size, RootHash(bytes.fromhex(root)), block, time_)
            for i, ps, pb, pt, size, block, time_, root in head["anchors"]
        ]
        self.opens = opens
        self._entries, self._openings = (
            (folder / str(number) / name).open("rb") for name in ("entries", "openings")
        )

    def fetch_checkpoint(self):
        return self.note

    def fetch_entries(self, start, stop):
        return [self._next(self._entries, 2) for _ in range(start, stop)]

    def fetch_openings(self, start, stop):
        if not self.opens:
            return None
        return [self._next(self._openings, 3).decode().split() for _ in range(start, stop)]

    @staticmethod
    def _next(file, width):
        return file.read(int.from_bytes(file.read(width), "big"))


class StoredChain:
    """The anchors of both logs."""

    def __init__(self, sources):
        self._anchors = {source.origin: source.anchors for source in sources}
        self._now = sources[0].now

    def anchors(self, origin):
        return self._anchors[origin]

    def head_block(self):
        return self._now // BLOCK_SECONDS

    def closes_at(self, origin):
        return None

    def find_block_after(self, seconds):
        return seconds // BLOCK_SECONDS + 1


def main(scratch, name):
    from cli.audit_files import ScratchFiles
    from node.cage.audit import Audit, Given
    from node.cage.walk import Rules

    folder, room = Path(scratch) / "logs", Path(scratch) / f"room-{name}"
    room.mkdir()
    sources = [
        StoredLog(folder, number, member, opens=name == "openings")
        for number, member in enumerate(MEMBERS[:2])
    ]
    files, steps = ScratchFiles(room), {}
    began = time.perf_counter()

    def tell(what, done, total):
        steps.setdefault(what, [time.perf_counter(), 0])[1] = time.perf_counter()

    policy = AuditWorld(0, 2).policy()
    rules = Rules(PERIOD, 4 * 3600, sources[0].now)
    report = Audit(sources, StoredChain(sources), policy, rules, files, Given(complete=True), tell).run()
    seconds = time.perf_counter() - began
    files.close()
    assert not report.findings.total, report.to_json()["counts"]
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "pairing_seconds": round(steps["pairing"][1] - steps["pairing"][0], 2),
        "memory_mib": usage.ru_maxrss // 1024,
        "scratch_mib": sum(path.stat().st_size for path in room.iterdir()) >> 20,
        "events": sum(log.events for log in report.logs),
        "entries": sum(log.size for log in report.logs),
    }
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])

# SPDX-License-Identifier: Apache-2.0
"""How long a question between two departments takes, how many go through, and what logging them costs.

Two real nodes, each ``python -m node`` over LevelDB and segment files that are synced, on a chain of their own (anvil);
HTTP over loopback, plain. An officer's client holds one connection open and asks for one record of one enterprise.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

from node.access.purposes import canonical_purposes, load_sample_purposes
from node.bootstrap import open_node
from node.config import load_settings
from node.service.drafting import EventDraft, Officer
from node.storage.keyfiles import load_private
from tests.bench.processes import cpu_seconds, descendants
from tests.support.own_chain import OwnChain
from tests.support.penalty_files import store_penalties
from tests.support.real_documents import ITEM, decide_documents, start_reachable
from tests.support.real_node import DOMAIN, real_nodes
from tests.support.rows import COMPANY

PURPOSE = "tender-check"
FIELDS = ["CF_WSH", "CF_CFLB"]
ANCHOR_PERIOD_SECONDS = 900
"""No anchor falls into the measurement."""
RATE = 10**8
WARM = 40


def measure_exchange(scratch, *, questions, clients, seconds, events):
    """Ask one after the other, then with many clients at once, then log alone what a question logs."""
    chain = OwnChain(scratch / "chain")
    try:
        with two_departments(chain.url, scratch) as (court, market):
            client = _Client(court)
            for _ in range(WARM):
                client.ask()
            alone = _measure(court, market, lambda: _ask_in_turn(client, questions))
            many = _measure(court, market, lambda: _ask_at_once(court, clients, seconds))
            client.close()
            for node in (court, market):
                node.stop()
            logging = _measure_logging(court, events)
    finally:
        chain.close()
    return {"alone": alone, "clients": clients, "many": many, "logging": logging}


# ---- two departments


@contextmanager
def two_departments(url, scratch):
    """Give two running nodes, the second with a record, after the documents are in force and both have anchored."""
    with real_nodes(url, scratch, 2, anchor_period_seconds=ANCHOR_PERIOD_SECONDS) as (court, market):
        for node in (court, market):
            start_reachable(node)
        decide_documents(scratch, (court, market), _unlimited_purposes())
        market.wait_job(market.order(store_penalties(scratch / "penalties.csv", range(1))))
        for node in (court, market):
            node.anchor()
        yield court, market


def _unlimited_purposes():
    """The sample purposes without limits that a measurement would meet."""
    purposes = json.loads(load_sample_purposes())
    for purpose in purposes["purposes"]:
        purpose["rate"] = dict.fromkeys(purpose["rate"], RATE)
    return canonical_purposes(json.dumps(purposes).encode())


# ---- clients


class _Client:
    """One connection that is kept open and one question, over and over; spends next to nothing itself."""

    def __init__(self, node):
        run = json.loads((node.home / "run" / "node.json").read_bytes())
        host, port = run["url"].removeprefix("http://").split(":")
        token = load_private(node.home / "keys" / "operator.token").decode().strip()
        body = json.dumps(
            {
                "subject": {"type": "uscc", "id": COMPANY},
                "items": [{"item": ITEM, "fields": FIELDS}],
                "purpose": PURPOSE,
                "basis": "gov-procurement-22",
                "case": "2026-招-17",
            }
        ).encode()
        head = (
            f"POST /api/v1/ask HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self):
        """Ask, see that a record was given, and give the milliseconds."""
        start = time.perf_counter()
        self._socket.sendall(self._request)
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._receive()
        head = bytes(data[:end]).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(data) < end + 4 + length:
            data += self._receive()
        took = (time.perf_counter() - start) * 1e3
        outcomes = json.loads(data[end + 4 :])["outcomes"]
        assert [one["result"] for one in outcomes] == ["ok"], outcomes
        return took

    def close(self):
        self._socket.close()

    def _receive(self):
        data = self._socket.recv(65_536)
        assert data, "the node ended the connection"
        return data


def _ask_in_turn(client, questions):
    return [client.ask() for _ in range(questions)]


def _ask_at_once(court, clients, seconds):
    """Ask with many clients for some seconds; each question that ends in that time counts."""
    took, gate = [], threading.Barrier(clients)

    def work():
        client = _Client(court)
        mine = []
        gate.wait()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            mine.append(client.ask())
        client.close()
        took.extend(mine)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def _measure(court, market, work):
    parts = {"asker": [court.process.pid], "provider": [market.process.pid]}
    parts |= {f"{name} keys": descendants(pids[0]) for name, pids in list(parts.items())}
    before = {name: sum(map(cpu_seconds, pids)) for name, pids in parts.items()}
    own, start = time.process_time(), time.perf_counter()
    took = sorted(work())
    seconds = time.perf_counter() - start
    cpu = {name: sum(map(cpu_seconds, pids)) - before[name] for name, pids in parts.items()}
    cpu["clients"] = time.process_time() - own
    return {
        "questions": len(took),
        "rate": round(len(took) / seconds),
        "p50_ms": round(took[len(took) // 2], 2),
        "p99_ms": round(took[len(took) * 99 // 100], 2),
        "cpu_ms": {name: round(used * 1e3 / len(took), 3) for name, used in cpu.items()},
    }


# ---- logging alone


def _measure_logging(court, events):
    """Log what a question logs, one event after the other, in the asker's store and nothing else."""
    settings = load_settings(court.home)
    passphrase = settings.path(settings.passphrase_file).read_text().strip()
    with open_node(settings, passphrase) as node:
        access = node.services.access
        drafts = _drafts(court.code)
        for draft in drafts:
            access.log(draft)
        took, cpu = [], time.process_time()
        for _ in range(events):
            start = time.perf_counter()
            for draft in drafts:
                access.log(draft)
            took.append((time.perf_counter() - start) * 1e3)
        cpu = time.process_time() - cpu
    took.sort()
    return {"p50_ms": round(took[len(took) // 2], 2), "cpu_ms": round(cpu * 1e3 / events, 3)}


def _drafts(peer):
    digest = "A" * 43
    same = EventDraft(
        kind="ask",
        peer=peer,
        subject={"type": "uscc", "id": COMPANY},
        officer=Officer("operator"),
        purpose=PURPOSE,
        basis="gov-procurement-22",
        case="2026-招-17",
        items=[{"vct": f"urn:ironcage:{DOMAIN}:{ITEM}", "fields": [*FIELDS, "subject"]}],
        rule="purpose",
    )
    ended = replace(same, kind="receive", req=bytes(32), released=[[digest, [digest] * 3]], n=1)
    return [same, replace(ended, kind="grant", officer=None), ended]

# SPDX-License-Identifier: Apache-2.0
"""``kill -9`` of a node at work: what was acknowledged is there once, and log, head files and chain agree."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress

import pytest

from node.errors import Unavailable
from tests.support.chain_proxy import AFTER, BEFORE, ChainProxy
from tests.support.penalty_files import store_penalties
from tests.support.real_node import (
    WAIT_SECONDS,
    all_leaves,
    check_against_chain,
    check_clean,
    fetch_anchors,
    real_nodes,
    wait_until,
)

CHUNK = 1_000
IN_TURN = (BEFORE, AFTER)


def wait_accepted(node, job, least):
    """Wait until an import has acknowledged so many records, and give the leaf hashes that it acknowledged."""

    def reached():
        with node.client() as client:
            found = client.get(f"/api/v1/imports/{job['id']}")
        return found["accepted"] >= least or found["state"] == "done"

    wait_until(reached, f"{least} records are in")
    return all_leaves(node)


def check_settled(node, rows):
    """Check a node that has come to rest with so many records: anchored, agreeing with the chain, clean."""
    node.anchor()
    counts, logs = check_against_chain(node), node.logs()
    assert node.stop() == 0
    checked = check_clean(node)
    assert checked["records"] == rows
    # One that anchors by the clock may have done so once more, and may not have heard of it.
    on_chain = sum(map(len, fetch_anchors(node, logs).values()))
    assert sum(counts.values()) <= checked["anchors"] <= on_chain


def import_through_kills(real_chain, tmp_path, rows, kills):
    """Import a file while the node is killed whenever so many records are in; compare with an unhurt import."""
    with real_nodes(real_chain.url, tmp_path) as (node,):
        node.start()
        path = store_penalties(tmp_path / "rows.csv", range(rows))
        job = node.order(path)
        seen = set()
        for least, delay in kills:
            acknowledged = wait_accepted(node, job, least)
            time.sleep(delay)
            node.kill()
            seen.update(acknowledged)
            node.start()
            assert seen <= set(all_leaves(node)), "an acknowledged record is gone"
        done = node.wait_job(job)
        assert (done["state"], done["read"], done["accepted"]) == ("done", rows, rows)
        assert (done["duplicate"], done["refused"]) == (0, 0)
        leaves = all_leaves(node)
        assert len(leaves) == len(set(leaves)) == rows
        assert seen <= set(leaves)
        again = node.wait_job(node.order(path))
        assert (again["accepted"], again["duplicate"]) == (0, rows)
        check_settled(node, rows)


def test_killed_in_the_middle_of_an_import(real_chain, tmp_path):
    import_through_kills(real_chain, tmp_path, 8 * CHUNK, [(CHUNK, 0.0)])


@pytest.mark.slow
def test_killed_again_and_again_during_an_import(real_chain, tmp_path):
    kills = [(CHUNK * n, 0.01 * (n % 5) ** 2) for n in (0, 1, 2, 3, 4, 6, 7, 9, 12, 13, 16, 18)]
    import_through_kills(real_chain, tmp_path, 20 * CHUNK, kills)


@pytest.mark.slow
def test_killed_between_upload_and_answer(real_chain, tmp_path):
    """The order of an import is a write too: it is there as a whole or not at all, and never twice."""
    with real_nodes(real_chain.url, tmp_path) as (node,):
        path = store_penalties(tmp_path / "rows.csv", range(CHUNK))
        answered = []
        for delay in (0.0, 0.01, 0.02, 0.04, 0.08, 0.16):
            node.start()
            killer = threading.Timer(delay, node.process.kill)
            killer.start()
            with suppress(Unavailable):
                answered.append(node.order(path)["id"])
            killer.join()
            node.process.wait()
        node.start()
        with node.client() as client:
            jobs = [node.wait_job(job) for job in client.get("/api/v1/imports", limit=100)]
        assert {job["state"] for job in jobs} == {"done"}
        assert set(answered) <= {job["id"] for job in jobs}
        assert sum(job["accepted"] for job in jobs) in (0, CHUNK)
        assert list((node.home / "data" / "uploads").iterdir()) == []
        check_settled(node, sum(job["accepted"] for job in jobs))


class KilledAt:
    """Kills a node at one call to the chain: the ``number``-th, or the next one of a method; once, until it is disarmed."""

    def __init__(self, node, when, *, number=None, method=None):
        self.node, self.when, self.number, self.method = node, when, number, method
        self.done = threading.Event()
        self._turn = threading.Lock()
        self._is_armed = True

    def disarm(self):
        """Kill no more; whether it did."""
        with self._turn:
            self._is_armed = False
            return self.done.is_set()

    def __call__(self, number, method, when):
        if when != self.when or (self.number is not None and number != self.number):
            return
        with self._turn:
            if not self._is_armed or (self.method is not None and method != self.method):
                return
            self._is_armed = False
            self.node.process.kill()
            # Wait until it is gone: what is forwarded or answered from here on, it does not live to see.
            self.node.process.wait()
            self.done.set()
        if self.when == BEFORE:
            raise ConnectionResetError


def anchor_and_die(node, proxy, killed):
    """Start a node, have it anchor, and give whether it died at the place meant for it."""
    node.start()
    proxy.calls.clear()
    proxy.at = killed
    try:
        with suppress(Unavailable):
            node.anchor()
    finally:
        has_died = killed.disarm()
    if not has_died:
        assert node.stop() == 0
    return has_died


def test_killed_before_and_after_a_transaction_is_sent(real_chain, tmp_path):
    with ChainProxy(real_chain.port) as proxy, real_nodes(real_chain.url, tmp_path) as (node,):
        node.settings["IRONCAGE_RPC_URL"] = proxy.url
        node.start()
        node.wait_job(node.order(store_penalties(tmp_path / "rows.csv", range(100))))
        node.anchor()
        assert node.stop() == 0
        for when in (BEFORE, AFTER):
            assert anchor_and_die(node, proxy, KilledAt(node, when, method="eth_sendRawTransaction"))
        node.start()
        check_settled(node, 100)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_every_call_to_the_chain(real_chain, tmp_path):
    """Each call of starting and anchoring is a place to die, before it reaches the chain and after it in turn."""
    with ChainProxy(real_chain.port) as proxy, real_nodes(real_chain.url, tmp_path) as (node,):
        node.settings["IRONCAGE_RPC_URL"] = proxy.url
        node.start()
        node.wait_job(node.order(store_penalties(tmp_path / "rows.csv", range(100))))
        node.anchor()
        assert node.stop() == 0
        number = 0
        while anchor_and_die(node, proxy, KilledAt(node, IN_TURN[number % 2], number=number)):
            number += 1
        assert number > 5
        node.start()
        check_settled(node, 100)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_every_call_while_it_joins(real_chain, tmp_path):
    """A node that never came to its place on the chain takes it at last, once."""
    with ChainProxy(real_chain.port) as proxy, real_nodes(real_chain.url, tmp_path) as (node,):
        node.settings["IRONCAGE_RPC_URL"] = proxy.url
        number = 0
        while True:
            killed = proxy.at = KilledAt(node, IN_TURN[number % 2], number=number)
            proxy.calls.clear()
            node.launch()
            # It may die before it can be asked anything.
            wait_until(
                lambda n=node, k=killed: (
                    k.done.is_set() or (n.has_address() and n.state()["mode"] == "ready")
                ),
                "ready or dead",
            )
            if not killed.disarm():
                break
            number += 1
        assert number > 5
        node.wait_job(node.order(store_penalties(tmp_path / "rows.csv", range(10))))
        check_settled(node, 10)


@pytest.mark.slow
def test_killed_at_any_moment_with_an_anchor_every_second(real_chain, tmp_path):
    with real_nodes(real_chain.url, tmp_path, anchor_period_seconds=1) as (node,):
        path = store_penalties(tmp_path / "rows.csv", range(CHUNK))
        for delay in (0.9, 1.0, 1.05, 1.1, 1.2, 1.5, 2.1):
            node.start()
            node.order(path)
            time.sleep(delay)
            node.kill()
        node.start()
        with node.client() as client:
            jobs = [node.wait_job(job) for job in client.get("/api/v1/imports", limit=100)]
        assert sum(job["accepted"] for job in jobs) == CHUNK
        check_settled(node, CHUNK)


def stop_in_order(node):
    assert node.stop() == 0
    assert not (node.home / "run" / "node.json").exists()


@pytest.mark.slow
def test_sigterm_in_the_middle_of_imports_and_anchors(real_chain, tmp_path):
    rows = 20 * CHUNK
    with real_nodes(real_chain.url, tmp_path, anchor_period_seconds=1) as (node,):
        node.start()
        job = node.order(store_penalties(tmp_path / "rows.csv", range(rows)))
        for least in (0, 3 * CHUNK, 10 * CHUNK):
            acknowledged = set(wait_accepted(node, job, least))
            stop_in_order(node)
            node.start()
            assert acknowledged <= set(all_leaves(node))
        done = node.wait_job(job)
        assert (done["read"], done["accepted"], done["duplicate"]) == (rows, rows, 0)
        check_settled(node, rows)


@pytest.mark.slow
def test_sigterm_while_the_chain_gives_no_answer(real_chain, tmp_path):
    """A chain that accepts calls and never answers does not keep the node from ending."""
    release = threading.Event()
    with ChainProxy(real_chain.port) as proxy, real_nodes(real_chain.url, tmp_path) as (node,):
        node.settings["IRONCAGE_RPC_URL"] = proxy.url
        node.start()
        held = threading.Event()

        def hold(_number, _method, when):
            if when == BEFORE:
                held.set()
                release.wait(WAIT_SECONDS)

        proxy.at = hold

        def ask(client):
            with client, suppress(Unavailable):
                client.post("/api/v1/anchors")

        callers = [threading.Thread(target=ask, args=(node.client(),)) for _ in range(3)]
        for caller in callers:
            caller.start()
        assert held.wait(WAIT_SECONDS)
        stop_in_order(node)
        proxy.at = lambda _number, _method, _when: None
        release.set()
        for caller in callers:
            caller.join()
        node.start()
        check_settled(node, 0)


@pytest.mark.slow
def test_a_second_signal_changes_nothing(real_chain, tmp_path):
    with real_nodes(real_chain.url, tmp_path, anchor_period_seconds=1) as (node,):
        node.start()
        node.order(store_penalties(tmp_path / "rows.csv", range(4 * CHUNK)))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            node.process.send_signal(number)
        stop_in_order(node)
        node.start()
        assert node.wait_job(node_job(node))["accepted"] == 4 * CHUNK
        check_settled(node, 4 * CHUNK)


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.1, 0.6, 1.2])
def test_sigterm_while_it_starts(real_chain, tmp_path, delay):
    with real_nodes(real_chain.url, tmp_path) as (node,):
        node.launch()
        time.sleep(delay)
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(WAIT_SECONDS) in (0, -signal.SIGTERM)
        node.start()
        check_settled(node, 0)


def node_job(node):
    with node.client() as client:
        return client.get("/api/v1/imports", limit=1)[0]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_worker_that_dies_during_an_import_is_replaced(real_chain, tmp_path):
    rows, imports = 20 * CHUNK, 0
    with real_nodes(real_chain.url, tmp_path) as (node,):
        node.start()
        # Between two chunks it is replaced unnoticed.
        while "worker-died" not in node.log.read_text():
            numbers = range(imports * rows, (imports + 1) * rows)
            job = node.order(store_penalties(tmp_path / "rows.csv", numbers))
            for least in (1, 6 * CHUNK):
                wait_accepted(node, job, least)
                node.workers()[0].kill()
            done = node.wait_job(job)
            assert (done["state"], done["accepted"], done["duplicate"]) == ("done", rows, 0)
            imports += 1
        check_settled(node, imports * rows)


@pytest.mark.slow
def test_the_command_says_what_becomes_of_an_import_whose_node_dies(real_chain, tmp_path):
    with real_nodes(real_chain.url, tmp_path) as (node,):
        node.start()
        path = store_penalties(tmp_path / "rows.csv", range(20 * CHUNK))
        workers = node.workers()
        # It cannot come to its end before the node dies.
        for worker in workers:
            worker.freeze()

        def kill():
            with node.client() as client:
                wait_until(lambda: client.get("/api/v1/imports", limit=1), "the import is ordered")
            node.kill()
            for worker in workers:
                worker.thaw()

        killer = threading.Thread(target=kill)
        killer.start()
        done = node.run("import", path, "--item", "penalty:2018")
        killer.join()
        assert done.code == 3, done
        assert "The import goes on when the node runs again" in done.err
        node.start()
        assert node.wait_job(node_job(node))["accepted"] == 20 * CHUNK
        check_settled(node, 20 * CHUNK)


def test_workers_end_with_their_node(real_chain, tmp_path):
    """They hold its keys."""
    with real_nodes(real_chain.url, tmp_path) as (node,):
        node.start()
        wait_until(lambda: len(node.workers()) == 3, "two issue, and one has the wrapping key")
        workers = node.workers()
        node.kill()
        wait_until(lambda: not any(worker.is_alive() for worker in workers), "the workers have ended")

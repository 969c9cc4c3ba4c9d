# SPDX-License-Identifier: Apache-2.0
"""Days of a node's life in minutes: random work, random accidents, and a model of what must be there.

``IRONCAGE_SOAK_SECONDS`` says how long (60 by default, ``make chaos SECONDS=3600`` for longer), ``IRONCAGE_SOAK_SEED``
repeats a run; both are printed. In CI it is the same run each time.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress

import pytest

from node.errors import NodeError, Unavailable
from tests.support.own_chain import OwnChain
from tests.support.penalty_files import store_penalties
from tests.support.real_node import (
    all_leaves,
    check_against_chain,
    check_clean,
    ironcage,
    real_nodes,
    wait_until,
)

SECONDS = float(os.environ.get("IRONCAGE_SOAK_SECONDS", "60"))
SEED = int(
    os.environ.get("IRONCAGE_SOAK_SEED") or (1 if os.environ.get("CI") else time.time_ns() % 1_000_000)
)
LOOK = {"purpose": "own-records", "basis": None, "case": None}
FIELDS = ["CF_XDR_MC", "CF_WSH", "CF_JDRQ"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 900)]


class Life:
    """One node on one chain, what happens to it, and what must be true of it."""

    def __init__(self, node, chain, folder, chance):
        self.node, self.chain, self.folder, self.chance = node, chain, folder, chance
        self.numbers = 0
        self.ordered = []
        self.acknowledged = set()
        self.withdrawn = set()
        self.maybe_withdrawn = set()
        self.looks = 0
        self.promised = {"records": 0, "access": 0}
        self.done = []

    # ---- work

    def order_import(self):
        """Order an import; some of its rows may be in another one already."""
        start = max(0, self.numbers - self.chance.choice((0, 0, 50)))
        rows = range(start, self.numbers + self.chance.choice((1, 20, 300, 1500)))
        path = store_penalties(self.folder / "rows.csv", rows)
        self.numbers = rows.stop
        with suppress(Unavailable):
            self.ordered.append(self.node.order(path)["id"])

    def note_what_is_there(self):
        self.acknowledged.update(all_leaves(self.node))

    def withdraw(self):
        if self.acknowledged:
            leaf = self.chance.choice(sorted(self.acknowledged))
            # Also where the answer is lost.
            self.maybe_withdrawn.add(leaf)
            with self.node.client() as client, suppress(NodeError):
                client.post(f"/api/v1/records/{leaf}/withdraw", {"ground": "soak"})
                self.withdrawn.add(leaf)

    def look(self):
        if self.acknowledged:
            leaf = self.chance.choice(sorted(self.acknowledged))
            with self.node.client() as client, suppress(Unavailable):
                client.post(f"/api/v1/records/{leaf}/show", LOOK)
                self.looks += 1

    def anchor(self):
        with suppress(Unavailable):
            self.node.anchor()

    def export_and_verify(self):
        """Take evidence of something anchored and verify it as a stranger does."""
        lines = [line for line in self.node.records(limit=200) if line["stage"] == "anchored"]
        if not lines:
            return
        line = self.chance.choice(lines)
        file, policy = self.folder / "soak.evidence.json", self.folder / "soak.policy.json"
        with self.node.client() as client, suppress(Unavailable):
            exported = client.post(f"/api/v1/records/{line['leaf']}/evidence", LOOK | {"disclose": FIELDS})
            self.looks += 1
            file.write_text(exported["evidence"], encoding="utf-8")
            if (
                not policy.exists()
                and self.node.run("policy", "export", "--level", "logged", "-o", policy).code
            ):
                return
            report = ironcage("evidence", "verify", file, "--policy", policy, "--json")
            # A record withdrawn between the list and the export may say so or not yet.
            allowed = {0, 1} if line["leaf"] in self.maybe_withdrawn else {0}
            assert report.code in allowed, report

    # ---- accidents

    def kill(self):
        time.sleep(self.chance.uniform(0, 0.5))
        self.node.kill()
        self.start()

    def restart(self):
        assert self.node.stop() == 0
        self.start()

    def kill_worker(self):
        with suppress(IndexError, ProcessLookupError):
            self.chance.choice(self.node.workers()).kill()

    def stop_chain(self):
        self.chain.stop()
        time.sleep(self.chance.uniform(0, 3))
        self.chain.start()

    def freeze_chain(self):
        self.chain.freeze()
        time.sleep(self.chance.uniform(0, 2))
        self.chain.thaw()

    def stop_chain_and_kill(self):
        self.chain.stop()
        self.node.kill()
        self.node.start(mode=None)
        time.sleep(self.chance.uniform(0, 1))
        self.chain.start()

    def check_in_between(self):
        self.settle()
        assert self.node.stop() == 0
        check_clean(self.node)
        self.start()

    # ---- what must be true

    def start(self):
        self.node.start(mode=None)
        self.check_promises()

    def check_promises(self):
        """Nothing that was acknowledged or published is gone."""
        logs = self.node.logs()
        for name, log in logs.items():
            assert log["size"] >= self.promised[name]
            self.promised[name] = log["size"]
        assert self.acknowledged <= set(all_leaves(self.node))

    def settle(self):
        """Wait until every import has ended and everything is anchored."""
        self.node.wait_mode("ready")
        with self.node.client() as client:
            jobs = [self.node.wait_job(job) for job in client.get("/api/v1/imports", limit=1000)]
        assert {job["state"] for job in jobs} <= {"done"}
        assert set(self.ordered) <= {job["id"] for job in jobs}
        wait_until(self._anchored, "everything is anchored")
        check_against_chain(self.node)
        leaves = all_leaves(self.node)
        assert len(leaves) == len(set(leaves)) == sum(job["accepted"] for job in jobs)
        return leaves

    def _anchored(self):
        self.node.anchor()
        return True

    def live(self, seconds):
        work = (self.order_import, self.note_what_is_there, self.withdraw, self.look, self.anchor)
        work += (self.export_and_verify, self.order_import, self.look)
        accidents = (self.kill, self.restart, self.kill_worker, self.stop_chain, self.freeze_chain)
        accidents += (self.stop_chain_and_kill, self.kill, self.check_in_between)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            act = self.chance.choice(accidents if self.chance.random() < 0.25 else work)
            self.done.append(act.__name__)
            act()


def test_soak(tmp_path, capsys):
    with capsys.disabled():
        print(f"\nsoak: {SECONDS:.0f} seconds, seed {SEED}")  # noqa: T201 - to repeat a run
    chain = OwnChain(tmp_path / "chain")
    try:
        with real_nodes(chain.url, tmp_path, anchor_period_seconds=2) as (node,):
            life = Life(node, chain, tmp_path, random.Random(SEED))
            node.start()
            try:
                life.live(SECONDS)
                leaves = life.settle()
            except BaseException:
                with capsys.disabled():
                    print(f"soak: seed {SEED}, after {life.done[-30:]}")  # noqa: T201
                raise
            statuses = {line["leaf"]: line["status"] for line in node.records()}
            assert {statuses.get(leaf, "invalid") for leaf in life.withdrawn} <= {"invalid"}
            access = node.logs()["access"]["size"]
            assert node.stop() == 0
            counts = check_clean(node)
            assert counts["records"] == len(leaves)
            assert access >= life.looks
            with capsys.disabled():
                print(f"soak: {len(life.done)} acts, {len(leaves)} records, {counts}")  # noqa: T201
    finally:
        chain.close()

# SPDX-License-Identifier: Apache-2.0
"""SIGTERM while another process reads a workbook, and while another department is waited for."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.penalty_files import HEADER, penalty_row, store_penalties
from tests.support.real_documents import ITEM, decide_documents, start_reachable
from tests.support.real_node import WAIT_SECONDS, Worker, check_clean, real_nodes, wait_until
from tests.support.rows import COMPANY
from tests.support.workbooks import store_xlsx

ROWS = 50


def find_reader(node):
    """The process of a node that reads a workbook, once it is that program."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == node.process.pid and b"node.readers.child" in (folder / "cmdline").read_bytes():
                return Worker(int(folder.name))
    return None


def import_until_read(node, folder):
    """Order an import of a workbook whose reader is held at the moment it is there; the reader and the job.

    A small one could be read before anybody sees its reader: then another one is ordered.
    """
    store_xlsx(folder / "rows.xlsx", {"s": [HEADER, *map(penalty_row, range(ROWS))]})
    while True:
        job = node.order(folder / "rows.xlsx")

        def seen(job=job):
            node.require_running()
            with node.client() as client:
                ended = client.get(f"/api/v1/imports/{job['id']}")["state"] in {"done", "failed"}
            return "ended" if ended else find_reader(node)

        reader = wait_until(seen, "the workbook is being read")
        if reader == "ended":
            continue
        with suppress(ProcessLookupError):
            reader.freeze()
            with node.client() as client:
                state = client.get(f"/api/v1/imports/{job['id']}")["state"]
            if reader.is_alive() and state not in {"done", "failed"}:
                return reader, job


@pytest.mark.parametrize(
    "whole_group",
    [pytest.param(False, id="node", marks=pytest.mark.slow), pytest.param(True, id="all-processes")],
)
def test_sigterm_while_a_workbook_is_read(real_chain, tmp_path, whole_group):
    """A reader that says nothing holds up no stop and outlives no node; all processes are told where systemd does it."""
    with real_nodes(real_chain.url, tmp_path) as (node,):
        node.start()
        reader, job = import_until_read(node, tmp_path)
        if whole_group:
            os.killpg(node.process.pid, signal.SIGTERM)
        assert node.stop() == 0
        assert not reader.is_alive()
        assert not (node.home / "run" / "node.json").exists()
        node.start()
        assert node.wait_job(job)["state"] == "done"
        with node.client() as client:
            jobs = client.get("/api/v1/imports", limit=100)
        assert sum(each["accepted"] for each in jobs) == ROWS
        assert node.stop() == 0
        assert check_clean(node)["records"] == ROWS


@pytest.mark.slow
def test_sigterm_on_either_side_of_a_question(real_chain, tmp_path):
    """The asker's node waits for the provider's, which is held; each is stopped, and both go on."""
    with real_nodes(real_chain.url, tmp_path, 2) as (court, market):
        for node in (court, market):
            start_reachable(node)
        decide_documents(tmp_path, (court, market))
        market.wait_job(market.order(store_penalties(tmp_path / "rows.csv", range(3))))
        for node in (court, market):
            node.anchor()
        before = court.logs()["access"]["size"]
        os.killpg(market.process.pid, signal.SIGSTOP)
        words = ("ask", f"uscc:{COMPANY}", "--purpose", "tender-check", "--basis", "gov-procurement-22")
        asking = threading.Thread(
            target=court.run, args=(*words, "--item", f"{ITEM}:CF_WSH", "--case", "2026-招-17")
        )
        asking.start()
        try:
            wait_until(lambda: court.logs()["access"]["size"] > before, "the question is logged")
            assert court.stop() == 0
            market.process.send_signal(signal.SIGTERM)
        finally:
            os.killpg(market.process.pid, signal.SIGCONT)
        assert market.process.wait(WAIT_SECONDS) == 0
        asking.join()
        for node in (court, market):
            node.start()
            node.anchor()
        done = court.run(*words, "--item", f"{ITEM}:CF_WSH", "--case", "2026-招-17")
        assert done.code == 0, done
        for node in (court, market):
            assert node.stop() == 0
            check_clean(node)

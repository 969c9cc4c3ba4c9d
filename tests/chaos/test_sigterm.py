# SPDX-License-Identifier: Apache-2.0
"""SIGTERM at calls to the disk while a node starts, imports and anchors, and under a caller who never ends."""

from __future__ import annotations

import json
import signal
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from node.errors import NodeError
from node.storage.keyfiles import load_private
from tests.chaos.faultfs.child import ACTIONS, settings
from tests.support.penalty_files import store_penalties
from tests.support.real_node import (
    WAIT_SECONDS,
    check_against_chain,
    check_clean,
    real_nodes,
    wait_until,
)

ROWS = 3_000


def work_until_it_ends(node, path):
    """Give it work; say whether the signal came while there was some."""
    with suppress(NodeError, AssertionError, FileNotFoundError):
        node.wait_listening()
        job = node.order(path)
        node.wait_job(job)
        node.wait_mode("ready")
        node.anchor()
        return False
    return True


def stopped_at(node, path, point):
    """Run a node that gets the signal at one of its calls; say whether it came to that call."""
    arm = f"{point}:{point}:{ACTIONS.index('term')}:0:"
    node.settings.update(settings(node.home / "data", arm=arm))
    node.launch()
    for name in settings(node.home / "data", arm=arm):
        del node.settings[name]
    if not work_until_it_ends(node, path):
        assert node.stop() == 0
        return False
    # Before its handlers are set the signal ends it as any process.
    assert node.process.wait(WAIT_SECONDS) in (0, -signal.SIGTERM), node.log.read_text()[-2000:]
    assert not (node.home / "run" / "node.json").exists()
    return True


def check_all_points(real_chain, tmp_path, points):
    with real_nodes(real_chain.url, tmp_path) as (node,):
        path = store_penalties(tmp_path / "rows.csv", range(ROWS))
        reached = sum(stopped_at(node, path, point) for point in points)
        node.start()
        with node.client() as client:
            jobs = [node.wait_job(job) for job in client.get("/api/v1/imports", limit=100)]
        last = node.wait_job(node.order(path))
        assert {job["state"] for job in jobs} <= {"done"}
        assert sum(job["accepted"] for job in [*jobs, last]) == ROWS
        node.anchor()
        check_against_chain(node)
        assert node.stop() == 0
        assert check_clean(node)["records"] == ROWS
    return reached


def test_sigterm_at_two_calls(real_chain, tmp_path):
    """One while it opens its new store, one in the middle of an import."""
    assert check_all_points(real_chain, tmp_path, (12, 140)) == 2


@pytest.mark.slow
def test_sigterm_at_many_calls(real_chain, tmp_path):
    assert check_all_points(real_chain, tmp_path, (0, 5, 20, 40, 60, 75, 90, 99)) > 5


def test_sigterm_under_an_upload_that_never_ends(real_chain, tmp_path):
    with real_nodes(real_chain.url, tmp_path) as (node,):
        node.start()
        run_file = json.loads((node.home / "run" / "node.json").read_bytes())
        where = urlsplit(run_file["url"])
        token = load_private(node.home / "keys" / "operator.token").decode().strip()
        head = (
            "POST /api/v1/imports HTTP/1.1\r\nHost: node\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: 100000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        with socket.create_connection((where.hostname, where.port)) as slow:
            slow.sendall(head.encode() + b"x" * 1000)
            wait_until(node.state, "it goes on answering others")
            assert node.stop() == 0

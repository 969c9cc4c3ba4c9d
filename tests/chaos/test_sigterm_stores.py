# SPDX-License-Identifier: Apache-2.0
"""SIGTERM at calls to the disk while a store is upgraded, and while a node starts that has erased bytes to remove."""

from __future__ import annotations

import signal
from itertools import count

import msgpack
import pytest

from node.config import load_settings
from node.ports import Batch
from node.recovery import store_identity, store_path
from node.service import layout
from node.storage.opening import open_store
from node.storage.state import FORMAT
from tests.chaos.faultfs.child import ACTIONS, settings
from tests.support.old_stores import make_format_1
from tests.support.penalty_files import store_penalties
from tests.support.real_documents import admin, create_admin
from tests.support.real_node import WAIT_SECONDS, all_leaves, check_clean, real_nodes, wait_until

ROWS, CHANGED = 6, 1
NOT_IN_USE = [(b"\x01 not in use", b"\xfe not in use")]


@pytest.fixture
def node(real_chain, tmp_path):
    """Give a running node that has records."""
    with real_nodes(real_chain.url, tmp_path) as (node,):
        node.start()
        assert (
            node.wait_job(node.order(store_penalties(tmp_path / "rows.csv", range(ROWS))))["state"] == "done"
        )
        yield node


def signalled_at(node, number):
    return settings(node.home / "data", arm=f"{number}:{number}:{ACTIONS.index('term')}:0:")


@pytest.mark.parametrize("step", [59, pytest.param(13, marks=pytest.mark.slow)])
def test_an_upgrade_goes_on(node, step):
    leaf = all_leaves(node)[-1 - CHANGED]
    assert node.run("record", "withdraw", leaf, "--ground", "x").code == 0
    assert node.stop() == 0
    make_format_1(
        store_path(load_settings(node.home)), {CHANGED: [(1, 1_800_000_000_000, "wang", "revoked")]}
    )
    for number in count(0, step):
        done = node.run("node", "upgrade", environment=signalled_at(node, number), fresh=True)
        if done.code == 0:
            break
        assert (done.code, done.err) == (128 + signal.SIGTERM, "")
    assert number > 0, "the signal came to no call"
    assert f"format {FORMAT}" in done.out
    assert check_clean(node)["records"] == ROWS


def leave_unpurged(node):
    """Note in the store of a stopped node that traces of its erased record are still on the disk."""
    found = load_settings(node.home)
    store = open_store(store_path(found), store_identity(found).encode())
    batch = Batch()
    batch.put(layout.purge_key(CHANGED), msgpack.packb(NOT_IN_USE))
    store.commit(batch)
    store.close()


def is_purged(node):
    with node.client() as client:
        (erasure,) = client.get("/api/v1/erasures")
    return erasure["purged"]


def ends_while_it_purges(node, number):
    """Start a node that has to purge, with the signal at one of its calls; say whether it came to that call."""
    arming = signalled_at(node, number)
    node.settings.update(arming)
    node.launch()
    for name in arming:
        del node.settings[name]

    def is_over():
        return node.process.poll() is not None or (node.has_address() and is_purged(node))

    wait_until(is_over, "the node ended or has purged")
    return node.process.poll() is not None


@pytest.mark.parametrize("step", [47, pytest.param(13, marks=pytest.mark.slow)])
def test_a_purge_goes_on(node, step):
    leaf = all_leaves(node)[-1 - CHANGED]
    create_admin(node)
    done = node.run(
        "record", "erase", leaf, "--ground", "ordered", "--yes", "--token-file", admin(node), "--json"
    )
    assert done.json["purged"]
    assert node.stop() == 0
    for number in count(0, step):
        leave_unpurged(node)
        if not ends_while_it_purges(node, number):
            break
        # Before its handlers are set the signal ends it as any process.
        assert node.process.wait(WAIT_SECONDS) in (0, -signal.SIGTERM), node.log.read_text()[-2000:]
    assert number > 0, "the signal came to no call"
    assert node.stop() == 0
    assert check_clean(node)["records"] == ROWS

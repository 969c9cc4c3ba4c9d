# SPDX-License-Identifier: Apache-2.0
"""Bad days of the chain under a running node: away, hung, restarted empty, put back, another one. Imports go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from contextlib import closing, suppress

import pytest

from node.chain.transport import HttpTransport
from node.errors import Unavailable
from tests.support.errors import raises_code
from tests.support.own_chain import OwnChain
from tests.support.penalty_files import store_penalties
from tests.support.real_node import check_against_chain, check_clean, real_nodes, wait_until

pytestmark = pytest.mark.slow
LOOK = {"purpose": "own-records", "basis": None, "case": None}


@pytest.fixture
def chain(tmp_path):
    chain = OwnChain(tmp_path / "chain")
    yield chain
    chain.close()


@pytest.fixture
def node(chain, tmp_path):
    """A running node that anchors every second and has anchored some records."""
    with real_nodes(chain.url, tmp_path, anchor_period_seconds=1) as (node,):
        node.rows = 0
        node.folder = tmp_path
        node.start()
        add(node)
        wait_anchored(node)
        yield node


def add(node, rows=30):
    """Import some rows: whatever the chain does, this works."""
    numbers = range(node.rows, node.rows + rows)
    job = node.wait_job(node.order(store_penalties(node.folder / "rows.csv", numbers)))
    assert (job["state"], job["accepted"]) == ("done", rows)
    node.rows += rows


def wait_anchored(node):
    """Wait until everything that is in the logs now is anchored."""
    wanted = {name: log["size"] for name, log in node.logs().items()}
    wait_until(
        lambda: all(node.logs()[name]["anchored"] >= size for name, size in wanted.items()), "it is anchored"
    )


def check_settled(node):
    wait_anchored(node)
    # The chain may have taken an anchor that the node has not heard of yet.
    state = node.wait_mode("ready")
    assert (state["code"], state["reason"]) == (None, None)
    assert node.stop() == 0
    checked = check_clean(node)
    assert checked["records"] == node.rows
    node.start()
    node.settle = check_against_chain(node)


def assert_waiting(node, code):
    state = node.wait_state(lambda state: state["code"] == code, f"state {code}")
    assert state["mode"] == "waiting-for-chain"
    assert state["reason"]
    with node.client() as client:
        assert client.get("/readyz")["mode"] == "waiting-for-chain", "it takes work"
    with raises_code(Unavailable, code):
        node.anchor()
    # Each try may fail in its own way.
    wait_until(lambda: node.state()["reason"] in node.run("node", "status").out, "the command says why")
    # Only who knows the anchors can tell that the chain is behind them; the rest the command finds out by itself.
    if code != "chain-behind":
        assert f"chain-{node.ask('chain', 'status', code=3)['state']}" == code


def no_new_anchors(node):
    before = node.logs()
    time.sleep(3)
    after = node.logs()
    assert [log["anchors"] for log in after.values()] == [log["anchors"] for log in before.values()]


def test_a_chain_that_is_away_for_a_while(node, chain):
    chain.stop()
    assert_waiting(node, "chain-away")
    before = node.logs()["records"]["anchored"]
    add(node)
    # Looks go on too: the node has compared itself with the chain since its start.
    leaf = node.records(limit=1)[0]["leaf"]
    with node.client() as client:
        assert client.post(f"/api/v1/records/{leaf}/show", LOOK)["receipt"]
        with raises_code(Unavailable, "not-published"):
            client.post(f"/api/v1/records/{leaf}/evidence", LOOK | {"disclose": ["CF_WSH"]})
        age = client.get("/api/v1/node")["state"]["unanchored_seconds"]
    node.wait_state(lambda state: state["unanchored_seconds"] > age, "the oldest entry grows older")
    assert node.logs()["records"]["anchored"] == before
    assert node.log.read_text().count("chain-away") < 5, "what is wrong is logged once, not at every try"
    chain.start()
    wait_until(lambda: "chain works again" in node.log.read_text(), "the node says that it goes on")
    check_settled(node)


def test_a_node_that_starts_while_the_chain_is_away(node, chain):
    node.stop()
    chain.stop()
    node.start(mode="waiting-for-chain")
    assert_waiting(node, "chain-away")
    add(node)
    node.stop()
    node.start(mode="waiting-for-chain")
    add(node)
    chain.start()
    node.wait_mode("ready")
    check_settled(node)


def test_a_chain_that_hangs(node, chain):
    """It takes the connection and says nothing; nothing of the node but its anchors waits for it."""
    chain.freeze()
    add(node)
    # Less than the chain has to answer: who waited for it would be cut off here each time.
    with node.client(timeout_seconds=5) as client:
        wait_until(lambda: client.get("/api/v1/node"), "the node says how it is")
        wait_until(lambda: client.get_text("/metrics"), "the node says what it counts")
    assert_waiting(node, "chain-away")
    assert node.stop() == 0
    node.start(mode=None)
    add(node)
    chain.thaw()
    node.wait_mode("ready")
    check_settled(node)


def kill_written(chain):
    """Kill the chain once its file holds the newest block, beside which nothing is mined.

    anvil writes its block's number, its blocks and its accounts one after the other, and starts with numbers that differ
    for good when a block came in between.
    """
    chain.anvil.rest()
    with closing(HttpTransport(chain.url)) as head:
        newest = int(head.request("eth_blockNumber", [])["result"], 16)

    def is_written():
        # What it is about to write it does not finish.
        chain.freeze()
        with suppress(ValueError):
            state = json.loads(chain.state.read_bytes())
            if int(state["block"]["number"], 16) == state["best_block_number"] == newest:
                return True
        chain.thaw()
        return False

    wait_until(is_written, "the newest block is written")
    chain.anvil.kill()


def test_a_chain_that_is_killed_and_started_again_and_again(node, chain):
    """anvil keeps what it has written. The node stands still until that is done, or it would keep an anchor that the
    chain has lost; which is another test's.
    """
    for _ in range(4):
        add(node)
        wait_anchored(node)
        os.killpg(node.process.pid, signal.SIGSTOP)
        kill_written(chain)
        os.killpg(node.process.pid, signal.SIGCONT)
        add(node)
        chain.start()
        node.wait_mode("ready")
    check_settled(node)


def test_a_chain_that_comes_back_empty(node, chain):
    chain.stop()
    kept = chain.state.read_bytes()
    chain.state.unlink()
    chain.start()
    assert_waiting(node, "chain-empty")
    no_new_anchors(node)
    add(node)
    node.stop()
    node.start(mode="waiting-for-chain")
    assert_waiting(node, "chain-empty")
    no_new_anchors(node)
    # Whoever finds its data again finds the node waiting.
    chain.stop()
    chain.state.write_bytes(kept)
    chain.start()
    node.wait_mode("ready")
    check_settled(node)


def test_a_chain_that_was_put_back_to_an_older_state(node, chain):
    chain.stop()
    shutil.copy(chain.state, chain.directory / "old.json")
    chain.start()
    node.wait_mode("ready")
    add(node)
    wait_anchored(node)
    chain.stop()
    newest = chain.state.read_bytes()
    shutil.copy(chain.directory / "old.json", chain.state)
    chain.start()
    assert_waiting(node, "chain-behind")
    no_new_anchors(node)
    add(node)
    node.stop()
    node.start(mode="waiting-for-chain")
    assert_waiting(node, "chain-behind")
    chain.stop()
    chain.state.write_bytes(newest)
    chain.start()
    node.wait_mode("ready")
    check_settled(node)


def test_another_chain_in_its_place(node, chain, tmp_path):
    chain.stop()
    shutil.move(chain.state, tmp_path / "kept.json")
    chain.start(chain_id=31_337)
    assert_waiting(node, "chain-wrong-chain")
    no_new_anchors(node)
    chain.stop()
    shutil.move(tmp_path / "kept.json", chain.state)
    chain.start()
    node.wait_mode("ready")
    check_settled(node)

# SPDX-License-Identifier: Apache-2.0
"""A store put back from an older copy, with and without its head files: read-only, with the reason, and nothing signed."""

from __future__ import annotations

import shutil

import pytest

from node.crypto.note import parse_vkey
from node.errors import Conflict, Unavailable
from node.log.checkpoint import verify_checkpoint
from tests.support.chain_proxy import BEFORE, ChainProxy
from tests.support.errors import raises_code
from tests.support.penalty_files import store_penalties
from tests.support.real_node import check_against_chain, check_clean, real_nodes, wait_until

LOOK = {"purpose": "own-records", "basis": None, "case": None}


@pytest.fixture
def node(real_chain, tmp_path):
    """A stopped node with two anchored imports, and copies of its store and head files from between them."""
    with ChainProxy(real_chain.port) as proxy, real_nodes(real_chain.url, tmp_path) as (node,):
        node.settings["IRONCAGE_RPC_URL"] = proxy.url
        node.proxy = proxy
        node.start()
        fill(node, tmp_path, range(50))
        node.stop()
        for name in ("data", "heads"):
            shutil.copytree(node.home / name, tmp_path / "copy" / name)
        node.start()
        node.before = node.logs()
        fill(node, tmp_path, range(50, 100))
        node.newest = node.logs()
        node.stop()
        yield node


def fill(node, folder, numbers):
    node.wait_job(node.order(store_penalties(folder / "rows.csv", numbers)))
    node.anchor()


def put_back(node, tmp_path, *names):
    for name in names:
        shutil.rmtree(node.home / name)
        shutil.copytree(tmp_path / "copy" / name, node.home / name)


def assert_read_only(node, tmp_path, code):
    """The node answers what it can prove and refuses everything that would be signed, each time with the reason."""
    state = node.state()
    assert (state["mode"], state["code"]) == ("read-only", code)
    assert "restored" in state["reason"]
    status = node.run("node", "status", environment={"IRONCAGE_LANG": "zh"})
    assert state["reason"] in status.out
    logs = node.logs()
    assert {name: log["size"] for name, log in logs.items()} == {
        name: log["size"] for name, log in node.before.items()
    }
    path = store_penalties(tmp_path / "refused.csv", range(900, 910))
    with node.client() as client:
        note = client.get_text("/log/records/0/checkpoint")
        vkeys = [parse_vkey(text) for text in logs["records"]["vkeys"]]
        assert verify_checkpoint(note, vkeys).checkpoint.size == node.before["records"]["published"]
        assert client.get_text("/log/records/0/proof/3").startswith("c2sp.org/tlog-proof@v1")
        leaf = client.post("/api/v1/records/search", {"limit": 1})[0]["leaf"]
        with raises_code(Unavailable, code):
            client.get("/readyz")
        assert client.get("/healthz") == {"status": "ok"}
        for route, body in (
            ("/api/v1/anchors", None),
            (f"/api/v1/records/{leaf}/show", LOOK),
            (f"/api/v1/records/{leaf}/evidence", LOOK | {"disclose": ["CF_WSH"]}),
            (f"/api/v1/records/{leaf}/withdraw", {"ground": "test"}),
        ):
            with raises_code(Conflict, code):
                client.post(route, body)
    with raises_code(Conflict, code):
        node.order(path)
    refused = node.run("import", path, "--item", "penalty:2018")
    assert (refused.code, f"[{code}]" in refused.err) == (1, True)
    assert list((node.home / "data" / "uploads").iterdir()) == [], "refused files are not kept"
    assert node.logs() == logs


def heads_of(node):
    return {path.name: path.read_bytes() for path in (node.home / "heads").iterdir()}


def test_a_store_from_before_the_last_anchor_is_read_only_and_says_why(node, tmp_path):
    heads = heads_of(node)
    put_back(node, tmp_path, "data")
    node.start(mode="read-only")
    assert_read_only(node, tmp_path, "log-behind")
    assert node.stop() == 0
    assert heads_of(node) == heads, "what was promised stands"
    found = node.run("log", "fsck", "--json")
    assert found.code == 1
    assert {finding["code"] for finding in found.json["findings"]} == {"log-behind"}
    # With its head files put back too, only the chain knows.
    put_back(node, tmp_path, "data", "heads")
    node.start(mode="read-only")
    assert_read_only(node, tmp_path, "behind-anchor")
    assert node.stop() == 0
    # What the chain said is remembered beside the store, so that the next start needs no chain to know.
    found = node.run("log", "fsck", "--json").json["findings"]
    assert {(finding["code"], finding["place"]) for finding in found} == {("log-behind", "records head file")}


@pytest.mark.slow
def test_a_store_without_its_head_files_is_read_only(node, tmp_path):
    shutil.rmtree(node.home / "heads")
    node.before = node.newest
    node.start(mode="read-only")
    assert_read_only(node, tmp_path, "head-missing")


@pytest.mark.slow
def test_an_emptied_store_is_read_only(node, tmp_path):
    for names, code in ((("data",), "log-behind"), (("data", "heads"), "behind-anchor")):
        for name in names:
            shutil.rmtree(node.home / name)
        node.start(mode="read-only")
        assert node.state()["code"] == code
        assert node.logs()["records"]["size"] == 0
        with raises_code(Conflict, code):
            node.order(store_penalties(tmp_path / "refused.csv", range(10)))
        assert node.stop() == 0


@pytest.mark.slow
def test_a_copy_that_continues_what_was_promised_goes_on(node, tmp_path):
    shutil.copytree(node.home / "data", tmp_path / "newest")
    shutil.rmtree(node.home / "data")
    shutil.copytree(tmp_path / "newest", node.home / "data")
    node.start()
    fill(node, tmp_path, range(100, 150))
    check_against_chain(node)
    assert node.stop() == 0
    assert check_clean(node)["records"] == 150


@pytest.mark.slow
def test_older_head_files_beside_the_newest_store_do_no_harm(node, tmp_path):
    put_back(node, tmp_path, "heads")
    node.start()
    fill(node, tmp_path, range(100, 150))
    check_against_chain(node)
    assert node.stop() == 0
    assert check_clean(node)["records"] == 150


@pytest.mark.slow
def test_a_store_put_back_while_the_chain_is_away_promises_nothing(node, tmp_path):
    """Only the chain can tell; until it has been asked, no receipt, no checkpoint and no evidence leaves."""
    put_back(node, tmp_path, "data", "heads")

    def refuse(_number, _method, when):
        if when == BEFORE:
            raise ConnectionRefusedError

    node.proxy.at = refuse
    node.start(mode="waiting-for-chain")
    wait_until(lambda: node.state()["code"] == "chain-away", "the node has asked")
    before = node.logs()
    with node.client() as client:
        leaf = client.post("/api/v1/records/search", {"limit": 1})[0]["leaf"]
        for route, body in (
            (f"/api/v1/records/{leaf}/show", LOOK),
            (f"/api/v1/records/{leaf}/evidence", LOOK | {"disclose": ["CF_WSH"]}),
            ("/api/v1/anchors", None),
        ):
            with raises_code(Unavailable, "chain-not-compared" if body else "chain-away"):
                client.post(route, body)
    assert node.logs() == before
    node.proxy.at = lambda _number, _method, _when: None
    node.wait_mode("read-only")
    assert_read_only(node, tmp_path, "behind-anchor")


@pytest.mark.slow
def test_two_nodes_with_the_same_keys_do_not_both_go_on(node, tmp_path):
    """A copy of a whole home that is started beside the original: the contract takes one history, the other stops."""
    twin_home = tmp_path / "twin"
    shutil.copytree(node.home, twin_home)
    twin = type(node)(twin_home, node.code, settings=dict(node.settings))
    node.start()
    fill(node, tmp_path, range(100, 120))
    assert node.stop() == 0
    twin.start(mode=None)
    try:
        wait_until(lambda: twin.state()["mode"] == "read-only", "the twin notices")
        assert twin.state()["code"] == "behind-anchor"
    finally:
        twin.end()
    node.start()
    check_against_chain(node)
    assert node.stop() == 0
    check_clean(node)

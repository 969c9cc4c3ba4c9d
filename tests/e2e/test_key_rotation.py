# SPDX-License-Identifier: Apache-2.0
"""Keys are rotated by command: what was signed before and after verifies, and nothing is signed by a key that went."""

from __future__ import annotations

import json
from urllib.request import Request, urlopen

import pytest

from tests.support.own_chain import OwnChain
from tests.support.penalty_files import store_penalties
from tests.support.real_node import check_against_chain, check_clean, ironcage, real_nodes

DAY_SECONDS = 86_400
LOOK = {"purpose": "own-records", "basis": None, "case": None}


@pytest.fixture
def chain(tmp_path):
    own = OwnChain(tmp_path / "chain")
    try:
        yield own
    finally:
        own.close()


def tell_chain(chain, method, *params):
    """Ask the development chain for something that no other chain does."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    with urlopen(Request(chain.url, body, {"content-type": "application/json"})) as answer:
        assert "error" not in json.load(answer)


def import_and_anchor(node, folder, numbers):
    file = store_penalties(folder / "rows.csv", numbers)
    assert node.wait_job(node.order(file))["state"] == "done"
    node.anchor()


def export(node, folder, line):
    with node.client() as client:
        body = LOOK | {"disclose": ["CF_WSH"]}
        exported = client.post(f"/api/v1/records/{line['leaf']}/evidence", body)
    file = folder / f"{line['leaf'][:16]}.evidence.json"
    file.write_text(exported["evidence"], encoding="utf-8")
    return file


def kid_of(file):
    """Key id in the header of an evidence file's record."""
    from node.core.encoding import parse_b64u

    header = json.loads(file.read_bytes())["record"].split(".", 1)[0]
    return json.loads(parse_b64u(header))["kid"]


def test_record_and_node_keys(chain, tmp_path):
    with real_nodes(chain.url, tmp_path) as (node,):
        node.start()
        import_and_anchor(node, tmp_path, range(3))
        refused = node.run("key", "rotate", "record")
        assert (refused.code, "[store-locked]" in refused.err) == (3, True), refused
        node.stop()
        rotated = {name: node.ask("key", "rotate", name) for name in ("record", "node")}
        assert {answer["state"] for answer in rotated.values()} == {"replaced"}
        node.start()
        import_and_anchor(node, tmp_path, range(3, 6))
        old, new = node.records()[-1], node.records()[0]
        files = [export(node, tmp_path, line) for line in (old, new)]
        assert [kid_of(file) for file in files] == [rotated["record"][which] for which in ("old", "new")]
        policy = tmp_path / "policy.json"
        assert node.run("policy", "export", "-o", policy, "--rpc", chain.url).code == 0
        verified = ironcage("evidence", "verify", *files, "--policy", policy)
        assert verified.code == 0, verified
        listed = node.ask("key", "list")["keys"]
        for kind in ("record", "node"):
            periods = [key for key in listed if key["kind"] == kind]
            assert [key["here"] for key in periods] == [False, True]
            assert periods[0]["to_block"] == periods[1]["from_block"]
        node.stop()
        check_clean(node)


@pytest.mark.slow
def test_the_operator_key(chain, tmp_path):
    with real_nodes(chain.url, tmp_path) as (node,):
        node.start()
        import_and_anchor(node, tmp_path, range(2))
        node.stop()
        announced = node.ask("key", "rotate", "operator")
        assert announced["state"] == "announced"
        again = node.ask("key", "rotate", "operator")
        assert again == announced, "asking again announces nothing else"
        # Until it takes over the old key goes on.
        node.start()
        import_and_anchor(node, tmp_path, range(2, 4))
        node.stop()
        tell_chain(chain, "evm_increaseTime", DAY_SECONDS + 1)
        tell_chain(chain, "evm_mine")
        assert node.ask("key", "list")["operator"] == announced["new"]
        finished = node.ask("key", "rotate", "operator")
        assert (finished["state"], finished["old"], finished["new"]) == (
            "replaced",
            announced["old"],
            announced["new"],
        )
        node.start()
        import_and_anchor(node, tmp_path, range(4, 6))
        check_against_chain(node)
        node.stop()
        check_clean(node)
        assert not (node.home / "keys" / "operator.next.json").exists()


@pytest.mark.slow
def test_a_chain_that_is_away_leaves_the_operator_key_as_it_is(chain, tmp_path):
    with real_nodes(chain.url, tmp_path) as (node,):
        before = (node.home / "keys" / "operator.json").read_bytes()
        chain.stop()
        refused = node.run("key", "rotate", "operator")
        assert (refused.code, "[chain-away]" in refused.err) == (3, True), refused
        assert (node.home / "keys" / "operator.json").read_bytes() == before
        assert not (node.home / "keys" / "operator.next.json").exists()
        chain.start()
        assert node.ask("key", "rotate", "operator")["state"] == "announced"

# SPDX-License-Identifier: Apache-2.0
"""Keys are rotated by command: what was signed before and after verifies, and nothing is signed by a key that went."""

from __future__ import annotations

import json
from contextlib import closing
from urllib.request import Request, urlopen

import pytest

from tests.support.own_chain import OwnChain
from tests.support.penalty_files import store_penalties
from tests.support.real_node import check_against_chain, check_clean, ironcage, real_nodes, wait_until

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


def cancel_rotation(node, chain, recovery, gas):
    """Do with the recovery key what its holder does to a rotation that the member did not want."""
    from node.chain.contracts import encode_code
    from node.chain.evm import EvmChain
    from node.chain.network import parse_network
    from node.chain.rpc import Rpc
    from node.chain.transport import HttpTransport

    network = parse_network((node.home / "network.json").read_bytes())
    with closing(EvmChain(Rpc(HttpTransport(chain.url)), network.settings(), recovery)) as evm:
        data = evm._registry.abi.encode_call("cancelRotation", encode_code(node.code))
        evm.send(evm._account.sign(evm._registry.address, data, gas=gas, nonce=evm.next_nonce()).raw)
        # A chain answers once it has taken a transaction in, not once it is in a block.
        wait_until(lambda: evm.member(node.code).pending_operator is None, "the rotation is cancelled")


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
def test_an_announcement_under_way_is_repeated_and_never_replaced(chain, tmp_path, monkeypatch):
    """The key of the first announcement is the one that takes over, however often the command is run meanwhile."""
    from cli import keys
    from cli.keys import Rotated, rotate

    with real_nodes(chain.url, tmp_path) as (node,):
        tell_chain(chain, "evm_setAutomine", False)
        monkeypatch.setattr(keys, "_WAIT_SECONDS", 0)
        for _ in range(2):
            with pytest.raises(SystemExit) as ended:
                rotate(Rotated.OPERATOR, node.home)
            assert ended.value.code == 3
        announced = (node.home / "keys" / "operator.next.json").read_bytes()
        tell_chain(chain, "evm_mine")
        tell_chain(chain, "evm_setAutomine", True)
        answer = node.ask("key", "rotate", "operator")
        assert (node.home / "keys" / "operator.next.json").read_bytes() == announced
        assert node.ask("key", "list")["pending_operator"] == answer["new"]


@pytest.mark.slow
def test_a_cancelled_announcement_has_a_successor(chain, tmp_path):
    from node.chain.evm import ROTATE_GAS
    from node.crypto.keystore import parse_keystore
    from node.crypto.secp256k1 import OperatorKey

    with real_nodes(chain.url, tmp_path) as (node,):
        first = node.ask("key", "rotate", "operator")
        passphrase = (node.home / "keys" / "passphrase").read_text().strip()
        recovery = OperatorKey(
            parse_keystore((node.home / "keys" / "recovery.json").read_bytes(), passphrase)
        )
        cancel_rotation(node, chain, recovery, ROTATE_GAS)
        second = node.ask("key", "rotate", "operator")
        assert second["state"] == "announced"
        assert second["new"] != first["new"]
        assert (node.home / "keys" / f"operator.{first['new'].lower()}.json").is_file()


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

# SPDX-License-Identifier: Apache-2.0
"""The chain stops, starts again, starts empty, starts from an old dump, or is another: what a node then sees."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest

from consortium.anvil import start_anvil
from node.chain.evm import EvmChain
from node.chain.rpc import Rpc
from node.chain.transport import HttpTransport
from node.errors import Unavailable
from tests.support.errors import raises_code
from tests.support.labs import GrowingLog, deploy, evm_lab, operator_key


@pytest.fixture
def day(tmp_path):
    day = Day(tmp_path / "chain")
    yield day
    day.close()


class Day:
    """A chain of its own that can be stopped and started again on the same port."""

    def __init__(self, directory):
        self.directory = directory
        self.anvil = start_anvil(directory)
        self.port = self.anvil.port
        self.network = deploy(self.anvil.url, chain_id=self.anvil.chain_id)
        self.lab = evm_lab(self.network, self.anvil.url)
        self.log = GrowingLog(self.lab.open_log())

    def anchor(self):
        self.log.grow(10)
        client = self.lab.client
        outcome = self.lab.settle(client.sign_anchor([self.log.request()], client.next_nonce()))
        assert outcome.status == 1, outcome.revert_reason
        self.log.anchored = self.log.tree.size
        return outcome

    def restart(self, **settings):
        self.anvil.stop()
        self.anvil = start_anvil(self.directory, port=self.port, **settings)

    def close(self):
        self.lab.close()
        self.anvil.stop()


def test_a_chain_that_stops_and_starts_again_goes_on_where_it_was(day):
    outcome = day.anchor()
    anchor = outcome.anchors[0][1]
    client = day.lab.client
    signed = client.sign_anchor([day.log.request()], client.next_nonce())
    day.anvil.stop()
    status = client.probe()
    assert (status.state, status.chain_id, status.block) == ("away", None, None)
    assert f"127.0.0.1:{day.port}" in status.detail
    for call in (client.next_nonce, client.members, lambda: client.send(signed.raw)):
        with raises_code(Unavailable, "chain-away"):
            call()
    day.restart()
    assert client.probe({day.log.log_id: anchor}).state == "ready"
    tx_hash = client.fetch_anchors(day.log.log_id, 1)[0][1]
    assert client.find_outcome(tx_hash) == outcome
    assert day.anchor().anchors[0][1].prev_size == anchor.size


def test_a_chain_at_rest_mines_nothing_and_a_chain_that_stops_first_mines_what_it_was_sent(day):
    client = day.lab.client
    day.anvil.rest()
    day.log.grow(10)
    signed = client.sign_anchor([day.log.request()], client.next_nonce())
    before = client.probe().block
    client.send(signed.raw)
    assert (client.find_outcome(signed.tx_hash), client.probe().block) == (None, before)
    # As between a transaction that was taken and its block.
    day.restart()
    assert (client.find_outcome(signed.tx_hash).status, client.probe().block) == (1, before + 1)


def test_a_chain_that_starts_empty_is_told_from_one_that_is_away(day):
    day.anchor()
    day.anvil.stop()
    (day.directory / "state.json").unlink()
    day.restart()
    status = day.lab.client.probe()
    assert (status.state, status.chain_id) == ("empty", day.network.chain_id)
    assert "restarted empty" in status.detail
    # Contracts deployed anew get the same addresses from the same account; the trusted block tells them apart.
    # (A block more, because the very same blocks within the same second would be the very same chain.)
    transport = HttpTransport(day.anvil.url)
    transport.request("anvil_mine", ["0x1"])
    transport.close()
    again = deploy(day.anvil.url, chain_id=day.anvil.chain_id)
    assert again.anchor_log == day.network.anchor_log
    assert day.lab.client.probe().state == "wrong-chain"


def test_a_chain_restored_from_an_old_dump_is_behind(day):
    known = {day.log.log_id: day.anchor().anchors[0][1]}
    day.anvil.stop()
    # It writes its state now and then, and at its end.
    shutil.copy(day.directory / "state.json", day.directory / "old.json")
    day.restart()
    later = {day.log.log_id: day.anchor().anchors[0][1]}
    day.anvil.kill()
    shutil.copy(day.directory / "old.json", day.directory / "state.json")
    day.restart()
    assert day.lab.client.probe(known).state == "ready"
    status = day.lab.client.probe(later)
    assert status.state == "behind"
    assert "anchor 2" in status.detail


def test_another_chain_id_is_another_chain(day, tmp_path):
    with (
        start_anvil(tmp_path / "other", chain_id=20261) as other,
        closing(EvmChain(Rpc(HttpTransport(other.url)), day.network.settings(), operator_key(1))) as client,
    ):
        status = client.probe()
        assert (status.state, status.chain_id) == ("wrong-chain", 20261)
        assert "got id 20261, want 20260" in status.detail


def test_a_port_in_use_and_a_broken_dump_are_named(day, tmp_path):
    with raises_code(Unavailable, "chain-port"):
        start_anvil(tmp_path / "second", port=day.port)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "state.json").write_text('{"block": {"num', encoding="utf-8")
    with raises_code(Unavailable, "chain-start") as caught:
        start_anvil(broken)
    assert "json" in caught.value.message

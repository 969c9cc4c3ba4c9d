# SPDX-License-Identifier: Apache-2.0
"""The verifier's reader: light to load, and its one call is exactly the contract's function."""

from __future__ import annotations

import subprocess
import sys

import pytest

from node.chain.contracts import load_abi
from node.chain.reader import RpcChainReader
from node.chain.rpc import Rpc
from node.errors import InvalidInput
from tests.support.errors import raises_code
from tests.support.scripted_node import ScriptedNode

HEAVY = ("web3", "eth_abi", "requests", "pydantic", "fastapi", "plyvel", "plyvel_next")


def read_from(node):
    reader = RpcChainReader("http://127.0.0.1:1")
    reader._rpc = Rpc(node)
    return reader


def test_the_call_is_that_of_the_abi():
    node = ScriptedNode(eth_call="0x" + "cc" * 32)
    log_id = b"\xaa" * 32
    assert read_from(node).commitment("0x" + "02" * 20, log_id, 7) == b"\xcc" * 32
    call, state = node.calls[0][1]
    assert bytes.fromhex(call["data"][2:]) == load_abi("AnchorLog").encode_call("commitment", log_id, 7)
    assert (call["to"], state) == ("0x" + "02" * 20, "latest")


@pytest.mark.parametrize(
    ("contract", "log_id", "i", "code"),
    [
        ("0x" + "02" * 20, b"\xaa" * 31, 7, "chain-call"),
        ("0x" + "02" * 20, b"\xaa" * 32, -1, "chain-call"),
        ("0x" + "02" * 20, b"\xaa" * 32, 2**64, "chain-call"),
        ("0x" + "02" * 19, b"\xaa" * 32, 7, "hex"),
    ],
)
def test_what_does_not_fit_is_not_asked(contract, log_id, i, code):
    node = ScriptedNode()
    with raises_code(InvalidInput, code):
        read_from(node).commitment(contract, log_id, i)
    assert node.calls == []


def test_it_loads_nothing_heavy():
    program = f"import sys, node.chain.reader; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

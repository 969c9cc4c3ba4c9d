# SPDX-License-Identifier: Apache-2.0
"""What the processes of a node load at their start. No clock: a start takes as long as what it loads."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.project import ROOT

NEVER = {
    "web3",
    "requests",
    "urllib3",
    "aiohttp",
    "py_ecc",
    "eth_keyfile",
    "eth_account",
    "openpyxl",
    "sqlite3",
}
"""Nothing of a node's start needs these; web3 comes with the first call of the chain."""
SERVER = {
    "fastapi",
    "starlette",
    "uvicorn",
    "prometheus_client",
    "pydantic",
    "pydantic_settings",
    "structlog",
}
SERVER |= {
    "rich",
    "asyncio",
    "ssl",
    "httpx",
    "h11",
    "http",
    "email",
    "plyvel",
    "plyvel_next",
    "eth_abi",
    "Crypto",
}
"""What listening, the store and the chain need: neither the key process nor a worker, and none before keys are on their way."""


def loaded(program):
    """Give the packages and the number of modules that a program has loaded at its end."""
    program += "\nimport json, sys; print(json.dumps([sorted({n.partition('.')[0] for n in sys.modules}), len(sys.modules)]))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    packages, count = json.loads(done.stdout)
    return set(packages), count


def test_a_node_that_listens_has_not_loaded_what_its_chain_loop_loads():
    packages, _ = loaded("import node.serving, node.server")
    assert packages & NEVER == set()
    assert packages >= {"fastapi", "uvicorn", "structlog"}


def test_keys_are_on_their_way_before_the_server_is_loaded():
    packages, count = loaded("import node.__main__, node.serving")
    # The settings are pydantic's, which loads asyncio and the parser of mail for types that nobody uses.
    assert packages & (NEVER | SERVER) <= {"pydantic", "pydantic_settings", "asyncio", "ssl", "email"}
    assert count < 420


@pytest.mark.parametrize(
    ("module", "most"),
    [
        pytest.param("node.worker.keys_server, node.storage.keyfiles", 260, id="key-process"),
        pytest.param("node.worker.pool", 300, id="worker"),
    ],
)
def test_a_child_loads_what_it_works_with(module, most):
    packages, count = loaded(f"import node.__main__, multiprocessing.spawn, {module}")
    assert packages & (NEVER | SERVER) == set()
    assert count < most

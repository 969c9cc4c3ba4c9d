# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.support.anvil import anvil  # noqa: F401  a fixture is found by its name
from tests.support.labs import deploy, evm_lab, simulated_lab


@pytest.fixture(params=["memory", "anvil"])
def lab(request):
    """The chain in memory, and the real contracts on anvil."""
    if request.param == "memory":
        yield simulated_lab()
        return
    running = request.getfixturevalue("anvil")
    lab = evm_lab(deploy(running.url, chain_id=running.chain_id), running.url)
    yield lab
    lab.close()

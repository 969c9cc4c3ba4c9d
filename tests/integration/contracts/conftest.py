# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.support.anvil import anvil  # noqa: F401  a fixture is found by its name
from tests.support.sole_member import SoleMember


@pytest.fixture(scope="module")
def member(anvil):  # noqa: F811  the fixture is asked for by its name
    member = SoleMember(anvil.url, anvil.chain_id)
    yield member
    member.rpc.close()

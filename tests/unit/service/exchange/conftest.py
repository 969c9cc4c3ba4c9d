# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.support.exchange_world import MARKET, ExchangeWorld


@pytest.fixture
def world():
    """A court, and a market regulator with three penalties against one company, all of them anchored."""
    with ExchangeWorld() as made:
        made.nodes[MARKET].import_penalties(range(3))
        made.anchor()
        yield made

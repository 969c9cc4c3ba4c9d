# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the suites that run against several implementations."""

from __future__ import annotations

import pytest

from consortium.anvil import start_anvil


@pytest.fixture(scope="session")
def anvil(tmp_path_factory):
    """One development chain for all tests; each test deploys contracts of its own."""
    with start_anvil(tmp_path_factory.mktemp("anvil")) as anvil:
        yield anvil

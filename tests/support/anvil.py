# SPDX-License-Identifier: Apache-2.0
"""One development chain for the tests of a session; each test deploys contracts of its own on it."""

from __future__ import annotations

import pytest

from consortium.anvil import start_anvil


@pytest.fixture(scope="session")
def anvil(tmp_path_factory):
    with start_anvil(tmp_path_factory.mktemp("anvil")) as anvil:
        yield anvil

# SPDX-License-Identifier: Apache-2.0
"""A node with its API, for every test here."""

import pytest

from tests.support.api_world import ApiWorld


@pytest.fixture
def world(tmp_path):
    with ApiWorld(tmp_path / "uploads") as made:
        yield made

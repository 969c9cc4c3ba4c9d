# SPDX-License-Identifier: Apache-2.0
"""A node with records, an anchor and a store on the disk, served on a port of this machine."""

import pytest

from node.storage.opening import open_store
from tests.support.api_world import ApiWorld, csv_of, new_app
from tests.support.http_server import listening
from tests.support.node_world import penalty
from tests.support.rows import PENALTY


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    store = open_store(folder / "store", b"zj.example/test", create=True, reserve_bytes=0)
    with ApiWorld(folder / "uploads", store) as made:
        made.bare_app = new_app()
        job = made.import_csv(csv_of([penalty(n) for n in range(40)], PENALTY.field_codes))
        assert job.accepted == 40
        made.node.anchor()
        yield made


@pytest.fixture(scope="module")
def port(world):
    with listening(world.app) as found:
        yield found

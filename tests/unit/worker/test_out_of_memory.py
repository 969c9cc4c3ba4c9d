# SPDX-License-Identifier: Apache-2.0
"""A worker that gets no memory: its chunk is tried again; one that never gets it costs its import and nothing else."""

import pytest

from node.worker.loops import MAX_ATTEMPTS, ImportLoop
from tests.support.node_world import NodeWorld, penalty


class NoUploads:
    """Files that nobody has to remove."""

    def remove(self, job_id):
        self.removed = job_id

    def remove_all_but(self, job_ids):
        pass


@pytest.fixture
def world():
    with NodeWorld() as world:
        world.join()
        yield world


def run_all(world):
    """Do what the loop does until nothing is left."""
    loop = ImportLoop(world.services, NoUploads())
    while [job for job in loop._unfinished() if loop._run_job(job)]:
        pass


def starve(world, times):
    left = [times]

    def before(_task):
        if left[0]:
            left[0] -= 1
            raise MemoryError

    world.workers.before = before


def test_memory_that_comes_back(world):
    starve(world, MAX_ATTEMPTS - 1)
    job = world.upload([penalty(number) for number in range(6)])
    run_all(world)
    done = world.services.importer.run_job(job)
    assert (done.state, done.accepted) == ("done", 6)
    assert len(world.lines()) == 6


def test_memory_that_never_comes(world, capsys):
    starve(world, MAX_ATTEMPTS)
    lost = world.upload([penalty(number) for number in range(6)])
    run_all(world)
    ended = world.services.importer.run_job(lost)
    assert (ended.state, ended.error[0]) == ("failed", "fault")
    assert "MemoryError" in capsys.readouterr().out
    done = world.import_penalties(range(6))
    assert done.accepted == 6
    assert world.services.sequencer.fatal is None
    assert world.check() == []

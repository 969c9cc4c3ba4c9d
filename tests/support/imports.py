# SPDX-License-Identifier: Apache-2.0
"""What became of the rows of an import, in short."""

from __future__ import annotations

from node.service.jobs import iterate_refusals

WRONG_CODE = "91520100MA00000157"
"""A credit code whose check digit does not fit."""


def counts(job):
    """State, then rows read, accepted, corrected, duplicate and refused; every row is in exactly one of them."""
    assert job.read == job.accepted + job.duplicate + job.refused
    return job.state, job.read, job.accepted, job.corrected, job.duplicate, job.refused


def refusals(world, job):
    return [(r.row, r.column, r.rule) for r in iterate_refusals(world.store, job.id)]


def statuses(world):
    return [line.status for line in world.lines()]

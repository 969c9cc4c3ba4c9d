# SPDX-License-Identifier: Apache-2.0
"""A disk that reports errors, at every call that a node makes to it: full, read-only, failing, gone, too many files.

The cases run inside tests/chaos/faultfs/errors.py, which starts the node again behind each: nothing acknowledged is
gone, nothing is there by half, the checkpoints go on. Here is what the node said meanwhile.
"""

from __future__ import annotations

import json

import pytest

from tests.chaos.faultfs.child import run
from tests.chaos.faultfs.edges import TILE
from tests.chaos.faultfs.errors import WAYS

STOPPED = {"store-commit-failed", "head-not-stored", "commit-failed"}
REFUSED = {"store-read-failed", "store-disk-full", "head-unreadable"}


def run_cases(folder, step, *edge):
    printed = run("tests.chaos.faultfs.errors", folder, step, 1, *edge, root=folder)
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def check_cases(cases):
    """Check that every error ends in a state with a name: stopped until a restart, or refused and soon over."""
    for case in cases:
        assert case["state"] in {"ready", "stopped"}, case
        assert set(case["codes"]) <= STOPPED | REFUSED, case
        if case["state"] == "stopped":
            assert case["code"] in STOPPED, case
        else:
            assert set(case["codes"]) <= REFUSED, case
    by_way = {way[0]: [case for case in cases if case["way"] == way[0]] for way in WAYS}
    for way in ("short-write", "slow-disk"):
        assert all(case["state"] == "ready" and not case["codes"] for case in by_way[way]), way
    # An error that comes back from a sync or a write is never tried again: the writer stops.
    for way in (
        "io-error",
        "half-written",
        "stored-all-the-same",
        "disk-full",
        "read-only-mount",
        "disk-gone",
    ):
        assert any(case["state"] == "stopped" for case in by_way[way]), way


def test_some_calls_fail(tmp_path):
    check_cases(run_cases(tmp_path, 40))


@pytest.mark.slow
def test_every_third_call_fails_in_every_way(tmp_path):
    cases = run_cases(tmp_path, 3)
    assert len(cases) > 200
    check_cases(cases)


@pytest.mark.slow
def test_some_calls_fail_while_both_logs_fill_a_tile(tmp_path):
    check_cases(run_cases(tmp_path, 40, TILE))

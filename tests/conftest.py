# SPDX-License-Identifier: Apache-2.0
"""Settings that hold for every test."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# Runs share few cores, so time per example says nothing; a failing example is printed with its replay key.
settings.register_profile(
    "ironcage",
    deadline=None,
    max_examples=100,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ironcage")

if os.environ.get("CI"):
    # There Hypothesis draws the same cases each time, but for constants of the modules that happen to be loaded, which it
    # mixes in: which test files a worker was given before would decide what is tried, and nobody could repeat a failure.
    _NO_CONSTANTS = providers.Constants()
    providers._get_local_constants = lambda: _NO_CONSTANTS


_SHARED_IDS = pytest.StashKey[frozenset[str]]()


def pytest_collection_finish(session):
    """Find the ids that several tests have."""
    counts = Counter(item.nodeid for item in session.items)
    session.stash[_SHARED_IDS] = frozenset(nodeid for nodeid, count in counts.items() if count > 1)


def pytest_runtest_setup(item):
    """Fail tests that share an id: pytest-xdist runs one of them and says nothing of the others."""
    if item.nodeid in item.session.stash[_SHARED_IDS]:
        pytest.fail("other tests have this id too: want a parameter that tells them apart", pytrace=False)


# What may be missing where CI runs. Any other skip there hides a test that nobody knows is gone.
_MAY_SKIP_IN_CI = ("needs IRONCAGE_BESU", "needs the shared vectors and data")


def pytest_sessionfinish(session, exitstatus):
    """Fail a CI run in which a test was skipped that should have run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or exitstatus != 0 or not os.environ.get("CI"):
        return
    reasons = [str(report.longrepr[2]) for report in reporter.stats.get("skipped", [])]
    unexpected = [
        reason for reason in reasons if not reason.removeprefix("Skipped: ").startswith(_MAY_SKIP_IN_CI)
    ]
    if unexpected:
        reporter.ensure_newline()
        reporter.write_line(f"unexpected skips in CI: {sorted(set(unexpected))}", red=True)
        session.exitstatus = 1

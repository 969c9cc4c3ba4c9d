# SPDX-License-Identifier: Apache-2.0
"""Settings that hold for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Runs share few cores, so time per example says nothing; a failing example is printed with its replay key.
settings.register_profile(
    "ironcage",
    deadline=None,
    max_examples=100,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ironcage")

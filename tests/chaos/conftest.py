# SPDX-License-Identifier: Apache-2.0
"""The chain that nodes share where the chain itself is not what suffers; leaves out what needs a C compiler."""

from tests.chaos.faultfs.child import LEFT_OUT
from tests.support.real_node import real_chain

__all__ = ["real_chain"]

_NEED_COMPILER = [
    "test_disk_errors.py",
    "test_ended_commands.py",
    "test_level_edges.py",
    "test_full_disk.py",
    "test_power_cut.py",
    "test_sigterm.py",
    "test_sigterm_stores.py",
    "test_tile_edges.py",
]
collect_ignore = _NEED_COMPILER if LEFT_OUT else []


def pytest_report_header():
    return f"not collected, no C compiler: {', '.join(_NEED_COMPILER)}" if LEFT_OUT else None

# SPDX-License-Identifier: Apache-2.0
"""Leaves out what needs packages that are not installed, except in CI, where they must be there."""

from __future__ import annotations

import os
from pathlib import Path

_NPM_TEST = "test_npm_sd_jwt.py"
_NPM_PACKAGES = Path(__file__).parent / "node" / "node_modules" / "@sd-jwt" / "core"
_NPM_HINT = f"{_NPM_TEST} needs its npm packages: run `npm ci --prefix tests/interop/node`"

# With CI set the test is collected all the same and fails for want of its packages.
_left_out = not _NPM_PACKAGES.is_dir() and not os.environ.get("CI")
collect_ignore = [_NPM_TEST] if _left_out else []


def pytest_report_header():
    return f"not collected: {_NPM_HINT}" if _left_out else None

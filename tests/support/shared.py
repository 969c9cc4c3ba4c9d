# SPDX-License-Identifier: Apache-2.0
"""Finds the shared vectors and data that lie beside the project."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"


def shared_path(relative: str) -> Path:
    """Return a path below ../shared, and skip the test when that folder is not there."""
    if not SHARED.is_dir():
        pytest.skip("needs the shared vectors and data beside the project")
    return SHARED / relative

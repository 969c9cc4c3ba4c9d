# SPDX-License-Identifier: Apache-2.0
"""The files of this project, as git knows them: tracked ones and new ones, not what a build left."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def project_files(*suffixes: str) -> tuple[Path, ...]:
    """Return the files with one of these suffixes; all of them when none is given."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    paths = (ROOT / name for name in sorted(set(names)) if name)
    return tuple(path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes))

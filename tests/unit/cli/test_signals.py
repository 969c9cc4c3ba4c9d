# SPDX-License-Identifier: Apache-2.0
"""How a process ends by SIGTERM: undoing what it began, whatever comes after the first signal, also in a finaliser."""

import signal
import subprocess
import sys

import pytest

from cli.signals import TERMINATED
from tests.support.project import ROOT

UNDOING = """
import signal
from cli.signals import end_in_order
end_in_order()
try:
    signal.raise_signal(signal.SIGTERM)
    print("went on")
finally:
    signal.raise_signal(signal.SIGTERM)
    print("undone")
"""
IN_A_FINALISER = """
import signal
from cli.signals import end_in_order
class Last:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
end_in_order()
Last()
print("went on")
"""
A_FAULTY_FINALISER = """
from cli.signals import end_in_order
class Last:
    def __del__(self):
        raise ValueError("of no signal")
end_in_order()
Last()
print("went on")
"""


def start(program):
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        (UNDOING, TERMINATED, "undone\n"),
        (IN_A_FINALISER, -signal.SIGTERM, ""),
        (A_FAULTY_FINALISER, 0, "went on\n"),
    ],
)
def test_sigterm(program, code, said):
    done = start(program)
    assert (done.returncode, done.stdout) == (code, said)
    assert ("of no signal" in done.stderr) == (program is A_FAULTY_FINALISER)

# SPDX-License-Identifier: Apache-2.0
"""SIGTERM ends a command as Ctrl-C does: what it had begun is undone, files and store are closed."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

TERMINATED: Final = 128 + signal.SIGTERM
"""Exit code, as a shell gives it for a process that the signal ended."""


def end_in_order() -> None:
    """Let SIGTERM raise SystemExit in this process.

    A command with handlers of its own (``node run``, ``chain dev``, the demonstrations) puts them in the place of this one.
    """
    signal.signal(signal.SIGTERM, _end)
    sys.unraisablehook = _end_all_the_same


def _end(number: int, _frame: FrameType | None) -> None:
    # Some senders, timeout(1) for one, send it twice; the second must not cut off what the first has undone.
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(TERMINATED)


def _end_all_the_same(dropped: sys.UnraisableHookArgs) -> None:
    """End the process at once where Python drops what is raised, in a finaliser: nothing further up would ever hear of it.

    That is as after ``kill -9``, which every command survives.
    """
    if issubclass(dropped.exc_type, SystemExit):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
    sys.__unraisablehook__(dropped)

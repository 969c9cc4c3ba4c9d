# SPDX-License-Identifier: Apache-2.0
"""SIGTERM ends a command as Ctrl-C does: what it had begun is undone, files and store are closed."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

TERMINATED: Final = 128 + signal.SIGTERM
"""Exit code, as a shell gives it."""
_AGAIN_SECONDS: Final = 0.01


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Raise SystemExit at the first SIGTERM, KeyboardInterrupt at the first Ctrl-C; those that follow change nothing.

    Whoever sends a second one must not cut off what the first one has undone. Python drops what is raised in a finaliser,
    so that is raised again a moment later. A command with handlers of its own (``node run``, ``chain dev``, the
    demonstrations) puts them in the place of these.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)
    came = False

    def end(number: int, _frame: object) -> None:
        nonlocal came
        came = True
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(TERMINATED)

    def tell(dropped: sys.UnraisableHookArgs) -> None:
        if not came or not isinstance(dropped.exc_value, SystemExit | KeyboardInterrupt):
            hook_before(dropped)
            return
        number = signal.SIGINT if isinstance(dropped.exc_value, KeyboardInterrupt) else signal.SIGTERM
        signal.signal(signal.SIGALRM, lambda _number, frame: end(number, frame))
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)

    before = {number: signal.signal(number, end) for number in numbers}
    hook_before, sys.unraisablehook = sys.unraisablehook, tell
    try:
        yield
    finally:
        sys.unraisablehook = hook_before
        if not came:
            for number, handler in before.items():
                signal.signal(number, handler)

# SPDX-License-Identifier: Apache-2.0
"""Progress of what takes long: a moving line on a terminal; elsewhere a line now and then, when something has changed."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final, Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.language import say
from cli.words import word

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_SECONDS: Final = 2.0
"""What ends before has no line of its own in a file or a pipe."""
LINE_SECONDS: Final = 30.0


class LiveLine:
    """One line on standard error that says how far something has come.

    Args:
        now: Seconds of a clock that only goes on.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        console = Console(stderr=True)
        # FORCE_COLOR makes rich take a pipe for a terminal, which would fill a log with moves of the cursor.
        self._moves = sys.stderr.isatty() and console.is_terminal and not console.is_dumb_terminal
        self._now = now
        self._next = now() + FIRST_SECONDS
        self._said = ""
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self._moves:
            self._progress.start()
        self._task = self._progress.add_task(say("等待", "waiting"), total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._moves:
            self._progress.stop()

    def tell(self, text: str) -> None:
        """Say how far it has come now."""
        if self._moves:
            self._progress.update(self._task, description=text)
        elif text != self._said and self._now() >= self._next:
            self._said, self._next = text, self._now() + LINE_SECONDS
            sys.stderr.write(text + "\n")

    def tell_import(self, job: dict[str, Any]) -> None:
        """Say how many rows were read, accepted and refused."""
        self.tell(
            say(
                f"已读 {job['read']} 行 · 入库 {job['accepted']} · 重复 {job['duplicate']} · 拒绝 {job['refused']}",
                f"{job['read']} rows · {job['accepted']} accepted · {job['duplicate']} duplicate · {job['refused']} refused",
            )
        )

    def tell_check(self, log: str, count: int) -> None:
        """Say how many entries of which log were checked."""
        self.tell(say(f"已核对{word(log)} {count} 条", f"{count} entries of the {log} log checked"))

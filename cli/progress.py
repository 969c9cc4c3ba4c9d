# SPDX-License-Identifier: Apache-2.0
"""Progress of what takes long: a moving line on a terminal, elsewhere a line every few seconds."""

from __future__ import annotations

import time
from typing import Any, Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.language import say

LINE_SECONDS = 2.0


class LiveLine:
    """One line on standard error that says how far something has come."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._said_at = time.monotonic()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task(say("等待", "waiting"), total=None)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, text: str) -> None:
        """Say how far it has come now."""
        self._progress.update(self._task, description=text)
        if not self._console.is_terminal and time.monotonic() - self._said_at > LINE_SECONDS:
            self._said_at = time.monotonic()
            self._console.print(text)

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
        self.tell(say(f"已核对 {log} 日志 {count} 条", f"{count} entries of the {log} log checked"))

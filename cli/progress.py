# SPDX-License-Identifier: Apache-2.0
"""Progress of an import: a moving line on a terminal, elsewhere a line every few seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.language import say

if TYPE_CHECKING:
    from collections.abc import Callable


LINE_SECONDS = 2.0


class ImportProgress:
    """Shows rows read, accepted and refused while an import runs."""

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

    def __enter__(self) -> Callable[[dict[str, Any]], None]:
        self._progress.start()
        self._task = self._progress.add_task(say("等待", "waiting"), total=None)
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _tell(self, job: dict[str, Any]) -> None:
        text = say(
            f"已读 {job['read']} 行 · 入库 {job['accepted']} · 重复 {job['duplicate']} · 拒绝 {job['refused']}",
            f"{job['read']} rows · {job['accepted']} accepted · {job['duplicate']} duplicate · {job['refused']} refused",
        )
        self._progress.update(self._task, description=text)
        if not self._console.is_terminal and time.monotonic() - self._said_at > LINE_SECONDS:
            self._said_at = time.monotonic()
            self._console.print(text)

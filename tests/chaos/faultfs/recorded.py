# SPDX-License-Identifier: Apache-2.0
"""A recorded day, and every state of the disk that a crash in it can leave."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.faultfs.child import run
from tests.chaos.faultfs.days import Told
from tests.chaos.faultfs.disk import Disk, read_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Crash:
    """A crash behind one call.

    Attributes:
        place: Number of the call, its kind and file.
        path: What the crash left.
        told: What was known outside.
    """

    place: str
    path: Path
    told: Told


class Day:
    """One run of a program over the faulty disk.

    Args:
        folder: An empty directory.
        module: Program; gets the directory of its files as its argument.
    """

    def __init__(self, folder: Path, module: str) -> None:
        self._folder = folder
        self._root = folder / "root"
        self._root.mkdir()
        journal = folder / "journal"
        run(module, self._root, root=self._root, journal=journal)
        self.calls = read_journal(journal)

    def crashes(self, policies, *, seed: int, share: float = 1.0) -> Iterator[Crash]:
        """Go through the states after each call, each state once.

        Args:
            policies: What is left of what was not synced, each in turn.
            seed: Of what a policy leaves to chance, and of the choice.
            share: Part of all states, chosen at random.
        """
        disk, told, seen = Disk(str(self._root)), Told(), set()
        choice = random.Random(seed)
        for number, call in enumerate(self.calls):
            if call.op == "N":
                told.note(**json.loads(call.data))
                continue
            disk.apply(call)
            for policy in policies if call.changes else ():
                if choice.random() >= share:
                    continue
                path = self._folder / f"{number}-{policy}"
                path.mkdir()
                state = disk.leave(path, policy, random.Random(f"{seed}/{number}/{policy}")), told.count
                if state in seen:
                    shutil.rmtree(path)
                else:
                    seen.add(state)
                    yield Crash(f"call {number} {call.op} {call.path}, {policy}", path, told)

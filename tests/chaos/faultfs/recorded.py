# SPDX-License-Identifier: Apache-2.0
"""A recorded day, and every state of the disk that a crash in it can leave."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.faultfs.child import run
from tests.chaos.faultfs.days import Told, told_before
from tests.chaos.faultfs.disk import Disk, copy_linked, read_journal

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


@dataclass(frozen=True)
class Base:
    """What earlier days left.

    Attributes:
        path: The files.
        notes: JSON of a list of what the world outside was told in those days.
    """

    path: Path
    notes: Path

    def told(self) -> Told:
        return told_before(self.notes)

    def now(self) -> int:
        """Give the second at which those days ended."""
        return next(facts["clock"] for facts in json.loads(self.notes.read_bytes()) if "clock" in facts)


class Day:
    """One run of a program over the faulty disk.

    Args:
        folder: An empty directory.
        module: Program; gets the directory of its files as its argument, and the path of what was told before.
        base: What earlier days left; an empty disk without it.
        arguments: Further arguments of the program.
    """

    def __init__(self, folder: Path, module: str, base: Base | None = None, *arguments: str) -> None:
        self._folder = folder
        self._root = folder / "root"
        self._root.mkdir()
        self._base = base
        if base is not None:
            copy_linked(base.path, self._root)
        journal = folder / "journal"
        told = [base.notes] if base else []
        run(module, self._root, *told, *arguments, root=self._root, journal=journal)
        self.calls = read_journal(journal)

    def crashes(self, policies, *, seed: int, share: float = 1.0, turns: bool = False) -> Iterator[Crash]:
        """Go through the states after each call, each state once.

        Args:
            policies: What is left of what was not synced, each in turn.
            seed: Of what a policy leaves to chance, and of the choice.
            share: Part of all states, chosen at random.
            turns: Whether each call is cut in one way only, the next call in the next way.
        """
        disk = Disk(str(self._root), self._base and self._base.path)
        told = self._base.told() if self._base else Told()
        seen, cut, turn = set(), True, seed
        choice = random.Random(seed)
        for number, call in enumerate(self.calls):
            if call.op == "N":
                facts = json.loads(call.data)
                cut = facts.get("cut", cut)
                told.note(**facts)
                continue
            disk.apply(call)
            turn += call.changes
            ways = [policies[turn % len(policies)]] if turns else policies
            for policy in ways if call.changes and cut else ():
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

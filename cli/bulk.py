# SPDX-License-Identifier: Apache-2.0
"""Verify many evidence files on all cores."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

from cli.verify import Answer, Verifier, Wanted, open_verifier
from node.errors import Unavailable
from node.evidence.policy import parse_policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_AT_ONCE: Final = 32
"""Files handed to a process at a time."""

_verifiers: Final[list[Verifier]] = []
"""Of this process: one, made when it starts."""


def answer_all(files: Sequence[Path], policy_data: bytes, wanted: Wanted) -> Iterator[Answer]:
    """Verify files on as many processes as there are cores for this one.

    Args:
        files: Any number.
        policy_data: The policy file; it was parsed before.
        wanted: How to report.

    Returns:
        Their answers in the order of the files, as they come in. Closing the iterator stops the work.

    Raises:
        Unavailable: ``verifier-killed``.
    """
    cores = len(os.sched_getaffinity(0))
    processes = ProcessPoolExecutor(
        max_workers=min(cores, -(-len(files) // _AT_ONCE)),
        # Spawned, not forked: the same on every platform, and no open connection to a chain is shared.
        mp_context=get_context("spawn"),
        initializer=_start,
        initargs=(policy_data, wanted),
    )
    try:
        yield from processes.map(_answer, files, chunksize=_AT_ONCE)
    except BrokenProcessPool:
        raise Unavailable(
            "verifier-killed",
            "a verifying process was ended from outside, for want of memory perhaps: try again",
        ) from None
    finally:
        # Whoever stops listening, or presses Ctrl-C, waits for what has been begun, not for all the rest.
        processes.shutdown(cancel_futures=True)


def _start(policy_data: bytes, wanted: Wanted) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Left when the process ends; there is nothing to give back but a connection.
    _verifiers.append(ExitStack().enter_context(open_verifier(parse_policy(policy_data), wanted)))


def _answer(file: Path) -> Answer:
    return _verifiers[0].answer(file)

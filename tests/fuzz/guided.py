# SPDX-License-Identifier: Apache-2.0
"""Targets under atheris: ``python -m tests.fuzz.guided``; engines.py tells it which.

A line of JSON read is ``[target, file for what libFuzzer prints, longest time in seconds, [option or folder, ...]]``; a line
written is how it ended: an exit code, or a signal's number below zero. One process loads and instruments everything, which
takes seconds; each target runs in a child, because libFuzzer ends its process.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path
from random import Random

import atheris

# Beside node: Python that parses for us what comes from outside. What is written in C or Rust (expat, msgpack, orjson,
# calamine) has no branches here.
with atheris.instrument_imports(
    include=[
        "node",
        "cli",
        "eth_abi",
        "h11",
        "http.client",
        "httpx._decoders",
        "httpx._models",
        "httpx._urlparse",
        "httpx._urls",
        "idna",
        "python_multipart",
        "starlette.datastructures",
        "starlette.formparsers",
        "starlette.requests",
        "tomllib",
        "zipfile",
    ]
):
    from tests.fuzz.table import TARGETS

from tests.fuzz.case import run_case, scratch_directory
from tests.fuzz.corpus import load_corpus
from tests.fuzz.mutation import Mutator

ROUND_SECONDS = 5
_STATISTICS = "stat::peak_rss_mb"
"""The last that libFuzzer prints."""


def main():
    """Run a child for each line."""
    # Whatever prints, here or in a library, prints elsewhere than into the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _leave_at_once()
    scratch_directory()  # a child's own would stay behind
    fork = multiprocessing.get_context("fork")
    for line in sys.stdin:
        name, printed, seconds, arguments = json.loads(line)
        child = fork.Process(target=_fuzz, args=(TARGETS[name], printed, arguments))
        child.start()
        _end(child, Path(printed), seconds)
        answers.write(f"{child.exitcode}\n")
        answers.flush()


def _end(child, printed, seconds):
    """Wait for a child; one that goes on for too long, or has said everything and does not end, is killed."""
    until, over = time.monotonic() + seconds, False
    while child.exitcode is None:
        if over or time.monotonic() > until:
            child.kill()
        else:
            over = printed.is_file() and _STATISTICS in printed.read_text(encoding="utf-8", errors="replace")
        child.join(ROUND_SECONDS)


def _leave_at_once():
    """Have ``exit`` end this process before the destructors of atheris: one waits for the interpreter's lock, now and then for ever."""
    libc = ctypes.CDLL(None)
    libc.on_exit(ctypes.cast(libc._exit, ctypes.c_void_p), None)


def _fuzz(target, printed, arguments):
    """Fuzz; libFuzzer ends the process."""
    output = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(output, number)
    corpus = load_corpus(target)

    def mutate(data, largest, seed):
        if seed % 4 == 0:
            return atheris.Mutate(data, largest)
        return Mutator(Random(seed), corpus, target.words, binary=target.binary).mutate(data, largest)

    atheris.Setup(
        [sys.argv[0], *arguments], lambda data: run_case(target, data) and None, custom_mutator=mutate
    )
    _leave_at_once()
    atheris.Fuzz()


if __name__ == "__main__":
    main()

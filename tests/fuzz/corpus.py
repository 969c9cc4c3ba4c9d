# SPDX-License-Identifier: Apache-2.0
"""Corpora on disk: one small file a target, and one with everything that was ever found.

``corpus/<target>.txt`` holds one input a line in base64: the seeds that our own encoders made, then what coverage-guided
runs reached new code with. ``found.txt`` holds a target, an input and its story a line.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.fuzz.case import Target

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
FOUND = HERE / "found.txt"
MAX_KEPT_BYTES = 10_000
"""Most bytes of inputs that a target keeps beside its seeds."""


class Found(NamedTuple):
    """An input that once broke a rule, and what happened then."""

    target: str
    data: bytes
    story: str


def load_corpus(target: Target) -> list[bytes]:
    """Load the stored inputs of a target; a target without a file has its seeds alone."""
    path = CORPUS / f"{target.name}.txt"
    if not path.is_file():
        return list(target.seeds())
    return [
        base64.b64decode(line) for line in path.read_text(encoding="ascii").splitlines() if line[:1] != "#"
    ]


def store_corpus(target: Target, kept: Iterable[bytes]) -> None:
    """Store the seeds of a target and the shortest inputs of those kept, each once."""
    inputs = list(dict.fromkeys(target.seeds()))
    seeds, size = len(inputs), 0
    for data in sorted(set(kept) - set(inputs), key=lambda data: (len(data), data)):
        size += len(data)
        if size > MAX_KEPT_BYTES:
            break
        inputs.append(data)
    CORPUS.mkdir(exist_ok=True)
    head = f"# {target.parser}: {seeds} seeds, {len(inputs) - seeds} kept"
    lines = [head, *(base64.b64encode(data).decode("ascii") for data in inputs)]
    (CORPUS / f"{target.name}.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


def load_found() -> list[Found]:
    """Load what was found."""
    lines = FOUND.read_text(encoding="utf-8").splitlines() if FOUND.is_file() else []
    found = [line.split(" ", 2) for line in lines if line and line[0] != "#"]
    return [Found(target, base64.b64decode(data), story) for target, data, story in found]

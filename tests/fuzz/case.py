# SPDX-License-Identifier: Apache-2.0
"""What a fuzz target is, and what must hold for every input: our own errors or an answer, in bounded time.

A target takes bytes and hands them to one parser. It may refuse them with one of our errors; it must not let any
other exception out, must not take longer than ``HANG_SECONDS``, and asserts itself what it says about spellings.
"""

from __future__ import annotations

import atexit
import re
import shutil
import signal
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.core.canonical import encode_json, parse_json
from node.errors import InvalidInput, NodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

HANG_SECONDS = 10
"""A hang detector and no measure of speed: most cases take less than a millisecond."""

MAX_DEPTH = 32
MAX_MESSAGE_CHARACTERS = 1_000
ONE = "one"
"""Each value has one spelling: what was accepted is what our encoder writes."""

_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Target:
    """One parser under test.

    Attributes:
        name: Of the target, of its corpus file, and in reports.
        parser: What is fuzzed, for people.
        run: Gives the bytes to the parser; raises NodeError for a refusal.
        seeds: Well-formed inputs, made by our own encoders; the same in every run but for ML-DSA-44 signatures.
        spellings: ``ONE``, or why the format permits several spellings of one value.
        words: Pieces that mutations insert, beside those of all targets.
        binary: Whether inputs are msgpack; text and JSON otherwise.
        largest: Greatest length of a mutated input, in bytes.
    """

    name: str
    parser: str
    run: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    spellings: str
    words: tuple[bytes, ...] = ()
    binary: bool = False
    largest: int = 8_192


def as_text(data: bytes) -> str:
    """Give text to a parser that takes text; what is no UTF-8 becomes lone surrogates, which it must refuse."""
    return data.decode("utf-8", "surrogateescape")


def check_kept(data: bytes, again: bytes) -> None:
    """Check that what was written again is what was read, member for member: JSON that no signature covers may only be spelt freely.

    Args:
        data: JSON that a parser accepted.
        again: What our encoder made of it, canonical.
    """
    whole = parse_json(data, max_bytes=len(data), max_depth=MAX_DEPTH)
    assert encode_json(whole) == again, "a member was dropped, or a value has two spellings"


def check_strict(data: bytes, parse: Callable[[bytes], object]) -> None:
    """Check that a parser refuses a member that it does not know, wherever in JSON that it accepted.

    Args:
        data: What was accepted.
        parse: The parser, of a format of which there is no encoder.
    """
    whole = parse_json(data, max_bytes=len(data), max_depth=MAX_DEPTH)
    objects = list(_objects(whole))
    # In which object follows from the input, so that one case stays short.
    objects[len(data) % len(objects)]["unknown"] = None
    try:
        parse(encode_json(whole))
    except InvalidInput:
        return
    raise AssertionError("a member that nobody knows was passed over")


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if type(value) is dict:
        yield value
    for inner in value.values() if type(value) is dict else value if type(value) is list else ():
        yield from _objects(inner)


def run_case(target: Target, data: bytes) -> bool:
    """Run one input, and tell whether it was accepted.

    Raises:
        AssertionError: The parser broke a rule of its target, or of the messages of errors.
        Exception: What the parser let out.
    """
    try:
        target.run(data)
    except NodeError as error:
        check_error(error)
        return False
    return True


def check_error(error: NodeError) -> None:
    """Check that an error can be shown: a code as in docs/errors.md, one line of printable text, not too long."""
    assert _CODE.fullmatch(error.code), f"code of an error is none: {error.code[:80]!r}"
    assert error.message.isprintable(), f"message of {error.code} is not printable: {error.message[:200]!r}"
    assert len(error.message) <= MAX_MESSAGE_CHARACTERS, (
        f"message of {error.code} is {len(error.message)} long"
    )


@cache
def scratch_directory() -> Path:
    """Give a directory for files that a parser wants to open, in memory where there is one; it goes with this process."""
    memory = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


class Hang(BaseException):
    """A case took too long. No Exception, so that no parser takes it for one of its own."""


@contextmanager
def hang_detector(seconds: int = HANG_SECONDS):
    """Raise Hang in the main thread when the block takes longer."""

    def ring(_number, _frame):
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)

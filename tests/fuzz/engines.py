# SPDX-License-Identifier: Apache-2.0
"""Ways to run a target: plain mutations, Hypothesis, and coverage-guided by atheris in a process of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.case import Hang, hang_detector, run_case
from tests.fuzz.corpus import load_corpus
from tests.fuzz.mutation import Mutator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.fuzz.case import Target

ROOT = Path(__file__).resolve().parents[2]
GRACE_SECONDS = 60
"""For the end of a guided run beyond its time: libFuzzer ends after a case, and a case has 20 seconds."""
_STATISTIC = re.compile(r"stat::(\w+):\s+(\d+)")
_PULSE = re.compile(r"#\d+\s+\w+\s+cov: (\d+) ft: (\d+)")


@dataclass
class Outcome:
    """What a run did."""

    engine: str
    cases: int = 0
    seconds: float = 0.0
    coverage: int | None = None
    failure: str | None = None
    kept: list[bytes] = field(default_factory=list)


def mutated(target: Target, corpus: list[bytes], count: int, seed: int) -> Iterable[bytes]:
    """Yield mutations of a corpus, every other of a well-formed seed; the same for the same seed."""
    random = Random(f"{target.name} {seed}")
    mutator = Mutator(random, corpus, target.words, binary=target.binary)
    # They stand first. Most of what guided runs left is refused, and few mutations of it meet what is said of the accepted.
    seeds = corpus[: len(set(target.seeds()))]
    for number in range(count):
        yield mutator.mutate(random.choice(corpus if number % 2 else seeds), target.largest)


def run_mutations(target: Target, cases: int, seconds: float, directory: Path) -> Outcome:
    """Run plain mutations, many times as many in a second; go on behind a finding, and keep one of each kind."""
    outcome, findings = Outcome("mutations"), {}
    start = time.monotonic()
    for data in mutated(target, load_corpus(target), cases, 1):
        outcome.cases += 1
        try:
            with hang_detector():
                run_case(target, data)
        except (Exception, Hang) as error:  # noqa: BLE001  whatever a parser let out is the finding
            place = traceback.extract_tb(error.__traceback__)[-1]
            key = type(error).__name__, place.filename, place.lineno
            if key not in findings:
                findings[key] = "".join(traceback.format_exception(error))[-2_000:]
                directory.mkdir(parents=True, exist_ok=True)
                (directory / f"found-{len(findings)}").write_bytes(data)
        if time.monotonic() - start > seconds:
            break
    outcome.seconds = time.monotonic() - start
    outcome.failure = "\n".join(findings.values()) or None
    return outcome


def run_hypothesis(target: Target, cases: int, seconds: float, _directory: Path) -> Outcome:
    """Run mutations chosen by Hypothesis, where there is no atheris."""
    corpus, outcome = load_corpus(target), Outcome("hypothesis")
    start = time.monotonic()

    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, len(corpus) - 1), st.integers(0, 2**64))
    def run(number, seed):
        if time.monotonic() - start < seconds:
            outcome.cases += 1
            data = Mutator(Random(seed), corpus, target.words, binary=target.binary).mutate(
                corpus[number], target.largest
            )
            with hang_detector():
                run_case(target, data)

    try:
        run()
    except BaseException as error:  # noqa: BLE001  whatever a parser let out is the finding
        outcome.failure = f"{type(error).__name__}: {error}"[:500]
    outcome.seconds = time.monotonic() - start
    return outcome


def run_guided(target: Target, cases: int, seconds: float, directory: Path) -> Outcome:
    """Run atheris in a child of its own, which ends with the first finding.

    Args:
        target: The target.
        cases: How many cases.
        seconds: Longest time.
        directory: For inputs and findings; made when it is not there.
    """
    inputs, seeds, printed = directory / "inputs", directory / "seeds", directory / "log.txt"
    for folder in (inputs, seeds):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(load_corpus(target)):
        (seeds / f"{number:05}").write_bytes(data)
    arguments = [
        f"-runs={cases}",
        f"-max_total_time={int(seconds)}",
        f"-max_len={target.largest}",
        f"-artifact_prefix={directory}/found-",
        "-seed=1",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        str(inputs),
        str(seeds),
    ]
    start = time.monotonic()
    printed.unlink(missing_ok=True)
    code = _guide(directory.parent, [target.name, str(printed), seconds + GRACE_SECONDS, arguments])
    text = printed.read_text(encoding="utf-8", errors="replace") if printed.is_file() else ""
    pulses, statistics = _PULSE.findall(text), dict(_STATISTIC.findall(text))
    return Outcome(
        engine="atheris",
        cases=int(statistics.get("number_of_executed_units", 0)),
        seconds=time.monotonic() - start,
        coverage=int(pulses[-1][0]) if pulses else None,
        failure=None if code == 0 else f"{_name_end(code)}\n{_describe_failure(text)}",
        kept=[path.read_bytes() for path in sorted(inputs.iterdir())],
    )


def _guide(directory: Path, order: list[object]) -> int | None:
    """Have the guided process run a target; give how the child ended, None where the process itself did."""
    process = _guided_process(directory)
    try:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())
    except (BrokenPipeError, ValueError):
        process.kill()
        process.wait()
        _guided_process.cache_clear()
        return None


@cache
def _guided_process(directory: Path) -> subprocess.Popen:
    """Start the process that has everything instrumented; it ends with this one, whose end it reads."""
    with (directory / "guided.txt").open("w", encoding="utf-8") as told:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.guided"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        )


def _name_end(code: int | None) -> str:
    if code is None:
        return "the process of atheris ended: see guided.txt beside the targets' directories"
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


def _describe_failure(text: str) -> str:
    at = text.find("Uncaught Python exception")
    return text[at : at + 3_000] if at >= 0 else text[-1_500:]


@contextmanager
def traced(lines: set[tuple[str, int]]):
    """Add every line of node that runs meanwhile."""
    root = str(ROOT / "node")

    def trace(frame, event, _argument):
        if not frame.f_code.co_filename.startswith(root):
            return None
        if event == "line":
            lines.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    sys.settrace(trace)
    threading.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)


def select(target: Target, inputs: Iterable[bytes]) -> tuple[list[bytes], int]:
    """Choose the inputs that reach lines of node that no shorter one reaches, and count the lines of all."""
    reached: set[tuple[str, int]] = set()
    kept = []
    for data in [*load_corpus(target), *sorted(inputs, key=lambda data: (len(data), data))]:
        lines: set[tuple[str, int]] = set()
        with traced(lines):
            try:
                run_case(target, data)
            except Exception:  # noqa: BLE001  a finding is no input to keep
                continue
        if not lines <= reached:
            reached |= lines
            kept.append(data)
    return kept, len(reached)


def encode_outcomes(outcomes: dict[str, dict[str, object]]) -> str:
    """Encode the results of runs, sorted by target."""
    return json.dumps(outcomes, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

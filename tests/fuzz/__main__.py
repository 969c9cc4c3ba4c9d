# SPDX-License-Identifier: Apache-2.0
"""Fuzz the parsers: ``make fuzz`` or ``python -m tests.fuzz`` (docs/fuzzing.md)."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.fuzz.corpus import HERE, store_corpus
from tests.fuzz.engines import ROOT, encode_outcomes, run_guided, run_hypothesis, run_mutations, select
from tests.fuzz.page import write_page
from tests.fuzz.table import TARGETS

RUNS = HERE / "runs.json"


def main() -> int:
    """Run what the command line says and report it."""
    options = _parse_arguments()
    chosen = [TARGETS[name] for name in options.target or TARGETS]
    engine = options.engine or ("atheris" if importlib.util.find_spec("atheris") else "hypothesis")
    run = {"atheris": run_guided, "mutations": run_mutations, "hypothesis": run_hypothesis}[engine]
    _say(f"{len(chosen)} targets with {engine}, {options.cases} cases each")
    found = 0
    for target in chosen:
        seconds = options.minutes * 60 / len(chosen) if options.minutes else 3_600
        directory = Path(options.directory) / target.name
        outcome = run(target, options.cases, seconds, directory)
        lines = None
        if options.keep:
            kept, lines = select(target, outcome.kept)
            store_corpus(target, kept)
        _say(
            f"{target.name:24} {outcome.cases:8} cases {outcome.seconds:7.1f} s  {'FOUND' if outcome.failure else 'ok'}",
        )
        if outcome.failure:
            found += 1
            _say(outcome.failure)
            _say(f"the input lies in {directory}")
        elif options.record:
            _record(target.name, outcome, lines)
            write_page()
    return 1 if found else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument(
        "--target", action="append", choices=sorted(TARGETS), help="only this one; may be repeated"
    )
    parser.add_argument("--cases", type=int, default=100_000, help="cases for each target")
    parser.add_argument("--minutes", type=float, default=0, help="longest time for all targets together")
    parser.add_argument("--directory", default=str(ROOT / "build" / "fuzz"), help="for inputs and findings")
    parser.add_argument(
        "--engine",
        choices=("atheris", "mutations", "hypothesis"),
        help="atheris follows coverage, mutations are many; without, atheris where it is installed",
    )
    parser.add_argument(
        "--keep", action="store_true", help="store inputs that reach new lines in the corpora"
    )
    parser.add_argument("--record", action="store_true", help="write what was run into docs/fuzzing.md")
    return parser.parse_args()


def _record(name, outcome, lines):
    runs = json.loads(RUNS.read_text(encoding="utf-8")) if RUNS.is_file() else {}
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    runs.setdefault(name, {})[outcome.engine] = {
        "cases": outcome.cases,
        "seconds": round(outcome.seconds, 1),
        "coverage": outcome.coverage,
        "lines": lines,
        "python": sys.version.split()[0],
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    RUNS.write_text(encode_outcomes(runs), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

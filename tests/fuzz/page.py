# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/fuzzing.md, from the targets, the last runs and what was found."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fuzz.corpus import HERE, load_found
from tests.fuzz.table import TARGETS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fuzzing.md"
RUNS = HERE / "runs.json"
_BEGIN = "<!-- written by python -m tests.fuzz --record -->\n"
_END = "<!-- end -->\n"


def build_page() -> str:
    """Put the tables into the page as it is."""
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(_BEGIN)
    return head + _BEGIN + _tables() + _END + rest.split(_END)[1]


def write_page() -> None:
    """Write the page anew."""
    PAGE.write_text(build_page(), encoding="utf-8")


def _tables() -> str:
    runs = json.loads(RUNS.read_text(encoding="utf-8")) if RUNS.is_file() else {}
    found = load_found()
    lines = ["", "| target | parser | spellings of one value |", "|---|---|---|"]
    lines += [f"| {target.name} | {target.parser} | {target.spellings} |" for target in TARGETS.values()]
    lines += [
        "",
        "| target | engine | cases | seconds | coverage | lines | commit |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for name in TARGETS:
        for engine, run in sorted(runs.get(name, {}).items()):
            cells = (
                engine,
                f"{run['cases']:,}",
                run["seconds"],
                run["coverage"] or "",
                run["lines"] or "",
                run["commit"],
            )
            lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    total = sum(run["cases"] for name in TARGETS for run in runs.get(name, {}).values())
    lines += ["", f"Together {total:,} cases.", "", "| target | what was found, and fixed |", "|---|---|"]
    lines += [f"| {each.target} | {each.story} |" for each in found]
    return "\n".join([*lines, ""]) + "\n"

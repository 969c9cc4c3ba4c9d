# SPDX-License-Identifier: Apache-2.0
"""``python -m contracts.slither``: static analysis; no finding of high or medium impact stays unexplained.

Each explanation stands in ``explained.json``, under the detector's name and the function. An explanation whose finding
is gone is refused as well. Slither has an environment of its own, see ``pyproject.toml`` here; ``make slither`` makes it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import orjson

from contracts.build import HERE, BuildError, build_environment, find_forge, run_forge

FOLDER: Final = Path(__file__).parent
_WEIGHTY: Final = ("High", "Medium")


def analyse() -> dict[str, str]:
    """Compile the contracts and analyse them.

    Returns:
        Description of each finding of high or medium impact, by detector and function.

    Raises:
        BuildError: They do not compile, or Slither is not there or does not work.
    """
    slither = FOLDER / ".venv" / "bin" / "slither"
    if not slither.is_file():
        raise BuildError("slither is not installed: run make slither")
    with tempfile.TemporaryDirectory() as folder:
        out, report = Path(folder) / "out", Path(folder) / "report.json"
        places = (
            "--out",
            str(out),
            "--cache-path",
            f"{folder}/cache",
            "--build-info-path",
            str(out / "build-info"),
        )
        if run_forge("build", "--quiet", "--force", "--skip", "test", "--build-info", *places) != 0:
            raise BuildError("the contracts do not compile")
        environment = build_environment() | {"FOUNDRY_OUT": str(out)}
        environment["PATH"] = f"{find_forge().parent}{os.pathsep}{environment['PATH']}"
        options = (
            "--filter-paths",
            "test/",
            "--ignore-compile",
            "--foundry-out-directory",
            str(out),
            "--json",
            str(report),
        )
        # Both are ours: the pinned program and this command line. Its exit code only says that there are findings.
        done = subprocess.run(  # noqa: S603
            [str(slither), ".", *options], cwd=HERE, env=environment, capture_output=True, check=False
        )
        if not report.is_file():
            raise BuildError(f"slither failed:\n{done.stderr.decode(errors='replace')}")
        return read_report(orjson.loads(report.read_bytes()))


def read_report(report: dict[str, Any]) -> dict[str, str]:
    """Pick the findings of high and medium impact out of Slither's JSON report.

    Raises:
        BuildError: Slither did not come to an end.
    """
    if report.get("success") is not True:
        raise BuildError(f"slither failed: {report.get('error')}")
    return {
        f"{finding['check']} {finding['description'].split(' (', 1)[0]}": finding["description"]
        for finding in report["results"].get("detectors", ())
        if finding["impact"] in _WEIGHTY
    }


def compare(found: dict[str, str], explained: dict[str, str]) -> list[str]:
    """Say what is found and not explained, and what is explained and not found."""
    return [
        *(f"not explained: {found[name]}" for name in sorted(found.keys() - explained.keys())),
        *(f"explained, and not there: {name}" for name in sorted(explained.keys() - found.keys())),
    ]


def main() -> int:
    """Analyse, compare and return the exit code: 0 all explained, 1 not, 3 cannot be done here."""
    try:
        found = analyse()
    except BuildError as error:
        sys.stderr.write(f"slither: {error}\n")
        return 3
    differences = compare(found, orjson.loads((FOLDER / "explained.json").read_bytes()))
    for difference in differences:
        sys.stderr.write(f"slither: {difference.strip()}\n")
    if not differences:
        sys.stdout.write(f"slither: {len(found)} findings of high or medium impact, each explained\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.bench``: measure, write build/bench.json, and put the figures into docs/performance.md.

--quick      small amounts, to see that everything still works; the page is left alone unless --page names one
--only NAME  one group of measurements (several times for several); the others keep their last figures
--rows N     how many records the growth run imports
--out FILE   where the figures go
--page FILE  the page to put them into
--charts DIR where the charts go
--dir DIR    a directory on the disk that is to be measured
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "bench.json"
PAGE = ROOT / "docs" / "performance.md"
CHARTS = ROOT / "docs" / "charts"


def main(arguments):
    # Worker processes import this module again and need none of what follows.
    from tests.bench.charts import store_charts
    from tests.bench.conditions import describe
    from tests.bench.groups import GROUPS, ON_REQUEST, Scale
    from tests.bench.page import rewrite

    options = _parse(arguments, GROUPS)
    out = options.out
    out.parent.mkdir(parents=True, exist_ok=True)
    figures = json.loads(out.read_bytes()) if out.is_file() and not options.quick else {}
    scale = Scale.quick() if options.quick else Scale()
    if options.rows:
        scale = replace(scale, growth_rows=options.rows)
    names = options.only or [name for name in GROUPS if options.quick or name not in ON_REQUEST]
    for name in names:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=options.dir or out.parent) as scratch:
            conditions = describe(scratch)
            start = time.perf_counter()
            figures[name] = GROUPS[name](Path(scratch), scale)
            seconds = time.perf_counter() - start
        figures[name]["conditions"] = conditions | {
            "seconds": round(seconds, 1),
            "load_after": round(os.getloadavg()[0], 2),
        }
        sys.stdout.write(f"{name}: {seconds:.1f} s\n")
        sys.stdout.flush()
    out.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    page = options.page or (None if options.quick else PAGE)
    if page is not None:
        page.write_text(rewrite(page.read_text(encoding="utf-8"), figures, names), encoding="utf-8")
    charts = options.charts or (None if options.quick else CHARTS)
    if charts is not None:
        store_charts({name: figures[name] for name in names}, charts)


def _parse(arguments, groups):
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure and write the figures down."
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", choices=list(groups))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--charts", type=Path)
    parser.add_argument("--dir", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])

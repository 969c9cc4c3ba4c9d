# SPDX-License-Identifier: Apache-2.0
"""The benchmark runs and its page has a place for every figure; what it measures is asserted nowhere."""

from __future__ import annotations

import json
import subprocess
import sys
from xml.etree import ElementTree as ET

from tests.bench.charts import CHARTS
from tests.bench.groups import GROUPS
from tests.bench.page import MARKER, TABLES
from tests.bench.summary import summary_rows
from tests.support.project import ROOT

PAGE = ROOT / "docs" / "performance.md"


def test_a_quick_run_measures_every_group_and_fills_every_table(tmp_path):
    out, page, charts = tmp_path / "bench.json", tmp_path / "performance.md", tmp_path / "charts"
    page.write_text(MARKER.sub(r"\g<1>\g<3>", PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.bench",
            "--quick",
            "--out",
            str(out),
            "--page",
            str(page),
            "--charts",
            str(charts),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    figures = json.loads(out.read_bytes())
    assert set(figures) == set(GROUPS)
    assert figures["import"]["csv"]["rows"] == figures["import"]["xlsx"]["rows"] == 1_000
    filled = page.read_text(encoding="utf-8")
    tables = {name: found for found, name, _ in (match.group(0, 2, 3) for match in MARKER.finditer(filled))}
    assert set(tables) == set(TABLES)
    assert all(table.count("\n|") >= 3 for table in tables.values())
    drawn = {path.stem: path.read_text(encoding="utf-8") for path in charts.iterdir()}
    assert set(drawn) == set(CHARTS)
    for chart in drawn.values():
        root = ET.fromstring(chart)
        assert root.find("{http://www.w3.org/2000/svg}title").text
        assert root.findall(".//{*}polyline") or root.findall(".//{*}rect")


def test_the_page_shows_every_chart():
    page = PAGE.read_text(encoding="utf-8")
    for name in CHARTS:
        assert f"(charts/{name}.svg)" in page
        assert (PAGE.parent / "charts" / f"{name}.svg").is_file()


def test_the_page_has_figures():
    assert all(match[0].count("\n|") >= 3 for match in MARKER.finditer(PAGE.read_text(encoding="utf-8")))


def test_a_budget_is_met_or_said_to_be_missed():
    def verdicts(csv, xlsx):
        group = {
            kind: {"rows": 1, "rows_per_second": rate, "anonymous_mib": 1_024}
            for kind, rate in (("csv", csv), ("xlsx", xlsx))
        }
        return [row[3] for row in summary_rows({"import": group}) if row[5]]

    assert verdicts(15_000, 10_000) == ["yes", "yes", "yes"]
    assert verdicts(14_999, 9_999) == ["**no**", "**no**", "yes"]

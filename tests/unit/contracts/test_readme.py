# SPDX-License-Identifier: Apache-2.0
"""The gas figures in contracts/README.md are those of the snapshot that forge compares."""

from __future__ import annotations

import json
import re
from pathlib import Path

import contracts

FOLDER = Path(contracts.__file__).parent
README = (FOLDER / "README.md").read_text("utf-8")
ANCHOR = json.loads((FOLDER / "snapshots" / "anchor.json").read_text("utf-8"))


def _figure(name):
    return f"{int(ANCHOR[name]):,}"


def test_table_by_size_and_growth():
    rows = re.findall(r"^\| 10\^(\d) \| (.*) \|$", README, re.MULTILINE)
    assert [exponent for exponent, _ in rows] == list("3456789")
    for exponent, cells in rows:
        names = [f"1e{exponent} grows by {growth}" for growth in ("1", "1e3", "1e5", "1e6")]
        assert cells.split(" | ") == [_figure(name) for name in names]


def test_costliest_anchors():
    rows = dict(re.findall(r"^\| ([^|]*) \| ([\d,+ ]+) \|$", README, re.MULTILINE))
    assert rows["around 10^9, + 10^6"] == _figure("worst around 1e9 grows by 1e6")
    assert rows["below 2^30, any growth"] == _figure("worst below 2^30 grows by 1e6")
    assert rows["below 2^30, any growth"] == _figure("worst below 2^30 grows by 1e9")
    assert rows["below 2^40, + 10^6"] == _figure("worst below 2^40 grows by 1e6")
    assert rows["first anchor of a log"] == _figure("first, 1e5 entries")
    assert rows["both logs at once, 10^9 and 10^7"] == _figure("both, 1e9 grows by 1e5 and 1e7 by 1e3")
    rotated = int(ANCHOR["1e9 grows by 1e6, operator key rotated"]) - int(ANCHOR["1e9 grows by 1e6"])
    assert rows["after an own key rotation"] == f"+ {rotated:,}"

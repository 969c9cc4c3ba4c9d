# SPDX-License-Identifier: Apache-2.0
"""The charts of docs/performance.md, drawn from the same figures as its tables."""

from __future__ import annotations

from math import log10

from tests.bench.growth import STALL_MS
from tests.bench.page import STAGES
from tests.bench.svg import Axis, Series, axis_to, bar_chart, line_chart

PARTS_OF_A_WORKER = ("unpack", "validate", "issue", "sign", "seal")
CHINESE = {
    "unpack": "取出行",
    "validate": "校验",
    "issue": "签发",
    "sign": "签名",
    "seal": "加密",
}
GAS_LIMIT = 100_000


def store_charts(figures, directory):
    """Draw every chart whose figures are there."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, (group, draw) in CHARTS.items():
        if group in figures:
            (directory / f"{name}.svg").write_text(draw(figures[group]), encoding="utf-8")


def _growth_rate(group):
    points = [(step["size"], step["rows_per_second"]) for step in group["steps"]]
    return line_chart(
        ("导入速率与日志规模", "Import rate by log size"),
        _sizes(group),
        axis_to("行/秒 · rows/s", max(rate for _, rate in points)),
        [Series("CSV", points)],
    )


def _growth_stalls(group):
    def longest(name):
        return [(step["size"], step["longest_ms"][name]) for step in group["steps"]]

    greatest = max(STALL_MS, *(value for _, value in longest("commit")))
    return line_chart(
        ("每十万行最长提交", "Longest commit in 100,000 rows"),
        _sizes(group),
        axis_to("毫秒 · ms", greatest),
        [
            Series("提交 · commit", longest("commit")),
            Series("不计磁盘 · own", longest("own")),
        ],
        limit=(STALL_MS, f"≤ {STALL_MS}"),
        height=260,
    )


def _sizes(group):
    unit, name = (1_000_000, "日志条目（百万）· entries in the log (millions)")
    if group["rows"] < unit:
        unit, name = (1_000, "日志条目（千）· entries in the log (thousands)")
    marks = [group["rows"] * part / 5 for part in range(6)]
    return Axis(name, [(mark, f"{mark / unit:g}") for mark in marks])


def _stages(group):
    stages = group["stages"]
    texts = dict(STAGES)
    costs = {name: stages[name]["best_us"] for name in PARTS_OF_A_WORKER}
    # Signing is measured by itself and is a part of issuing.
    costs["issue"] -= costs["sign"]
    bars = [("读取 · read CSV", group["read_us"]["csv"])]
    for name, cost in costs.items():
        english = {"sign": "sign (Ed25519)", "issue": "issue: salts, digests, JWT"}.get(name)
        bars.append((f"{CHINESE[name]} · {english or texts[name].removeprefix('worker: ')}", cost))
    bars.append(("判重、追加、提交 · decide, append, commit", stages["write_cpu_us"]))
    return bar_chart(
        ("导入各阶段用时", "Where the time of an import goes"),
        "每行 CPU 微秒 · CPU µs a row",
        bars,
    )


def _anchors(group):
    growths = sorted({row["growth"] for row in group["rows"]})
    lines = [
        Series(
            f"+{growth:,}",
            [
                (log10(row["size"]), row["gas"])
                for row in group["rows"]
                if row["growth"] == growth and _is_round(row)
            ],
        )
        for growth in growths
    ]
    powers = sorted({round(x) for series in lines for x, _ in series.points})
    low, high = powers[0], max(powers[-1], powers[0] + 1)
    marks = [(power, f"10{_superscript(power)}") for power in range(low, high + 1)]
    return line_chart(
        (
            "一次锚定的 gas 与日志规模、自上次锚定的增长",
            "Gas of an anchor by log size and growth since the last one",
        ),
        Axis("日志条目 · entries in the log", marks),
        axis_to("gas", GAS_LIMIT),
        lines,
        limit=(GAS_LIMIT, f"≤ {GAS_LIMIT:,}"),
    )


def _is_round(row):
    return str(row["size"]).strip("0") == "1"


def _superscript(number):
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


CHARTS = {
    "growth-rate": ("growth", _growth_rate),
    "growth-commits": ("growth", _growth_stalls),
    "import-stages": ("import", _stages),
    "anchor-gas": ("anchors", _anchors),
}

# SPDX-License-Identifier: Apache-2.0
"""Each budget of DESIGN section 9 beside the newest figure for it, as the first table of docs/performance.md."""

from __future__ import annotations

HEAD = ["budget, on 2 cores", "wanted", "measured", "met", "condition", "more"]
GAS_SIZE, GAS_GROWTH, RECORDS_OF_AN_ANCHOR = 10**9, 10**6, 100_000
TEXTS = ("met", "condition", "more")
# Budgets of the design for which no group of measurements exists, each with the reason.
UNMEASURED = (
    (
        "growth of the chain, for each member on each validator",
        "≤ 3 GB a year",
        "needs a validator: the development chain keeps no chain data as one does",
    ),
    (
        "`chain_proof` of an evidence file",
        "≤ 24 KiB",
        "evidence of level `final` is of a later version",
    ),
)


def summary_rows(figures):
    """Rows of the table, one a budget; those whose group was never measured are left out.

    Args:
        figures: What the groups measured, by their names.
    """
    rows = [
        [what, wanted, shown, "yes" if met else "**no**", condition, f"[{group}](#{group})"]
        for group, build in BUDGETS
        if group in figures
        for what, wanted, shown, met, condition in build(figures[group])
    ]
    return rows + [[what, wanted, "", "not measured", why, ""] for what, wanted, why in UNMEASURED]


def _import(group):
    def rate(kind, name, floor, aim):
        found = group[kind]["rows_per_second"]
        return (
            f"import of {name}, rows/s from file to durable",
            f"≥ {floor:,}, aim {aim:,}",
            f"{found:,}",
            found >= floor,
            f"{group[kind]['rows']:,} rows of 30 fields into a new log",
        )

    peak = max(group[kind]["anonymous_mib"] for kind in ("csv", "xlsx"))
    return [
        rate("csv", "CSV", 15_000, 20_000),
        rate("xlsx", "xlsx", 10_000, 16_000),
        (
            "anonymous memory of all processes, MiB",
            "≤ 1,024",
            f"{peak:,}",
            peak <= 1_024,
            "the larger of both",
        ),
    ]


def _log(group):
    engine = group["engines"][0]
    condition = f"ready entries of {engine['entry_bytes']:,} bytes"
    rate, alone = engine["entries_per_second"], engine["one_caller"]["p50_ms"]
    return [
        (
            f"log, {engine['callers']:,} callers, durable entries/s",
            "≥ 120,000",
            f"{rate:,}",
            rate >= 120_000,
            condition,
        ),
        ("log, one caller, p50 ms", "≤ 1", f"{alone:.2f}", alone <= 1, condition),
    ]


def _proofs(group):
    tree = group["trees"][-1]
    found = {kind: tree[kind]["p50_ms"] for kind in ("inclusion", "consistency")}
    return [
        (
            "proof from the store, p50 ms: inclusion · consistency",
            "≤ 0.2",
            f"{found['inclusion']:.3f} · {found['consistency']:.3f}",
            max(found.values()) <= 0.2,
            f"{tree['size']:,} entries",
        )
    ]


def _evidence(group):
    size, process, command = (
        group["bytes_without_status"],
        group["verify_cpu_ms"]["p50"],
        group["command_ms"]["p50"],
    )
    condition = f"one file of a log of {group['log_size']:,} entries"
    return [
        ("evidence without the status list, bytes", "≤ 16,384", f"{size:,}", size <= 16_384, condition),
        ("verify it in process, p50 ms", "≤ 2", f"{process:.1f}", process <= 2, condition),
        ("verify it by a cold command, p50 ms", "≤ 200", f"{command:.0f}", command <= 200, condition),
    ]


def _anchors(group):
    usual = max(
        row["gas"] for row in group["rows"] if row["size"] <= GAS_SIZE and row["growth"] <= GAS_GROWTH
    )
    worst = max(row["gas"] for row in group["rows"])
    each = usual / RECORDS_OF_AN_ANCHOR
    return [
        (
            "anchor up to size 10⁹ and growth 10⁶, gas",
            "≤ 100,000",
            f"{usual:,}",
            usual <= 100_000,
            "the dearest such row",
        ),
        (
            "anchor of any size and growth, gas",
            "≤ 115,000",
            f"{worst:,}",
            worst <= 115_000,
            "the dearest row of all",
        ),
        (
            f"gas a record at {RECORDS_OF_AN_ANCHOR:,} an anchor",
            "< 1",
            f"{each:.2f}",
            each < 1,
            "the dearest anchor of growth 10⁶ or less, by that many",
        ),
    ]


def _growth(group):
    ratio = group["last_million"]["rows_per_second"] / group["new_log"]["rows_per_second"]
    peak, longest, own = group["peak_mib"], group["longest_ms"]["commit"], group["longest_ms"]["own"]
    condition = f"{group['rows']:,} records imported"
    return [
        ("last million against the first, in turns", "≥ 0.9", f"{ratio:.2f}", ratio >= 0.9, condition),
        ("anonymous memory of all processes, MiB", "≤ 1,024", f"{peak:,}", peak <= 1_024, condition),
        ("longest commit, ms", "≤ 250", f"{longest:,.0f}", longest <= 250, condition),
        (
            "the same without the waits that another process had for this disk at the time, ms",
            "≤ 250",
            f"{own:,.0f}",
            own <= 250,
            condition,
        ),
        (
            "restart to the first answer, s",
            "≤ 3",
            f"{group['restart_seconds']:.1f}",
            group["restart_seconds"] <= 3,
            f"with {group['rows']:,} records",
        ),
    ]


def _audit(group):
    seconds = max(group[name]["seconds"] for name in ("entries", "openings"))
    return [
        (
            "audit of a million access events, s",
            "≤ 60",
            f"{seconds:.0f}",
            seconds <= 60,
            f"{group['events']:,} events of two logs, all openings",
        )
    ]


def _exchange(group):
    alone, many = group["alone"], group["many"]
    condition = "two nodes, their chain and the clients on these cores"
    return [
        ("one exchange, p50 ms", "≤ 10", f"{alone['p50_ms']:.1f}", alone["p50_ms"] <= 10, condition),
        ("one exchange, p99 ms", "≤ 40", f"{alone['p99_ms']:.1f}", alone["p99_ms"] <= 40, condition),
        (
            f"exchanges a second, {group['clients']} clients",
            "≥ 500",
            f"{many['rate']:,}",
            many["rate"] >= 500,
            condition,
        ),
    ]


BUDGETS = (
    ("import", _import),
    ("log", _log),
    ("proofs", _proofs),
    ("evidence", _evidence),
    ("anchors", _anchors),
    ("growth", _growth),
    ("audit", _audit),
    ("exchange", _exchange),
)

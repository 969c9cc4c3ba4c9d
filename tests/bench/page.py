# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/performance.md, put between their markers; the text around them is written by hand."""

from __future__ import annotations

import re

from tests.bench.summary import HEAD, TEXTS, summary_rows

MARKER = re.compile(r"(<!-- bench:([a-z]+) -->\n).*?(<!-- bench -->)", re.DOTALL)


def rewrite(page, figures, measured):
    """Put the figures into a page; a table whose group is not among those ``measured`` now stays as it is."""
    named = {name for _, name, _ in MARKER.findall(page)}
    assert named == set(TABLES), f"markers of the page: {sorted(named)}, want {sorted(TABLES)}"

    def fill(match):
        head, name, end = match.groups()
        group, build = TABLES[name]
        if group is None:
            return f"{head}{build(figures)}\n{end}"
        return f"{head}{build(figures[group])}\n{end}" if group in measured else match[0]

    return MARKER.sub(fill, page)


def _table(head, rows, texts=()):
    """A table whose first column and those of ``texts`` are read from the left, the others being figures."""
    marks = ["---" if place == 0 or name in texts else "---:" for place, name in enumerate(head)]
    lines = [head, marks, *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _summary(figures):
    return _table(HEAD, summary_rows(figures), TEXTS)


def _conditions(figures):
    groups = {name: group["conditions"] for name, group in figures.items()}
    machines = {
        (
            f"{c['cpu']}, {c['cores']} cores, {c['memory_mib'] / 1024:.0f} GiB, Linux {c['kernel']}, {c['python']} "
            f"({c['python_build']}), {c['file_system']}"
        )
        for c in groups.values()
    }
    rows = [
        [
            name,
            c["date"],
            c["commit"] + ("+" if c["changed"] else ""),
            f"{c['load_before']:.1f} → {c['load_after']:.1f}",
            f"{c['sign_us']:.0f}",
            f"{c['loop_us']:.0f}",
            f"{c['sync_ms']:.2f}",
            f"{c['seconds']:.0f}",
        ]
        for name, c in groups.items()
    ]
    head = ["group", "date", "commit", "load", "signature µs", "loop µs", "sync ms", "took s"]
    return "\n".join(f"* {machine}" for machine in sorted(machines)) + "\n\n" + _table(head, rows)


def _import(group):
    csv, xlsx, cores = group["csv"], group["xlsx"], group["conditions"]["cores"]

    def line(what, budget, form):
        return [what, budget, form(csv), form(xlsx)]

    return _table(
        [f"import of {csv['rows']:,} rows of 30 fields", "budget", "CSV", "xlsx"],
        [
            line(
                "rows/s, file to durable and acknowledged",
                "≥ 15,000 · 10,000; aim 20,000 · 16,000",
                lambda i: f"{i['rows_per_second']:,}",
            ),
            line("CPU µs a row, all processes", "", lambda i: f"{i['cpu_us_per_row']:.0f}"),
            line("of that in the node's own process", "", lambda i: f"{i['node_cpu_us_per_row']:.0f}"),
            line(
                f"rows/s that this CPU time allows on {cores} cores",
                "",
                lambda i: f"{cores * i['rows_per_cpu_second']:,}",
            ),
            line("anonymous memory of all processes, peak MiB", "≤ 1,024", lambda i: i["anonymous_mib"]),
            line("disk, bytes a record", "", lambda i: f"{i['disk_bytes_per_record']:,}"),
        ],
    )


STAGES = (
    ("unpack", "worker: take the rows out of their chunk"),
    ("validate", "worker: validate"),
    ("issue", "worker: issue (salts, digests, JWT)"),
    ("sign", "of that the Ed25519 signature"),
    ("seal", "worker: seal the values, wrap the secret"),
    ("worker", "worker, all of it"),
)


def _stages(group):
    stages, read = group["stages"], group["read_us"]
    rows = [
        ["read CSV: encoding, lines, cells, chunks", f"{read['csv']:.1f}", ""],
        ["read xlsx, in its own process", f"{read['xlsx']:.1f}", ""],
        *[
            [text, f"{stages[name]['best_us']:.1f}", f"{stages[name]['median_us']:.1f}"]
            for name, text in STAGES
        ],
        ["node: decide, append, commit, LevelDB's own thread included", f"{stages['write_cpu_us']:.1f}", ""],
        [
            "the same by the clock, synced",
            f"{stages['write']['best_us']:.1f}",
            f"{stages['write']['median_us']:.1f}",
        ],
    ]
    return _table(["stage, alone", "best chunk", "median chunk"], rows)


def _log(group):
    rows = []
    for engine in group["engines"]:
        size = f"entries of {engine['entry_bytes']:,} bytes"
        short = engine["entry_bytes"] == group["engines"][0]["entry_bytes"]
        one = engine["one_caller"]
        rows += [
            [
                f"{size}: one caller, ms",
                "p50 ≤ 1" if short else "",
                f"{one['p50_ms']:.2f}",
                f"{one['p99_ms']:.2f}",
            ],
            [
                f"{size}: {engine['callers']:,} waiting callers, entries/s",
                "≥ 120,000" if short else "",
                f"{engine['entries_per_second']:,}",
                "",
            ],
            [f"{size}: CPU µs an entry", "", f"{engine['cpu_us_per_entry']:.1f}", ""],
        ]
    return _table(["log engine, durable", "budget", "p50", "p99"], rows)


def _proofs(group):
    rows = [
        [
            f"{tree['size']:,}",
            *[f"{tree[kind][p]:.3f}" for kind in ("inclusion", "consistency") for p in ("p50_ms", "p99_ms")],
            f"{tree['leaves_per_second']:,}",
        ]
        for tree in group["trees"]
    ]
    head = ["entries", "inclusion p50 ms", "p99", "consistency p50 ms", "p99", "leaves/s into tiles"]
    return _table(head, rows)


def _evidence(group):
    rows = [
        [
            f"evidence at {group['log_size']:,} entries, without the status list, bytes",
            "≤ 16,384",
            f"{group['bytes_without_status']:,}",
            "",
        ],
        ["the same with status", "", f"{group['bytes_with_status']:,}", ""],
        ["verify in process, CPU ms", "≤ 2", *_best(group["verify_cpu_ms"])],
        ["`ironcage evidence verify`, cold, ms by the clock", "≤ 200", *_best(group["command_ms"])],
        ["the same, CPU ms", "", *_best(group["command_cpu_ms"])],
        ["of that: Python itself", "", *_best(group["bare_python_cpu_ms"])],
        ["of that: importing the verifier", "", *_best(group["import_cpu_ms"])],
        [
            f"{group['bulk']['files']:,} files in one command: files/s, cores busy",
            "",
            f"{group['bulk']['files_per_second']:,}",
            f"{group['bulk']['cores_busy']:.2f}",
        ],
    ]
    return _table(["evidence", "budget", "best", "p50"], rows)


def _best(spread):
    return f"{spread['best']:.1f}", f"{spread['p50']:.1f}"


def _anchors(group):
    rows = [
        [
            f"{row['size']:,}",
            f"{row['growth']:,}",
            f"{row['gas']:,}",
            f"{row['calldata_gas']:,}",
            f"{row['execution_gas']:,}",
            f"{row['hashing_gas']:,}",
            row["proof_hashes"],
        ]
        for row in group["rows"]
    ]
    first = group["first"]
    rows.append(
        [
            f"first anchor, {first['size']:,}",
            "",
            f"{first['gas']:,}",
            f"{first['calldata_gas']:,}",
            f"{first['execution_gas']:,}",
            f"{first['hashing_gas']:,}",
            0,
        ]
    )
    head = [
        "log size",
        "growth",
        "gas",
        "of that calldata",
        "of that execution",
        "of that SHA-256",
        "hashes in the proof",
    ]
    return _table(head, rows)


def _restart(group):
    return _table(
        ["start of a node", "budget", "s"],
        [
            [
                f"{group['entries']:,} entries: cold command to first answer",
                "≤ 3 at 10,000,000",
                f"{group['seconds']:.1f}",
            ]
        ],
    )


def _growth(group):
    disk, longest, proofs = group["disk_bytes_a_record"], group["longest_ms"], group["proofs"]
    commits = group["commits"]
    first, last, new = group["first_million"], group["last_million"], group["new_log"]
    return _table(
        [f"{group['rows']:,} records, imported one file after the other", "budget", ""],
        [
            ["rows/s over the first million", "", f"{first['rows_per_second']:,}"],
            ["rows/s over the last million", "", f"{last['rows_per_second']:,}"],
            [
                "rows/s over the first million of a new log, in turns with it",
                "",
                f"{new['rows_per_second']:,}",
            ],
            ["last to first, in turns", "≥ 0.9", f"{last['rows_per_second'] / new['rows_per_second']:.2f}"],
            ["CPU µs a row over the first million", "", f"{first['cpu_us_a_row']:.0f}"],
            ["CPU µs a row over the last million", "", f"{last['cpu_us_a_row']:.0f}"],
            ["CPU µs a row of the new log", "", f"{new['cpu_us_a_row']:.0f}"],
            ["anonymous memory of all processes, peak MiB", "≤ 1,024", group["peak_mib"]],
            ["longest commit, ms", "≤ 250", f"{longest['commit']:.0f}"],
            ["commits of more than 250 ms", "", f"{commits['long']:,} of {commits['all']:,}"],
            ["longest wait of another process for 4 KiB of its own, ms", "", f"{longest['disk']:.0f}"],
            [
                "longest commit without the time in which that one waited, ms",
                "≤ 250",
                f"{longest['own']:.0f}",
            ],
            ["longest append to the streams, ms", "", f"{longest['streams']:.0f}"],
            ["longest sync of the streams, ms", "", f"{longest['sync']:.0f}"],
            ["longest write of a LevelDB, ms", "", f"{longest['leveldb']:.0f}"],
            ["longest write of a head file, ms", "", f"{longest['head']:.0f}"],
            ["disk, bytes a record", "", f"{sum(disk.values()):,}"],
            *[[f"of that {name}", "", f"{size:,}"] for name, size in disk.items()],
            ["restart: cold command to first answer, s", "≤ 3", f"{group['restart_seconds']:.1f}"],
            ["inclusion proof, p50 ms", "≤ 0.2", f"{proofs['inclusion']['p50_ms']:.3f}"],
            ["consistency proof, p50 ms", "≤ 0.2", f"{proofs['consistency']['p50_ms']:.3f}"],
        ],
    )


def _audit(group):
    plain, opened = group["entries"], group["openings"]

    def line(what, budget, name):
        return [what, budget, f"{plain[name]:,}", f"{opened[name]:,}"]

    return _table(
        [f"audit of {group['events']:,} events in two logs", "budget", "entries", "and openings"],
        [
            line("s, from files to the report", "≤ 60", "seconds"),
            line("of processor time, one core", "", "cpu_seconds"),
            line("of that pairing", "", "pairing_seconds"),
            line("memory, peak MiB", "", "memory_mib"),
            line("temporary files, MiB", "", "scratch_mib"),
        ],
    )


def _exchange(group):
    alone, many, logging = group["alone"], group["many"], group["logging"]
    both = (alone, many)

    def whole(run):
        return sum(run["cpu_ms"].values())

    return _table(
        [
            "one question, asked, answered and logged by both sides",
            "budget",
            "one client",
            f"{group['clients']} clients",
        ],
        [
            ["p50, ms", "≤ 10", *(f"{run['p50_ms']:.1f}" for run in both)],
            ["p99, ms", "≤ 40", *(f"{run['p99_ms']:.1f}" for run in both)],
            ["questions a second", "≥ 500", *(run["rate"] for run in both)],
            ["processor time a question, ms", "", *(f"{whole(run):.2f}" for run in both)],
            *[
                [f"of that {name}", "", *(f"{run['cpu_ms'][key]:.2f}" for run in both)]
                for key, name in EXCHANGE_PROCESSES.items()
            ],
            ["its three events logged alone, p50 ms", "", f"{logging['p50_ms']:.1f}", ""],
            ["of the time of a question", "", f"{logging['p50_ms'] / alone['p50_ms']:.0%}", ""],
            ["its three events logged alone, processor time, ms", "", f"{logging['cpu_ms']:.2f}", ""],
            ["of the processor time of a question", "", f"{logging['cpu_ms'] / whole(alone):.0%}", ""],
        ],
    )


EXCHANGE_PROCESSES = {
    "asker": "the asker's node",
    "asker keys": "its key process and workers",
    "provider": "the provider's node",
    "provider keys": "its key process and workers",
    "clients": "the clients",
}

TABLES = {
    "summary": (None, _summary),
    "conditions": (None, _conditions),
    "import": ("import", _import),
    "stages": ("import", _stages),
    "log": ("log", _log),
    "proofs": ("proofs", _proofs),
    "evidence": ("evidence", _evidence),
    "anchors": ("anchors", _anchors),
    "restart": ("restart", _restart),
    "growth": ("growth", _growth),
    "audit": ("audit", _audit),
    "exchange": ("exchange", _exchange),
}

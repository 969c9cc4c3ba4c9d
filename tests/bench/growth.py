# SPDX-License-Identifier: Apache-2.0
"""What changes while a log grows: rate, memory, the longest commit, disk, restart and proofs.

Files of rows go through the product's own import, one after the other: reader, worker processes, the one writer, the
store on disk. Only the import itself is timed; making the next file is not. No two rows of a run have the same document
number, so every record is new and each of its random keys (leaf, identity, subject) is.

A machine's speed changes more in half an hour than a log's growth can show. So the files of the last million take turns
with the first million of a second, new log, file by file: the two differ by nothing but the size of what is there.

A disk that others share keeps a commit waiting now and then, whoever commits. Another process that syncs a block of its own
meanwhile (``tests.bench.disk``) tells waits of the device from those of our own code.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from contextlib import contextmanager

from cli.init import DEFAULT_SCRYPT_N
from node.log.tree import build_consistency_proof, build_inclusion_path
from node.service.layout import LogKind
from node.service.sequencer import Sequencer
from node.storage.heads import DiskHeadFiles
from node.storage.leveldb import LevelDatabase
from node.storage.segments import Streams
from tests.bench.disk import disk_waits, without
from tests.bench.engine import draw, milliseconds, seconds_of
from tests.bench.homes import MEMBER, make_home, running_node, store_penalties
from tests.bench.imports import time_import
from tests.bench.processes import MIB, disk_bytes
from tests.bench.restart import measure_starts

ROWS_A_FILE = 100_000
TEMPLATE_NUMBER = 1_000
"""Document number of the first row that ``store_penalties`` writes."""
MILLION = 1_000_000
PROOFS = 5_000
STALL_MS = 250
PARTS = {
    "entries": "streams/records.0/entries",
    "values": "streams/records.0/values",
    "main": "main",
    "secrets": "secrets",
}
TIMED = {
    "commit": (Sequencer, "_commit"),
    "streams": (Streams, "append"),
    "sync": (Streams, "sync"),
    "leveldb": (LevelDatabase, "write"),
    "head": (DiskHeadFiles, "store"),
}


def measure_growth(scratch, rows, *, starts, rows_a_file=ROWS_A_FILE, say=lambda _line: None):
    """Import ``rows`` rows into a new node and look at it while it grows and when it has grown."""
    home = make_home(scratch / "growth", scrypt_n=DEFAULT_SCRYPT_N)
    new_home = make_home(scratch / "new")
    rows_a_file = min(rows, rows_a_file)
    template = _Template(scratch / "template.csv", rows_a_file)
    steps, in_turns = [], []
    with running_node(home) as node, _timed() as calls, disk_waits(scratch) as waits:
        for first in range(0, rows, rows_a_file):
            count = min(rows_a_file, rows - first)
            file = template.store(scratch / "rows.csv", first, count)
            for times in calls.values():
                times.clear()
            begun = time.monotonic()
            step = _import(node, file, first, count)
            steps.append(step | _sum_up_calls(calls, waits.since(begun)))
            say(_line(steps[-1]))
            if first + count > rows - MILLION:
                # Open only in its turn, so that its memory counts for none but itself.
                with running_node(new_home) as other:
                    before = sum(step["rows"] for step in in_turns)
                    in_turns.append(_import(other, file, before, count) | {"longest_ms": {}})
                # A node that opens takes what is there out of the collector's sight, the node that closed before too.
                gc.unfreeze()
                gc.collect()
                say(_line(in_turns[-1]))
        proofs = _measure_proofs(node.services.readers[LogKind.RECORDS], rows)
    store = home / "data" / "store"
    disk = {name: disk_bytes(store / path) for name, path in PARTS.items()}
    say(f"{rows:,} records: {sum(disk.values()) / rows:,.0f} bytes a record on the disk")
    started = measure_starts(home, MEMBER, rows, starts=starts)
    say(f"restart: {started:.2f} s")
    return {
        "rows": rows,
        "rows_a_step": rows_a_file,
        "steps": steps,
        "first_million": _sum_up(steps, lambda step: step["size"] <= MILLION),
        "last_million": _sum_up(steps, lambda step: step["size"] > rows - MILLION),
        "new_log": _sum_up(in_turns, lambda _step: True),
        "peak_mib": max(step["anonymous_mib"] for step in steps),
        "longest_ms": {
            name: max(step["longest_ms"][name] for step in steps) for name in steps[0]["longest_ms"]
        },
        "commits": {name: sum(step["commits"][name] for step in steps) for name in steps[0]["commits"]},
        "disk_bytes_a_record": {name: round(size / rows) for name, size in disk.items()},
        "restart_seconds": round(started, 2),
        "starts": starts,
        "proofs": proofs,
    }


class _Template:
    """Rows that are made once and written again and again, with other document numbers."""

    def __init__(self, path, rows):
        store_penalties(path, rows)
        header, *lines = path.read_bytes().splitlines(keepends=True)
        self._header = header
        self._lines = []
        for number, line in enumerate(lines, TEMPLATE_NUMBER):
            before, found, after = line.partition(f"{number}号".encode("gb18030"))
            assert found, "a row has its document number"
            self._lines.append((before, "号".encode("gb18030") + after))

    def store(self, path, first, count):
        """Store ``count`` rows, numbered from ``first`` on; synced, so that no commit waits for this file's bytes."""
        with path.open("wb") as file:
            file.write(self._header)
            file.writelines(
                b"%s%d%s" % (before, TEMPLATE_NUMBER + first + place, after)
                for place, (before, after) in enumerate(self._lines[:count])
            )
            file.flush()
            os.fsync(file.fileno())
        return path


def _import(node, file, first, count):
    job_id, usage = time_import(node, file, count)
    node.uploads.remove(job_id)
    return {
        "size": first + count,
        "rows": count,
        "seconds": round(usage.wall_seconds, 3),
        "rows_per_second": round(count / usage.wall_seconds),
        "cpu_us_a_row": round(usage.cpu_seconds / count * 1e6, 1),
        "node_cpu_us_a_row": round(usage.own_cpu_seconds / count * 1e6, 1),
        "anonymous_mib": round(usage.peak_bytes / MIB),
    }


@contextmanager
def _timed():
    """Note begin and end of each call of each timed operation, in seconds of the monotonic clock."""
    calls = {name: [] for name in TIMED}
    real = {name: getattr(owner, method) for name, (owner, method) in TIMED.items()}

    def timed(name, call):
        def run(*arguments):
            begin = time.monotonic()
            try:
                return call(*arguments)
            finally:
                calls[name].append((begin, time.monotonic()))

        return run

    for name, (owner, method) in TIMED.items():
        setattr(owner, method, timed(name, real[name]))
    try:
        yield calls
    finally:
        for name, (owner, method) in TIMED.items():
            setattr(owner, method, real[name])


def _sum_up_calls(calls, waits):
    """The longest of each operation, and of the commits what no disk explains."""
    own = [without(call, waits) for call in calls["commit"]]
    longest = {name: max((end - begin for begin, end in times), default=0.0) for name, times in calls.items()}
    longest["own"] = max(own, default=0.0)
    longest["disk"] = max((end - begin for begin, end in waits), default=0.0)
    stall = STALL_MS / 1e3
    return {
        "longest_ms": {name: round(seconds * 1e3, 1) for name, seconds in longest.items()},
        "commits": {
            "all": len(own),
            "long": sum(end - begin > stall for begin, end in calls["commit"]),
            "own_long": sum(seconds > stall for seconds in own),
        },
    }


def _measure_proofs(reader, size):
    """Measure proofs under the newest size; the tiles are read through LevelDB, whose files the system may hold."""
    places = [draw(size, number) for number in range(PROOFS)]
    tiles = reader.tiles
    return {
        "inclusion": milliseconds([seconds_of(build_inclusion_path, tiles, place, size) for place in places]),
        "consistency": milliseconds(
            [seconds_of(build_consistency_proof, tiles, place + 1, size) for place in places]
        ),
    }


def _sum_up(steps, wanted):
    """Rate and processor time over the steps that are wanted; over all of them when none is (a short run)."""
    chosen = list(filter(wanted, steps)) or steps
    count = sum(step["rows"] for step in chosen)
    return {
        "rows_per_second": round(count / sum(step["seconds"] for step in chosen)),
        "cpu_us_a_row": round(sum(step["cpu_us_a_row"] * step["rows"] for step in chosen) / count, 1),
    }


def _line(step):
    parts = ", ".join(f"{name} {longest:.0f}" for name, longest in step["longest_ms"].items())
    return (
        f"{step['size']:>12,}  {step['rows_per_second']:>7,} rows/s  {step['cpu_us_a_row']:>6.1f} CPU µs a row, "
        f"{step['node_cpu_us_a_row']:>5.1f} of the node  {step['anonymous_mib']:>5} MiB  "
        + (f"longest ms: {parts}" if parts else "a new log, in turns")
    )


def say_to_terminal(line):
    """Show progress."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()

# SPDX-License-Identifier: Apache-2.0
"""What commits and reads of the store on disk cost: ``python -m tests.bench.bench_store [DIRECTORY] [THOUSANDS]``.

A bulk commit is that of an import: 1,000 records, four keys each of which three are random, one wrapped secret each, 2.4 MB
of entries and 0.6 MB of values. The directory decides which disk is measured.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from node.ports import Batch
from node.storage.opening import open_store

IDENTITY = b"bench"
RECORDS = 1000
ENTRY_BYTES = 2400
VALUES_BYTES = 600


def bulk_batch(first: int, noise: bytes, data: bytes) -> Batch:
    """Return the batch of records ``first`` to ``first`` + 999."""
    batch = Batch()
    for number in range(RECORDS):
        at = 48 * number
        index = (first + number).to_bytes(8, "big")
        batch.put(b"L" + noise[at : at + 16], index)
        batch.put(b"I" + noise[at + 16 : at + 32], noise[at : at + 16] + index)
        batch.put(b"N" + index, noise[at : at + 40])
        batch.put(b"S" + noise[at + 32 : at + 48] + index, b"")
        batch.put_secret(b"w" + index, data[at : at + 60])
    batch.append("records.0/entries", data[: RECORDS * ENTRY_BYTES])
    batch.append("records.0/values", data[: RECORDS * VALUES_BYTES])
    return batch


def small_batch(number: int, kind: str) -> Batch:
    """Return a batch of one key (``key``), of one access event (``event``) or of one record (``record``)."""
    batch = Batch()
    batch.put(b"k%d" % number, b"v" * 40)
    if kind == "event":
        batch.append("access.0/entries", b"x" * 700)
    if kind == "record":
        batch.append("records.0/entries", b"x" * ENTRY_BYTES)
        batch.append("records.0/values", b"x" * VALUES_BYTES)
        batch.put_secret(b"s%d" % number, b"w" * 60)
    return batch


def percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "p50_ms": round(ordered[len(ordered) // 2] * 1e3, 3),
        "p99_ms": round(ordered[len(ordered) * 99 // 100] * 1e3, 3),
        "max_ms": round(ordered[-1] * 1e3, 3),
    }


def timed(call, argument) -> float:
    start = time.perf_counter()
    call(argument)
    return time.perf_counter() - start


def anonymous_bytes() -> int:
    (line,) = [
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")
    ]
    return int(line.split()[1]) * 1024


def measure_store(directory: str, thousands: int) -> dict[str, object]:
    """Measure a new store in ``directory`` that takes in ``thousands`` × 1,000 records."""
    path = Path(directory) / "store"
    store = open_store(path, IDENTITY, create=True)
    result: dict[str, object] = {}
    for kind in ("key", "event", "record"):
        result[f"commit_one_{kind}"] = percentiles(
            [timed(store.commit, small_batch(number, kind)) for number in range(500)]
        )
    data = os.urandom(RECORDS * ENTRY_BYTES)
    seconds = []
    for number in range(thousands):
        batch = bulk_batch(number * RECORDS, os.urandom(48 * RECORDS), data)
        seconds.append(timed(store.commit, batch))
    result["commit_bulk"] = percentiles(seconds)
    result["bulk_us_per_record"] = round(sum(seconds) / len(seconds) / RECORDS * 1e6, 2)
    tenth = max(1, thousands // 10)
    result["last_tenth_to_first"] = round(sum(seconds[:tenth]) / sum(seconds[-tenth:]), 2)
    result["anonymous_mib"] = anonymous_bytes() // 2**20
    keys = [b"N" + (number * 977 % (thousands * RECORDS)).to_bytes(8, "big") for number in range(20_000)]
    for name, call, arguments in (
        ("get_us", store.get, keys),
        ("get_absent_us", store.get, [b"L" + key for key in keys]),
        ("get_secret_us", store.get_secret, [b"w" + key[1:] for key in keys]),
        ("read_entry_us", lambda offset: store.read("records.0/entries", offset, ENTRY_BYTES), range(20_000)),
    ):
        start = time.perf_counter()
        for argument in arguments:
            call(argument)
        result[name] = round((time.perf_counter() - start) / len(arguments) * 1e6, 2)
    store.close()
    result["open_seconds"] = round(timed(lambda _: open_store(path, IDENTITY).close(), None), 3)
    return result


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as scratch:
        measured = measure_store(scratch, int(sys.argv[2]) if len(sys.argv) > 2 else 300)
    sys.stdout.write(json.dumps(measured, indent=2) + "\n")

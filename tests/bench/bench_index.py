# SPDX-License-Identifier: Apache-2.0
"""What the node's part of an import costs as a log grows: ``python -m tests.bench.bench_index DIRECTORY [THOUSANDS] [NAME=NUMBER…]``.

Made-up answers of workers go through the product's own deciding, transaction, sequencer and store; entries and values
are short, so that ten million records take minutes. Prints microseconds of processor time a record for each step of the
way, by thread: the importing one, the writer's, and LevelDB's, which is the rest. A name is one of the members
of ``Tuning``, whose number replaces that of the main database.
"""

from __future__ import annotations

import gc
import os
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from node.log.merkle import EMPTY_ROOT
from node.records.chunks import CHUNK_ROWS
from node.service.assembly import LOG_NUMBERS, open_readers
from node.service.deciding import append_records, decide
from node.service.identities import Identities
from node.service.issuing import DIGEST_BYTES, IssuedChunk
from node.service.sequencer import Sequencer
from node.service.startup import create_heads
from node.storage import opening
from node.storage.heads import DiskHeadFiles
from tests.bench.homes import MEMBER
from tests.bench.processes import TICKS

ENTRY = bytes(16)
VALUES = bytes(8)
KIND = 1
STEPS = 10
MERGED = re.compile(r"Compacted [0-9]+@([0-9]) .* => ([0-9]+) bytes")


def made_up_chunk(first):
    """Build what a worker might have answered; all keys are random, as those of records are."""
    keys = os.urandom(CHUNK_ROWS * (32 + 60 + 4 * DIGEST_BYTES))
    leaves, secrets, rest = (
        keys[: CHUNK_ROWS * 32],
        keys[CHUNK_ROWS * 32 :][: CHUNK_ROWS * 60],
        keys[CHUNK_ROWS * 92 :],
    )
    column = CHUNK_ROWS * DIGEST_BYTES
    jtis, identities, contents, subjects = (rest[at : at + column] for at in range(0, 4 * column, column))
    return IssuedChunk(
        first_row=first,
        last_row=first + CHUNK_ROWS - 1,
        read=CHUNK_ROWS,
        rows=list(range(CHUNK_ROWS)),
        entries=[ENTRY] * CHUNK_ROWS,
        leaves=[leaves[at : at + 32] for at in range(0, len(leaves), 32)],
        values=[VALUES] * CHUNK_ROWS,
        secrets=[secrets[at : at + 60] for at in range(0, len(secrets), 60)],
        jtis=jtis,
        identities=identities,
        contents=contents,
        subjects=subjects,
        disclosures=bytes(CHUNK_ROWS),
        refusals=[],
        flags=[],
    )


def thread_seconds():
    """Processor time of this process by thread name; threads of LevelDB have none of their own."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(") ")[2].split()
        found[int(task.name)] = sum(map(int, fields[11:13])) / TICKS
    return found


def _commit(sequencer, chunk, new, places):
    sequencer.run(
        lambda transaction: append_records(transaction, chunk, new, places, KIND), entries=CHUNK_ROWS
    )


def measure(directory, thousands, tuning):
    """Fill a new store and say what each tenth of the way took."""
    opening.MAIN_TUNING = tuning
    store = opening.open_store(Path(directory) / "store", b"bench", create=True)
    heads = DiskHeadFiles(Path(directory) / "heads")
    readers = open_readers(store, "bench.example", MEMBER)
    create_heads(heads, readers, EMPTY_ROOT)
    origins = {log: reader.origin for log, reader in readers.items()}
    sequencer = Sequencer(store, heads, origins, LOG_NUMBERS)
    identities = Identities(store, int, bool)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    chunks = thousands * 1000 // CHUNK_ROWS
    importing = os.getpid()
    writing = sequencer._thread.native_id
    making = deciding = longest = 0.0
    before, start = thread_seconds(), time.perf_counter()
    for number in range(1, chunks + 1):
        begun = time.thread_time()
        chunk = made_up_chunk(number * CHUNK_ROWS)
        places = [(number // 200, number % 200 * CHUNK_ROWS + place) for place in range(CHUNK_ROWS)]
        made = time.thread_time()
        new = decide(chunk, identities.find_all(chunk.identities), lambda _: None).new
        assert len(new) == CHUNK_ROWS
        decided = time.thread_time()
        making += made - begun
        deciding += decided - made
        waiting = time.perf_counter()
        _commit(sequencer, chunk, new, places)
        longest = max(longest, time.perf_counter() - waiting)
        if number % max(1, chunks // STEPS) == 0:
            after, now = thread_seconds(), time.perf_counter()
            records = max(1, chunks // STEPS) * CHUNK_ROWS
            used = {thread: seconds - before.get(thread, 0.0) for thread, seconds in after.items()}
            writer, _ = used.pop(writing), used.pop(importing)
            sys.stdout.write(
                f"{number * CHUNK_ROWS:>12,}  decide {deciding / records * 1e6:5.1f}  "
                f"writer {writer / records * 1e6:5.1f}  LevelDB {sum(used.values()) / records * 1e6:5.1f}  "
                f"clock {(now - start - making) / records * 1e6:5.1f}  longest {longest * 1e3:4.0f} ms\n"
            )
            sys.stdout.flush()
            making = deciding = longest = 0.0
            before, start = thread_seconds(), time.perf_counter()
    sequencer.close()
    store.close()
    for level, written in enumerate(rewritten_bytes(Path(directory) / "store" / "main")):
        sys.stdout.write(
            f"written from level {level} to the next: {written / thousands / 1000:,.0f} bytes a record\n"
        )


def rewritten_bytes(database):
    """Bytes that LevelDB wrote into tables by merging, by the level that they came from, out of its own log."""
    found = Counter()
    for log in ("LOG.old", "LOG"):
        if (database / log).is_file():
            for level, written in MERGED.findall((database / log).read_text(errors="replace")):
                found[int(level)] += int(written)
    return [found[level] for level in range(max(found, default=0) + 1)]


if __name__ == "__main__":
    chosen = {name: int(number) for name, number in (word.split("=") for word in sys.argv[3:])}
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as scratch:
        measure(scratch, int(sys.argv[2]), replace(opening.MAIN_TUNING, **chosen))

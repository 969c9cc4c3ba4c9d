# SPDX-License-Identifier: Apache-2.0
"""The log engine alone: ready entries in, durable answers out; proofs out of the store; start of a node."""

from __future__ import annotations

import gc
import os
import threading
import time
from hashlib import sha256

from node.core.types import RootHash
from node.log.merkle import EMPTY_ROOT, verify_consistency, verify_inclusion
from node.log.tree import TreeWriter, build_consistency_proof, build_inclusion_path, root_at
from node.ports import Batch
from node.service import layout
from node.service.assembly import LOG_NUMBERS, open_readers
from node.service.layout import LogKind
from node.service.sequencer import Sequencer
from node.service.startup import create_heads
from node.service.tiles import put_tiles
from node.storage.heads import DiskHeadFiles
from node.storage.opening import open_store
from tests.bench.homes import MEMBER
from tests.bench.processes import measured

DOMAIN = "bench.example"
LOG = LogKind.ACCESS
WARM_UP = 50
READY = 4_096
LEAVES_A_COMMIT = 50_000
PROOFS_CHECKED = 20


def measure_engine(scratch, *, alone, entries, callers, entry_bytes):
    """Measure one caller by itself, then many who wait for their answers at the same time.

    Sequencer, store and head files are the product's own: every answer comes after the entry, its tiles, its row and
    the head of its log are synced. There is no HTTP, no signature and no encryption; the entries are ready.

    Args:
        scratch: Where the store goes.
        alone: Entries of the one caller.
        entries: Entries of the many.
        callers: How many of them; each hands in its next entry when the last one is durable.
        entry_bytes: Size of an entry.
    """
    store = open_store(scratch / f"engine-{entry_bytes}", b"bench", create=True)
    heads = DiskHeadFiles(scratch / f"engine-{entry_bytes}-heads")
    readers = open_readers(store, DOMAIN, MEMBER)
    create_heads(heads, readers, EMPTY_ROOT)
    origins = {log: reader.origin for log, reader in readers.items()}
    sequencer = Sequencer(store, heads, origins, LOG_NUMBERS)
    try:
        ready = _ready_entries(entry_bytes)
        one = _call_alone(sequencer, ready, alone)
        # As a node does at its start: what was loaded stays, the collector need not look at it again.
        gc.collect()
        gc.freeze()
        with measured() as usage:
            _call_together(sequencer, ready, entries, callers)
        return {
            "entry_bytes": entry_bytes,
            "one_caller": one,
            "callers": callers,
            "entries": entries,
            "entries_per_second": round(entries / usage.wall_seconds),
            "cpu_us_per_entry": round(usage.cpu_seconds / entries * 1e6, 2),
        }
    finally:
        gc.unfreeze()
        sequencer.close()
        store.close()


def _call_alone(sequencer, ready, count):
    def append(transaction):
        transaction.append(LOG, entry)

    seconds = []
    for number in range(count + WARM_UP):
        entry = ready[number % READY]
        start = time.perf_counter()
        sequencer.run(append)
        seconds.append(time.perf_counter() - start)
    return milliseconds(seconds[WARM_UP:])


def _call_together(sequencer, ready, entries, callers):
    left = iter(range(entries))
    answered = threading.Semaphore(0)
    failures = []

    def call():
        number = next(left, None)
        if number is None:
            answered.release()
        else:
            entry = ready[number % READY]
            sequencer.submit_then(lambda transaction: transaction.append(LOG, entry), answer)

    def answer(_, error):
        if error is not None:
            failures.append(error)
        call()

    for _ in range(callers):
        call()
    for _ in range(callers):
        answered.acquire()
    assert not failures


def _ready_entries(entry_bytes):
    """Entries to hand in: making them is not what is measured."""
    noise = os.urandom(entry_bytes + READY)
    return [noise[number : number + entry_bytes] for number in range(READY)]


def measure_proofs(scratch, size, *, proofs):
    """Measure proofs from a stored tree of ``size`` entries whose leaf hashes are made up."""
    store = open_store(scratch / f"proofs-{size}", b"bench", create=True)
    try:
        build = _grow(store, size)
        tiles = open_readers(store, DOMAIN, MEMBER)[LOG].tiles
        places = [draw(size, number) for number in range(proofs)]
        _check(tiles, size, places[:PROOFS_CHECKED])
        return {
            "size": size,
            "leaves_per_second": round(size / build),
            "inclusion": milliseconds(
                [seconds_of(build_inclusion_path, tiles, place, size) for place in places]
            ),
            "consistency": milliseconds(
                [seconds_of(build_consistency_proof, tiles, place + 1, size) for place in places]
            ),
        }
    finally:
        store.close()


def _grow(store, size):
    tree, start = TreeWriter(), time.perf_counter()
    while tree.size < size:
        batch = Batch()
        put_tiles(batch, LOG, 0, tree.extend(os.urandom(32 * min(LEAVES_A_COMMIT, size - tree.size))))
        batch.put(layout.size_key(LOG), layout.u64(tree.size))
        store.commit(batch)
    return time.perf_counter() - start


def _check(tiles, size, places):
    """See that what is measured are proofs."""
    root = root_at(tiles, size)
    for place in places:
        leaf = tiles.read_tile(0, place // 256)[place % 256 * 32 :][:32]
        verify_inclusion(place, size, leaf, build_inclusion_path(tiles, place, size), root)
        old = RootHash(root_at(tiles, place + 1))
        verify_consistency(place + 1, size, old, root, build_consistency_proof(tiles, place + 1, size))


def draw(bound, number):
    """Draw a place below ``bound``, the same one for the same number."""
    return int.from_bytes(sha256(b"%d" % number).digest()[:8], "big") % bound


def seconds_of(call, *arguments):
    """Seconds that a call takes by the clock."""
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def milliseconds(seconds):
    """The middle of a set of times, and what 99 of 100 stay below."""
    ordered = sorted(seconds)
    return {
        "p50_ms": round(ordered[len(ordered) // 2] * 1e3, 3),
        "p99_ms": round(ordered[len(ordered) * 99 // 100] * 1e3, 3),
    }

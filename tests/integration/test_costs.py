# SPDX-License-Identifier: Apache-2.0
"""What a record costs, counted instead of timed: hash calls, signatures, keys, bytes, writes and syncs.

A change that makes an import slower nearly always makes one of these numbers larger, on every machine alike. The
numbers are exact where the design fixes them, and bounds with some room where only their order matters.
"""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial

import pytest

from node.log.merkle import EMPTY_ROOT
from node.log.tree import TILE_WIDTH
from node.readers.opening import open_table
from node.records.chunks import CHUNK_ROWS, encode_chunk
from node.records.headers import find_header
from node.service.assembly import LOG_NUMBERS, open_readers
from node.service.deciding import decide
from node.service.identities import Identities
from node.service.issuing import ChunkIssuer, IssueTask, encode_task, parse_chunk
from node.service.keeping import LocalKeeper
from node.service.layout import ROW_BYTES, LogKind
from node.service.sequencer import MAX_ENTRIES, Sequencer
from node.service.startup import create_heads
from node.storage.heads import DiskHeadFiles
from node.storage.memory import MemoryStore
from node.storage.opening import open_store
from tests.support.calls import calls_of
from tests.support.faults import Faults, FaultyDisk
from tests.support.node_world import NodeWorld, penalty
from tests.support.rows import ISSUER, PENALTY

ROWS = 200
GUARD_SECONDS = 120
KEYS = 3
"""Found by leaf, by identity and by subject."""


def build_issuer():
    return ChunkIssuer(
        domain="zj.example",
        member=ISSUER,
        record_seed=bytes(32),
        wrap_all=LocalKeeper(bytes(32), bytes).wrap_all,
        index_key=bytes(32),
        items={PENALTY.key: PENALTY},
        random=bytes,
    )


def build_task(numbers):
    rows = [penalty(number) for number in numbers]
    places = [(0, number) for number in numbers]
    return encode_task(
        IssueTask(
            PENALTY.key,
            list(PENALTY.field_codes),
            encode_chunk(2, rows),
            places,
            [],
            "2026-12-31",
            1_790_000_000_000,
        )
    )


@pytest.fixture(scope="module")
def worker_calls():
    issuer = build_issuer()
    issuer.issue(build_task(range(ROWS)))
    task = build_task(range(ROWS, 2 * ROWS))
    answer = []
    counts = calls_of(lambda: answer.append(issuer.issue(task)))
    assert len(parse_chunk(answer[0]).entries) == ROWS
    return counts


def test_hashes_and_signatures_of_a_record(worker_calls):
    assert worker_calls["crypto_sign"] == ROWS
    # Salts, decoys, the key of the stored values.
    assert worker_calls["openssl_shake_256"] == 3 * ROWS
    # For a chunk at once: disclosures; leaves; identity, content and subject with an inner and an outer hash each.
    batches = 1 + 1 + 2 * 3
    # All of these, and nothing else.
    assert worker_calls["digest"] == 3 * ROWS + batches
    assert worker_calls["openssl_sha256"] == 0
    # The stored values and the wrapped secret.
    assert worker_calls["encrypt"] == 2 * ROWS


def test_calls_in_a_worker(worker_calls):
    """No function of ours is called for each field; base64 and JSON are made for a record, or a column, at once."""
    assert worker_calls["python"] <= 24 * ROWS
    # Payload; once for the salts, the heads, the digests and the signatures of a chunk.
    assert worker_calls["b64encode"] == ROWS + 4
    assert worker_calls["b2a_base64"] <= 6 * ROWS
    assert worker_calls["dumps"] <= (1 + len(PENALTY.fields))
    assert worker_calls.total() <= 75 * ROWS


def test_calls_of_reading_separated_text(tmp_path):
    """Lines go to the workers as the file has them; nothing is called for each of them but to take it off a queue."""
    rows = 10 * CHUNK_ROWS
    path = tmp_path / "rows.csv"
    lines = [",".join(map(str, penalty(number))) for number in range(rows)]
    path.write_text("\n".join([",".join(PENALTY.field_codes), *lines, ""]), encoding="gb18030")
    chunks = []

    def read():
        with open_table(path, find_header=partial(find_header, PENALTY)) as table:
            chunks.extend(table.chunks)

    counts = calls_of(read)
    assert lines[rows // 2].encode("gb18030") in b"".join(chunks)
    # Once for the rows, and for the first chunk once more, to find the header.
    assert counts["popleft"] <= rows + CHUNK_ROWS + 10
    # While the encoding is looked for, blocks are decoded, and lines that may be UTF-8.
    assert counts["decode"] <= 100
    assert counts["python"] <= 2 * rows + 1_000


class CountingStore(MemoryStore):
    """Counts the keys that it is asked for."""

    asked = 0

    def get_all(self, keys):
        self.asked += len(keys)
        return super().get_all(keys)


def test_calls_of_deciding_about_a_new_chunk():
    """Records of which the log knows none are not looked up; nothing of ours is called for each of them."""
    chunk = parse_chunk(build_issuer().issue(build_task(range(ROWS))))
    store = CountingStore()
    identities = Identities(store, int, bool)
    counts = calls_of(lambda: decide(chunk, identities.find_all(chunk.identities), lambda _: None))
    assert store.asked == 0
    assert counts["python"] <= 40
    identities.find_all(chunk.identities)
    assert store.asked == ROWS


def test_keys_and_bytes_of_a_commit():
    with NodeWorld() as world:
        world.import_penalties(range(TILE_WIDTH))
        batches = []
        world.store.on_commit = batches.append
        world.import_penalties(range(TILE_WIDTH, TILE_WIDTH + CHUNK_ROWS))
    bulk = max(batches, key=lambda batch: len(batch.changes))
    # Beside the keys of the records: tiles, rows, size, places of the status list, the job.
    assert KEYS * CHUNK_ROWS < len(bulk.changes) <= KEYS * CHUNK_ROWS + 10
    assert len(bulk.secret_changes) == CHUNK_ROWS
    appended = {name: sum(map(len, pieces)) / CHUNK_ROWS for name, pieces in bulk.appends.items()}
    assert set(appended) == {"records.0/entries", "records.0/values"}
    assert appended["records.0/entries"] <= 2_300
    assert appended["records.0/values"] <= 700
    assert sum(len(value) for _, value in bulk.secret_changes) == 60 * CHUNK_ROWS
    places = 32 * 1024
    stored = sum(len(key) + len(value) for key, value in bulk.changes) - places
    assert stored / CHUNK_ROWS <= 25 + 41 + 25 + ROW_BYTES + 2 * 32


def test_an_import_is_one_commit_a_chunk_and_three_more():
    with NodeWorld() as world:
        before = world.store.commits
        world.import_penalties(range(3 * CHUNK_ROWS))
        # The order, one for each chunk, the end.
        assert world.store.commits - before == 3 + 2


@pytest.fixture
def disk(tmp_path):
    """A sequencer over a disk that counts what it is asked to do."""
    faults = Faults()
    double = FaultyDisk(faults)
    store = open_store(
        tmp_path / "store", b"costs", create=True, files=double.files, open_database=double.open_database
    )
    heads = DiskHeadFiles(tmp_path / "heads", double.files)
    readers = open_readers(store, "zj.example", ISSUER)
    create_heads(heads, readers, EMPTY_ROOT)
    sequencer = Sequencer(store, heads, {log: readers[log].origin for log in LogKind}, LOG_NUMBERS)
    yield sequencer, faults
    sequencer.close()
    store.close()


ENTRIES_AND_HEAD = Counter(
    {
        "write": 2,  # the entries, the new head in place of the one before the last
        "sync": 1,  # the head: few bytes are durable with the main database
        "open": 1,
        "database.write": 1,
    }
)
RECORD = ENTRIES_AND_HEAD + Counter({"write": 1, "database.write": 1})
"""Values are a stream of their own, secrets a database of their own."""


def write_record(transaction):
    transaction.append(LogKind.RECORDS, b"entry", values=b"values")
    transaction.put_secret(b"key", b"wrapped")


@pytest.mark.parametrize(
    ("operation", "calls"),
    [
        (lambda transaction: transaction.put(b"key", b"value"), Counter({"database.write": 1})),
        (lambda transaction: transaction.append(LogKind.ACCESS, b"event"), ENTRIES_AND_HEAD),
        (write_record, RECORD),
    ],
    ids=["a key", "an event", "a record"],
)
def test_what_a_commit_asks_of_the_disk(disk, operation, calls):
    sequencer, faults = disk
    sequencer.run(operation)
    faults.calls.clear()
    sequencer.run(operation)
    assert Counter(faults.calls) == calls


def test_callers_who_come_together_share_one_commit(disk):
    sequencer, faults = disk
    sequencer.run(write_record)
    entered, go = threading.Event(), threading.Event()

    def hold(_transaction):
        entered.set()
        go.wait(GUARD_SECONDS)

    held = sequencer.submit(hold, entries=MAX_ENTRIES)
    assert entered.wait(GUARD_SECONDS)
    faults.calls.clear()
    futures = [sequencer.submit(write_record) for _ in range(MAX_ENTRIES)]
    go.set()
    held.result(GUARD_SECONDS)
    assert [future.result(GUARD_SECONDS) for future in futures] == [None] * MAX_ENTRIES
    assert Counter(faults.calls) == RECORD

# SPDX-License-Identifier: Apache-2.0
"""What every ``node.ports.Store`` does: run on the store on disk and on the one in memory."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from node.errors import InvalidInput, Unavailable
from node.ports import Batch
from node.storage.memory import MemoryStore
from node.storage.opening import open_store
from tests.support.naive_store import NaiveStore, differences

IDENTITY = b"demo.example/91110000000000000X"


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        opened = MemoryStore()
    else:
        opened = open_store(tmp_path / "store", IDENTITY, create=True, segment_bytes=64)
    yield opened
    opened.close()


def batch_of(*, puts=(), deletes=(), secrets=(), erased=(), appends=()) -> Batch:
    batch = Batch()
    for key, value in puts:
        batch.put(key, value)
    for key in deletes:
        batch.delete(key)
    for key, value in secrets:
        batch.put_secret(key, value)
    for key in erased:
        batch.delete_secret(key)
    for stream, data in appends:
        batch.append(stream, data)
    return batch


def test_new_store_is_empty(store):
    assert store.get(b"a") is None
    assert store.get_secret(b"a") is None
    assert list(store.scan(b"", None)) == []
    assert store.length("records.0/entries") == 0
    assert store.read("records.0/entries", 0, 0) == b""


def test_commit_makes_everything_visible(store):
    store.commit(
        batch_of(
            puts=[(b"a", b"1"), (b"b", b"")],
            secrets=[(b"a", b"wrapped")],
            appends=[
                ("records.0/entries", b"abc"),
                ("records.0/values", b"xyz"),
                ("records.0/entries", b"def"),
            ],
        )
    )
    assert store.get(b"a") == b"1"
    assert store.get(b"b") == b""
    assert store.get_secret(b"a") == b"wrapped"
    assert store.get_secret(b"b") is None
    assert store.read("records.0/entries", 0, 6) == b"abcdef"
    assert store.read("records.0/entries", 2, 3) == b"cde"
    assert store.length("records.0/values") == 3


def test_many_keys_are_read_as_one_by_one(store):
    batch = Batch()
    batch.put(b"a", b"1")
    batch.put(b"b", b"")
    store.commit(batch)
    assert store.get_all([b"b", b"c", b"a", b"b"]) == [b"", None, b"1", b""]
    assert store.get_all([]) == []


def test_last_change_of_a_key_holds(store):
    batch = Batch()
    for value in (b"1", b"2"):
        batch.put(b"kept", value)
        batch.put_secret(b"kept", value)
    for key in (b"gone", b"back"):
        batch.put(key, b"3")
        batch.delete(key)
        batch.put_secret(key, b"3")
        batch.delete_secret(key)
    batch.put(b"back", b"4")
    batch.put_secret(b"back", b"4")
    store.commit(batch)
    assert list(store.scan(b"", None)) == [(b"back", b"4"), (b"kept", b"2")]
    assert [store.get_secret(key) for key in (b"back", b"gone", b"kept")] == [b"4", None, b"2"]


def test_deleting_what_is_not_there_is_no_error(store):
    store.commit(batch_of(deletes=[b"a"], erased=[b"a"]))
    assert store.get(b"a") is None
    assert store.get_secret(b"a") is None


def test_deleted_secret_stays_deleted_after_later_commits(store):
    store.commit(batch_of(secrets=[(b"a", b"1"), (b"b", b"1")]))
    store.commit(batch_of(erased=[b"a"]))
    assert store.get_secret(b"a") is None
    store.commit(batch_of(secrets=[(b"c", b"1")]))
    store.commit(batch_of(puts=[(b"d", b"1")]))
    assert store.purge([(b"d\x00", b"d\xff")], [b"a"])
    assert [store.get_secret(key) for key in (b"a", b"b", b"c")] == [None, b"1", b"1"]
    assert store.get(b"d") == b"1"


def test_a_secret_that_is_still_there_is_not_purged(store):
    store.commit(batch_of(secrets=[(b"a", b"1"), (b"b", b"1")]))
    store.commit(batch_of(erased=[b"a"]))
    with pytest.raises(InvalidInput) as caught:
        store.purge([], [b"a", b"b"])
    assert caught.value.code == "store-purge"
    assert store.get_secret(b"b") == b"1"
    assert store.purge([], [b"a", b"never"])


def test_the_two_key_spaces_are_apart(store):
    store.commit(batch_of(puts=[(b"a", b"main")]))
    assert store.get_secret(b"a") is None
    store.commit(batch_of(secrets=[(b"a", b"secret"), (b"b", b"secret")]))
    assert store.get(b"a") == b"main"
    assert store.get(b"b") is None


def test_empty_batch_and_empty_append_change_nothing(store):
    store.commit(Batch())
    store.commit(batch_of(appends=[("records.0/entries", b"")]))
    assert store.length("records.0/entries") == 0


@pytest.mark.parametrize(
    ("start", "stop", "reverse", "limit", "want"),
    [
        (b"", None, False, None, b"abcd"),
        (b"", None, True, None, b"dcba"),
        (b"b", b"d", False, None, b"bc"),
        (b"b", b"d", True, None, b"cb"),
        (b"b", b"d", True, 1, b"c"),
        (b"aa", b"c", False, None, b"b"),
        (b"", None, False, 2, b"ab"),
        (b"", None, True, 2, b"dc"),
        (b"", None, False, 0, b""),
        (b"c", b"c", False, None, b""),
        (b"d", b"a", False, None, b""),
        (b"d", None, True, None, b"d"),
        (b"a", b"b", True, None, b"a"),
        (b"e", None, True, None, b""),
        (b"", b"", False, None, b""),
        (b"\x00", b"\x01", False, None, b""),
    ],
)
def test_scan(store, start, stop, reverse, limit, want):
    store.commit(batch_of(puts=[(bytes([key]), b"v") for key in b"dbca"], appends=[("s", b"x")]))
    got = list(store.scan(start, stop, reverse=reverse, limit=limit))
    assert got == [(bytes([key]), b"v") for key in want]


def test_scan_is_one_state_however_long_it_runs(store):
    store.commit(batch_of(puts=[(b"%05d" % number, b"old") for number in range(2000)]))
    scan = store.scan(b"", None)
    first = next(scan)
    store.commit(
        batch_of(
            puts=[(b"%05d" % number, b"new") for number in range(2000)] + [(b"99999", b"new")],
            deletes=[b"01999"],
        )
    )
    rest = list(scan)
    assert [first, *rest] == [(b"%05d" % number, b"old") for number in range(2000)]


@pytest.mark.parametrize(("offset", "length"), [(0, 7), (6, 1), (7, 0), (-1, 1), (0, -1), (2**60, 1)])
def test_bytes_that_are_not_committed_cannot_be_read(store, offset, length):
    store.commit(batch_of(appends=[("s", b"abcdef")]))
    with pytest.raises(InvalidInput) as caught:
        store.read("s", offset, length)
    assert caught.value.code == "store-range"


def test_unknown_stream_is_empty(store):
    with pytest.raises(InvalidInput):
        store.read("s", 0, 1)
    assert store.length("s") == 0


def test_reads_span_segments(store):
    data = bytes(range(256)) * 4
    for at in range(0, len(data), 40):
        store.commit(batch_of(appends=[("s", data[at : at + 40])]))
    for offset in range(0, len(data), 37):
        for length in (0, 1, 40, 64, 65, 130, 700):
            want = data[offset : offset + length]
            assert store.read("s", offset, len(want)) == want


@pytest.mark.parametrize(
    "name", ["", "/", "a/", "/a", "..", "a/../b", "a/.", "A", "a b", "a//b", "ü", "x" * 101]
)
def test_unusable_stream_names(store, name):
    with pytest.raises(InvalidInput) as caught:
        store.commit(batch_of(puts=[(b"a", b"1")], appends=[(name, b"data")]))
    assert caught.value.code == "store-stream"
    assert store.get(b"a") is None
    store.commit(batch_of(puts=[(b"a", b"2")]))
    assert store.get(b"a") == b"2"


def test_oversized_append_is_refused_whole(store, monkeypatch):
    monkeypatch.setattr("node.storage.segments.MAX_APPEND_BYTES", 10)
    with pytest.raises(InvalidInput) as caught:
        store.commit(batch_of(puts=[(b"a", b"1")], appends=[("s", b"12345"), ("s", b"678901")]))
    assert caught.value.code == "store-batch-size"
    assert store.get(b"a") is None
    assert store.length("s") == 0
    store.commit(batch_of(appends=[("s", b"1234567890")]))


@pytest.mark.parametrize("key", [b"", b"\x00", b"\x00state"])
def test_keys_of_the_store_are_out_of_reach(store, key):
    batch = Batch()
    for call in (
        lambda: batch.put(key, b""),
        lambda: batch.delete(key),
        lambda: batch.put_secret(key, b""),
        lambda: batch.delete_secret(key),
        lambda: batch.change_all({b"a": b"", key: None}),
        lambda: batch.change_all_secrets({key: b"", b"a": b""}),
        lambda: store.get(key),
        lambda: store.get_all([b"a", key]),
        lambda: store.get_secret(key),
    ):
        with pytest.raises(InvalidInput) as caught:
            call()
        assert caught.value.code == "store-key"


def test_many_changes_at_once_are_the_same_as_one_by_one(store):
    store.commit(batch_of(puts=[(b"gone", b"1")], secrets=[(b"gone", b"1")]))
    batch = batch_of(puts=[(b"a", b"0")])
    batch.change_all({b"a": b"1", b"gone": None})
    batch.change_all_secrets({b"gone": None, b"s": b"2"})
    batch.change_all({})
    store.commit(batch)
    assert list(store.scan(b"", None)) == [(b"a", b"1")]
    assert [store.get_secret(key) for key in (b"gone", b"s")] == [None, b"2"]


def test_snapshot_is_one_state(store):
    store.commit(batch_of(puts=[(b"a", b"1")], secrets=[(b"a", b"1"), (b"b", b"1")], appends=[("s", b"one")]))
    with store.snapshot() as snapshot:
        store.commit(
            batch_of(puts=[(b"a", b"2"), (b"b", b"2")], erased=[b"a"], appends=[("s", b"two"), ("t", b"t")])
        )
        store.commit(batch_of(secrets=[(b"b", b"3")]))
        store.purge([(b"\x01", b"\xff\xff\xff")], [b"a"])
        assert snapshot.get(b"a") == b"1"
        assert snapshot.get(b"b") is None
        assert [snapshot.get_secret(key) for key in (b"a", b"b")] == [b"1", b"1"]
        assert list(snapshot.scan(b"", None)) == [(b"a", b"1")]
        assert snapshot.length("s") == 3
        assert snapshot.length("t") == 0
        assert snapshot.read("s", 0, 3) == b"one"
        with pytest.raises(InvalidInput):
            snapshot.read("s", 3, 1)
    assert store.get_secret(b"a") is None
    assert store.read("s", 0, 6) == b"onetwo"


def test_closed_snapshot_answers_nothing(store):
    snapshot = store.snapshot()
    snapshot.close()
    snapshot.close()
    assert_closed(snapshot)
    assert store.get(b"a") is None


def test_closed_store_answers_nothing(store):
    store.commit(batch_of(puts=[(b"a", b"1")]))
    snapshot = store.snapshot()
    store.close()
    store.close()
    assert_closed(store)
    assert_closed(snapshot)
    for call in (store.snapshot, store.purge, lambda: store.commit(batch_of(puts=[(b"a", b"1")]))):
        with pytest.raises(Unavailable) as caught:
            call()
        assert caught.value.code == "store-closed"


def assert_closed(reads):
    for call in (
        lambda: reads.get(b"a"),
        lambda: reads.get_secret(b"a"),
        lambda: reads.scan(b"", None),
        lambda: reads.read("s", 0, 0),
        lambda: reads.length("s"),
    ):
        with pytest.raises(Unavailable) as caught:
            call()
        assert caught.value.code == "store-closed"


def test_readers_never_see_half_a_commit(store):
    """What an index entry points to is there as soon as the entry is, whoever reads how fast."""
    stop = threading.Event()
    wrong: list[str] = []

    def read_on():
        seen = 0
        while not stop.is_set():
            stored = store.get(b"count")
            count = int(stored) if stored else 0
            if count < seen:
                wrong.append(f"went back from {seen} to {count}")
            seen = count
            if count and store.get_secret(b"s%d" % count) is None:
                wrong.append(f"no secret {count}")
            if store.length("s") < 8 * count or (
                count and store.read("s", 8 * count - 8, 8) != b"%08d" % count
            ):
                wrong.append(f"no bytes {count}")
            with store.snapshot() as snapshot:
                again = int(snapshot.get(b"count") or 0)
                if snapshot.length("s") != 8 * again or len(list(snapshot.scan(b"i", b"j"))) != again:
                    wrong.append(f"snapshot {again}")

    readers = [threading.Thread(target=read_on) for _ in range(2)]
    for reader in readers:
        reader.start()
    for count in range(1, 101):
        store.commit(
            batch_of(
                puts=[(b"count", b"%d" % count), (b"i%d" % count, b"")],
                secrets=[(b"s%d" % count, b"w")],
                appends=[("s", b"%08d" % count)],
            )
        )
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_commits_of_several_threads_all_count(store):
    def commit_some(name):
        for number in range(10):
            store.commit(batch_of(puts=[(b"%s%d" % (name, number), b"")], appends=[("s", b"x")]))

    writers = [threading.Thread(target=commit_some, args=(name,)) for name in (b"a", b"b", b"c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(list(store.scan(b"", None))) == 30
    assert store.length("s") == 30


KEYS = st.sampled_from([b"a", b"aa", b"b", b"b\x00", b"c", b"\xff", b"\xff\xff"])
BOUNDS = st.one_of(KEYS, st.sampled_from([b"", b"\x00", b"ab", b"zz"]))
VALUES = st.binary(max_size=40)
CHANGES = st.lists(st.tuples(KEYS, st.one_of(st.none(), VALUES)), max_size=6)
STREAMS = st.sampled_from(["s", "records.0/entries", "records.0/values"])
APPENDS = st.lists(st.tuples(STREAMS, st.binary(max_size=90)), max_size=4)
ALL_KEYS = {b"a", b"aa", b"b", b"b\x00", b"c", b"\xff", b"\xff\xff"}
ALL_STREAMS = {"s", "records.0/entries", "records.0/values"}


class AgainstNaiveStore(RuleBasedStateMachine):
    """Any sequence of commits, snapshots, purges and restarts gives what whole copies would give."""

    snapshots = Bundle("snapshots")
    survives = False

    def __init__(self):
        super().__init__()
        self.naive = NaiveStore()
        self.open_snapshots = []
        self.store = self.open()

    def open(self):
        return MemoryStore()

    @rule(changes=CHANGES, secrets=CHANGES, appends=APPENDS)
    def commit(self, changes, secrets, appends):
        batch = Batch()
        for key, value in changes:
            batch.delete(key) if value is None else batch.put(key, value)
        for key, value in secrets:
            batch.delete_secret(key) if value is None else batch.put_secret(key, value)
        for stream, data in appends:
            batch.append(stream, data)
        self.store.commit(batch)
        self.naive.commit(batch)

    @rule(target=snapshots)
    def take_snapshot(self):
        taken = (self.store.snapshot(), self.naive.copy())
        self.open_snapshots.append(taken)
        return taken

    @rule(taken=snapshots)
    def look_at_snapshot(self, taken):
        snapshot, naive = taken
        if taken in self.open_snapshots:
            assert differences(snapshot, naive, ALL_KEYS, ALL_STREAMS) == []
        else:
            assert_closed(snapshot)

    @rule(taken=snapshots)
    def close_snapshot(self, taken):
        taken[0].close()
        if taken in self.open_snapshots:
            self.open_snapshots.remove(taken)

    @rule(
        start=BOUNDS,
        stop=st.one_of(st.none(), BOUNDS),
        reverse=st.booleans(),
        limit=st.sampled_from([None, 0, 1, 3]),
    )
    def scan(self, start, stop, reverse, limit):
        got = list(self.store.scan(start, stop, reverse=reverse, limit=limit))
        assert got == self.naive.scan(start, stop, reverse=reverse, limit=limit)

    @rule(stream=STREAMS, data=st.data())
    def read(self, stream, data):
        whole = self.naive.streams.get(stream, b"")
        offset = data.draw(st.integers(0, len(whole)))
        length = data.draw(st.integers(0, len(whole) - offset))
        assert self.store.read(stream, offset, length) == whole[offset : offset + length]

    @rule()
    def purge(self):
        self.store.purge([(b"\x01", b"\xff\xff\xff")], sorted(ALL_KEYS - self.naive.secrets.keys()))

    @precondition(lambda self: self.survives)
    @rule()
    def restart(self):
        self.store.close()
        self.open_snapshots.clear()
        self.store = self.open()

    @invariant()
    def is_what_it_should_be(self):
        assert differences(self.store, self.naive, ALL_KEYS, ALL_STREAMS) == []

    def teardown(self):
        self.store.close()


class DiskAgainstNaiveStore(AgainstNaiveStore):
    survives = True

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory()
        super().__init__()

    def open(self):
        path = Path(self.directory.name) / "store"
        return open_store(path, IDENTITY, create=True, segment_bytes=64)

    def teardown(self):
        super().teardown()
        self.directory.cleanup()


TestMemoryAgainstNaiveStore = AgainstNaiveStore.TestCase
TestDiskAgainstNaiveStore = DiskAgainstNaiveStore.TestCase
TestMemoryAgainstNaiveStore.settings = settings(max_examples=40, stateful_step_count=25)
TestDiskAgainstNaiveStore.settings = settings(max_examples=15, stateful_step_count=25)

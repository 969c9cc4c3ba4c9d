# SPDX-License-Identifier: Apache-2.0
"""Which stores are opened, which are refused and with what word, and that a refused one is left alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgpack
import pytest

from node.errors import Conflict, Fatal, InvalidInput, NodeError, NotFound, Unavailable
from node.ports import Batch
from node.storage.leveldb import open_leveldb
from node.storage.opening import MAIN_TUNING, SECRETS_TUNING, open_store
from node.storage.state import FORMAT, STATE_KEY, STORE_KEY
from tests.support.faults import Faults, FaultyFiles
from tests.support.naive_store import ENTRIES, numbered_batch, numbered_differences

IDENTITY = b"demo.example/91110000000000000X"
BATCHES = 9


def opened(path, *, identity=IDENTITY, create=False, **more):
    return open_store(path, identity, create=create, segment_bytes=400, **more)


@pytest.fixture
def path(tmp_path):
    """A store with nine batches in several segments, as a killed process leaves it: its last batch is its last write."""
    made = opened(tmp_path / "made", create=True)
    for number in range(BATCHES):
        made.commit(numbered_batch(number))
    shutil.copytree(tmp_path / "made", tmp_path / "store")
    made.close()
    return tmp_path / "store"


def segments(path, stream=ENTRIES) -> list[Path]:
    return sorted((path / "streams" / stream).glob("*.seg"))


def digests(path) -> dict[str, str]:
    """Digest everything that LevelDB does not rewrite when it is opened."""
    return {
        str(file.relative_to(path)): sha256(file.read_bytes()).hexdigest()
        for file in sorted((path / "streams").rglob("*"))
        if file.is_file()
    }


def assert_refused(path, error, code, **more) -> NodeError:
    """The store is refused with this code, twice, and its segments are as before."""
    before = digests(path)
    for _ in range(2):
        with pytest.raises(error) as caught:
            opened(path, **more)
        assert caught.value.code == code
    assert digests(path) == before
    return caught.value


def edit(path, database, changes) -> None:
    tuning = MAIN_TUNING if database == "main" else SECRETS_TUNING
    edited = open_leveldb(str(path / database), tuning, create=False)
    edited.write(changes)
    edited.close()


def test_reopened_store_is_whole(path):
    store = opened(path)
    assert numbered_differences(store, BATCHES) == []
    assert len(segments(path)) > 2
    store.close()


def test_modes(path):
    assert [
        (path / part).stat().st_mode & 0o777
        for part in ("", "main", "secrets", "streams", f"streams/{ENTRIES}")
    ] == [0o700] * 5
    assert {file.stat().st_mode & 0o777 for file in segments(path)} == {0o600}


def test_missing_store_is_not_made_by_chance(tmp_path):
    with pytest.raises(NotFound) as caught:
        opened(tmp_path / "store")
    assert caught.value.code == "store-missing"
    assert list(tmp_path.iterdir()) == []


def test_missing_parent(tmp_path):
    with pytest.raises(Unavailable) as caught:
        opened(tmp_path / "volume" / "store", create=True)
    assert caught.value.code == "store-open-failed"


def test_create_opens_an_existing_store(path):
    store = opened(path, create=True)
    assert numbered_differences(store, BATCHES) == []
    store.close()


@pytest.mark.parametrize("identity", [b"", b"x" * 201])
def test_unusable_identity(tmp_path, identity):
    with pytest.raises(InvalidInput) as caught:
        opened(tmp_path / "store", identity=identity, create=True)
    assert caught.value.code == "store-identity"


def test_second_opening_in_the_same_process_is_refused(path):
    store = opened(path)
    assert_refused(path, Unavailable, "store-locked")
    assert numbered_differences(store, BATCHES) == []
    store.close()
    opened(path).close()


def test_second_opening_in_another_process_is_refused(path):
    store = opened(path)
    script = (
        "import sys; from node.errors import NodeError; from node.storage.opening import open_store\n"
        "try: open_store(sys.argv[1], sys.argv[2].encode())\n"
        "except NodeError as error: print(type(error).__name__, error.code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(path), IDENTITY.decode()],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert ran.stdout == "Unavailable store-locked\n"
    store.close()


def test_lock_is_released_when_opening_fails(path):
    assert_refused(path, Conflict, "store-other-node", identity=b"other")
    opened(path).close()


def test_store_of_another_node(path):
    error = assert_refused(path, Conflict, "store-other-node", identity=b"demo.example/other")
    assert "demo.example/other" in error.message


def test_secrets_of_another_node(path, tmp_path):
    opened(tmp_path / "other", identity=b"other", create=True).close()
    shutil.rmtree(path / "secrets")
    shutil.copytree(tmp_path / "other" / "secrets", path / "secrets")
    assert_refused(path, Conflict, "store-other-node")


@pytest.mark.parametrize("database", ["main", "secrets"])
def test_newer_format(path, database):
    edit(path, database, [(STORE_KEY, msgpack.packb([FORMAT + 1, "whatever", "comes", 2]))])
    error = assert_refused(path, Conflict, "store-format-newer")
    assert f"got format {FORMAT + 1}" in error.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (STORE_KEY, b""),
        (STORE_KEY, b"\xc1"),
        (STORE_KEY, msgpack.packb([1])),
        (STORE_KEY, msgpack.packb([0, IDENTITY])),
        (STORE_KEY, msgpack.packb([True, IDENTITY])),
        (STORE_KEY, msgpack.packb([1, "text"])),
        (STATE_KEY, b""),
        (STATE_KEY, None),
        (STATE_KEY, msgpack.packb([1, 2, {}])),
        (STATE_KEY, msgpack.packb([2, 1, {"s": -1}])),
        (STATE_KEY, msgpack.packb([2, 1, {"s": "1"}])),
        (STATE_KEY, msgpack.packb([2, 1, {}]) + b"\x00"),
    ],
)
def test_unreadable_own_keys(path, key, value):
    edit(path, "main", [(key, value)])
    assert_refused(path, Fatal, "store-corrupt")


def test_tail_is_cut(path):
    last = segments(path)[-1]
    size = last.stat().st_size
    last.write_bytes(last.read_bytes() + b"tail")
    end = int(last.stem) + size
    surplus = last.with_name(f"{end + 4:020d}.seg")
    surplus.write_bytes(b"more")
    (path / "streams" / "new").mkdir()
    unknown = path / "streams" / "new" / f"{0:020d}.seg"
    unknown.write_bytes(b"never committed")
    store = opened(path)
    assert last.stat().st_size == size
    assert not surplus.exists()
    assert not unknown.exists()
    assert numbered_differences(store, BATCHES) == []
    store.commit(numbered_batch(BATCHES))
    assert numbered_differences(store, BATCHES + 1) == []
    store.close()


def test_other_files_are_left_alone(path):
    note = path / "streams" / ENTRIES / "README"
    note.write_bytes(b"do not touch")
    opened(path).close()
    assert note.read_bytes() == b"do not touch"


def test_tail_longer_than_a_commit_is_not_cut(path, monkeypatch):
    monkeypatch.setattr("node.storage.segments.MAX_APPEND_BYTES", 1000)
    last = segments(path)[-1]
    last.write_bytes(last.read_bytes() + b"x" * 1001)
    assert_refused(path, Fatal, "store-main-behind")


def test_shortened_last_segment(path):
    opened(path).close()
    last = segments(path)[-1]
    size = last.stat().st_size
    last.write_bytes(last.read_bytes()[:-1])
    error = assert_refused(path, Fatal, "store-truncated")
    assert str(last) in error.message
    assert f"offset {int(last.stem) + size - 1}," in error.message


def test_shortened_sealed_segment(path):
    first, second = segments(path)[:2]
    first.write_bytes(first.read_bytes()[:-3])
    error = assert_refused(path, Fatal, "store-truncated")
    assert str(first) in error.message
    assert f"offset {int(second.stem) - 3}," in error.message


@pytest.mark.parametrize("which", [0, 1, -1])
def test_missing_segment(path, which):
    segments(path)[which].unlink()
    assert_refused(path, Fatal, "store-truncated")


def test_missing_stream(path):
    shutil.rmtree(path / "streams" / ENTRIES)
    error = assert_refused(path, Fatal, "store-truncated")
    assert f"{0:020d}.seg" in error.message


def test_sealed_segment_that_is_too_long(path):
    first = segments(path)[0]
    first.write_bytes(first.read_bytes() + b"x")
    assert_refused(path, Fatal, "store-segments")


def test_lost_main_database_is_not_made_anew(path):
    shutil.rmtree(path / "main")
    assert_refused(path, Fatal, "store-main-missing", create=True)
    (path / "main").mkdir()
    assert_refused(path, Fatal, "store-main-missing", create=True)


def test_lost_secrets_are_not_made_anew(path):
    shutil.rmtree(path / "secrets")
    assert_refused(path, Fatal, "store-secrets-missing", create=True)
    assert not (path / "secrets").exists()


@pytest.mark.parametrize("database", ["main", "secrets"])
def test_lost_current_file(path, database):
    before = sorted(file.name for file in (path / database).iterdir())
    (path / database / "CURRENT").unlink()
    assert_refused(path, Fatal, "store-corrupt", create=True)
    assert {"CURRENT", *(file.name for file in (path / database).iterdir())} >= set(before) - {"LOG"}


def test_empty_databases_in_place_of_the_real_ones(path, tmp_path):
    for database, tuning, code in (
        ("secrets", SECRETS_TUNING, "store-secrets-missing"),
        ("main", MAIN_TUNING, "store-main-missing"),
    ):
        shutil.rmtree(path / database)
        open_leveldb(str(path / database), tuning, create=True).close()
        assert_refused(path, Fatal, code, create=True)


def copies_at(tmp_path, *numbers):
    """Copy a closed store after each of these numbers of batches."""
    store = opened(tmp_path / "growing", create=True)
    for number in range(max(numbers) + 1):
        if number in numbers:
            store.close()
            shutil.copytree(tmp_path / "growing", tmp_path / f"at{number}")
            store = opened(tmp_path / "growing")
        store.commit(numbered_batch(number))
    store.close()
    return [tmp_path / f"at{number}" for number in numbers]


def test_main_restored_from_an_older_copy(tmp_path):
    old, new = copies_at(tmp_path, 3, 8)
    shutil.rmtree(new / "main")
    shutil.copytree(old / "main", new / "main")
    assert_refused(new, Fatal, "store-main-behind")


def test_secrets_restored_from_an_older_copy(tmp_path):
    old, new = copies_at(tmp_path, 3, 8)
    shutil.rmtree(new / "secrets")
    shutil.copytree(old / "secrets", new / "secrets")
    assert_refused(new, Fatal, "store-secrets-behind")


def test_whole_older_copy_is_a_store(tmp_path):
    """That it is older than what was promised is for the head file and the chain to say."""
    (old,) = copies_at(tmp_path, 3)
    store = opened(old)
    assert numbered_differences(store, 3) == []
    store.close()


def wal(path) -> Path:
    (log,) = (path / "main").glob("*.log")
    return log


def test_torn_end_of_the_write_ahead_log_is_one_commit_less(path):
    log = wal(path)
    log.write_bytes(log.read_bytes()[:-1])
    store = opened(path)
    assert numbered_differences(store, BATCHES - 1) == []
    store.close()


def test_damaged_middle_of_the_write_ahead_log_is_an_error(path):
    """Without paranoid checks LevelDB would drop the damaged commit and all that follow, and open."""
    log = wal(path)
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    assert_refused(path, Fatal, "store-corrupt")


def test_flipped_bit_in_a_table_is_never_data(path):
    store = opened(path)
    batch = Batch()
    keys = [b"x%05d" % number for number in range(5000)]
    for key in keys:
        batch.put(key, b"v" * 40)
    store.commit(batch)
    store.close()
    opened(path).close()
    table = max((path / "main").glob("*.ldb"), key=lambda file: file.stat().st_size)
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    store = opened(path)

    def damaged(call) -> bool:
        try:
            call()
        except Fatal as error:
            return error.code == "store-corrupt" and f"{path}/main is damaged" in error.message
        return False

    assert 0 < sum(damaged(lambda key=key: store.get(key)) for key in keys) < 1000
    for reverse in (False, True):
        scan = store.scan(b"x", None, reverse=reverse)
        assert damaged(lambda scan=scan: list(scan))
    assert store.get(keys[0]) == store.get(keys[-1]) == b"v" * 40
    store.close()


def test_committed_bytes_lost_under_a_running_store(path):
    store = opened(path)
    first = segments(path)[0]
    size = first.stat().st_size
    first.write_bytes(first.read_bytes()[:10])
    assert len(store.read(ENTRIES, 0, 10)) == 10
    with pytest.raises(Fatal) as caught:
        store.read(ENTRIES, 0, size)
    assert caught.value.code == "store-truncated"
    store.close()


def test_read_error_is_passed_on_and_the_store_goes_on(path):
    class UnreadableFiles(FaultyFiles):
        broken = False

        def read(self, descriptor, length, offset):
            if self.broken:
                raise OSError(5, "Input/output error")
            return super().read(descriptor, length, offset)

    files = UnreadableFiles(Faults())
    store = opened(path, files=files)
    files.broken = True
    with pytest.raises(Unavailable) as caught:
        store.read(ENTRIES, 0, 1)
    assert caught.value.code == "store-read-failed"
    files.broken = False
    store.commit(numbered_batch(BATCHES))
    assert numbered_differences(store, BATCHES + 1) == []
    store.close()


def test_many_segments_with_few_open_files(tmp_path, monkeypatch):
    monkeypatch.setattr("node.storage.segments.OPEN_SEGMENTS", 2)
    store = open_store(tmp_path / "store", IDENTITY, create=True, segment_bytes=1)
    for number in range(20):
        batch = Batch()
        batch.append("s", b"%02d" % number)
        store.commit(batch)
    whole = b"".join(b"%02d" % number for number in range(20))
    for offset in range(40):
        assert store.read("s", offset, 40 - offset) == whole[offset:]
    descriptors = [link.resolve() for link in Path("/proc/self/fd").iterdir() if link.exists()]
    assert len([target for target in descriptors if (tmp_path / "store" / "streams") in target.parents]) <= 3
    store.close()


def test_purged_secret_is_in_no_file(tmp_path):
    secret = b"wrapped secret that has to go away"
    store = opened(tmp_path / "store", create=True)
    for change in (Batch.put_secret, Batch.delete_secret):
        batch = Batch()
        change(batch, b"key", *([secret] if change is Batch.put_secret else []))
        store.commit(batch)
    assert store.get_secret(b"key") is None
    assert any(secret in file.read_bytes() for file in (tmp_path / "store" / "secrets").iterdir())
    assert store.purge([], [b"key"])
    assert not any(secret in file.read_bytes() for file in (tmp_path / "store").rglob("*") if file.is_file())
    store.close()
    store = opened(tmp_path / "store")
    assert store.get_secret(b"key") is None
    store.close()


def test_replaced_values_and_deleted_keys_are_in_no_file(tmp_path):
    """Keys go too: an index key may say whom a record was about. The bounds of the range are coarser than the key."""
    path = tmp_path / "store"
    value, key = b"value that has to go away", b"s\x07\x07-digest-of-somebody"
    store = opened(path, create=True)
    for change in ([(b"o1", value), (key, b"")], [(b"o1", b"short"), (key, None)]):
        batch = Batch()
        for name, content in change:
            batch.delete(name) if content is None else batch.put(name, content)
        store.commit(batch)
    marks = [value, key[3:]]
    assert all(any(mark in file.read_bytes() for file in files_of(path)) for mark in marks)
    assert store.purge([(b"o", b"o1\x00"), (key[:3], key[:3] + b"\xff" * 30)])
    assert [mark for mark in marks for file in files_of(path) if mark in file.read_bytes()] == []
    assert store.get(b"o1") == b"short"
    assert store.get(key) is None
    store.close()


def files_of(path):
    return [file for file in path.rglob("*") if file.is_file()]


def test_a_purge_says_when_somebody_still_reads_the_old_state(tmp_path):
    store = opened(tmp_path / "store", create=True)
    batch = Batch()
    batch.put_secret(b"key", b"wrapped")
    for number in range(100):
        batch.put(b"%03d" % number, b"1")
    store.commit(batch)
    scan = store.scan(b"", None)
    next(scan)
    snapshot = store.snapshot()
    batch = Batch()
    batch.delete_secret(b"key")
    store.commit(batch)
    assert not store.purge([], [b"key"])
    snapshot.close()
    assert not store.purge([], [b"key"])
    del scan
    assert store.purge([], [b"key"])
    assert [file for file in files_of(tmp_path) if b"wrapped" in file.read_bytes()] == []
    store.close()


def test_a_read_that_ends_between_two_rounds_of_a_purge_leaves_it_open(tmp_path):
    """Of the last two rounds each needs to be without readers: one marks what the other merges."""
    rounds, reading = [], []

    def merged():
        rounds.append(1)
        if len(rounds) == 2:
            reading.pop().close()

    def open_watched(path, tuning, *, create):
        return WatchedDatabase(open_leveldb(path, tuning, create=create), merged)

    store = open_store(tmp_path / "store", IDENTITY, create=True, open_database=open_watched)
    batch = Batch()
    batch.put_secret(b"key", b"wrapped")
    store.commit(batch)
    reading.append(store.snapshot())
    batch = Batch()
    batch.delete_secret(b"key")
    store.commit(batch)
    assert not store.purge([(b"o", b"p")], [b"key"])
    assert (len(rounds), reading) == (3, [])
    assert store.purge([(b"o", b"p")], [b"key"])
    store.close()


class WatchedDatabase:
    """A database that tells when a range of main is merged."""

    def __init__(self, database, merged):
        self._database = database
        self._merged = merged

    def __getattr__(self, name):
        return getattr(self._database, name)

    def compact(self, first, last):
        self._database.compact(first, last)
        if first == b"o":
            self._merged()


def test_purge_reaches_every_level_of_tables(tmp_path):
    """A database small-buffered enough to have tables on several levels, with erased secrets in all of them."""

    def open_small(path, tuning, *, create):
        return open_leveldb(
            path, replace(tuning, write_buffer_bytes=64 * 1024, table_bytes=1024 * 1024), create=create
        )

    store = open_store(tmp_path / "store", IDENTITY, create=True, open_database=open_small)
    for round_number in range(30):
        batch = Batch()
        for number in range(300):
            kind = b"erase" if number % 7 == 0 else b"keep!"
            batch.put_secret(b"%05d" % (number * 30 + round_number), kind * 30)
        store.commit(batch)
    erased = [number * 30 + round_number for number in range(0, 300, 7) for round_number in range(30)]
    for at in range(0, len(erased), 100):
        batch = Batch()
        for number in erased[at : at + 100]:
            batch.delete_secret(b"%05d" % number)
        store.commit(batch)
    files = tmp_path / "store" / "secrets"
    assert any(b"erase" in file.read_bytes() for file in files.iterdir())
    assert store.purge([], [b"%05d" % number for number in erased])
    assert not any(b"erase" in file.read_bytes() for file in files.iterdir())
    for number in range(9000):
        want = None if number in erased else b"keep!" * 30
        assert store.get_secret(b"%05d" % number) == want
    store.close()

# SPDX-License-Identifier: Apache-2.0
"""The check of a whole store: clean stores have no findings, and whatever is damaged is found and named."""

from dataclasses import replace

import pytest

from node.errors import NodeError, Unavailable
from node.log.head import Head
from node.log.merkle import leaf_hash
from node.service import layout
from node.service.assembly import open_logs, open_readers
from node.service.fsck.checker import Checker
from node.service.layout import LogKind
from node.service.reading import parse_stored_anchor
from tests.support.errors import raises_code
from tests.support.node_world import DOMAIN, ENTRIES, WHY, FaultyHeads, NodeWorld, penalty
from tests.support.rows import ISSUER

RECORDS, ACCESS = LogKind.RECORDS, LogKind.ACCESS


class Sample:
    """A store with some of everything, its head files, and a check of copies of it."""

    def __init__(self, world):
        self.store, self.heads = world.store, dict(world.heads._heads)

    def copy(self):
        return self.store.copy()

    def check(self, store, heads=None):
        files = FaultyHeads()
        files._heads = dict(self.heads if heads is None else heads)
        return Checker(store, open_logs(store, DOMAIN, ISSUER), files).run()

    def damaged(self, key, value):
        """What is found when other bytes lie under a key (None: nothing)."""
        store = self.copy()
        store.damage(key, value)
        return self.check(store)


@pytest.fixture(scope="module")
def sample():
    with NodeWorld() as world:
        world.join()
        world.import_penalties(range(4))
        world.anchor()
        world.import_rows(
            [penalty(1, CF_NR="罚款1万元", CF_NR_FK="1"), penalty(9, CF_SY="")], corrections=True
        )
        world.services.records.withdraw(world.leaf(2), officer="wang", ground="撤销处罚")
        for _ in range(3):
            world.services.records.show(world.leaf(), WHY)
        world.services.documents.add(b"{}")
        world.anchor()
        world.anchor()
        assert world.check() == []
        yield Sample(world)


def keys(sample, prefix):
    return [(key, value) for key, value in sample.store.scan(prefix, layout.stop_of(prefix))]


# ---- nothing wrong


def test_an_empty_store_has_no_findings():
    with NodeWorld() as world:
        assert world.check() == []


def test_a_store_of_several_tiles_has_no_findings():
    with NodeWorld() as world:
        world.join()
        world.import_penalties(range(400))
        world.anchor()
        world.import_penalties(range(400, 700))
        world.services.anchorer._publisher.publish()
        world.import_penalties(range(700, 710))
        assert world.check() == []


@pytest.fixture(scope="module")
def full_tile():
    with NodeWorld() as world:
        world.join()
        world.import_penalties(range(260))
        world.anchor()
        yield Sample(world)


INNER = layout.inner_key(RECORDS, 0, 0)


def test_inner_nodes_that_their_tile_does_not_give(full_tile):
    stored = full_tile.store.get(INNER)
    for place in (0, 255, 511):
        damaged = bytearray(stored)
        damaged[place] ^= 0x20
        found = full_tile.damaged(INNER, bytes(damaged))
        assert ("log-tile-corrupt", "records tree") in {(f.code, f.place) for f in found}


@pytest.mark.parametrize("key", [INNER, layout.inner_key(RECORDS, 0, 1), layout.inner_key(RECORDS, 1, 0)])
def test_inner_nodes_of_another_length_or_beside_a_tile_that_is_not_full(full_tile, key):
    found = full_tile.damaged(key, full_tile.store.get(INNER)[:-32] if key == INNER else bytes(512))
    level, index = key[2], layout.parse_u64(key[3:])
    assert ("fsck-tile", f"records inner nodes of tile {level}/{index}") in {(f.code, f.place) for f in found}


def test_a_store_of_a_release_without_inner_nodes_has_no_findings(full_tile):
    assert full_tile.damaged(INNER, None) == []


def test_what_was_looked_at_is_counted(sample):
    store = sample.copy()
    seen = []
    files = FaultyHeads()
    files._heads = sample.heads
    checker = Checker(store, open_logs(store, DOMAIN, ISSUER), files, lambda *at: seen.append(at))
    assert checker.run() == []
    counts = checker.counts
    assert (counts.entries, counts.records, counts.checkpoints, counts.anchors) == (8 + 48, 5, 6, 6)


def test_a_running_node_can_be_checked_under_a_snapshot(sample):
    with sample.copy().snapshot() as snapshot:
        assert sample.check(snapshot) == []


# ---- every key of the store, damaged in every way

# What nothing in the store contradicts, by the first byte of its key. A check has no keys and asks no chain; what was
# changed in these shows when a record is opened, when the chain is asked, or to people.
OLDEST_LOOK = 17
"""Entry of the first event in the access log of the sample."""
SILENT = {
    b"a": "the newest anchor gone; what only the chain knows: where the first began, where the newest lies, and gas",
    b"i": "keyed digest of the content",
    b"J": "rules of refused rows, or all of them",
    b"j": "texts and times of a report, or a report without refusals",
    b"K": "what tells the keys from others, which only a node that has them compares",
    b"R": "the oldest note of a receipt, as if an older program had logged its event",
    b"O": "that this store had a log opened, which its anchors say as well",
    b"o": "officer and ground of a change",
    b"U": "when a log was opened, which its first anchor says as well",
    b"v": "a catalogue item that no record is of",
    b"W": "a shared document that is gone, which is got again from other nodes",
}


def mutations(value):
    """Nothing, cut off, longer, and each byte changed (every so many of long values)."""
    yield "gone", None
    yield "empty", b""
    if value:
        yield "cut", value[:-1]
    yield "longer", value + b"\x01"
    for at in range(0, len(value), max(1, len(value) // 6)):
        yield f"byte {at}", value[:at] + bytes((value[at] ^ 0x41,)) + value[at + 1 :]


def silent(key, name, value, changed):
    """Say whether this change is one of those above."""
    one_byte = name.startswith("byte")
    if key[:1] not in SILENT:
        return False
    if key[:1] == b"a":
        return is_silent_anchor(layout.parse_u64(key[2:]), value, changed)
    return {
        b"i": one_byte and int(name[5:]) >= 8,
        b"J": one_byte or name == "gone",
        b"j": one_byte or name == "gone",
        b"K": True,
        b"R": name == "gone" and key == layout.receipt_key(OLDEST_LOOK),
        b"O": name == "gone",
        b"o": one_byte,
        b"U": name == "gone",
        b"v": value == b"permit:2018",
        b"W": name == "gone",
    }[key[:1]]


def is_silent_anchor(i, value, changed):
    if changed is None:
        return i == 3
    try:
        before, after = parse_stored_anchor(value).anchor, parse_stored_anchor(changed).anchor
        known = replace(after, block=before.block, time=before.time) if i == 3 else after
        if i == 1:
            known = replace(known, prev_block=before.prev_block, prev_time=before.prev_time)
    except (ValueError, TypeError, NodeError):
        return False
    return known == before


def test_whatever_is_changed_under_a_key_is_found(sample):
    missed = []
    tried = 0
    for key, value in sample.store.scan(b"", None):
        for name, changed in mutations(value):
            if changed == value or silent(key, name, value, changed):
                continue
            tried += 1
            if not sample.damaged(key, changed):
                missed.append((key[:2], key.hex(), name, len(value)))
    assert missed == []
    assert tried > 500


def test_a_key_that_no_part_of_a_node_writes_is_found(sample):
    for key in (b"\x01", b"B", b"b/x", b"x", b"zz", b"\xfe"):
        found = sample.damaged(key, b"?")
        assert found, key


# ---- streams and secrets


def test_every_byte_of_the_entries_is_checked(sample):
    for stream in ENTRIES.values():
        length = sample.store.length(stream)
        for offset in range(0, length, 211):
            store = sample.copy()
            store.damage_stream(stream, offset)
            assert sample.check(store), (stream, offset)


@pytest.mark.parametrize(
    "stream", ["records.0/entries", "access.0/entries", "records.0/values", "access.0/values"]
)
def test_a_stream_that_is_cut_or_longer_is_found(sample, stream):
    length = sample.store.length(stream)
    store = sample.copy()
    store.cut_stream(stream, length - 1)
    assert any(f.code in {"fsck-stream", "store-range"} for f in sample.check(store))
    store = sample.copy()
    store._contents.streams[stream] += b"x"
    store._contents.lengths[stream] += 1
    assert "fsck-stream" in {f.code for f in sample.check(store)}


def test_places_of_digests_before_the_sealed_values_are_checked(sample):
    reader = open_readers(sample.store, DOMAIN, ISSUER)[RECORDS]
    row = reader.row(0)
    count = reader.values(row)[0]
    for at in range(1 + count):
        store = sample.copy()
        position = store._contents.streams["records.0/values"][row.values_offset + at]
        # Each place becomes that of another digest, or none that there is.
        store._contents.streams["records.0/values"][row.values_offset + at] = 200 if position == 255 else 250
        assert {(f.code, f.place) for f in sample.check(store)} == {("fsck-values", "records entry 0")}, at


def test_every_missing_secret_is_named(sample):
    for key in list(sample.store._contents.secrets):
        store = sample.copy()
        store.damage_secret(key, None)
        found = sample.check(store)
        log = "records" if key[:1] == b"r" else "access"
        assert [(f.code, f.place) for f in found] == [
            ("secret-unknown", f"{log} entry {layout.parse_u64(key[1:])}")
        ]


# ---- head files


def test_head_files_that_the_store_does_not_continue(sample):
    for origin, head in sample.heads.items():
        others = {
            "log-head-missing": {o: h for o, h in sample.heads.items() if o != origin},
            "log-behind": sample.heads | {origin: Head(origin, head.size + 100, head.root)},
            "log-fork": sample.heads | {origin: Head(origin, head.size - 1, leaf_hash(b"x"))},
        }
        kind = "records" if "/records/" in origin else "access"
        for code, heads in others.items():
            found = sample.check(sample.copy(), heads)
            assert [(f.code, f.place) for f in found] == [(code, f"{kind} head file")]


# ---- what is wrong is named by its place


@pytest.mark.parametrize(
    ("key", "place"),
    [
        (layout.tile_key(RECORDS, 0, 0), "records tree"),
        (layout.tile_key(ACCESS, 0, 0), "access tree"),
        (layout.checkpoint_key(RECORDS, 5), "records anchor 1"),
        (layout.anchor_key(ACCESS, 2), "access anchor 2"),
        (layout.status_head_key(1), "status head 2"),
        (layout.status_list_key(0), "status list 0"),
        (layout.status_used_key(0), "status list 0"),
        (layout.history_key(1), "status list 0"),
        (layout.rows_key(ACCESS, 0), "access rows"),
        (layout.size_key(RECORDS), "records rows"),
        (layout.vkeys_key(ACCESS), "access checkpoint 16"),
        (layout.PAIR_KEY + ISSUER.encode(), "receipts"),
    ],
)
def test_places(sample, key, place):
    found = sample.damaged(key, None)
    assert any(f.place.startswith(place) for f in found), found


def test_records_that_cannot_be_found_are_named(sample):
    for prefix, detail in ((b"l", "leaf hash"), (b"i", "identity"), (b"s", "subject")):
        for key, value in keys(sample, prefix):
            index = layout.parse_u64(key[-8:] if prefix == b"s" else value[:8])
            found = sample.damaged(key, None)
            assert ("fsck-index", f"records entry {index}") in {(f.code, f.place) for f in found}
            assert detail in found[0].detail


def test_two_rows_that_lead_to_one_entry(sample):
    key = layout.rows_key(RECORDS, 0)
    block = sample.store.get(key)
    first = block[: layout.ROW_BYTES]
    found = sample.damaged(key, first + first + block[2 * layout.ROW_BYTES :])
    assert ("fsck-row", "records entry 1") in {(f.code, f.place) for f in found}


def test_findings_hold_no_values(sample):
    """A finding is shown to whoever runs the check; it names places, sizes and hashes."""
    for key, value in list(sample.store.scan(b"", None))[::7]:
        for finding in sample.damaged(key, value[:-1]):
            assert "市监罚" not in finding.detail + finding.place
            assert "wang" not in finding.detail


def test_a_store_that_cannot_be_read_is_a_finding(sample):
    store = sample.copy()
    logs = open_logs(store, DOMAIN, ISSUER)
    store.close()
    found = Checker(store, logs, FaultyHeads()).run()
    assert [f.code for f in found] == ["store-closed"]
    with raises_code(Unavailable, "store-closed"):
        store.get(b"z")

# SPDX-License-Identifier: Apache-2.0
"""Publishing: what closes a period, and that nothing is signed over tiles that do not hold."""

import pytest

from node.access.event import Heartbeat, Pad, ParsedEvent, parse_entry
from node.crypto.note import parse_vkey
from node.errors import Conflict, Fatal, NotFound, Unavailable
from node.log.checkpoint import verify_checkpoint
from node.log.merkle import verify_inclusion
from node.log.tree import root_at
from node.records.status import verify_status_head
from node.service import layout
from node.service.layout import LogKind
from tests.support.errors import raises_code
from tests.support.node_world import WHY, NodeWorld

RECORDS, ACCESS = LogKind.RECORDS, LogKind.ACCESS


@pytest.fixture
def world():
    with NodeWorld() as made:
        yield made


def publish(world):
    world.clock.advance(seconds=300)
    return world.services.anchorer._publisher.publish()


def looks(world, count):
    for _ in range(count):
        world.services.records.show(world.leaf(), WHY)


def access_entries(world):
    reader = world.access
    return [parse_entry(reader.entry(row)) for _, row in reader.rows(0, reader.size())]


def kinds(world):
    return [type(entry) for entry in access_entries(world)]


def test_a_period_of_an_idle_node(world):
    published = publish(world)
    assert world.sizes() == (1, 16)
    assert kinds(world) == [Heartbeat] + [Pad] * 15
    head = verify_status_head(
        world.records.entry(world.records.row(0)), lambda _kid, _member: world.keys.record.public
    )
    assert head.seq == 0
    assert {log: (p.size, p.root) for log, p in published.items()} == {
        log: (reader.size(), root_at(reader.tiles, reader.size()))
        for log, reader in world.services.readers.items()
    }


@pytest.mark.parametrize(("count", "size"), [(0, 16), (1, 16), (14, 16), (15, 16), (16, 32), (31, 32)])
def test_access_logs_grow_in_steps_of_sixteen(world, count, size):
    world.import_penalties([1])
    looks(world, count)
    publish(world)
    assert world.access.size() == size
    assert kinds(world)[:count] == [ParsedEvent] * count
    assert kinds(world)[count] is Heartbeat
    assert set(kinds(world)[count + 1 :]) <= {Pad}


def test_every_period_has_one_heartbeat_and_one_status_head(world):
    for _ in range(4):
        publish(world)
    entries = access_entries(world)
    heartbeats = [entry for entry in entries if isinstance(entry, Heartbeat)]
    assert [beat.t_ms for beat in heartbeats] == [1_800_000_000_000 + 300_000 * n for n in range(1, 5)]
    assert {(beat.rejects, beat.unwraps) for beat in heartbeats} == {(0, None)}
    assert world.records.size() == 4
    pads = [entry.x for entry in entries if isinstance(entry, Pad)]
    assert len(set(pads)) == len(pads)


def test_checkpoints_carry_both_signatures_over_the_present_tree(world):
    world.import_penalties(range(5))
    published = publish(world)
    for log, reader in world.services.readers.items():
        vkeys = [parse_vkey(text) for text in world.services.public_keys.logs[log]]
        size, note = reader.find_checkpoint()
        assert note == published[log].note
        verified = verify_checkpoint(note, vkeys)
        assert verified.algorithms == {"ed25519", "ml-dsa-44"}
        assert verified.timestamp_seconds == world.clock.now_seconds()
        assert verified.checkpoint.origin == reader.origin
        assert (verified.checkpoint.size, verified.checkpoint.root) == (
            size,
            root_at(reader.tiles, reader.size()),
        )


def test_a_size_is_signed_once(world):
    notes = {}

    def watch(batch):
        for key, value in batch.changes:
            if key[:1] == b"c":
                assert key not in notes
                notes[key] = value

    world.store.on_commit = watch
    for _ in range(3):
        publish(world)
    world.restart()
    publish(world)
    assert len(notes) == 8


def test_a_signed_checkpoint_was_promised_before(world):
    def watch(batch):
        for key, _ in batch.changes:
            if key[:1] == b"c":
                log = LogKind(key[1:2])
                head = world.heads.load(world.services.readers[log].origin)
                assert head.size >= layout.parse_u64(key[2:])
                seen.append(log)

    seen = []
    world.store.on_commit = watch
    publish(world)
    assert seen == [RECORDS, ACCESS]


def test_old_checkpoints_stay_and_are_found_by_what_they_cover(world):
    sizes = []
    for n in range(5):
        world.import_penalties(range(10 * n, 10 * n + n))
        publish(world)
        sizes.append(world.records.size())
    assert sizes == [1, 3, 6, 10, 15]
    assert world.records.published_size() == 15
    for index in range(15):
        expected = next(size for size in sizes if size > index)
        assert world.records.first_checkpoint_over(index)[0] == expected
        world.records.tlog_proof(index, expected)
    assert world.records.first_checkpoint_over(15) is None
    assert world.records.find_checkpoint(6)[0] == 6
    assert world.records.find_checkpoint(7) is None
    with raises_code(NotFound, "checkpoint-unknown"):
        world.records.tlog_proof(0, 7)


# ---- what must not be signed


def filled(world):
    """More than one tile of records, published once, then grown again within the third tile."""
    world.import_penalties(range(300))
    publish(world)
    world.import_penalties(range(300, 520))
    return world.records.find_checkpoint()


@pytest.mark.parametrize(
    ("level", "tile", "place"),
    [
        (0, 1, 0),  # in the tile that the last checkpoint ended in, before its end
        (0, 1, 200),  # behind it
        (0, 2, 3),  # in a later one
        (1, 0, 0),  # the root of a full tile, signed already
        (1, 0, 1),  # and of one that became full since
    ],
)
def test_a_flipped_bit_is_never_signed(world, level, tile, place):
    signed = filled(world)
    key = layout.tile_key(RECORDS, level, tile)
    data = bytearray(world.store.get(key))
    data[32 * place + 7] ^= 0x10
    world.store.damage(key, bytes(data))
    keep_damage(world, key, 32 * place + 7)
    with pytest.raises(Fatal) as caught:
        publish(world)
    assert caught.value.code in {"log-tile-corrupt", "log-root-differs"}
    assert world.records.find_checkpoint() == signed
    assert world.services.state()["mode"] == "stopped"
    with pytest.raises(Fatal):
        world.import_penalties([999])


def keep_damage(world, key, offset):
    """Damage the tile again when the commit of the period writes it anew, as a bad disk block would."""

    def damage(batch):
        for n, (changed, value) in enumerate(batch.changes):
            if changed == key:
                data = bytearray(value)
                data[offset] ^= 0x10
                batch.changes[n] = (changed, bytes(data))

    world.store.on_commit = damage


def test_inner_nodes_that_their_tile_does_not_give_are_never_signed_over(world):
    world.import_penalties(range(200))
    publish(world)
    signed = world.records.find_checkpoint()
    world.import_penalties(range(200, 300))
    key = layout.inner_key(RECORDS, 0, 0)
    damaged = bytearray(world.store.get(key))
    damaged[100] ^= 1
    world.store.damage(key, bytes(damaged))
    with raises_code(Fatal, "log-tile-corrupt"):
        publish(world)
    assert world.records.find_checkpoint() == signed


def test_a_log_without_inner_nodes_goes_on(world):
    """As a release that stored none left it."""
    world.import_penalties(range(300))
    world.store.damage(layout.inner_key(RECORDS, 0, 0), None)
    publish(world)
    world.import_penalties(range(300, 600))
    publish(world)
    size = world.records.size()
    assert world.store.get(layout.inner_key(RECORDS, 0, 0)) is None
    assert world.store.get(layout.inner_key(RECORDS, 0, 1)) is not None
    for index in (7, 300):
        path = world.records.inclusion_path(index, size)
        verify_inclusion(index, size, world.records.leaf(index), path, root_at(world.records.tiles, size))
    assert world.check() == []


def test_a_missing_tile_is_never_signed_over(world):
    signed = filled(world)
    world.store.damage(layout.tile_key(RECORDS, 0, 1), None)
    with raises_code(Fatal, "log-tile-missing"):
        publish(world)
    assert world.records.find_checkpoint() == signed


def test_tiles_that_agree_with_each_other_but_not_with_the_writer(world):
    """Another store put in place of ours while we run: each tile fits, but it is not what was appended."""
    world.import_penalties(range(3))
    key = layout.tile_key(RECORDS, 0, 0)
    keep_damage(world, key, 5)
    with raises_code(Fatal, "log-root-differs"):
        publish(world)
    assert world.records.find_checkpoint() is None


def test_a_note_that_is_not_the_logs_own_is_noticed(world):
    publish(world)
    access_note = world.access.find_checkpoint()[1]
    world.store.damage(layout.checkpoint_key(RECORDS, 1), access_note.encode())
    with pytest.raises(Fatal):
        publish(world)


def test_nothing_is_published_by_a_read_only_node(world):
    world.services.sequencer.set_read_only(Conflict("log-behind", "store holds fewer entries"))
    with raises_code(Conflict, "log-behind"):
        publish(world)
    assert world.sizes() == (0, 0)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_full_disk_signs_nothing_half(world, at):
    publish(world)
    world.store.faults[world.store.commits + at] = (Unavailable("store-disk-full", "disk is full"), False)
    with raises_code(Unavailable, "store-disk-full"):
        publish(world)
    publish(world)
    assert world.check() == []
    assert world.access.size() % 16 == 0


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_crash_while_publishing(world, at, stored):
    world.import_penalties(range(3))
    publish(world)
    world.store.faults[world.store.commits + at] = (Fatal("store-commit-failed", "power"), stored)
    with raises_code(Fatal, "store-commit-failed"):
        publish(world)
    world.restart()
    assert world.services.state()["mode"] != "read-only"
    publish(world)
    assert world.check() == []
    assert world.access.size() % 16 == 0
    assert len({key for key, _ in world.store.scan(b"H", b"I")}) in {2, 3}

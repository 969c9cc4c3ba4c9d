# SPDX-License-Identifier: Apache-2.0
"""What a node holds of other members' logs, and what it does when one of them forks."""

from __future__ import annotations

from base64 import b64decode, b64encode
from contextlib import suppress

import pytest

from node.errors import AccessDenied, InvalidInput, NodeError, Unavailable, Verification
from node.log.checkpoint import log_id
from node.log.fork import Form, verify_fork
from node.service import layout
from node.service.gossip import MOST_UNCHECKED, Gossip
from node.service.layout import LogKind
from node.service.sequencer import Sequencer
from node.storage.memory import MemoryHeadFiles, MemoryStore
from tests.support.errors import raises_code
from tests.support.forks import MEMBER, ORIGIN, VKEYS, forked_tiles, note_of
from tests.support.trees import grow

OWN = "91440300708461136T"
_, TILES = grow(700)
_, OTHERS = forked_tiles(700, at=300)


class Sources:
    """Keys and tiles of the log; ``tiles`` None is a node that does not answer."""

    def __init__(self, tiles=TILES):
        self.tiles = tiles
        self.asked = 0
        self.keys = {ORIGIN: VKEYS}

    def find_vkeys(self, origin):
        return self.keys.get(origin, ())

    def open_tiles(self, origin, size):
        assert (origin, size > 0) == (ORIGIN, True)
        self.asked += 1
        return self

    def read_tile(self, level, index):
        if self.tiles is None:
            raise Unavailable("peer-away", "the node of the log does not answer")
        return self.tiles.read_tile(level, index)


class Files(dict):
    """Fork files in memory."""

    def store(self, name, data):
        self[name] = data
        return name


class World:
    """A node that hears of logs."""

    def __init__(self):
        self.store = MemoryStore()
        self.sources, self.files = Sources(), Files()
        self.woken = 0
        origins = {kind: f"zj.example/{OWN}/{kind.text}/0" for kind in LogKind}
        numbers = dict.fromkeys(LogKind, 0)
        self.sequencer = Sequencer(self.store, MemoryHeadFiles(), origins, numbers)
        self.restart()

    def restart(self):
        self.gossip = Gossip(self.store, self.sequencer, OWN, self.sources, self.files, self.wake)

    def wake(self):
        self.woken += 1


@pytest.fixture
def world():
    made = World()
    yield made
    made.sequencer.close()


def test_the_first_checkpoint_of_a_log_is_kept(world):
    assert world.gossip.observe(note_of(TILES, 400)) is None
    world.restart()
    assert world.gossip.kept(ORIGIN).newest == note_of(TILES, 400)
    assert world.gossip.recheck() == []
    assert world.sources.asked == 0


def test_a_newer_one_replaces_it_once_its_tiles_show_that_it_continues(world):
    world.gossip.observe(note_of(TILES, 400))
    assert world.gossip.observe(note_of(TILES, 700)) is None
    assert world.woken
    assert world.gossip.kept(ORIGIN).newest == note_of(TILES, 400)
    assert world.gossip.recheck() == []
    kept = world.gossip.kept(ORIGIN)
    assert (kept.newest, kept.unchecked) == (note_of(TILES, 700), ())


def test_an_older_one_is_checked_too_and_not_kept(world):
    world.gossip.observe(note_of(TILES, 600))
    world.gossip.observe(note_of(TILES, 300))
    assert world.gossip.recheck() == []
    kept = world.gossip.kept(ORIGIN)
    assert (kept.newest, kept.unchecked) == (note_of(TILES, 600), ())


def test_the_same_one_again_costs_nothing(world):
    world.gossip.observe(note_of(TILES, 400))
    woken, world.sources.keys = world.woken, {}
    assert world.gossip.observe(note_of(TILES, 400)) is None
    assert world.woken == woken


def test_a_log_whose_node_is_away_is_remembered_and_checked_later(world):
    world.sources.tiles = None
    for size in (400, 500, 600):
        world.gossip.observe(note_of(TILES, size))
    assert world.gossip.recheck() == []
    assert world.gossip.reasons[ORIGIN].code == "peer-away"
    world.restart()
    world.sources.tiles = TILES
    assert world.gossip.recheck() == []
    assert world.gossip.kept(ORIGIN).newest == note_of(TILES, 600)
    assert not world.gossip.reasons


def test_two_roots_at_one_size_are_a_fork_at_once(world):
    world.gossip.observe(note_of(TILES, 400))
    fork = world.gossip.observe(note_of(OTHERS, 400))
    assert (fork.member, fork.origin, fork.proof.form) == (MEMBER, ORIGIN, Form.ROOTS)
    assert verify_fork(fork.proof, VKEYS)
    assert world.files == {fork.name: fork.data}
    assert world.sources.asked == 0


@pytest.mark.parametrize(("first", "second"), [(400, 700), (700, 400)])
def test_two_sizes_are_a_fork_once_the_tiles_were_asked(world, first, second):
    world.gossip.observe(note_of(TILES, first))
    assert world.gossip.observe(note_of(OTHERS, second)) is None
    world.sources.tiles = OTHERS if second > first else TILES
    (fork,) = world.gossip.recheck()
    assert fork.proof.form is Form.PREFIX
    assert verify_fork(fork.proof, VKEYS)


def test_waiting_checkpoints_convict_each_other(world):
    world.sources.tiles = None
    world.gossip.observe(note_of(TILES, 300))
    world.gossip.observe(note_of(TILES, 500))
    assert world.gossip.observe(note_of(OTHERS, 500)).proof.form is Form.ROOTS


def test_who_forked_is_refused_for_ever(world):
    world.gossip.require_honest(MEMBER)
    world.gossip.observe(note_of(TILES, 400))
    fork = world.gossip.observe(note_of(OTHERS, 400))
    world.files.clear()
    world.restart()
    assert world.gossip.store_forks() == [fork.name]
    assert world.files == {fork.name: fork.data}
    assert world.gossip.store_forks() == []
    assert world.gossip.observe(note_of(TILES, 700)) == fork
    assert world.gossip.list_forks() == [fork]
    with raises_code(AccessDenied, "member-forked"):
        world.gossip.require_honest(MEMBER)
    assert world.gossip.recheck() == []


def test_tiles_that_are_not_those_of_the_log_convict_nobody(world):
    world.gossip.observe(note_of(TILES, 400))
    world.gossip.observe(note_of(TILES, 700))
    world.sources.tiles = OTHERS
    assert world.gossip.recheck() == []
    assert world.gossip.reasons[ORIGIN].code == "fork-tiles"
    world.gossip.require_honest(MEMBER)


def test_what_the_log_did_not_sign_is_not_kept(world):
    line = note_of(TILES, 400).splitlines(keepends=True)
    forged = "".join([line[0], "401\n", *line[2:]])
    with pytest.raises(Verification):
        world.gossip.observe(forged)
    with pytest.raises(InvalidInput):
        world.gossip.observe("nothing\n")
    with raises_code(Verification, "checkpoint-unknown-log"):
        world.gossip.observe(note_of(TILES, 400, origin=ORIGIN[:-1] + "1"))
    assert world.gossip.list_kept() == []


def test_own_logs_are_not_judged_here(world):
    assert world.gossip.observe(note_of(TILES, 400, origin=f"zj.example/{OWN}/access/0")) is None
    assert world.gossip.list_kept() == []


def test_what_does_not_fit_among_those_that_wait_is_refused(world):
    world.sources.tiles = None
    for size in range(300, 300 + MOST_UNCHECKED + 1):
        world.gossip.observe(note_of(TILES, size))
    before = world.gossip.kept(ORIGIN)
    assert len(before.unchecked) == MOST_UNCHECKED
    with raises_code(Unavailable, "checkpoints-unchecked"):
        world.gossip.observe(note_of(TILES, 600))
    world.gossip.observe(before.unchecked[2])
    assert world.gossip.kept(ORIGIN) == before
    world.gossip.require_honest(MEMBER)
    world.sources.tiles = TILES
    world.gossip.recheck()
    assert world.gossip.observe(note_of(TILES, 600)) is None


def test_old_checkpoints_push_out_none_that_convicts(world):
    world.gossip.observe(note_of(TILES, 600))
    fork = note_of(OTHERS, 550)
    world.gossip.observe(fork)
    for size in range(400, 400 + MOST_UNCHECKED):
        with suppress(Unavailable):
            world.gossip.observe(note_of(TILES, size))
    with raises_code(Unavailable, "checkpoints-unchecked"):
        world.gossip.observe(note_of(TILES, 650))
    assert fork in world.gossip.kept(ORIGIN).unchecked
    assert [found.proof.form for found in world.gossip.recheck()] == [Form.PREFIX]


def test_a_known_tree_under_another_signature_is_verified(world):
    note = note_of(TILES, 400)
    world.gossip.observe(note)
    body, _, signatures = note.partition("\n\n")
    name, encoded = signatures.splitlines()[0].rsplit(" ", 1)
    raw = bytearray(b64decode(encoded))
    raw[-1] ^= 1
    broken = f"{body}\n\n{name} {b64encode(raw).decode()}\n"
    with pytest.raises(Verification):
        world.gossip.observe(broken)
    assert world.gossip.observe(note) is None


def refuse(_name, _data):
    raise Unavailable("fork-not-stored", "disk is full")


def test_a_full_disk_makes_nobody_honest(world):
    world.gossip.observe(note_of(TILES, 400))
    world.files.store = refuse
    with raises_code(Unavailable, "fork-not-stored"):
        world.gossip.observe(note_of(OTHERS, 400))
    with raises_code(AccessDenied, "member-forked"):
        world.gossip.require_honest(MEMBER)
    with raises_code(Unavailable, "fork-not-stored"):
        world.gossip.recheck()
    world.restart()
    with raises_code(AccessDenied, "member-forked"):
        world.gossip.require_honest(MEMBER)


@pytest.mark.parametrize("at", ["observe", "recheck"])
def test_the_file_of_a_proof_is_written_once_the_disk_has_room(world, at):
    world.gossip.observe(note_of(TILES, 400))
    world.gossip.recheck()
    world.files.store = refuse
    if at == "recheck":
        world.gossip.observe(note_of(OTHERS, 700))
        world.sources.tiles = OTHERS
    with raises_code(Unavailable, "fork-not-stored"):
        world.gossip.observe(note_of(OTHERS, 400)) if at == "observe" else world.gossip.recheck()
    del world.files.store
    world.gossip.recheck()
    (fork,) = world.gossip.list_forks()
    assert world.files == {fork.name: fork.data}
    world.restart()
    assert world.gossip.list_forks() == [fork]


def test_a_proof_that_the_store_did_not_take_is_stored_later(world, monkeypatch):
    world.gossip.observe(note_of(TILES, 400))
    with monkeypatch.context() as patched:
        patched.setattr(world.store, "commit", lambda _: refuse(None, None))
        with pytest.raises(NodeError):
            world.gossip.observe(note_of(OTHERS, 400))
    (fork,) = world.gossip.list_forks()
    assert world.files == {fork.name: fork.data}
    world.gossip.recheck()
    world.restart()
    assert world.gossip.list_forks() == [fork]


def test_keys_are_those_of_the_table(world):
    world.gossip.observe(note_of(TILES, 400))
    assert world.store.get(layout.gossip_key(log_id(ORIGIN)))

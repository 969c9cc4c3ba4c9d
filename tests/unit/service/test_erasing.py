# SPDX-License-Identifier: Apache-2.0
"""Erasing records: what goes, what stays, and what a node that dies on the way leaves for the next start."""

from dataclasses import replace

import msgpack
import pytest

from node.access.event import parse_event, verify_openings
from node.core.encoding import encode_b64u
from node.errors import Conflict, Fatal, InvalidInput, NotFound, Unavailable
from node.records.tombstone import BACKUP_SECONDS, verify_tombstone
from node.service import layout
from node.service.drafting import Purpose
from node.service.erasing import find_erasure
from node.service.layout import LogKind
from tests.support.errors import raises_code
from tests.support.node_world import WHY, NodeWorld, penalty
from tests.support.rows import PENALTY

ORDER = Purpose(officer="zhao", purpose="retention-ended", basis="条例第十六条", case="2026-17")


@pytest.fixture
def world():
    with NodeWorld() as world:
        world.join()
        world.import_penalties(range(3))
        world.anchor()
        yield world


def erase(world, index=1, ground="retention-ended"):
    return world.services.eraser.erase(world.leaf(index), ground=ground, why=ORDER)


def keys_of(world, prefix):
    return [key for key, _ in world.store.scan(prefix, layout.stop_of(prefix))]


def test_what_goes_and_what_stays(world):
    before = {prefix: len(keys_of(world, prefix)) for prefix in (b"i", b"s", b"l")}
    evidence = world.services.exporter.export(world.leaf(1), {"CF_WSH"}, WHY)
    done = erase(world).erasure
    assert (done.place, done.ground, done.purged) == (1, "retention-ended", True)
    assert done.final_by - done.erased == BACKUP_SECONDS
    assert world.store.get_secret(layout.secret_key(LogKind.RECORDS, 1)) is None
    after = {prefix: len(keys_of(world, prefix)) for prefix in (b"i", b"s", b"l")}
    assert after == {b"i": before[b"i"] - 1, b"s": before[b"s"] - 1, b"l": before[b"l"]}
    # Evidence from before goes on verifying; the status list says from the next anchor on that it is not in force.
    assert world.verify(evidence.data).level.name == "ANCHORED"
    world.anchor()
    assert [line.status for line in sorted(world.lines(), key=lambda line: line.index)] == [
        "valid",
        "erased",
        "valid",
    ]
    assert world.services.exporter.export(world.leaf(0), {"CF_WSH"}, WHY)
    assert world.check() == []


def test_the_tombstone_says_when_and_why_and_nothing_else(world):
    done = erase(world).erasure
    world.anchor()
    entry = world.records.entry(world.records.row(done.tombstone))
    said = verify_tombstone(entry, lambda _kid, _iss: world.keys.record.public)
    assert (said.index, said.leaf, said.ground) == (1, world.leaf(1), "retention-ended")
    assert (said.erased, said.final_by) == (done.erased, done.final_by)
    shown = world.services.eraser.show(done)
    assert (shown.index, shown.stage, shown.tombstone.encode()) == (done.tombstone, "anchored", entry)


def test_the_order_is_an_event_with_a_receipt(world):
    done = erase(world)
    event = parse_event(world.access.entry(world.access.row(done.erasure.event)))
    assert (event.kind, event.n) == ("erase", 1)
    assert done.receipt.count(".") == 2


def test_an_erased_record_opens_for_nobody(world):
    erase(world)
    leaf, size = world.leaf(1), world.access.size()
    services = world.services
    for ask in (
        lambda: services.records.show(leaf, WHY),
        lambda: services.exporter.export(leaf, {"CF_WSH"}, WHY),
        lambda: services.records.withdraw(leaf, officer="wang", ground="撤销"),
    ):
        with raises_code(NotFound, "record-erased"):
            ask()
    # No look was had, so none is logged.
    assert world.access.size() == size
    line = next(line for line in world.lines() if line.index == 1)
    assert line.status == "erased"


def test_a_second_order_changes_nothing(world):
    first = erase(world)
    sizes = world.records.size(), world.access.size()
    again = erase(world, ground="ordered")
    assert again.erasure == first.erasure
    assert again.receipt is None
    assert (world.records.size(), world.access.size()) == sizes


def test_grounds_of_its_status_changes_go_with_it(world):
    world.services.records.withdraw(world.leaf(1), officer="wang", ground="复议撤销")
    stored = world.store.get(layout.history_key(1))
    assert "复议撤销".encode() not in stored
    assert b"wang" not in stored
    world.anchor()
    erase(world)
    status, at_ms, sealed = msgpack.unpackb(world.store.get(layout.history_key(1)))[0]
    assert (status, sealed) == (1, b"")
    assert at_ms > 0
    world.anchor()
    assert world.check() == []


def test_the_same_row_is_a_new_record_afterwards(world):
    """Nothing that could recognise it is kept: that would be what was to go."""
    erase(world)
    job = world.import_penalties(range(3))
    assert (job.accepted, job.duplicate) == (1, 2)
    assert world.records.size() > 3
    world.anchor()
    assert world.check() == []


def test_erasing_a_corrected_record_leaves_its_correction(world):
    world.import_rows([penalty(1, CF_NR="罚款1万元", CF_NR_FK="1")], corrections=True)
    new = next(line for line in world.lines() if line.index > 2)
    erase(world)
    assert world.services.records.show(new.leaf, WHY).opened.values["CF_NR_FK"] == "1"
    job = world.import_rows([penalty(1, CF_NR="罚款1万元", CF_NR_FK="1")])
    assert job.duplicate == 1
    world.services.eraser.erase(new.leaf, ground="annulled", why=ORDER)
    world.anchor()
    assert world.check() == []


def correct(world, number, amount):
    """Correct a record; gives the leaf hash of the new one."""
    world.import_rows([penalty(number, CF_NR=f"罚款{amount}万元", CF_NR_FK=str(amount))], corrections=True)
    return max(world.lines(), key=lambda line: line.index).leaf


def open_versions(world, leaf):
    eraser = world.services.eraser
    return list(eraser.show(eraser.find(leaf)).open_versions)


@pytest.mark.parametrize("named", range(3))
def test_versions_that_still_open_are_named(world, named):
    line = [world.leaf(1), correct(world, 1, 2), correct(world, 1, 3)]
    world.services.eraser.erase(line[named], ground="ordered", why=ORDER)
    assert open_versions(world, line[named]) == [leaf for leaf in line if leaf != line[named]]
    assert world.check() == []


@pytest.mark.parametrize("named", range(3))
def test_all_versions_are_erased_when_asked(world, named):
    before = {prefix: len(keys_of(world, prefix)) for prefix in (b"i", b"s")}
    line = [world.leaf(1), correct(world, 1, 2), correct(world, 1, 3)]
    looks = world.access.size()
    done = world.services.eraser.erase(line[named], ground="ordered", why=ORDER, with_versions=True)
    assert world.access.size() == looks + 3
    assert all(each.receipt for each in (done, *done.also))
    assert {world.records.leaf(each.erasure.place) for each in done.also} == set(line) - {line[named]}
    assert open_versions(world, line[named]) == []
    assert {prefix: len(keys_of(world, prefix)) for prefix in before} == {
        prefix: count - 1 for prefix, count in before.items()
    }
    world.anchor()
    assert world.check() == []


def test_an_order_for_all_versions_that_was_cut_off_is_repeated(world):
    line = [world.leaf(1), correct(world, 1, 2), correct(world, 1, 3)]
    # Commits of one erasure: event, erasure, purge. The event of the second finds the disk full.
    world.store.faults[world.store.commits + 3] = (Unavailable("store-disk-full", "full"), False)
    eraser = world.services.eraser
    done = eraser.erase(line[2], ground="ordered", why=ORDER, with_versions=True)
    assert (bool(done.receipt), done.also) == (True, ())
    assert open_versions(world, line[2]) == line[:2]
    again = eraser.erase(line[2], ground="ordered", why=ORDER, with_versions=True)
    assert (again.receipt, len(again.also)) == (None, 2)
    assert open_versions(world, line[2]) == []


def test_a_correction_under_another_number_is_a_version_too(world):
    """The correction has an identity of its own: the subject leads to it, and the old identity goes with the old record."""
    row = penalty(1, CF_WSH="云市监罚〔2026〕900号")
    new = world.services.importer.correct(
        item=PENALTY.key,
        header=list(PENALTY.field_codes),
        cells=row,
        supersedes=world.leaf(1),
        officer="wang",
        ground="文号有误",
    )
    identities = len(keys_of(world, b"i"))
    erase(world)
    assert open_versions(world, world.leaf(1)) == [new]
    assert len(keys_of(world, b"i")) == identities - 1
    assert world.check() == []


def test_digests_go_though_the_item_was_changed_since_the_import(world):
    """The identity that is computed today is another one: the one in the index is found by what it leads to."""
    world.restart()
    key = PENALTY.key
    world.items[key] = replace(PENALTY, number=None, date=None)
    world.restart()
    world.join()
    before = {prefix: len(keys_of(world, prefix)) for prefix in (b"i", b"s")}
    erase(world)
    assert {prefix: len(keys_of(world, prefix)) for prefix in before} == {
        prefix: count - 1 for prefix, count in before.items()
    }
    assert world.check() == []


def test_a_subject_under_another_digest_goes_too(world):
    key = next(key for key in keys_of(world, b"s") if key.endswith(layout.u64(1)))
    world.store.damage(key, None)
    world.store.damage(layout.subject_key(bytes(16), 1), b"")
    erase(world)
    assert not [key for key in keys_of(world, b"s") if key.endswith(layout.u64(1))]


@pytest.mark.parametrize(
    "error", [Unavailable("stopping", "stopping"), Fatal("store-commit-failed", "killed")]
)
def test_an_erasure_whose_purge_fails_is_done_and_has_its_receipt(world, error):
    def refuse(*_):
        raise error

    purge, world.store.purge = world.store.purge, refuse
    done = erase(world)
    assert (bool(done.receipt), done.erasure.purged) == (True, False)
    assert world.services.eraser.find(world.leaf(1)).purged is False
    world.store.purge = purge
    assert world.services.eraser.purge_all() == 0
    assert world.services.eraser.find(world.leaf(1)).purged is True


def test_a_record_whose_values_are_damaged_goes_as_well(world):
    row = world.records.row(1)
    world.store.damage_stream("records.0/values", row.values_offset + row.values_length - 1)
    identities, subjects = len(keys_of(world, b"i")), len(keys_of(world, b"s"))
    erase(world)
    assert (len(keys_of(world, b"i")), len(keys_of(world, b"s"))) == (identities - 1, subjects - 1)
    assert world.store.get_secret(layout.secret_key(LogKind.RECORDS, 1)) is None


def test_what_cannot_be_erased(world):
    with raises_code(InvalidInput, "erase-ground"):
        erase(world, ground="张三要求")
    with raises_code(NotFound, "record-unknown"):
        world.services.eraser.erase(bytes(32), ground="ordered", why=ORDER)
    head = world.records.leaf(3)
    with raises_code(NotFound, "record-unknown"):
        world.services.eraser.erase(head, ground="ordered", why=ORDER)
    with raises_code(NotFound, "erasure-unknown"):
        world.services.eraser.find(world.leaf(0))


def test_a_node_that_may_not_sign_erases_nothing(world):
    world.services.sequencer.set_read_only(Conflict("head-missing", "restored"))
    with raises_code(Conflict, "head-missing"):
        erase(world)
    assert world.store.get_secret(layout.secret_key(LogKind.RECORDS, 1)) is not None


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("at", range(3))
def test_a_node_that_dies_at_any_commit_leaves_it_whole_or_not_at_all(world, at, stored):
    """Commits of an erasure: the event, the erasure, the note that nothing is left to purge."""
    world.store.faults[world.store.commits + at] = (Fatal("store-commit-failed", "killed"), stored)
    if at < 2:
        with pytest.raises(Fatal):
            erase(world)
    else:
        assert erase(world).receipt
    world.restart()
    world.join()
    erased = at == 2 or (at == 1 and stored)
    assert (find_erasure(world.store, 1) is not None) == erased
    assert (world.store.get_secret(layout.secret_key(LogKind.RECORDS, 1)) is None) == erased
    assert world.check() == []
    assert world.services.eraser.purge_all() == 0
    assert keys_of(world, b"X") == []
    assert erase(world).erasure.purged
    world.anchor()
    assert world.check() == []


def test_a_full_disk_refuses_the_order_and_the_node_goes_on(world):
    world.store.faults[world.store.commits + 1] = (Unavailable("store-disk-full", "full"), False)
    with raises_code(Unavailable, "store-disk-full"):
        erase(world)
    assert find_erasure(world.store, 1) is None
    assert erase(world).receipt


def test_erasures_are_listed_in_order(world):
    for index in (2, 0):
        erase(world, index)
    eraser = world.services.eraser
    assert [found.place for found in eraser.list_all(limit=9)] == [0, 2]
    assert [found.place for found in eraser.list_all(limit=9, after=0)] == [2]
    assert eraser.find(world.leaf(2)).place == 2


DAMAGES = {
    "secret kept": lambda store: store.damage_secret(layout.secret_key(LogKind.RECORDS, 1), bytes(60)),
    "digest kept": lambda store: store.damage(layout.subject_key(bytes(16), 1), b""),
    "identity kept": lambda store: store.damage(layout.identity_key(bytes(16)), layout.u64(1) + bytes(16)),
    "erasure lost": lambda store: store.damage(layout.erasure_key(1), None),
    "another ground": lambda store: store.damage(
        layout.erasure_key(1),
        msgpack.packb(["ordered", *msgpack.unpackb(store.get(layout.erasure_key(1)))[1:]]),
    ),
    "no tombstone": lambda store: store.damage(layout.erasure_key(0), msgpack.packb(["ordered", 1, 2, 3, 4])),
    "ground kept": lambda store: store.damage(layout.history_key(1), msgpack.packb([[1, 5, b"sealed"]])),
    "purge of nothing": lambda store: store.damage(layout.purge_key(2), msgpack.packb([])),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_fsck_knows_what_an_erasure_leaves(world, damage):
    erase(world)
    world.anchor()
    assert world.check() == []
    damage(world.store)
    assert {"fsck-erasure", "secret-unknown"} & {finding.code for finding in world.check()}


def test_the_event_opens_for_an_auditor(world):
    seen = {}
    log_look = world.services.access.log_look

    def keep(*arguments, **options):
        seen["look"] = log_look(*arguments, **options)
        return seen["look"]

    world.services.access.log_look = keep
    done = erase(world)
    event = parse_event(world.access.entry(world.access.row(done.erasure.event)))
    values = verify_openings(event, seen["look"].openings)
    assert (values["officer"]["id"], values["purpose"], values["case"]) == (
        "zhao",
        "retention-ended",
        "2026-17",
    )
    assert values["items"][0]["fields"] == []
    [[digest, fields]] = values["released"]
    assert fields == []
    assert len(digest) == len(encode_b64u(bytes(32)))

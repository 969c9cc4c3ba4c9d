# SPDX-License-Identifier: Apache-2.0
"""A store put back from a backup ends read-only with an account, and goes on under successor logs; nothing forks."""

from __future__ import annotations

import pytest

from node.access.receipt import parse_receipt
from node.core.encoding import encode_hex
from node.errors import Conflict, Fatal, InvalidInput, NodeError, Unavailable
from node.log.checkpoint import log_id, verify_checkpoint
from node.log.head import Head
from node.log.succession import verify_succession
from node.service import layout
from node.service.layout import LogKind
from tests.support.errors import raises_code
from tests.support.lives import begun_life, go_on, lose_newest
from tests.support.node_world import WHY, penalty

RECORDS, ACCESS = LogKind.RECORDS, LogKind.ACCESS


@pytest.fixture
def life():
    with begun_life() as life:
        yield life


def assert_read_only(life, code, *, looked="same"):
    world = life.world
    before = dict(life.notes)
    if world.services.sequencer.read_only is None:
        with raises_code(Conflict, code):
            world.join()
    assert world.services.sequencer.read_only.code == code
    with raises_code(Conflict, code):
        world.import_penalties([99])
    with raises_code(Conflict, code):
        world.anchor()
    with pytest.raises(NodeError) as refused:
        life.look(life.early)
    assert refused.value.code == (code if looked == "same" else looked)
    life.remember()
    assert life.notes == before


def test_a_store_from_before_the_last_anchor_goes_on_under_successors(life):
    lose_newest(life)
    assert_read_only(life, "log-behind")
    account = life.account()
    assert (account["records"].verdict, account["records"].missing) == ("behind-anchor", 11)
    assert account["access"].missing == 17, "a look and an export are lost, and what an anchor padded"
    done = life.successions.succeed()
    assert [origin.rpartition("/")[2] for origin in done.begun] == ["1", "1"]
    go_on(life)
    shown = life.verify(life.export(life.early)).render("en")
    assert f"it succeeds {life.world.records.origin[:-1]}0" in shown
    assert life.verify(life.gone).level.name.lower() == "anchored", (
        "what others hold of the lost log stays proven"
    )


def test_without_a_head_file_it_goes_on_under_successors_too(life):
    world = life.world
    for reader in world.services.readers.values():
        world.heads.forget(reader.origin)
    life.put_back(world.store.copy())
    assert_read_only(life, "head-missing")
    account = life.account()["records"]
    assert (account.verdict, account.missing, account.complete) == ("head-missing", 0, False)
    life.successions.succeed()
    go_on(life)


def test_entries_that_no_anchor_covers_are_logged_again(life):
    world = life.world
    world.import_penalties(range(30, 35))
    look = life.look(world.leaf(32))
    copy = world.store.copy()
    world.import_penalties(range(35, 40))
    life.look(life.early)
    life.put_back(copy)
    assert_read_only(life, "log-behind")
    account = life.account()
    assert (account["records"].verdict, account["records"].missing) == ("log-behind", 5)
    assert (account["records"].unanchored, account["access"].unanchored) == (5, 1)
    done = life.successions.succeed()
    assert done.taken == 6
    leaf = world.leaf(32)
    assert life.world.services.records.line(leaf).stage == "integrated"
    with raises_code(Unavailable, "not-published"):
        life.export(leaf)
    world.join()
    world.anchor()
    life.remember()
    assert world.import_penalties(range(30, 35)).duplicate == 5
    report = life.verify(life.export(leaf))
    assert report.satisfied
    logs = world.services.logs[ACCESS]
    old_place = look_place(look.receipt)
    reader, index = logs.proven(old_place)
    assert (reader.number, reader.leaf(index)) == (1, logs.leaf(old_place))
    life.remember()
    assert world.import_penalties(range(35, 40)).accepted == 5
    world.anchor()
    assert world.check() == []


def look_place(receipt):
    return parse_receipt(receipt).idx


def test_a_log_in_order_is_succeeded_as_planned_and_nothing_is_lost(life):
    world = life.world
    life.successions.stop()
    with raises_code(InvalidInput, "succession-none"):
        life.successions.choose("planned")
    assert life.successions.advance("planned", [RECORDS]).waiting
    life.successions.start()
    world.join()
    world.import_penalties(range(30, 33))
    world.anchor()
    world.import_penalties(range(33, 35))
    life.remember()
    life.successions.stop()
    life.successions.pass_notice()
    done = life.successions.advance("planned", [RECORDS])
    assert (len(done.begun), done.taken) == (1, 2)
    with raises_code(InvalidInput, "succession-none"):
        life.successions.choose("planned", [RECORDS])
    assert life.successions.choose("planned", [RECORDS, ACCESS]) == [ACCESS]
    assert life.successions.choose("stolen-key", [RECORDS]) == [RECORDS]
    life.successions.start()
    world.join()
    assert (world.records.number, world.access.number) == (1, 0)
    world.anchor()
    life.remember()
    assert life.successions.choose("planned", [RECORDS]) == [RECORDS]
    assert world.import_penalties(range(35)).duplicate == 35
    leaf = world.leaf(34)
    world.services.records.withdraw(world.leaf(3), officer="li", ground="test")
    world.anchor()
    assert life.verify(life.export(leaf)).satisfied
    assert not life.verify(life.export(world.leaf(3))).satisfied
    assert world.check() == []
    described = world.services.describe()["logs"][0]["succession"]
    assert (described["planned"], described["reason"]) == (True, "planned")


def test_the_first_entry_says_where_the_log_before_ended(life):
    lose_newest(life)
    old = life.world.records.origin
    head = life.world.services.chain.log_head(log_id(old))
    life.successions.succeed()
    reader = life.world.records
    entry = reader.entry(reader.row(0))
    said = verify_succession(entry, public=life.world.keys.node.public, origin=reader.origin)
    assert (said.predecessor, said.size, said.root) == (old, head.size, head.root)
    assert (said.reason, said.planned) == ("restored-backup", False)
    described = life.world.services.describe()
    assert described["logs"][0]["succession"]["root"] == encode_hex(head.root)
    assert [log["origin"] for log in described["earlier_logs"]] == [
        old,
        life.world.access.origin[:-1] + "0",
    ]


def test_records_of_the_old_log_are_erased_and_corrected_under_the_new_one(life):
    lose_newest(life)
    life.successions.succeed()
    world = life.world
    world.join()
    world.services.eraser.erase(life.early, ground="retention-ended", why=WHY)
    changed = world.import_rows([penalty(7, CF_NR="another")], corrections=True)
    assert (changed.accepted, changed.corrected) == (1, 1)
    world.anchor()
    life.remember()
    lines = {line.leaf: line for line in world.lines()}
    assert lines[life.early].status == "erased"
    assert [line.status for line in lines.values()].count("invalid") == 1
    corrected = world.leaf(len(lines) - 1)
    assert life.verify(life.export(corrected)).satisfied
    assert world.check() == []


def test_a_receipt_number_is_never_given_twice(life):
    lose_newest(life)
    life.successions.succeed()
    life.world.join()
    life.look(life.early)
    numbers = [parse_receipt(receipt).pair for receipt in life.receipts]
    assert len(set(numbers)) == len(numbers)
    assert life.world.check() == []


def test_a_place_in_a_status_list_is_never_given_twice(life):
    lose_newest(life)
    lists = {row.status_list for _, row in life.world.records.rows(0, life.world.records.size())}
    life.successions.succeed()
    life.world.join()
    life.world.import_penalties(range(30, 40))
    reader = life.world.records
    new = {row.status_list for _, row in reader.rows(0, reader.size())} - {layout.NO_LIST}
    assert new
    assert not new & lists


def test_lost_entries_are_not_planned(life):
    lose_newest(life)
    life.successions.stop()
    with raises_code(Conflict, "succession-unplanned"):
        life.successions.advance("planned")
    with raises_code(InvalidInput, "succession-reason"):
        life.successions.advance("because")


def test_a_store_that_was_changed_is_not_succeeded(life):
    world = life.world
    copy = world.store.copy()
    world.import_penalties(range(30, 40))
    life.put_back(copy)
    for reader in world.services.readers.values():
        world.heads.forget(reader.origin)
    life.put_back(copy)
    head = life.account()["records"]
    world.heads.replace(Head(head.origin, head.size, b"\x07" * 32))
    life.successions.stop()
    with raises_code(Conflict, "succession-fork"):
        life.successions.advance()


def call(life):
    """Call the command once; the code that it ends with, None when it ends well."""
    try:
        life.successions.advance()
    except NodeError as error:
        return error.code
    return None


@pytest.mark.parametrize("after", range(8))
def test_a_succession_that_is_cut_off_goes_on(life, after):
    """Whatever commit the store fails at, the command is called again and ends as if nothing had happened."""
    lose_newest(life)
    life.successions.stop()
    life.successions.advance()
    life.successions.pass_notice()
    world = life.world
    for stored in (False, True):
        world.store.faults[world.store.commits + after] = (Fatal("store-commit-failed", "power"), stored)
        assert call(life) in {None, "store-commit-failed", "succession-none"}
        world.store.faults.clear()
    assert call(life) in {None, "succession-none"}
    life.successions.start()
    assert [reader.number for reader in world.services.readers.values()] == [1, 1]
    go_on(life)


def test_a_backup_from_before_a_succession_goes_on_under_the_next_number(life):
    lose_newest(life)
    old = life.world.store.copy()
    life.successions.succeed()
    go_on(life)
    life.put_back(old)
    # The head file of log 0 convicts it still; the chain knows of log 1 as well.
    assert_read_only(life, "log-behind", looked="anchor-limit")
    life.successions.stop()
    with raises_code(Conflict, "succession-unplanned"):
        life.successions.choose("planned")
    assert {log.verdict for log in life.account().values()} == {"behind-anchor"}
    life.successions.advance()
    life.successions.pass_notice()
    done = life.successions.advance()
    assert [origin.rpartition("/")[2] for origin in done.begun] == ["2", "2"]
    life.successions.start()
    go_on(life)
    said = life.world.services.describe()["logs"][0]["succession"]
    assert said["predecessor"].endswith("/1")


def test_signed_notes_of_every_log_check_under_its_own_keys(life):
    lose_newest(life)
    life.successions.succeed()
    go_on(life)
    for log in LogKind:
        for reader in life.world.services.logs[log].readers:
            trusted = life.trusted[reader.origin]
            found = reader.find_checkpoint()
            verify_checkpoint(found[1], (trusted.ed25519, trusted.ml_dsa_44))

# SPDX-License-Identifier: Apache-2.0
"""Head files that are lost together with the data: no log is begun twice, and nothing that is used once is used again.

``Life.remember`` collects every checkpoint, place in a status list, status head and receipt of all stores, and refuses
two of one name.
"""

from __future__ import annotations

import pytest

from node.core.canonical import parse_json
from node.errors import Fatal
from node.service import layout
from node.service.status import open_fresh_list
from tests.support.errors import raises_code
from tests.support.lives import begun_life, go_on, lose_newest


@pytest.fixture
def life():
    with begun_life() as life:
        yield life


def numbers(done):
    return [origin.rpartition("/")[2] for origin in done.begun]


def lists_of(reader):
    """Numbers of the status lists that the records of a log have places in."""
    return {row.status_list for _, row in reader.rows(0, reader.size())} - {layout.NO_LIST}


def work_unanchored(life, rows):
    """Import, look and publish, with no anchor that would tell of it."""
    life.world.join()
    life.world.import_penalties(rows)
    life.look(life.early)
    life.publish_unanchored()


def test_a_successor_that_was_used_is_not_begun_again(life):
    lose_newest(life)
    backup = life.world.store.copy()
    assert numbers(life.successions.succeed()) == ["1", "1"]
    work_unanchored(life, range(30, 33))
    life.forget_heads()
    life.put_back(backup)
    assert numbers(life.successions.succeed()) == ["2", "2"]
    life.world.join()
    life.look(life.early)
    go_on(life)


def test_a_successor_that_was_opened_and_not_used_is_begun(life):
    """Its head file is older than its opening, so whatever was cut off behind that goes on with it."""
    lose_newest(life)
    life.successions.stop()
    life.successions.advance()
    life.successions.pass_notice()
    chain = life.world.chain
    receive = chain.receive

    def die_once_it_is_open(raw):
        receive(raw)
        if parse_json(raw, max_bytes=1 << 20)["call"] == "openLog":
            raise Fatal("power", "power")

    chain.receive = die_once_it_is_open
    with raises_code(Fatal, "power"):
        life.successions.advance()
    chain.receive = receive
    assert numbers(life.successions.advance()) == ["1", "1"]
    life.successions.start()
    go_on(life)


def test_without_a_head_file_lists_and_numbers_of_a_lost_store_are_passed_over(life):
    world = life.world
    backup = world.store.copy()
    # The lost life fills a list: 131,072 records cannot be imported here.
    world.services.sequencer.run(lambda t: open_fresh_list(t, world.store, 1))
    world.restart()
    work_unanchored(life, range(30, 40))
    lost = lists_of(world.records)
    life.forget_heads()
    life.put_back(backup)
    assert {log.complete for log in life.account().values()} == {False}
    life.successions.succeed()
    world.join()
    life.look(life.early)
    go_on(life)
    assert len(lost) == 2
    assert not lists_of(world.records) & lost


def test_of_every_log_in_between_nobody_knows_the_end(life):
    backup = life.world.store.copy()
    life.forget_heads()
    life.put_back(backup.copy())
    assert numbers(life.successions.succeed()) == ["1", "1"]
    work_unanchored(life, range(30, 33))
    lost = lists_of(life.world.records)
    life.forget_heads()
    life.put_back(backup)
    assert numbers(life.successions.succeed()) == ["2", "2"]
    life.world.join()
    life.look(life.early)
    go_on(life)
    assert lost
    assert not lists_of(life.world.records) & lost


def test_a_status_head_has_one_number_for_ever(life):
    lose_newest(life)
    lost = max(key[1] for key in life.single if key[0] == "status head")
    life.successions.succeed()
    life.world.join()
    life.world.anchor()
    newest = max(key for key, _ in life.world.store.scan(b"H", b"I"))
    assert newest > lost
    life.remember()
    assert life.world.check() == []

# SPDX-License-Identifier: Apache-2.0
"""Places in status lists, changes of status, and the heads that commit to all lists."""

from itertools import pairwise

import pytest

from node.errors import Conflict, NotFound
from node.log.merkle import EMPTY_ROOT
from node.records.status import (
    INVALID,
    LIST_SIZE,
    REPAIRED,
    SUSPENDED,
    VALID,
    verify_status_head,
    verify_status_path,
    verify_status_token,
)
from node.service import layout
from node.service.layout import LogKind
from node.service.status import (
    StatusAllocator,
    StatusPublisher,
    StoredChange,
    change_status,
    current_status,
    mark_used,
    parse_history,
)
from tests.support.errors import raises_code
from tests.support.node_world import DOMAIN, FaultyStore, FixedRandom, NodeWorld
from tests.support.rows import ISSUER


@pytest.fixture
def world():
    with NodeWorld() as made:
        yield made


@pytest.fixture
def publisher(world):
    return StatusPublisher(world.store, world.keys.record, DOMAIN, ISSUER)


def change(status, sealed=b"sealed"):
    return StoredChange(status, 1_800_000_000_000, sealed)


def use(world, places):
    world.services.sequencer.run(lambda t: mark_used(t, places))


def find_key(world):
    return lambda _kid, _member: world.keys.record.public


def append_head(world, publisher):
    """Append a head; the head as found, and as verified from its log entry."""
    world.clock.advance(seconds=300)
    head = world.services.sequencer.run(lambda t: publisher.append_head(t, world.clock.now_seconds()))
    entry = world.records.entry(world.records.row(head.place))
    return head, verify_status_head(entry, find_key(world))


# ---- places


def test_places_are_unique_and_within_their_list():
    allocator = StatusAllocator(FaultyStore(), FixedRandom())
    places = [place for _ in range(5) for place in allocator.take(700)]
    assert len(set(places)) == 3_500
    assert {number for number, _ in places} == {0}
    assert all(0 <= place < LIST_SIZE for _, place in places)


def test_places_are_random_over_the_whole_list():
    """Neither the order nor the distance of two places tells when their records were issued."""
    places = [place for _, place in StatusAllocator(FaultyStore(), FixedRandom()).take(2_000)]
    others = [place for _, place in StatusAllocator(FaultyStore(), FixedRandom("other")).take(2_000)]
    assert places != others
    rising = sum(left < right for left, right in pairwise(places))
    assert 900 < rising < 1_100
    quarters = [sum(place // (LIST_SIZE // 4) == quarter for place in places) for quarter in range(4)]
    assert min(quarters) > 400
    assert min(abs(left - right) for left, right in pairwise(places)) < 200 < max(places) - min(places)


def test_a_full_list_is_followed_by_the_next():
    allocator = StatusAllocator(FaultyStore(), FixedRandom())
    first = allocator.take(LIST_SIZE - 10)
    over = allocator.take(30)
    assert {number for number, _ in first} == {0}
    assert [number for number, _ in over] == [0] * 10 + [1] * 20
    assert {place for number, place in first + over if number == 0} == set(range(LIST_SIZE))


def test_places_come_back_when_they_were_not_used():
    allocator = StatusAllocator(FaultyStore(), FixedRandom())
    allocator.give_back(allocator.take(LIST_SIZE)[:500])
    places = allocator.take(501)
    assert [number for number, _ in places] == [0] * 500 + [1]
    assert len(set(places)) == 501
    # A list that is no longer handed out gets nothing back.
    allocator.give_back([(0, 5)])
    assert {number for number, _ in allocator.take(10)} == {1}


def test_a_new_start_hands_out_what_is_free(world):
    taken = StatusAllocator(FaultyStore(), FixedRandom()).take(1_000)
    use(world, taken)
    again = StatusAllocator(world.store, FixedRandom("again"))
    free = again.take(LIST_SIZE - 1_000)
    assert not set(free) & set(taken)
    assert set(free) | set(taken) == {(0, place) for place in range(LIST_SIZE)}
    assert again.take(1)[0][0] == 1


def test_a_place_is_used_once(world):
    use(world, [(0, 7), (0, 9)])
    commits = world.store.commits
    for places in ([(0, 8), (0, 7)], [(1, 3), (0, 7)], [(0, 11), (0, 11)]):
        with raises_code(Conflict, "status-place-used"):
            use(world, places)
    assert world.store.commits == commits
    assert world.services.sequencer.fatal is None
    use(world, [(0, 8), (0, 11), (1, 3)])


# ---- changes


def test_a_change_is_kept_with_its_ground(world):
    world.import_penalties(range(3))
    row = world.records.row(1)
    assert current_status(world.store, row) == VALID
    run = world.services.sequencer.run
    run(lambda t: change_status(t, world.records, 1, change(SUSPENDED, b"1")))
    run(lambda t: change_status(t, world.records, 1, change(REPAIRED, b"2")))
    assert current_status(world.store, row) == REPAIRED
    history = parse_history(world.store.get(layout.history_key(1)))
    assert [(c.status, c.sealed) for c in history] == [(SUSPENDED, b"1"), (REPAIRED, b"2")]
    assert [current_status(world.store, world.records.row(n)) for n in (0, 2)] == [VALID, VALID]


def test_invalid_is_final(world):
    world.import_penalties(range(1))
    run = world.services.sequencer.run
    run(lambda t: change_status(t, world.records, 0, change(INVALID)))
    for status in (VALID, INVALID, SUSPENDED, REPAIRED):
        commits = world.store.commits
        with raises_code(Conflict, "record-withdrawn"):
            run(lambda t, status=status: change_status(t, world.records, 0, change(status)))
        assert world.store.commits == commits


def test_a_change_to_the_same_is_refused(world):
    world.import_penalties(range(1))
    with raises_code(Conflict, "status-unchanged"):
        world.services.sequencer.run(lambda t: change_status(t, world.records, 0, change(VALID)))


def test_entries_that_are_no_records_have_no_status(world, publisher):
    append_head(world, publisher)
    for index, code in ((0, "record-unknown"), (5, "entry-unknown")):
        with raises_code(NotFound, code):
            world.services.sequencer.run(
                lambda t, index=index: change_status(t, world.records, index, change(INVALID))
            )


def test_two_changes_in_one_commit_both_hold(world):
    world.import_penalties(range(2))

    def both(transaction):
        change_status(transaction, world.records, 0, change(INVALID))
        change_status(transaction, world.records, 1, change(SUSPENDED))

    world.services.sequencer.run(both)
    assert [current_status(world.store, world.records.row(n)) for n in (0, 1)] == [INVALID, SUSPENDED]


# ---- heads


def test_the_first_head_of_an_empty_log_commits_to_nothing(world, publisher):
    found, head = append_head(world, publisher)
    assert (found.seq, found.lists) == (head.seq, head.lists) == (0, 0)
    assert head.root == EMPTY_ROOT


def test_heads_are_numbered_without_gaps(world, publisher):
    heads = []
    for n in range(4):
        world.import_penalties([n])
        heads.append(append_head(world, publisher))
        if n == 1:
            world.restart()
            publisher = StatusPublisher(world.store, world.keys.record, DOMAIN, ISSUER)
    assert [head.seq for _, head in heads] == [found.seq for found, _ in heads] == [0, 1, 2, 3]
    assert [found.place for found, _ in heads] == [1, 3, 5, 7]
    assert [head.iat for _, head in heads] == [1_800_000_000 + 300 * n for n in range(1, 5)]
    assert publisher.newest() == heads[-1][0]
    assert publisher.newest(lambda place: place < 4) == heads[1][0]
    assert publisher.newest(lambda place: place < 1) is None


def test_every_token_stands_in_its_head(world, publisher):
    use(world, [(number, number + 5) for number in range(5)])
    found, head = append_head(world, publisher)
    assert head.lists == 5
    for number in range(5):
        token = verify_status_token(publisher.token(found, number), find_key(world))
        assert token.uri.k == number
        verify_status_path(head, token, publisher.path(found, number))
    with raises_code(NotFound, "status-unknown"):
        publisher.token(found, 5)


def test_only_changed_lists_are_signed_again_and_old_tokens_stay(world, publisher):
    world.import_penalties(range(3))
    use(world, [(1, 0)])
    first, _ = append_head(world, publisher)
    row = world.records.row(1)
    world.services.sequencer.run(lambda t: change_status(t, world.records, 1, change(INVALID)))
    second, head = append_head(world, publisher)
    third, _ = append_head(world, publisher)
    tokens = [[publisher.token(found, number) for number in range(2)] for found in (first, second, third)]
    assert tokens[0][0] != tokens[1][0]
    assert tokens[1][0] == tokens[2][0]
    assert tokens[0][1] == tokens[1][1] == tokens[2][1]
    before, after = (verify_status_token(tokens[n][0], find_key(world)) for n in (0, 1))
    assert before.places.get(row.status_index) == VALID
    assert after.places.get(row.status_index) == INVALID
    verify_status_path(head, after, publisher.path(second, 0))
    assert publisher.digests(first) != publisher.digests(second) == publisher.digests(third)


def test_a_change_of_the_same_commit_stands_in_the_head(world, publisher):
    """A withdrawal that is acknowledged together with a head is in that head, not in the next."""
    world.import_penalties(range(2))
    append_head(world, publisher)
    row = world.records.row(0)

    def withdraw_and_close(transaction):
        change_status(transaction, world.records, 0, change(INVALID))
        return publisher.append_head(transaction, world.clock.now_seconds())

    found = world.services.sequencer.run(withdraw_and_close)
    token = verify_status_token(publisher.token(found, 0), find_key(world))
    assert token.places.get(row.status_index) == INVALID
    assert list(world.store.scan(b"D", b"E")) == []


def test_a_change_behind_the_head_in_one_commit_waits_for_the_next(world, publisher):
    world.import_penalties(range(1))

    def close_and_withdraw(transaction):
        found = publisher.append_head(transaction, world.clock.now_seconds())
        change_status(transaction, world.records, 0, change(INVALID))
        return found

    first = world.services.sequencer.run(close_and_withdraw)
    second, _ = append_head(world, publisher)
    place = world.records.row(0).status_index
    states = [
        verify_status_token(publisher.token(found, 0), find_key(world)).places.get(place)
        for found in (first, second)
    ]
    assert states == [VALID, INVALID]


def test_a_list_that_nothing_used_does_not_shift_the_others(world, publisher):
    use(world, [(2, 77)])
    found, head = append_head(world, publisher)
    assert head.lists == 3
    for number in range(3):
        token = verify_status_token(publisher.token(found, number), find_key(world))
        assert token.uri.k == number
        verify_status_path(head, token, publisher.path(found, number))


def test_heads_are_entries_of_the_records_log(world, publisher):
    found, _ = append_head(world, publisher)
    row = world.records.row(found.place)
    assert row.status_list == layout.NO_LIST
    assert world.services.readers[LogKind.ACCESS].size() == 0

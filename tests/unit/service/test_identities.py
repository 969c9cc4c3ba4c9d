# SPDX-License-Identifier: Apache-2.0
"""The filter in front of the index of identities: it may ask too much, and never says that a known identity is new."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ports import Batch
from node.service import layout
from node.service.identities import MOST_IDENTITIES, READ_PER_QUESTION, Identities
from node.storage.memory import MemoryStore

TINY = 8
"""Bytes of a filter in which nearly everything falls together."""


class CountingStore(MemoryStore):
    """Counts the identities that it is asked for and those that are read one after the other."""

    def __init__(self):
        super().__init__()
        self.asked = self.scanned = 0

    def get_all(self, keys):
        self.asked += len(keys)
        return super().get_all(keys)

    def scan(self, *arguments, **options):
        for pair in super().scan(*arguments, **options):
            self.scanned += 1
            yield pair


def digest(number):
    return sha256(b"%d" % number).digest()[:16]


def digests(numbers):
    return b"".join(map(digest, numbers))


def commit(store, numbers):
    batch = Batch()
    for number in numbers:
        batch.put(layout.identity_key(digest(number)), b"%d" % number)
    store.commit(batch)


def open_identities(store, count=int, *, stopping=bool, filter_bytes=1 << 16):
    return Identities(store, count, stopping, filter_bytes=filter_bytes)


def test_new_identities_of_an_empty_log_are_not_looked_up():
    store = CountingStore()
    identities = open_identities(store)
    assert identities.find_all(digests(range(500))) == [None] * 500
    assert store.asked == 0


def test_committed_ones_are_found_among_new_ones():
    store = CountingStore()
    identities = open_identities(store)
    identities.find_all(digests(range(10)))
    commit(store, range(5))
    assert identities.find_all(digests([20, 3, 21, 4, 9])) == [None, b"3", None, b"4", None]
    # The two, and one that was asked for before and never committed.
    assert store.asked == 3


def test_a_few_rows_for_a_large_log_do_not_read_its_index():
    store = CountingStore()
    commit(store, range(300))
    identities = open_identities(store, lambda: 300)
    few = 300 // READ_PER_QUESTION
    assert identities.find_all(digests(range(few))) == [b"%d" % number for number in range(few)]
    assert (store.asked, store.scanned) == (few, 0)
    assert identities.find_all(digests([299, 301])) == [b"299", None]
    assert (store.asked, store.scanned) == (few + 1, 300)


def test_a_log_too_large_for_the_filter_is_asked_each_time():
    store = CountingStore()
    identities = open_identities(store, lambda: MOST_IDENTITIES + 1)
    identities._asked = MOST_IDENTITIES
    identities.find_all(digests(range(7)))
    assert (store.asked, store.scanned) == (7, 0)


def test_a_stop_leaves_the_filter_for_later():
    store = CountingStore()
    commit(store, range(10))
    stopping = [True, False]
    identities = open_identities(store, stopping=lambda: stopping.pop(0))
    assert identities.find_all(digests([3, 11])) == [b"3", None]
    assert store.asked == 2
    assert identities.find_all(digests([4, 12])) == [b"4", None]
    assert store.asked == 3


@pytest.mark.parametrize("filter_bytes", [TINY, 1 << 16])
@given(steps=st.lists(st.tuples(st.lists(st.integers(0, 60), min_size=1), st.booleans(), st.booleans())))
def test_it_says_what_the_index_says(filter_bytes, steps):
    store = MemoryStore()
    identities = open_identities(store, filter_bytes=filter_bytes)
    for numbers, committed, restarted in steps:
        if restarted:
            identities = open_identities(store, filter_bytes=filter_bytes)
        keys = [layout.identity_key(digest(number)) for number in numbers]
        assert identities.find_all(digests(numbers)) == store.get_all(keys)
        if committed:
            commit(store, numbers)

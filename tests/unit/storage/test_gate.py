# SPDX-License-Identifier: Apache-2.0
"""Closing waits for calls in flight and lets no new one in."""

from __future__ import annotations

import threading

import pytest

from node.errors import Unavailable
from node.ports import Batch
from node.storage.gate import Gate
from node.storage.opening import open_store


def test_shut_gate_lets_nobody_in():
    gate = Gate()
    gate.enter()
    gate.leave()
    assert gate.shut()
    assert not gate.shut()
    with pytest.raises(Unavailable) as caught:
        gate.enter()
    assert caught.value.code == "store-closed"


def test_shut_waits_for_those_inside():
    gate = Gate()
    gate.enter()
    gate.enter()
    closer = threading.Thread(target=gate.shut)
    closer.start()
    closer.join(0.05)
    assert closer.is_alive()
    gate.leave()
    closer.join(0.05)
    assert closer.is_alive()
    gate.leave()
    closer.join(120)
    assert not closer.is_alive()


class Interrupted:
    """A counter that lets something happen right behind its first step by one thread."""

    def __init__(self, counter, thread_name, happen):
        self._counter = counter
        self._thread_name = thread_name
        self._happen = happen

    def __next__(self):
        number = next(self._counter)
        if threading.current_thread().name == self._thread_name:
            self._happen()
        return number


def test_who_is_turned_away_does_not_stand_in_for_who_is_inside():
    """Somebody comes too late between the two questions of the one who shuts."""
    gate = Gate()
    came = threading.Event()

    def come_late():
        if not came.is_set():
            visitor = threading.Thread(target=try_to_enter)
            visitor.start()
            visitor.join(120)
            came.set()

    def try_to_enter():
        with pytest.raises(Unavailable):
            gate.enter()

    gate._entered = Interrupted(gate._entered, "closer", come_late)
    gate._left = Interrupted(gate._left, "closer", come_late)
    gate.enter()
    closer = threading.Thread(target=gate.shut, name="closer")
    closer.start()
    assert came.wait(120)
    closer.join(0.1)
    assert closer.is_alive()
    gate.leave()
    closer.join(120)
    assert not closer.is_alive()


def test_store_closes_under_running_readers(tmp_path):
    """LevelDB would crash the process if it were closed under a read."""
    store = open_store(tmp_path / "store", b"me", create=True)
    batch = Batch()
    for number in range(2000):
        batch.put(b"%d" % number, b"x" * 50)
    batch.put_secret(b"s", b"w")
    batch.append("s", b"data")
    store.commit(batch)
    answers = []

    def read_on():
        try:
            while True:
                assert store.get(b"7") == b"x" * 50
                assert len(list(store.scan(b"", None))) == 2000
                assert store.read("s", 0, 4) == b"data"
                with store.snapshot() as snapshot:
                    assert snapshot.get_secret(b"s") == b"w"
        except Unavailable as error:
            answers.append(error.code)

    readers = [threading.Thread(target=read_on) for _ in range(3)]
    for reader in readers:
        reader.start()
    threading.Event().wait(0.05)
    store.close()
    for reader in readers:
        reader.join(120)
    assert answers == ["store-closed"] * 3
    open_store(tmp_path / "store", b"me").close()


def test_scan_that_outlives_the_store_ends_with_a_word(tmp_path):
    store = open_store(tmp_path / "store", b"me", create=True)
    batch = Batch()
    for number in range(2000):
        batch.put(b"%d" % number, b"")
    store.commit(batch)
    scan = store.scan(b"", None)
    next(scan)
    store.close()
    with pytest.raises(Unavailable) as caught:
        list(scan)
    assert caught.value.code == "store-closed"
    open_store(tmp_path / "store", b"me").close()

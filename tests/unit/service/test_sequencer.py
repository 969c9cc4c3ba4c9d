# SPDX-License-Identifier: Apache-2.0
"""The writer: what a commit holds, who is answered when, and what each failure leaves behind."""

import threading

import pytest

from node.errors import Conflict, Fatal, InvalidInput, NotFound, Unavailable
from node.log.checkpoint import build_origin
from node.log.merkle import EMPTY_ROOT, leaf_hash, root_of
from node.service import layout
from node.service.assembly import LOG_NUMBERS, open_readers
from node.service.layout import LogKind
from node.service.sequencer import MAX_ENTRIES, Sequencer
from node.service.startup import create_heads
from tests.support.errors import raises_code
from tests.support.node_world import ENTRIES, FaultyHeads, FaultyStore
from tests.support.rows import ISSUER

RECORDS, ACCESS = LogKind.RECORDS, LogKind.ACCESS
ORIGINS = {log: build_origin("zj.example", ISSUER, log.text, 0) for log in LogKind}
GUARD_SECONDS = 120
"""Keeps a failure from hanging; no test waits that long."""


class Writer:
    """A sequencer over a store and head files that can fail."""

    def __init__(self, store=None, heads=None):
        self.store = store or FaultyStore()
        self.heads = heads or FaultyHeads()
        self.readers = open_readers(self.store, "zj.example", ISSUER)
        create_heads(self.heads, self.readers, EMPTY_ROOT)
        self.sequencer = Sequencer(self.store, self.heads, ORIGINS, LOG_NUMBERS)

    def reopen(self):
        self.sequencer.close()
        return Writer(self.store, self.heads)

    def hold(self):
        """Keep the writer busy until ``release`` is called, so that what comes in meanwhile makes one group."""
        started, go = threading.Event(), threading.Event()

        def wait(transaction):
            started.set()
            assert go.wait(GUARD_SECONDS)
            transaction.put(b"held", b"")

        self.held = self.sequencer.submit(wait)
        assert started.wait(GUARD_SECONDS)
        self.release = go.set

    def entries(self, log=RECORDS):
        reader = self.readers[log]
        return [reader.entry(row) for _, row in reader.rows(0, reader.size())]


@pytest.fixture
def writer():
    made = Writer()
    yield made
    made.sequencer.close()


def append(entry, log=RECORDS):
    return lambda transaction: transaction.append(log, entry)


def refuse(error):
    def operation(_transaction):
        raise error

    return operation


def write_then(error, log=RECORDS):
    def operation(transaction):
        transaction.append(log, b"half")
        raise error

    return operation


def test_what_is_answered_is_in_the_store(writer):
    assert writer.sequencer.run(append(b"one")) == 0
    assert writer.entries() == [b"one"]
    assert writer.sequencer.size(RECORDS) == 1
    assert writer.sequencer.root(RECORDS) == (1, leaf_hash(b"one"))
    assert writer.sequencer.size(ACCESS) == 0


def test_what_comes_in_during_a_commit_is_committed_together_in_order(writer):
    writer.hold()
    futures = [writer.sequencer.submit(append(b"entry %d" % n)) for n in range(20)]
    before = writer.store.commits
    writer.release()
    assert [future.result(GUARD_SECONDS) for future in futures] == list(range(20))
    assert writer.store.commits == before + 2  # the one that was held, and one for all twenty
    assert writer.entries() == [b"entry %d" % n for n in range(20)]


def test_a_group_has_a_greatest_size(writer):
    writer.hold()
    step = MAX_ENTRIES // 2 + 1
    futures = [writer.sequencer.submit(append(b"e%d" % n), entries=step) for n in range(5)]
    before = writer.store.commits
    writer.release()
    assert [future.result(GUARD_SECONDS) for future in futures] == list(range(5))
    assert writer.store.commits == before + 1 + 3


def test_an_operation_sees_what_earlier_ones_of_its_commit_wrote(writer):
    seen = []
    writer.hold()
    writer.sequencer.submit(lambda t: t.put(b"k", b"1"))
    writer.sequencer.submit(lambda t: seen.append((t.get(b"k"), t.size(RECORDS))))
    writer.sequencer.submit(append(b"one"))
    writer.sequencer.submit(lambda t: t.delete(b"k"))
    last = writer.sequencer.submit(lambda t: seen.append((t.get(b"k"), t.size(RECORDS))))
    writer.release()
    last.result(GUARD_SECONDS)
    assert seen == [(b"1", 0), (None, 1)]
    assert writer.store.get(b"k") is None


def test_an_operation_that_refuses_leaves_the_others_of_its_commit_intact(writer):
    writer.hold()
    first = writer.sequencer.submit(append(b"first"))
    refused = writer.sequencer.submit(refuse(NotFound("record-unknown", "no such record")))
    last = writer.sequencer.submit(append(b"last"))
    writer.release()
    with raises_code(NotFound, "record-unknown"):
        refused.result(GUARD_SECONDS)
    assert (first.result(GUARD_SECONDS), last.result(GUARD_SECONDS)) == (0, 1)
    assert writer.entries() == [b"first", b"last"]


def test_a_fault_before_the_first_write_costs_only_its_caller(writer):
    writer.hold()
    fault = writer.sequencer.submit(refuse(TypeError("a bug")))
    good = writer.sequencer.submit(append(b"good"))
    writer.release()
    with pytest.raises(TypeError):
        fault.result(GUARD_SECONDS)
    assert good.result(GUARD_SECONDS) == 0
    assert writer.sequencer.fatal is None


def test_a_refused_operation_writes_nothing(writer):
    before = writer.store.commits
    with raises_code(NotFound, "record-unknown"):
        writer.sequencer.run(refuse(NotFound("record-unknown", "no such record")))
    assert writer.store.commits == before


@pytest.mark.parametrize("error", [NotFound("record-unknown", "no such record"), TypeError("a bug")])
def test_a_half_done_operation_stops_the_writer_and_nothing_of_its_commit_is_stored(writer, error):
    writer.hold()
    futures = [
        writer.sequencer.submit(append(b"first")),
        writer.sequencer.submit(write_then(error)),
        writer.sequencer.submit(append(b"last")),
    ]
    writer.release()
    for future in futures:
        with raises_code(Fatal, "operation-half-done"):
            future.result(GUARD_SECONDS)
    assert writer.entries() == []
    assert writer.sequencer.fatal.code == "operation-half-done"
    with raises_code(Fatal, "operation-half-done"):
        writer.sequencer.run(append(b"later"))


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("store-disk-full", "disk is full"),
        InvalidInput("store-batch-size", "too much for one commit"),
    ],
)
def test_a_commit_that_wrote_nothing_is_answered_and_the_writer_goes_on(writer, error):
    writer.sequencer.run(append(b"one"))
    writer.hold()
    futures = [writer.sequencer.submit(append(b"lost %d" % n)) for n in range(2)]
    futures += [writer.sequencer.submit(refuse(NotFound("record-unknown", "no such record")))]
    writer.store.faults[writer.store.commits + 1] = (error, False)
    writer.release()
    for future in futures[:2]:
        with raises_code(type(error), error.code):
            future.result(GUARD_SECONDS)
    with raises_code(NotFound, "record-unknown"):
        futures[2].result(GUARD_SECONDS)
    assert writer.sequencer.run(append(b"two", RECORDS)) == 1
    assert writer.entries() == [b"one", b"two"]
    assert writer.sequencer.root(RECORDS)[1] == root_of([leaf_hash(b"one"), leaf_hash(b"two")])
    assert writer.heads.stored[-1].size == 2


@pytest.mark.parametrize("stored", [False, True])
def test_a_commit_of_unknown_outcome_stops_everything_and_a_new_start_knows(writer, stored):
    writer.sequencer.run(append(b"one"))
    writer.store.fail_next(Fatal("store-commit-failed", "sync failed"), stored=stored)
    with raises_code(Fatal, "store-commit-failed"):
        writer.sequencer.run(append(b"two"))
    commits = writer.store.commits
    with raises_code(Fatal, "store-commit-failed"):
        writer.sequencer.run(append(b"three"))
    assert writer.store.commits == commits
    again = writer.reopen()
    assert again.sequencer.run(append(b"four")) == 1 + stored
    assert again.entries() == [b"one", *[b"two"] * stored, b"four"]
    again.sequencer.close()


def test_an_unexpected_error_of_the_store_stops_everything(writer):
    writer.store.fail_next(ValueError("a bug"))
    with raises_code(Fatal, "commit-failed"):
        writer.sequencer.run(append(b"one"))
    assert "a bug" not in writer.sequencer.fatal.message


def test_the_head_file_is_stored_before_a_caller_is_answered(writer):
    heads = []
    future = writer.sequencer.submit(append(b"look", ACCESS))
    future.add_done_callback(lambda _: heads.append(writer.heads.load(ORIGINS[ACCESS])))
    assert future.result(GUARD_SECONDS) == 0
    writer.sequencer.close()
    assert [(head.size, head.root) for head in heads] == [(1, leaf_hash(b"look"))]
    assert writer.heads.load(ORIGINS[RECORDS]).size == 0


def test_a_commit_that_adds_no_entry_needs_no_head_file(writer):
    stored = len(writer.heads.stored)
    writer.sequencer.run(lambda transaction: transaction.put(b"j", b"report"))
    assert len(writer.heads.stored) == stored
    writer.sequencer.run(append(b"record"))
    assert len(writer.heads.stored) == stored + 1


@pytest.mark.parametrize(
    "error",
    [
        Fatal("head-not-stored", "rename failed"),
        Unavailable("head-unreadable", "no permission"),
        Conflict("head-behind", "head goes back"),
    ],
)
def test_a_head_file_that_fails_behind_the_commit_point_stops_everything(writer, error):
    """The entry is stored, so to go on as if it were not would give its index to another one."""
    writer.heads.fault = error
    with pytest.raises(Fatal):
        writer.sequencer.run(append(b"look", ACCESS))
    with pytest.raises(Fatal):
        writer.sequencer.run(append(b"other look", ACCESS))
    assert writer.entries(ACCESS) == [b"look"]
    again = writer.reopen()
    assert again.sequencer.run(append(b"third look", ACCESS)) == 1
    assert again.entries(ACCESS) == [b"look", b"third look"]
    assert again.heads.load(ORIGINS[ACCESS]).size == 2
    again.sequencer.close()


def test_read_only_refuses_everything_with_its_reason(writer):
    writer.sequencer.run(append(b"one"))
    writer.sequencer.set_read_only(Conflict("log-fork", "store has another root"))
    commits = writer.store.commits
    errors = []
    for _ in range(2):
        with raises_code(Conflict, "log-fork") as caught:
            writer.sequencer.run(append(b"two"))
        errors.append(caught.value)
    assert writer.store.commits == commits
    assert errors[0] is not errors[1], (
        "an error that is raised again and again keeps the frames of every time"
    )
    assert writer.sequencer.read_only.code == "log-fork"


def test_what_was_queued_when_it_became_read_only_is_refused(writer):
    writer.hold()
    queued = writer.sequencer.submit(append(b"one"))
    writer.sequencer.set_read_only(Conflict("log-fork", "store has another root"))
    writer.release()
    with raises_code(Conflict, "log-fork"):
        queued.result(GUARD_SECONDS)
    assert writer.entries() == []


def test_halting_refuses_everything_and_keeps_the_first_reason(writer):
    writer.sequencer.halt(Fatal("log-tile-corrupt", "tile (1, 0)"))
    writer.sequencer.halt(Fatal("log-root-differs", "another root"))
    with raises_code(Fatal, "log-tile-corrupt"):
        writer.sequencer.run(append(b"one"))
    assert writer.entries() == []


def test_closing_finishes_what_was_queued(writer):
    writer.hold()
    futures = [writer.sequencer.submit(append(b"e%d" % n)) for n in range(3)]
    closing = threading.Thread(target=writer.sequencer.close)
    closing.start()
    writer.release()
    closing.join(GUARD_SECONDS)
    assert [future.result(0) for future in futures] == [0, 1, 2]
    with raises_code(Unavailable, "stopping"):
        writer.sequencer.run(append(b"late"))
    writer.sequencer.close()


def test_nobody_waits_for_ever_when_it_closes(writer):
    answers = []

    def submit():
        for n in range(50):
            try:
                answers.append(writer.sequencer.submit(append(b"%d" % n)).result(GUARD_SECONDS))
            except Unavailable as error:
                answers.append(error.code)

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    writer.sequencer.close()
    for thread in threads:
        thread.join(GUARD_SECONDS)
    assert len(answers) == 200
    indices = [answer for answer in answers if answer != "stopping"]
    assert sorted(indices) == list(range(len(indices))) == list(range(writer.readers[RECORDS].size()))


def test_many_callers_get_each_their_own_entry(writer):
    places = {}

    def call(caller):
        for n in range(25):
            entry = b"%d/%d" % (caller, n)
            places[entry] = writer.sequencer.run(append(entry))

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    stored = writer.entries()
    assert len(stored) == 200
    assert all(stored[index] == entry for entry, index in places.items())


def test_a_new_start_goes_on_where_the_log_ends(writer):
    for n in range(300):
        writer.sequencer.submit(append(b"a%d" % n))
    writer.sequencer.close()
    again = writer.reopen()
    assert again.sequencer.run(append(b"last")) == 300
    leaves = [leaf_hash(b"a%d" % n) for n in range(300)] + [leaf_hash(b"last")]
    assert again.sequencer.root(RECORDS) == (301, root_of(leaves))
    assert again.store.length(ENTRIES[RECORDS]) == sum(2 + len(entry) for entry in again.entries())
    assert layout.parse_u64(again.store.get(layout.size_key(RECORDS))) == 301
    again.sequencer.close()


@pytest.mark.parametrize("length", [0, 65_536])
def test_an_entry_that_no_bundle_can_hold_is_refused(writer, length):
    with raises_code(InvalidInput, "entry-size"):
        writer.sequencer.run(append(bytes(length)))
    assert writer.sequencer.run(append(bytes(65_535))) == 0


def test_callers_who_cannot_wait_are_called(writer):
    answers = []
    writer.hold()
    for operation in (append(b"one"), refuse(NotFound("record-unknown", "no such record")), append(b"two")):
        writer.sequencer.submit_then(operation, lambda *answer: answers.append(answer))
    writer.release()
    assert writer.sequencer.run(append(b"three")) == 2
    results = [(result, error and error.code) for result, error in answers]
    assert sorted(results, key=str) == [(0, None), (1, None), (None, "record-unknown")]
    writer.sequencer.close()
    writer.sequencer.submit_then(append(b"late"), lambda *answer: answers.append(answer))
    assert answers[-1][1].code == "stopping"

# SPDX-License-Identifier: Apache-2.0
"""The background loops: they go on whatever a day brings, and give up only what cannot be done."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from node.crypto.ed25519 import Ed25519Signer
from node.errors import Conflict, Fatal, Unavailable
from node.service.jobs import get_job, store_job, unfinished_jobs
from node.worker.loops import MAX_ATTEMPTS, RETRY_SECONDS, ChainLoop, ImportLoop
from tests.support.api_world import ApiWorld, csv_of
from tests.support.errors import raises_code
from tests.support.node_world import PERIOD_SECONDS, penalty, seed_of
from tests.support.rows import PENALTY

GUARD_SECONDS = 120
"""Keeps a failure from hanging; no test waits that long."""


@pytest.fixture
def world(tmp_path):
    with ApiWorld(tmp_path / "uploads") as made:
        yield made


@pytest.fixture
def loop(world):
    made = ImportLoop(world.node.services, world.files.uploads)
    yield made
    made.request_stop()
    made.join(GUARD_SECONDS)


def order(world, *numbers):
    """Upload a file; the job."""
    job_id = world.upload(csv_of([penalty(n) for n in numbers], PENALTY.field_codes)).json()["id"]
    return get_job(world.node.store, job_id)


def wait_for(condition):
    deadline = time.monotonic() + GUARD_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def job_of(world, job):
    return get_job(world.node.store, job.id)


def shown(world, job):
    return world.get(f"/api/v1/imports/{job.id}", "operator").json()


# ---- what the import loop does


def test_what_was_ordered_before_and_after_the_start_is_done_in_order(world, loop):
    jobs = [order(world, 1, 2), order(world, 3)]
    loop.start()
    jobs.append(order(world, 4))
    loop.wake()
    wait_for(lambda: not unfinished_jobs(world.node.store))
    assert [job_of(world, job).accepted for job in jobs] == [2, 1, 1]
    wait_for(lambda: world.stored_uploads() == [])


def test_files_that_no_import_needs_are_dropped_at_the_start(world, loop):
    job = order(world, 1)
    left = world.files.uploads._directory / "019a1b2c-3d4e-7f60-8a1b-2c3d4e5f6071"
    left.write_bytes(b"personal data of an import that ended")
    started, go = threading.Event(), threading.Event()
    world.node.workers.before = lambda _: (started.set(), go.wait(GUARD_SECONDS))
    loop.start()
    assert started.wait(GUARD_SECONDS)
    assert world.stored_uploads() == [job.id]
    go.set()
    wait_for(lambda: job_of(world, job).state == "done")


def test_a_loop_that_was_never_started_can_be_stopped(loop):
    loop.request_stop()
    loop.join(GUARD_SECONDS)


def test_an_import_that_waits_says_for_what_and_goes_on(world, loop, capsys):
    job = order(world, 1)
    for _ in range(3 * MAX_ATTEMPTS):
        world.node.store.fail_next(Unavailable("store-disk-full", "disk is full"))
        assert loop._run_job(job) is True
        view = shown(world, job)
        assert (view["state"], view["waiting_code"], view["waiting"]) == (
            "queued",
            "store-disk-full",
            "disk is full",
        )
    assert capsys.readouterr().out.count("store-disk-full") == 1, "it is logged once"
    assert world.stored_uploads() == [job.id]
    assert loop._run_job(job) is False
    view = shown(world, job)
    assert (view["state"], view["waiting_code"], view["waiting"]) == ("done", None, None)
    assert world.stored_uploads() == []


def test_an_import_waits_until_the_chain_has_taken_another_record_key(world, loop):
    """A file that was mistaken signs nothing; rows that were read before are signed once the right one is there."""
    assert loop._run_job(order(world, 1)) is False
    job, leaf = order(world, 2), world.leaves()[0]
    world.node.keys = replace(world.node.keys, record=Ed25519Signer(seed_of("another record key")))
    world.node.restart()
    again = ImportLoop(world.node.services, world.files.uploads)
    size = world.node.records.size()
    for _ in range(MAX_ATTEMPTS + 1):
        assert again._run_job(job) is True
        assert shown(world, job)["waiting_code"] == "chain-not-joined"
    body = {"values": {"CF_NR": "罚款1万元"}, "ground": "笔误"}
    refused = world.post(f"/api/v1/records/{leaf}/correct", "operator", body)
    assert (refused.status_code, refused.json()["code"]) == (503, "chain-not-joined")
    assert world.node.records.size() == size
    world.node.join()
    assert again._run_job(job) is False
    assert shown(world, job)["state"] == "done"


def test_an_import_of_a_read_only_node_waits_for_people(world, loop):
    job = order(world, 1)
    world.node.services.sequencer.set_read_only(Conflict("log-behind", "fewer entries"))
    assert loop._run_job(job) is False
    assert (job_of(world, job).state, world.stored_uploads()) == ("queued", [job.id])
    assert shown(world, job)["waiting_code"] == "log-behind"


def test_an_import_of_a_node_whose_writer_stopped_is_left_for_the_next_start(world, loop):
    job = order(world, 1)
    world.node.store.fail_next(Fatal("store-commit-failed", "disk error"))
    assert loop._run_job(job) is False
    assert loop._run_job(job) is False
    assert job_of(world, job).state in {"queued", "running"}
    assert world.stored_uploads() == [job.id]


def test_a_file_that_kills_its_worker_each_time_is_given_up(world, loop):
    job, other = order(world, 1, 2), order(world, 3)
    for _ in range(MAX_ATTEMPTS - 1):
        world.node.workers.deaths = 1
        assert loop._run_job(job) is True
    world.node.workers.deaths = 1
    assert loop._run_job(job) is False
    ended = job_of(world, job)
    assert (ended.state, ended.error[0]) == ("failed", "worker-died")
    assert world.stored_uploads() == [other.id]
    assert loop._run_job(other) is False
    assert job_of(world, other).state == "done"


def test_a_workbook_whose_reader_is_ended_each_time_is_given_up(world, loop):
    """From outside, or by itself because it was taken over: an import that was only cut off goes on, none waits for ever."""
    job = order(world, 1, 2)
    opened = world.node.services.importer._tools.open_file

    def end(_job, _item):
        raise Unavailable("reader-ended", "ended from outside")

    def told(open_file):
        importer = world.node.services.importer
        importer._tools = replace(importer._tools, open_file=open_file)

    told(end)
    for _ in range(MAX_ATTEMPTS - 1):
        assert loop._run_job(job) is True
        assert job_of(world, job).state == "queued"
    assert loop._run_job(job) is False
    assert job_of(world, job).error[0] == "reader-ended"
    told(opened)
    again = order(world, 1, 2)
    assert loop._run_job(again) is False
    assert (job_of(world, again).state, job_of(world, again).accepted) == ("done", 2)


def test_a_fault_of_ours_costs_one_import_and_says_nothing_of_its_rows(world, loop, capsys):
    job, other = order(world, 1), order(world, 2)
    first = world.node.workers.tasks

    def break_down(task):
        if task <= first + MAX_ATTEMPTS:
            raise KeyError("云市监罚〔2026〕1号")

    world.node.workers.before = break_down
    assert [loop._run_job(job) for _ in range(MAX_ATTEMPTS)] == [True] * (MAX_ATTEMPTS - 1) + [False]
    ended = job_of(world, job)
    assert (ended.state, ended.error[0]) == ("failed", "fault")
    told = capsys.readouterr().out
    assert "云市监罚" not in ended.error[1] + told
    assert f"test_loops.py:{break_down.__code__.co_firstlineno + 2}" in told
    assert loop._run_job(other) is False
    assert job_of(world, other).accepted == 1


@pytest.mark.parametrize("how", ["worker-died", "fault"])
def test_an_import_says_why_it_waits_now_and_those_behind_one_that_was_given_up_wait_for_nothing(
    world, loop, how
):
    job, other = order(world, 1), order(world, 2)
    world.node.store.fail_next(Unavailable("store-disk-full", "disk is full"))
    assert loop._run_job(job) is True
    assert shown(world, job)["waiting_code"] == "store-disk-full"

    def fail(_task):
        if how == "fault":
            raise KeyError
        world.node.workers.deaths = 1

    world.node.workers.before = fail
    for _ in range(MAX_ATTEMPTS - 1):
        assert loop._run_job(job) is True
        assert shown(world, job)["waiting_code"] == how
    assert loop._run_job(job) is False
    assert job_of(world, job).error[0] == how
    view = shown(world, other)
    assert (view["state"], view["waiting_code"], view["waiting"]) == ("queued", None, None)


def test_behind_an_import_that_waits_none_is_run(world, loop):
    """A correction that was ordered later would otherwise be refused by the row that it corrects."""
    jobs = [order(world, 1, 2), order(world, 3)]
    world.node.workers.deaths = 1
    assert loop._turn() is True
    assert [job_of(world, job).state for job in jobs] == ["queued", "queued"]
    assert loop._turn() is False
    assert [job_of(world, job).state for job in jobs] == ["done", "done"]


def test_an_import_that_gets_on_between_failures_is_not_given_up(world, loop):
    job = order(world, *range(20))
    attempts = 0
    for attempts in range(1, 30):
        # It fails each time, but each time behind another row.
        world.node.workers.deaths = 1 if attempts <= 2 * MAX_ATTEMPTS else 0
        further = replace(job_of(world, job), last_row=attempts, state="running")
        world.node.services.sequencer.run(lambda t, further=further: store_job(t, further), entries=0)
        if loop._run_job(job) is False:
            break
    assert attempts == 2 * MAX_ATTEMPTS + 1
    assert job_of(world, job).state == "done"


def test_a_stop_in_the_middle_of_a_chunk_is_no_fault(world, loop, capsys):
    job = order(world, 1)

    def stop(_task):
        loop.request_stop()
        raise RuntimeError("the worker was told to end")

    world.node.workers.before = stop
    assert loop._run_job(job) is False
    assert job_of(world, job).state in {"queued", "running"}
    assert "fault" not in capsys.readouterr().out


# ---- the chain


def anchors(world):
    found = [reader.find_anchor() for reader in world.node.services.readers.values()]
    return [stored.anchor.i if stored else 0 for stored in found]


def test_the_loop_compares_joins_and_anchors_by_itself(world):
    node = world.node
    node.restart()
    assert node.services.state()["mode"] == "waiting-for-chain"
    node.loop.start()
    wait_for(lambda: node.services.condition.joined)
    node.loop.request_stop()
    node.loop.join(GUARD_SECONDS)
    assert anchors(world) == [0, 0]
    node.loop = ChainLoop(node.services, PERIOD_SECONDS)
    assert node.loop._turn() == PERIOD_SECONDS
    assert anchors(world) == [1, 1]


@pytest.mark.parametrize(
    ("error", "seconds", "code"),
    [
        (Unavailable("chain-away", "no answer"), RETRY_SECONDS, "chain-away"),
        (Fatal("log-tile-corrupt", "tile (0, 0)"), PERIOD_SECONDS, "log-tile-corrupt"),
        (KeyError("名字"), PERIOD_SECONDS, "fault"),
    ],
)
def test_the_loop_survives_what_a_turn_brings_and_says_it_once(world, capsys, error, seconds, code):
    node = world.node
    node.restart()
    probe = node.services.chain.probe

    def fail(_known):
        raise error

    node.services.chain.probe = fail
    assert [node.loop._turn() for _ in range(4)] == [seconds] * 4
    assert node.services.state()["code"] == code
    assert node.services.state()["mode"] == "waiting-for-chain"
    told = capsys.readouterr().out
    assert "名字" not in told
    assert told.count(f"={code}") == 1
    node.services.chain.probe = probe
    assert node.loop._turn() == PERIOD_SECONDS
    assert "chain works again" in capsys.readouterr().out
    assert node.services.state()["mode"] == "ready"


def test_demands_that_cannot_be_looked_at_cost_no_anchor(world, monkeypatch, capsys):
    """A chain node that gives no events any more, or not so many."""
    node = world.node
    node.restart()
    node.loop._turn()

    def refuse(**_):
        raise Unavailable("chain-answer", "no events")

    monkeypatch.setattr(node.services.demands, "serve", refuse)
    assert [node.loop._turn() for _ in range(3)] == [PERIOD_SECONDS] * 3
    assert anchors(world) == [3, 3]
    assert "demands not looked at" in capsys.readouterr().out


def test_demands_are_looked_at_whatever_became_of_the_anchor(world, monkeypatch):
    """A suspended member may not anchor, and may answer still."""
    node = world.node
    node.restart()
    node.loop._turn()
    looked = []

    def refuse(**_):
        raise Conflict("anchor-reverted", "NotAuthorised")

    monkeypatch.setattr(node.services.anchorer, "anchor_now", refuse)
    monkeypatch.setattr(node.services.demands, "serve", lambda **_: looked.append(1) or 0)
    node.loop._turn()
    assert looked == [1]


def test_a_read_only_node_says_what_it_lacks_and_sends_nothing(world, capsys):
    node = world.node
    node.services.sequencer.set_read_only(Conflict("log-behind", "fewer entries"))
    blocks, commits = len(node.chain.blocks), node.store.commits
    node.chain.away = True
    assert node.loop._turn() == RETRY_SECONDS, "the chain is asked again soon"
    assert node.services.describe()["account"]["chain_asked"] is False
    node.chain.away = False
    assert node.loop._turn() == PERIOD_SECONDS
    account = node.services.describe()["account"]
    assert [(log["log"], log["verdict"], log["missing"]) for log in account["logs"]] == [
        ("records", "continues", 0),
        ("access", "continues", 0),
    ]
    assert node.services.state()["code"] == "log-behind"
    assert (len(node.chain.blocks), node.store.commits) == (blocks, commits)


def test_a_wait_ends_with_the_node(world):
    loop = ChainLoop(world.node.services, PERIOD_SECONDS)
    loop.start()
    loop.request_stop()
    loop.join(GUARD_SECONDS)
    with raises_code(Unavailable, "stopping"):
        loop.sleep(100)

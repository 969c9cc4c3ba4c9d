# SPDX-License-Identifier: Apache-2.0
"""Imports: what goes in, what is refused and why, and what a stop, a crash or a dead worker leaves behind."""

import json
import threading
from pathlib import Path

import pytest

from node.core.encoding import encode_b64u
from node.errors import Conflict, Fatal, InvalidInput, NotFound, Unavailable
from node.records.catalogue import load_item
from node.records.record import parse_record
from node.service import jobs, layout
from node.service.jobs import get_job, iterate_refusals, list_jobs, unfinished_jobs
from node.service.layout import LogKind
from tests.support.errors import raises_code
from tests.support.imports import WRONG_CODE, counts, refusals, statuses
from tests.support.node_world import WHY, NodeWorld, penalty
from tests.support.rows import PENALTY, PERSON, RESIDENT_ID, build_row

NFRA_BYTES = (Path(__file__).parents[2] / "support" / "items" / "nfra-penalty.json").read_bytes()
NFRA = load_item(NFRA_BYTES)


def wide_item():
    """An item whose fields together hold more than a record may."""
    members = json.loads(NFRA_BYTES)
    members["item"] = "wide"
    members["fields"] += [
        {"code": f"T{n}", "zh": f"说明{n}", "en": f"note {n}", "type": "text", "required": False}
        for n in range(14)
    ]
    return load_item(json.dumps(members).encode())


WIDE = wide_item()


@pytest.fixture
def world():
    with NodeWorld(items=[NFRA, WIDE]) as made:
        yield made


def row_without_number(fine):
    """A clean row of an item whose rows have no document number."""
    values = {
        "PARTY": "云州恒泰财产保险股份有限公司",
        "FACTS": "编制虚假资料",
        "KINDS": "罚款",
        "FINE": fine,
        "PUBLISHED": "2026-04-27",
        "TITLE": "行政处罚信息公开表",
    }
    return [values.get(code, "") for code in NFRA.field_codes]


def numbers(world):
    """Document numbers of all records, oldest first."""
    return [world.services.records.show(line.leaf, WHY).opened.values["CF_WSH"] for line in world.lines()]


# ---- rows


def test_clean_rows_become_records_in_their_order(world):
    job = world.import_penalties(range(5))
    assert counts(job) == ("done", 5, 5, 0, 0, 0)
    assert job.last_row == 6
    assert numbers(world) == [f"云市监罚〔2026〕{n}号" for n in range(5)]
    assert [line.item for line in world.lines()] == ["penalty:2018"] * 5
    assert [line.disclosure for line in world.lines()] == ["open"] * 5
    assert world.check() == []


def test_every_record_is_found_by_leaf_identity_and_subject(world):
    world.import_penalties(range(3))
    for index, line in enumerate(world.lines()):
        assert world.records.index_of(line.leaf) == index
        row = world.records.row(index)
        claims = parse_record(world.records.entry(row)).claims
        assert row.key == bytes.fromhex(claims.jti.replace("-", ""))
        assert claims.status_idx == row.status_index
        assert world.store.get_secret(layout.secret_key(LogKind.RECORDS, index))
    assert len(list(world.store.scan(b"i", b"j"))) == 3
    assert len(list(world.store.scan(b"s", b"t"))) == 3


def test_status_places_tell_nothing_of_the_order(world):
    world.import_penalties(range(60))
    places = [row.status_index for _, row in world.records.rows(0, 60)]
    assert len(set(places)) == 60
    assert places != sorted(places)
    assert max(places) > 10_000


def test_a_bad_row_costs_only_itself(world):
    rows = [penalty(1), penalty(2, CF_XDR_SHXYM=WRONG_CODE), penalty(3), penalty(4, CF_NR_FK="x", CF_SY="")]
    job = world.import_rows(rows)
    assert counts(job) == ("done", 4, 2, 0, 0, 2)
    assert refusals(world, job) == [
        (3, "CF_XDR_SHXYM", "uscc-check-digit"),
        (5, "CF_SY", "field-required"),
        (5, "CF_NR_FK", "decimal-format"),
    ]
    assert [n.split("〕")[1] for n in numbers(world)] == ["1号", "3号"]


def test_refusals_behind_a_row_are_read_from_its_chunk_on(world, monkeypatch):
    world.uploads.chunk_rows = 4
    wrong = {n: {"CF_XDR_SHXYM": WRONG_CODE} for n in range(20) if n % 3}
    job = world.import_rows([penalty(n, **wrong.get(n, {})) for n in range(20)])
    rows = [refusal.row for refusal in iterate_refusals(world.store, job.id)]
    assert len(rows) == 13
    for after in range(rows[-1] + 3):
        behind = [refusal.row for refusal in iterate_refusals(world.store, job.id, after=after)]
        assert behind == [row for row in rows if row > after]
    unpacked = []
    unpackb = jobs.msgpack.unpackb
    monkeypatch.setattr(jobs.msgpack, "unpackb", lambda data: unpacked.append(data) or unpackb(data))
    assert list(iterate_refusals(world.store, job.id, after=rows[-2]))
    assert len(unpacked) == 1
    assert list(iterate_refusals(world.store, job.id, after=1 << 63)) == []


def test_refusals_name_the_class_of_a_value_never_the_value(world):
    job = world.import_rows([penalty(1, **PERSON | {"CF_XDR_LB": "法人及非法人组织"})])
    found = list(iterate_refusals(world.store, job.id))
    assert found
    assert not [r for r in found if RESIDENT_ID in r.value_class or "孙样本" in r.value_class]
    stored = b"".join(value for _, value in world.store.scan(b"", None))
    assert RESIDENT_ID.encode() not in stored
    assert "孙样本".encode() not in stored


def test_blank_rows_and_rows_that_could_not_be_read(world):
    job = world.import_rows([penalty(1), [], "row-encoding", [], penalty(2)])
    assert counts(job) == ("done", 3, 2, 0, 0, 1)
    assert refusals(world, job) == [(4, None, "row-encoding")]


def test_a_row_without_a_number_is_flagged_and_known_by_its_content(world):
    rows = [row_without_number("0.5"), row_without_number("0.6"), row_without_number("0.5")]
    job = world.import_rows(rows, item=NFRA.key)
    assert counts(job) == ("done", 3, 2, 0, 1, 0)
    assert job.flagged == 2
    again = world.import_rows(rows, item=NFRA.key)
    assert counts(again) == ("done", 3, 0, 0, 3, 0)


def test_a_row_too_large_for_a_record_costs_only_itself(world):
    short = [row_without_number(fine) + ["x"] * 14 for fine in ("0.5", "0.7")]
    large = row_without_number("0.6") + ["x" * 32_000] * 14
    job = world.import_rows([short[0], large, short[1]], item=WIDE.key, header=list(WIDE.field_codes))
    assert counts(job) == ("done", 3, 2, 0, 0, 1)
    assert job.flagged == 2
    assert refusals(world, job) == [(3, None, "record-form")]
    fines = [world.services.records.show(line.leaf, WHY).opened.values["FINE"] for line in world.lines()]
    assert sorted(fines) == ["0.5", "0.7"]
    assert world.check() == []


def test_a_natural_person_is_not_open(world):
    job = world.import_rows([penalty(1, **PERSON)])
    assert counts(job) == ("done", 1, 1, 0, 0, 0)
    assert world.lines()[0].disclosure == "authorised"


def test_nothing_of_a_row_lies_in_the_store_in_the_clear(world):
    world.import_rows([penalty(1, **PERSON)])
    world.services.records.show(world.leaf(), WHY)
    main = b"".join(key + value for key, value in world.store.scan(b"", None))
    streams = b"".join(bytes(data) for data in world.store._contents.streams.values())
    for secret in (RESIDENT_ID, "孙样本", "云市监罚", "罚款0.5万元", "own-records", "条例第九条"):
        for text in (secret.encode(), encode_b64u(secret.encode()).encode()):
            assert text not in main + streams


# ---- the same again


def test_the_same_file_again_changes_nothing(world):
    first = world.import_penalties(range(7))
    size = world.records.size()
    again = world.import_penalties(range(7))
    assert counts(first) == ("done", 7, 7, 0, 0, 0)
    assert counts(again) == ("done", 7, 0, 0, 7, 0)
    assert world.records.size() == size


def test_a_longer_file_adds_what_is_new(world):
    world.import_penalties(range(3))
    job = world.import_penalties(range(6))
    assert counts(job) == ("done", 6, 3, 0, 3, 0)
    assert len(set(numbers(world))) == 6


def test_the_same_number_in_other_brackets_is_the_same_document(world):
    world.import_rows([penalty(12)])
    job = world.import_rows([build_row({"CF_WSH": "云市监罚[2026]12号"})])
    # Printed otherwise, so its content differs, but it is no second record.
    assert counts(job) == ("done", 1, 0, 0, 0, 1)
    assert refusals(world, job) == [(2, None, "record-changed")]


def test_a_changed_row_is_refused_and_never_taken_for_a_duplicate(world):
    world.import_penalties(range(3))
    job = world.import_rows([penalty(0), penalty(1, CF_NR="罚款1万元", CF_NR_FK="1"), penalty(2)])
    assert counts(job) == ("done", 3, 0, 0, 2, 1)
    assert refusals(world, job) == [(3, None, "record-changed")]
    assert statuses(world) == ["valid"] * 3


def test_within_one_file_the_first_of_two_contradicting_rows_goes_in(world):
    rows = [penalty(1), penalty(1, CF_NR="罚款1万元", CF_NR_FK="1"), penalty(1), penalty(2)]
    job = world.import_rows(rows)
    assert counts(job) == ("done", 4, 2, 0, 1, 1)
    assert refusals(world, job) == [(3, None, "record-changed")]


def test_the_same_across_chunks(world):
    world.uploads.chunk_rows = 2
    rows = [penalty(1), penalty(2), penalty(1, CF_NR="罚款1万元", CF_NR_FK="1"), penalty(2), penalty(1)]
    job = world.import_rows(rows)
    assert counts(job) == ("done", 5, 2, 0, 2, 1)
    assert refusals(world, job) == [(4, None, "record-changed")]
    assert world.check() == []


def test_one_document_with_several_parties_is_several_records(world):
    other = "91520100MA0000170J"
    rows = [penalty(1), penalty(1, CF_XDR_MC="云州安顺商贸有限公司", CF_XDR_SHXYM=other)]
    job = world.import_rows(rows)
    assert counts(job) == ("done", 2, 2, 0, 0, 0)


# ---- the order of imports


def test_imports_are_run_in_the_order_of_their_orders_also_within_one_millisecond(world):
    """A correction that is ordered behind its record must not be read before it."""
    ordered = [world.upload([penalty(n)]) for n in range(20)]
    assert [job.id for job in unfinished_jobs(world.store)] == ordered
    assert [job.id for job in list_jobs(world.store, limit=20)] == ordered[::-1]


def test_imports_are_run_in_the_order_of_their_orders_when_the_clock_was_put_back(world):
    ordered = [world.upload([penalty(1)])]
    world.clock.put(seconds=-3_600)
    ordered.append(world.upload([penalty(2)]))
    world.restart()
    ordered.append(world.upload([penalty(3)]))
    assert [job.id for job in unfinished_jobs(world.store)] == ordered


# ---- the file as a whole


def test_an_unknown_item_is_refused_before_anything_is_stored(world):
    with raises_code(NotFound, "item-unknown"):
        world.upload([penalty(1)], header=["x"], item="penalty:2018") and world.services.importer.order(
            job_id=world.services.importer.new_job_id(),
            item="penalty:1999",
            file_name="x",
            file_digest="",
            file_bytes=1,
            officer="w",
            corrections=False,
        )
    assert [job.item for job in list_jobs(world.store, limit=10)] == ["penalty:2018"]


def test_a_file_whose_header_does_not_fit_fails_with_its_reason(world):
    job = world.import_rows([["1"]], header=["完全不同"])
    assert job.state == "failed"
    assert job.error[0] == "header-missing"
    assert world.records.size() == 0
    assert world.services.importer.run_job(job.id) == job


def test_a_file_that_is_gone_fails(world):
    job_id = world.upload([penalty(1)])
    world.uploads.files.clear()
    job = world.services.importer.run_job(job_id)
    assert (job.state, job.error[0]) == ("failed", "upload-gone")


def test_an_item_that_is_gone_fails_only_its_import(world):
    job_id = world.upload([penalty(1)])
    del world.items["penalty:2018"]
    job = world.services.importer.run_job(job_id)
    assert (job.state, job.error[0]) == ("failed", "item-unknown")


def test_a_file_that_ends_in_an_error_says_so_and_keeps_what_is_durable(world):
    world.uploads.chunk_rows = 2
    rows = [penalty(n) for n in range(20)]
    job = world.import_rows(rows, end=InvalidInput("file-quotes", "more than 1000 rows are broken"))
    assert (job.state, job.error[0]) == ("failed", "file-quotes")
    assert job.accepted == world.records.size() == job.last_row - 1
    again = world.import_rows(rows)
    assert (again.accepted, again.duplicate) == (20 - job.accepted, job.accepted)


def test_warnings_of_the_header_are_kept(world):
    header = [*PENALTY.field_codes, "自编列"]
    job = world.import_rows([[*penalty(1), "x"]], header=header)
    assert job.state == "done"
    assert job.warnings == (f"column {len(header)} 自编列: column-unknown",)


def test_an_unknown_job_is_not_found(world):
    for job_id in ("x", "019a1b2c-3d4e-7f60-8a1b-2c3d4e5f6071"):
        with raises_code(NotFound, "import-unknown"):
            world.services.importer.run_job(job_id)


# ---- stopping, dying, going on


def test_a_stopped_import_goes_on_after_a_new_start(world):
    world.uploads.chunk_rows = 3
    job_id = world.upload([penalty(n) for n in range(40)])
    world.workers.before = lambda task: world.services.importer.stop() if task == 8 else None
    stopped = world.services.importer.run_job(job_id)
    assert stopped.state == "running"
    assert 0 < stopped.accepted < 40
    assert world.records.size() == stopped.accepted
    assert [job.id for job in unfinished_jobs(world.store)] == [job_id]
    world.restart()
    done = world.services.importer.run_job(job_id)
    assert counts(done) == ("done", 40, 40, 0, 0, 0)
    assert world.uploads.opened[-1].start_row == stopped.last_row + 1
    assert len(set(numbers(world))) == 40
    assert unfinished_jobs(world.store) == []
    assert all(table.closed for table in world.uploads.opened)


def test_a_worker_that_dies_costs_time_and_nothing_else(world):
    world.uploads.chunk_rows = 3
    job_id = world.upload([penalty(n) for n in range(30)])
    world.workers.before = lambda task: setattr(world.workers, "deaths", int(task in {4, 13}))
    for _ in range(2):
        with raises_code(Unavailable, "worker-died"):
            world.services.importer.run_job(job_id)
    done = world.services.importer.run_job(job_id)
    assert counts(done) == ("done", 30, 30, 0, 0, 0)
    assert len(set(numbers(world))) == 30
    # The places of what was given up are free again.
    assert len(world.services.importer._tools.allocator._free) == 131_072 - 30


def test_a_full_disk_stops_the_import_where_it_is(world):
    world.uploads.chunk_rows = 3
    job_id = world.upload([penalty(n) for n in range(30)])
    full = Unavailable("store-disk-full", "disk is full")
    world.store.faults[world.store.commits + 4] = (full, False)
    with raises_code(Unavailable, "store-disk-full"):
        world.services.importer.run_job(job_id)
    assert get_job(world.store, job_id).accepted == world.records.size() == 12
    done = world.services.importer.run_job(job_id)
    assert counts(done) == ("done", 30, 30, 0, 0, 0)
    assert world.check() == []


def crashed(world, rows, at, *, stored, **options):
    """Import with a crash at a commit, then start again and import to the end."""
    job_id = world.upload(rows, **options)
    first = world.store.commits
    world.store.faults[first + at] = (Fatal("store-commit-failed", "power"), stored)
    with raises_code(Fatal, "store-commit-failed"):
        world.services.importer.run_job(job_id)
    world.restart()
    return world.services.importer.run_job(job_id)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("at", range(5))
def test_a_crash_at_any_commit_loses_and_doubles_nothing(at, stored):
    """Four chunks and the end are five commits."""
    with NodeWorld() as world:
        world.uploads.chunk_rows = 3
        world.import_penalties([2, 5, 7])
        rows = [
            penalty(n, **({"CF_NR": "罚款1万元", "CF_NR_FK": "1"} if n in {5, 7} else {})) for n in range(12)
        ]
        rows[3] = penalty(3, CF_XDR_SHXYM=WRONG_CODE)
        job = crashed(world, rows, at, stored=stored, corrections=True)
        assert counts(job) == ("done", 12, 10, 2, 1, 1)
        assert refusals(world, job) == [(5, "CF_XDR_SHXYM", "uscc-check-digit")]
        assert sorted(statuses(world)) == ["invalid"] * 2 + ["valid"] * 11
        assert len(set(numbers(world))) == 11
        assert world.check() == []


def test_two_imports_at_once_run_one_after_the_other(world):
    world.uploads.chunk_rows = 5
    rows = [penalty(n) for n in range(40)]
    jobs = [world.upload(rows), world.upload(rows[20:] + [penalty(n) for n in range(40, 60)])]
    ended = {}
    threads = [
        threading.Thread(target=lambda j=job: ended.update({j: world.services.importer.run_job(j)}))
        for job in jobs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert all(job.state == "done" for job in ended.values())
    assert sum(job.accepted for job in ended.values()) == 60 == world.records.size()
    assert sum(job.duplicate for job in ended.values()) == 20
    assert world.check() == []


def test_a_read_only_node_imports_nothing(world):
    job_id = world.upload([penalty(1)])
    world.services.sequencer.set_read_only(Conflict("behind-anchor", "restored from before the last anchor"))
    with raises_code(Conflict, "behind-anchor"):
        world.services.importer.run_job(job_id)
    with raises_code(Conflict, "behind-anchor"):
        world.upload([penalty(2)])
    assert world.records.size() == 0
    assert get_job(world.store, job_id).state == "queued"


# ---- the list of imports


def test_jobs_are_listed_newest_first(world):
    ids = []
    for n in range(4):
        ids.append(world.import_penalties([n]).id)
        world.clock.advance(seconds=1)
    assert [job.id for job in list_jobs(world.store, limit=3)] == ids[::-1][:3]
    assert list_jobs(world.store, limit=10)[-1].officer == "wang"

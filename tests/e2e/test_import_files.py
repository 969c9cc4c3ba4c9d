# SPDX-License-Identifier: Apache-2.0
"""Files as they come: broken ones, the same one twice, two at once, changed ones. Nothing is half imported."""

from __future__ import annotations

import json
import resource
from concurrent.futures import ThreadPoolExecutor

import pytest

from consortium.samples.sheets import store_xlsx
from node.errors import InvalidInput, NotFound
from tests.support.errors import raises_code
from tests.support.penalty_files import HEADER, csv_text, penalty_row, store_penalties
from tests.support.real_node import check_clean, real_nodes
from tests.support.workbooks import store_xlsx as store_sheets

LOOK = {"purpose": "own-records", "basis": None, "case": None}


@pytest.fixture(scope="module")
def node(real_chain, tmp_path_factory):
    with real_nodes(real_chain.url, tmp_path_factory.mktemp("imports")) as (node,):
        yield node.start()


@pytest.fixture
def run(node):
    """Import a file and give its job with what it added to the records log."""

    def run(path, **options):
        before = node.logs()["records"]["size"]
        job = node.wait_job(node.order(path, **options))
        return job | {"added": node.logs()["records"]["size"] - before}

    return run


def counts(job):
    return {name: job[name] for name in ("read", "accepted", "corrected", "duplicate", "refused", "added")}


def refusals(node, job):
    with node.client() as client:
        return [(r["row"], r["rule"]) for r in client.get(f"/api/v1/imports/{job['id']}/refusals")]


def broken(text):
    """The same text, every line spoilt by bytes that are in no encoding that we read."""
    return b"\n".join(line + b"\xff\xfe\xff" for line in text.encode("gbk").split(b"\n"))


BROKEN_FILES = {
    "unknown-encoding": (broken, "file-encoding"),
    "mixed-encodings": (lambda text: text.encode("gbk") + text.encode(), "file-encoding"),
    "utf-16": (lambda text: text.encode("utf-16"), "file-encoding"),
    "markup": (lambda text: b"<html><table><tr><td>1</td></tr></table></html>", "file-markup"),
    "pdf": (lambda text: b"%PDF-1.7\n" + text.encode(), "file-format"),
    "json-array": (lambda text: b'[{"CF_WSH":"1"}]', "file-format"),
    "no-header": (lambda text: "\n".join(text.splitlines()[1:]).encode(), "header-not-found"),
    "binary": (lambda text: bytes(range(256)) * 20, "file-format"),
}


@pytest.mark.parametrize("kind", BROKEN_FILES)
def test_a_file_that_is_none_is_refused_as_a_whole_and_by_name(node, run, tmp_path, kind):
    spoil, code = BROKEN_FILES[kind]
    path = tmp_path / "file.csv"
    path.write_bytes(spoil(csv_text(penalty_row(n) for n in range(900_000, 900_040))))
    job = run(path)
    assert (job["state"], job["error_code"]) == ("failed", code)
    assert job["error"]
    assert (job["accepted"], job["added"]) == (0, 0)


def test_the_command_says_why_a_file_was_refused(node, tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes(broken(csv_text([penalty_row(1)])))
    done = node.run("import", path, "--item", "penalty:2018")
    assert done.code == 1
    assert "import ended early" in done.out
    assert "[file-encoding]" in done.out
    zh = node.run("import", path, "--item", "penalty:2018", environment={"IRONCAGE_LANG": "zh"})
    assert "导入未完成" in zh.out
    assert "处理办法：请用 Excel 打开后另存为" in zh.out


def test_the_command_says_that_a_file_has_no_rows(node, tmp_path):
    path = tmp_path / "file.csv"
    path.write_text(csv_text([]), encoding="utf-8")
    done = node.run("import", path, "--item", "penalty:2018")
    assert (done.code, "there are no rows below the header" in done.out) == (0, True)


def test_a_file_that_is_not_there_or_empty_or_of_an_unknown_item_is_not_taken(node, tmp_path):
    none, empty = tmp_path / "none.csv", tmp_path / "empty.csv"
    empty.touch()
    missing = node.run("import", none, "--item", "penalty:2018")
    assert (missing.code, "[file-missing]" in missing.err) == (2, True)
    assert "处理办法" not in missing.err
    for path, advice in ((none, "请检查路径"), (empty, "请重新导出该文件")):
        told = node.run("import", path, "--item", "penalty:2018", environment={"IRONCAGE_LANG": "zh"})
        assert (told.code, told.err.endswith(f"处理办法：{advice}\n")) == (2, True)
    with raises_code(InvalidInput, "upload-empty"):
        node.order(empty)
    with raises_code(NotFound, "item-unknown") as caught:
        node.order(store_penalties(tmp_path / "f.csv", [1]), item="penalty:1999")
    assert "penalty:2018" in caught.value.message


def test_a_workbook_cut_in_half_is_refused_as_a_whole(run, tmp_path):
    path = tmp_path / "cut.xlsx"
    store_xlsx(path, [HEADER, *(penalty_row(n) for n in range(900_100, 900_150))])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    job = run(path)
    assert (job["state"], job["error_code"], job["added"]) == ("failed", "workbook-cut", 0)


@pytest.mark.parametrize("encoding", ["gbk", "utf-8-sig"])
def test_a_text_cut_in_half_gives_its_whole_rows_and_names_the_cut_one(node, run, tmp_path, encoding):
    first = {"gbk": 1_000, "utf-8-sig": 2_000}[encoding]
    whole = store_penalties(tmp_path / "whole.csv", range(first, first + 20), encoding=encoding)
    data = whole.read_bytes()
    lines = data.split(b"\r\n")
    middle = sum(len(line) + 2 for line in lines[:11]) + len(lines[11]) // 2
    cut = tmp_path / "cut.csv"
    cut.write_bytes(data[:middle])
    job = run(cut)
    assert counts(job) == {
        "read": 11,
        "accepted": 10,
        "corrected": 0,
        "duplicate": 0,
        "refused": 1,
        "added": 10,
    }
    assert refusals(node, job) == [(12, "row-cut")]
    # The whole file afterwards adds just what was missing.
    assert counts(run(whole)) == {
        "read": 20, "accepted": 10, "corrected": 0, "duplicate": 10, "refused": 0, "added": 10,
    }  # fmt: skip


def test_the_same_rows_in_another_form_are_duplicates(run, tmp_path):
    numbers = range(3_000, 3_030)
    assert run(store_penalties(tmp_path / "a.csv", numbers))["added"] == 30
    path = tmp_path / "b.xlsx"
    store_xlsx(path, [HEADER, *(penalty_row(n) for n in numbers)])
    lines = (json.dumps(dict(zip(HEADER, penalty_row(n), strict=True)), ensure_ascii=False) for n in numbers)
    ndjson = tmp_path / "c.ndjson"
    ndjson.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for again in (store_penalties(tmp_path / "d.csv", numbers, encoding="utf-8-sig"), path, ndjson):
        job = run(again)
        assert (job["state"], job["duplicate"], job["added"]) == ("done", 30, 0), job


def test_two_imports_of_the_same_file_at_once_import_it_once(node, tmp_path):
    path = store_penalties(tmp_path / "twice.csv", range(10_000, 13_000))
    before = node.logs()["records"]["size"]
    with ThreadPoolExecutor(2) as threads:
        ordered = list(threads.map(node.order, [path, path]))
    jobs = [node.wait_job(job) for job in ordered]
    assert sorted((job["accepted"], job["duplicate"]) for job in jobs) == [(0, 3_000), (3_000, 0)]
    assert node.logs()["records"]["size"] == before + 3_000


def test_two_overlapping_files_and_a_withdrawal_at_once_come_out_right(node, run, tmp_path):
    run(store_penalties(tmp_path / "first.csv", [19_999]))
    leaf = node.records(limit=1)[0]["leaf"]
    one = store_penalties(tmp_path / "one.csv", range(20_000, 21_500))
    other = store_penalties(tmp_path / "other.csv", range(21_000, 22_500))
    before = node.logs()["records"]["size"]

    def withdraw(_):
        with node.client() as client:
            return client.post(f"/api/v1/records/{leaf}/withdraw", {"ground": "test"})

    with ThreadPoolExecutor(3) as threads:
        orders = [threads.submit(node.order, path) for path in (one, other)]
        withdrawn = threads.submit(withdraw, None)
        jobs = [node.wait_job(order.result()) for order in orders]
    assert withdrawn.result()["status"] == "invalid"
    assert sum(job["accepted"] for job in jobs) == 2_500
    assert sum(job["duplicate"] for job in jobs) == 500
    assert node.logs()["records"]["size"] == before + 2_500


def test_changed_rows_are_refused_until_they_are_sent_as_corrections(node, run, tmp_path):
    numbers = range(30_000, 30_020)
    run(store_penalties(tmp_path / "first.csv", numbers))
    old = {line["leaf"] for line in node.records(limit=20)}
    changed = store_penalties(tmp_path / "changed.csv", numbers, CF_NR="罚款0.5万元（更正）")
    job = run(changed)
    assert counts(job) == {
        "read": 20,
        "accepted": 0,
        "corrected": 0,
        "duplicate": 0,
        "refused": 20,
        "added": 0,
    }
    assert {rule for _, rule in refusals(node, job)} == {"record-changed"}
    job = run(changed, corrections=True)
    assert counts(job) == {
        "read": 20,
        "accepted": 20,
        "corrected": 20,
        "duplicate": 0,
        "refused": 0,
        "added": 20,
    }
    lines = {line["leaf"]: line["status"] for line in node.records(limit=40)}
    assert {lines[leaf] for leaf in old} == {"invalid"}
    assert {status for leaf, status in lines.items() if leaf not in old} == {"valid"}
    # Once more changes nothing: the content is that of the correction now.
    job = run(changed, corrections=True)
    assert (job["duplicate"], job["added"]) == (20, 0)
    # And back: the first content is a change of the second.
    job = run(store_penalties(tmp_path / "back.csv", numbers), corrections=True)
    assert (job["corrected"], job["added"]) == (20, 20)


def test_a_withdrawn_record_does_not_come_back_by_a_file(node, run, tmp_path):
    path = store_penalties(tmp_path / "gone.csv", [40_000])
    run(path)
    leaf = node.records(limit=1)[0]["leaf"]
    with node.client() as client:
        client.post(f"/api/v1/records/{leaf}/withdraw", {"ground": "test"})
    assert run(path)["duplicate"] == 1
    changed = store_penalties(tmp_path / "changed.csv", [40_000], CF_NR="另一内容")
    job = run(changed, corrections=True)
    assert (job["refused"], job["added"]) == (1, 0)
    assert refusals(node, job) == [(2, "record-withdrawn")]


def test_an_import_is_listed_with_its_numbers_and_its_file_is_gone_when_it_ended(node, run, tmp_path):
    job = run(store_penalties(tmp_path / "listed.csv", range(50_000, 50_010)))
    with node.client() as client:
        newest = client.get("/api/v1/imports", limit=1)[0]
    assert newest["id"] == job["id"]
    assert newest["file_name"] == "listed.csv"
    assert list((node.home / "data" / "uploads").iterdir()) == []


class GrowingFile:
    """A file to which somebody writes another row whenever it is read."""

    def __init__(self, path):
        self._path = path
        self.name = path.name

    def open(self, mode):
        self._stream = self._path.open(mode)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._stream.close()

    def fileno(self):
        return self._stream.fileno()

    def read(self, size):
        with self._path.open("a") as file:
            file.write("x\n")
        return self._stream.read(size)


def test_a_file_that_grows_while_it_is_sent_is_not_taken(node, tmp_path):
    path = store_penalties(tmp_path / "growing.csv", range(60_000, 60_010))
    before = node.logs()["records"]["size"], len(jobs_of(node))
    with raises_code(InvalidInput, "file-changing") as caught:
        node.order(GrowingFile(path))
    assert "send it again" in caught.value.message
    assert (node.logs()["records"]["size"], len(jobs_of(node))) == before
    assert list((node.home / "data" / "uploads").iterdir()) == []


def jobs_of(node):
    with node.client() as client:
        return client.get("/api/v1/imports", limit=1_000)


def test_a_disk_without_room_for_the_upload_is_named_and_the_file_goes_in_later(node, run, tmp_path):
    path = store_penalties(tmp_path / "large.csv", range(70_000, 70_010), CF_SY="字" * 500)
    with path.open("ab") as file:
        file.write(b",,,\r\n" * (12 << 18))
    before = node.logs()["records"]["size"], len(jobs_of(node))
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (8 << 20, resource.RLIM_INFINITY))
    try:
        done = node.run("import", path, "--item", "penalty:2018")
    finally:
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert (done.code, "[upload-disk]" in done.err) == (3, True), done
    assert (node.logs()["records"]["size"], len(jobs_of(node))) == before
    assert list((node.home / "data" / "uploads").iterdir()) == []
    assert run(path)["added"] == 10


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_command_says_which_sheet_was_taken(node, tmp_path, language):
    path = tmp_path / "book.xlsx"
    store_sheets(path, {"说明": [["填报说明"]], "数据": [HEADER, penalty_row(80_000)], "hidden": [["字典"]]})
    done = node.run("import", path, "--item", "penalty:2018", environment={"IRONCAGE_LANG": language})
    assert done.code == 0
    assert {"zh": "工作表“数据”：仅导入此工作表", "en": "sheet 数据: this sheet alone is imported"}[
        language
    ] in done.out


def test_everything_above_left_a_clean_store(node):
    """Last in this file: the log, its indices and status lists agree after all of it."""
    logs = node.logs()
    assert node.stop() == 0
    counts = check_clean(node)
    assert counts["entries"] == logs["records"]["size"] + logs["access"]["size"]
    # All entries but the status heads are records; nothing was anchored here.
    assert counts["records"] == logs["records"]["size"]

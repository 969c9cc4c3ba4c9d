# SPDX-License-Identifier: Apache-2.0
"""Imports and records over HTTP: the main job of an operator and of a case officer."""

import hashlib

import pytest

from node.access.event import parse_event
from node.access.receipt import parse_receipt
from node.evidence.format import file_name, parse_evidence
from tests.support.api_world import WHY, csv_of
from tests.support.node_world import penalty
from tests.support.rows import COMPANY, PENALTY, PERSON, RESIDENT_ID

WRONG = {"CF_XDR_SHXYM": "91520100MA00000157"}


def csv(*rows):
    return csv_of(rows, PENALTY.field_codes)


@pytest.fixture
def filled(world):
    world.import_csv(csv(*(penalty(n) for n in range(4))))
    return world


# ---- files and their reports


def test_an_upload_is_stored_and_queued(world):
    text = csv(penalty(1))
    answer = world.upload(text, name="2026年处罚.csv")
    assert answer.status_code == 202
    job = answer.json()
    assert (job["state"], job["item"], job["file_name"]) == ("queued", "penalty:2018", "2026年处罚.csv")
    assert (job["file_sha256"], job["file_bytes"]) == (
        hashlib.sha256(text.encode()).hexdigest(),
        len(text.encode()),
    )
    assert (job["officer"], job["corrections"], job["error_code"]) == ("operator-name", False, None)
    assert world.woken == 1
    assert world.stored_uploads() == [job["id"]]


def test_an_import_and_its_report(world):
    world.upload(csv(penalty(1), penalty(2, **WRONG), penalty(1), penalty(3, CF_SY="", CF_NR_FK="x")))
    world.run_imports()
    job = world.get("/api/v1/imports", "operator").json()[0]
    assert (job["state"], job["read"], job["accepted"], job["duplicate"], job["refused"]) == (
        "done",
        4,
        1,
        1,
        2,
    )
    assert world.get(f"/api/v1/imports/{job['id']}", "operator").json() == job
    path = f"/api/v1/imports/{job['id']}/refusals"
    refusals = world.get(path, "operator").json()
    assert [(r["row"], r["column"], r["rule"]) for r in refusals] == [
        (3, "CF_XDR_SHXYM", "uscc-check-digit"),
        (5, "CF_SY", "field-required"),
        (5, "CF_NR_FK", "decimal-format"),
    ]
    english = world.get(path, "operator", headers={"Accept-Language": "en"}).json()
    assert all(r["reason"].isascii() and r["title"].isascii() for r in english)
    assert not any(r["reason"].isascii() for r in refusals)
    assert [r["title"] for r in refusals] == [
        "行政相对人代码_1(统一社会信用代码)",
        "违法事实",
        "罚款金额(万元)",
    ]
    assert WRONG["CF_XDR_SHXYM"] not in str(refusals + english)


def test_refusals_come_in_pages_of_whole_rows(world):
    world.upload(csv(*(penalty(n, CF_SY="", CF_NR_FK="x") for n in range(10))))
    world.run_imports()
    job = world.get("/api/v1/imports", "operator").json()[0]
    found, after, pages = [], 0, 0
    while page := world.get(f"/api/v1/imports/{job['id']}/refusals?limit=3&after={after}", "operator").json():
        found += [(r["row"], r["rule"]) for r in page]
        after = page[-1]["row"]
        pages += 1
    assert found == [(row, rule) for row in range(2, 12) for rule in ("field-required", "decimal-format")]
    assert pages == 5


@pytest.mark.parametrize("job_id", ["x", "019a1b2c-3d4e-7f60-8a1b-2c3d4e5f6071", "%2e%2e", "0" * 36])
def test_imports_that_are_not_there(world, job_id):
    for path in (f"/api/v1/imports/{job_id}", f"/api/v1/imports/{job_id}/refusals"):
        answer = world.get(path, "operator")
        assert answer.status_code == 404


def test_an_upload_for_an_unknown_item_is_not_stored(world):
    answer = world.upload(csv(penalty(1)), item="penalty:1999")
    assert (answer.status_code, answer.json()["code"]) == (404, "item-unknown")
    assert (world.stored_uploads(), world.woken) == ([], 0)


def test_an_empty_upload_is_refused(world):
    answer = world.upload("")
    assert (answer.status_code, answer.json()["code"]) == (400, "upload-empty")
    assert world.stored_uploads() == []


def test_an_upload_over_the_limit_is_refused_and_not_kept(world):
    answer = world.upload(b"x" * 70_000)
    assert (answer.status_code, answer.json()["code"]) == (400, "upload-size")
    assert world.stored_uploads() == []


@pytest.mark.parametrize(
    ("data", "files"),
    [
        ({"item": "penalty:2018"}, {}),
        ({}, {"file": ("a.csv", b"x")}),
        ({"item": "penalty:2018", "corection": "true"}, {"file": ("a.csv", b"x")}),
        ({"item": "penalty:2018", "corrections": "perhaps"}, {"file": ("a.csv", b"x")}),
        ({"item": "x" * 66}, {"file": ("a.csv", b"x")}),
        ({"item": "penalty:2018", "file": "text"}, {}),
    ],
)
def test_forms_that_are_not_whole_are_refused(world, data, files):
    answer = world.call("POST", "/api/v1/imports", "operator", data=data, files=files or None)
    assert (answer.status_code, answer.json()["code"]) == (400, "request-shape")
    assert world.stored_uploads() == []


def test_a_file_name_is_no_path(world):
    job = world.upload(csv(penalty(1)), name="../../keys/" + "x" * 300).json()
    assert len(job["file_name"]) <= 200
    assert world.stored_uploads() == [job["id"]]


def test_an_import_as_corrections(filled):
    job = filled.import_csv(csv(penalty(0, CF_NR="罚款1万元", CF_NR_FK="1")), corrections="true")
    assert (job.corrections, job.corrected, job.refused) == (True, 1, 0)


# ---- records


def test_records_are_listed_without_their_content(filled):
    listed = filled.post("/api/v1/records/search", "officer", {"limit": 3}).json()
    assert [record["index"] for record in listed] == [3, 2, 1]
    assert listed[0] == {
        "index": 3,
        "leaf": filled.leaves()[3],
        "item": "penalty:2018",
        "disclosure": "open",
        "status": "valid",
        "stage": "integrated",
    }
    assert filled.post("/api/v1/records/search", "officer", {"limit": 3, "before": 1}).json()[0]["index"] == 0


def test_records_are_found_by_subject(filled):
    filled.import_csv(csv(penalty(9, **PERSON)))
    find = WHY | {"subject": {"type": "rid", "id": RESIDENT_ID}}
    answer = filled.post("/api/v1/records/find", "officer", find)
    assert [record["index"] for record in answer.json()["records"]] == [4]
    assert RESIDENT_ID not in answer.text
    find = WHY | {"subject": {"type": "uscc", "id": COMPANY.lower()}, "limit": 2}
    found = filled.post("/api/v1/records/find", "officer", find).json()
    assert [record["index"] for record in found["records"]] == [0, 1]
    # Without a purpose, and as a search that is not logged, nothing is found by subject.
    assert filled.post("/api/v1/records/find", "officer", {"subject": find["subject"]}).status_code == 400
    assert filled.post("/api/v1/records/search", "officer", {"subject": find["subject"]}).status_code == 400


def test_a_look_shows_the_record_and_its_receipt(filled):
    leaf = filled.leaves()[1]
    shown = filled.post(f"/api/v1/records/{leaf}/show", "officer", WHY).json()
    assert shown["subject"] == {"type": "uscc", "id": COMPANY}
    assert shown["fields"]["CF_WSH"] == "云市监罚〔2026〕1号"
    receipt = parse_receipt(shown["receipt"])
    reader = filled.node.access
    event = parse_event(reader.entry(reader.row(receipt.idx)))
    assert (event.kind, event.n, receipt.pair) == ("read", 1, 1)


def test_evidence_verifies(filled):
    leaf = filled.leaves()[1]
    path = f"/api/v1/records/{leaf}/evidence"
    body = WHY | {"disclose": ["subject", "CF_WSH", "CF_NR", "CF_JDRQ"]}
    answer = filled.post(path, "officer", body)
    assert (answer.status_code, answer.json()["code"]) == (503, "not-published")
    filled.node.anchor()
    exported = filled.post(path, "officer", body).json()
    assert exported["name"] == file_name(bytes.fromhex(leaf))
    assert exported["stage"] == "anchored"
    data = exported["evidence"].encode()
    parse_evidence(data)
    assert filled.node.verify(data).satisfied
    assert parse_receipt(exported["receipt"]).pair == 1


def test_withdraw_and_correct(filled):
    first, second = filled.leaves()[:2]
    withdrawn = filled.post(f"/api/v1/records/{first}/withdraw", "operator", {"ground": "撤销处罚"})
    assert withdrawn.json()["status"] == "invalid"
    again = filled.post(f"/api/v1/records/{first}/withdraw", "operator", {"ground": "撤销处罚"})
    assert (again.status_code, again.json()["code"]) == (409, "record-withdrawn")
    values = dict(zip(PENALTY.field_codes, penalty(1, CF_NR="罚款1万元", CF_NR_FK=1), strict=True))
    body = {"values": values, "ground": "金额有误"}
    corrected = filled.post(f"/api/v1/records/{second}/correct", "operator", body).json()
    assert (corrected["index"], corrected["status"]) == (4, "valid")
    shown = filled.post(f"/api/v1/records/{second}/show", "officer", WHY).json()
    assert (shown["record"]["status"], shown["history"][0]["ground"]) == ("invalid", "金额有误")
    assert filled.post(f"/api/v1/records/{second}/correct", "operator", body).status_code == 409
    assert filled.node.check() == []


def test_correcting_as_another_item(filled):
    leaf = filled.leaves()[0]
    values = dict(zip(PENALTY.field_codes, penalty(0, CF_NR_FK="2"), strict=True))
    body = {"values": values, "ground": "g", "item": "penalty:1999"}
    answer = filled.post(f"/api/v1/records/{leaf}/correct", "operator", body)
    assert (answer.status_code, answer.json()["code"]) == (404, "item-unknown")


@pytest.mark.parametrize("action", ["show", "evidence", "withdraw", "correct"])
def test_unknown_records(filled, action):
    bodies = {
        "show": WHY,
        "evidence": WHY | {"disclose": ["subject"]},
        "withdraw": {"ground": "g"},
        "correct": {"values": {"CF_WSH": "x"}, "ground": "g"},
    }
    answer = filled.post(f"/api/v1/records/{'ab' * 32}/{action}", "administrator", bodies[action])
    assert (answer.status_code, answer.json()["code"]) == (404, "record-unknown")


def test_a_damaged_record_is_not_shown(filled):
    leaf = filled.leaves()[0]
    row = filled.node.records.row(0)
    filled.node.store.damage_stream("records.0/values", row.values_offset + row.values_length - 1)
    answer = filled.post(f"/api/v1/records/{leaf}/show", "officer", WHY)
    assert (answer.status_code, answer.json()["code"]) == (422, "values-seal")


def test_the_node_describes_itself_to_anyone(filled):
    described = filled.get("/api/v1/node").json()
    assert described["member"] == filled.node.identity.member
    assert {"record", "node"} == described["keys"].keys()
    assert described["state"]["mode"] == "ready"
    assert "wrapping" not in str(described)

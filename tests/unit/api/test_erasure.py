# SPDX-License-Identifier: Apache-2.0
"""Erasing over HTTP: who may, what is answered, and what others see of it."""

import pytest

from node.records.tombstone import GROUNDS
from tests.support.penalty_files import HEADER, csv_text, penalty_row

ORDER = {"ground": "retention-ended", "basis": "条例第十六条", "case": "2026-17"}


@pytest.fixture
def filled(world):
    job = world.import_csv(csv_text([penalty_row(n) for n in range(3)]))
    assert job.accepted == 3, HEADER
    world.node.anchor()
    return world


def test_an_erasure_is_answered_with_tombstone_and_receipt(filled):
    leaf = filled.leaves()[1]
    done = filled.post(f"/api/v1/records/{leaf}/erase", "administrator", ORDER).json()
    assert (done["index"], done["leaf"], done["ground"], done["purged"]) == (1, leaf, "retention-ended", True)
    assert (done["item"], done["tombstone_stage"]) == ("penalty:2018", "integrated")
    assert done["receipt"]
    filled.node.anchor()
    shown = filled.get(f"/api/v1/records/{leaf}/erasure", "auditor").json()
    assert shown == done | {"receipt": None, "tombstone_stage": "anchored"}
    assert filled.get("/api/v1/erasures", "officer").json() == [shown]
    assert filled.get("/api/v1/erasures?after=1", "officer").json() == []
    proof = filled.get(f"/log/records/0/proof/{done['tombstone_index']}")
    assert proof.text.startswith("c2sp.org/tlog-proof@v1\n")


def test_versions_that_still_open_are_named_and_go_when_asked(filled):
    old = filled.leaves()[1]
    job = filled.import_csv(csv_text([penalty_row(1, CF_NR="罚款1万元", CF_NR_FK="1")]), corrections=True)
    assert job.corrected == 1
    new = filled.leaves()[-1]
    done = filled.post(f"/api/v1/records/{new}/erase", "administrator", ORDER).json()
    assert (done["open_versions"], done["also"]) == ([old], [])
    assert filled.get(f"/api/v1/records/{new}/erasure", "auditor").json()["open_versions"] == [old]
    again = filled.post(
        f"/api/v1/records/{new}/erase", "administrator", ORDER | {"with_versions": True}
    ).json()
    assert (again["receipt"], again["open_versions"]) == (None, [])
    [other] = again["also"]
    assert (other["leaf"], bool(other["receipt"]), other["open_versions"]) == (old, True, [])
    assert [e["leaf"] for e in filled.get("/api/v1/erasures", "auditor").json()] == [old, new]


def test_staff_alone_cannot_erase(filled):
    path = f"/api/v1/records/{filled.leaves()[0]}/erase"
    for role in ("officer", "operator", "auditor"):
        answer = filled.post(path, role, ORDER)
        assert (answer.status_code, answer.json()["code"]) == (403, "role-insufficient")
    assert filled.get("/api/v1/erasures", "auditor").json() == []


def test_the_record_is_gone_for_everybody(filled):
    leaf = filled.leaves()[0]
    filled.post(f"/api/v1/records/{leaf}/erase", "administrator", ORDER)
    why = {"purpose": "own-records"}
    for path, body in (
        ("show", why),
        ("evidence", why | {"disclose": ["CF_WSH"]}),
    ):
        answer = filled.post(f"/api/v1/records/{leaf}/{path}", "officer", body)
        assert (answer.status_code, answer.json()["code"]) == (404, "record-erased")
    listed = filled.post("/api/v1/records/search", "officer", {}).json()
    assert [line["status"] for line in listed if line["leaf"] == leaf] == ["erased"]


def test_grounds_are_codes_of_the_list(filled):
    path = f"/api/v1/records/{filled.leaves()[0]}/erase"
    for body in ({}, {"ground": "张三来函"}, {"ground": "ordered", "why": "x"}):
        assert filled.post(path, "administrator", body).status_code == 400
    assert all(text for texts in GROUNDS.values() for text in texts)


def test_what_is_not_erased_has_no_erasure(filled):
    answer = filled.get(f"/api/v1/records/{filled.leaves()[0]}/erasure", "officer")
    assert (answer.status_code, answer.json()["code"]) == (404, "erasure-unknown")

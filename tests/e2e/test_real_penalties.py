# SPDX-License-Identifier: Apache-2.0
"""Real penalty rows, imported by a real node through a catalogue item of their own: a data file and no code."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from node.records.rules import RULES
from tests.support.real_node import check_clean, ironcage, real_nodes
from tests.support.shared import shared_path

ITEM = Path(__file__).parents[1] / "support" / "items" / "nfra-penalty.json"
KEY = "nfra-penalty:2026"
ROWS = 912
REFUSED_BY_RULES = {
    # The columns of the source slid, or only the party's did.
    ("columns-shifted",): 376,
    ("foreign-value",): 23,
    # Announcements that name neither facts nor kind of penalty, and fines without an amount.
    ("field-required", "field-required"): 5,
    ("field-required",): 2,
    # "…及相关责任人": more than one party in a row.
    ("several-subjects",): 7,
}
"""Why rows are refused: the rules of each row, and how many rows that is (tests/integration/test_nfra_import.py)."""


@pytest.fixture(scope="module")
def node(real_chain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nfra")
    items = folder / "items"
    items.mkdir()
    shutil.copy(ITEM, items)
    with real_nodes(real_chain.url, folder, config=f'items_dir = "{items}"\n') as (node,):
        yield node.start()


@pytest.fixture(scope="module")
def report(node):
    return node.ask("import", shared_path("data/nfra-penalties/penalties.csv"), "--item", KEY)


def test_the_item_is_one_of_the_nodes(node):
    assert KEY in node.ask("node", "status")["items"]


def test_every_row_is_counted_and_every_refused_one_is_explained(node, report):
    job, refusals = report["import"], report["refusals"]
    accepted = ROWS - sum(REFUSED_BY_RULES.values())
    assert (job["state"], job["read"], job["accepted"]) == ("done", ROWS, accepted)
    assert (job["duplicate"], job["refused"]) == (0, sum(REFUSED_BY_RULES.values()))
    # The source has no document numbers, so every record is known by its content, and says so.
    assert job["flagged"] == accepted
    by_row = {}
    for refusal in refusals:
        by_row.setdefault(refusal["row"], []).append(refusal["rule"])
        assert refusal["reason"] == RULES[refusal["rule"]][1]
    assert Counter(tuple(rules) for rules in by_row.values()) == REFUSED_BY_RULES


def test_the_same_file_again_is_all_duplicates(node, report):
    again = node.ask("import", shared_path("data/nfra-penalties/penalties.csv"), "--item", KEY)["import"]
    assert (again["accepted"], again["duplicate"]) == (0, report["import"]["accepted"])


def test_one_of_them_is_proven_to_a_stranger(node, report, real_chain, tmp_path):
    node.anchor()
    leaf = node.records(limit=3)[-1]["leaf"]
    shown = node.ask("record", "show", leaf, "--purpose", "own-records")
    assert shown["subject"]["type"] == "name"
    evidence, policy = tmp_path / "one.evidence.json", tmp_path / "policy.json"
    disclose = ("--disclose", "KINDS,PUBLISHED", "--purpose", "own-records")
    assert node.run("evidence", "export", leaf, *disclose, "-o", evidence).code == 0
    assert node.run("policy", "export", "--rpc", real_chain.url, "-o", policy).code == 0
    done = ironcage("evidence", "verify", evidence, "--policy", policy, "--json")
    assert (done.code, done.json["level"]) == (0, "anchored")
    assert sorted(done.json["record"]["disclosed"]) == ["KINDS", "PUBLISHED"]


def test_the_store_is_clean_afterwards(node, report):
    node.stop()
    assert check_clean(node)["records"] == report["import"]["accepted"]

# SPDX-License-Identifier: Apache-2.0
"""A receipt as its holder uses it: kept from a look, checked, demanded on the chain, shown by the node that gave it."""

from __future__ import annotations

import json

import pytest

from tests.support.penalty_files import store_penalties
from tests.support.real_node import ironcage, real_nodes

LOOK = ("--purpose", "own-records", "--basis", "条例第九条", "--case", "2026-17")


@pytest.fixture
def node(real_chain, tmp_path):
    with real_nodes(real_chain.url, tmp_path) as (made,):
        made.start()
        yield made


@pytest.mark.slow
def test_from_the_look_to_the_answer(node, real_chain, tmp_path):
    node.wait_job(node.order(store_penalties(tmp_path / "rows.csv", range(3))))
    node.anchor()
    policy = tmp_path / "policy.json"
    assert node.run("policy", "export", "--rpc", real_chain.url, "-o", policy).code == 0
    shown = node.ask("record", "show", node.records()[0]["leaf"], *LOOK)
    receipt = tmp_path / "look.receipt"
    receipt.write_text(shown["receipt"] + "\n")

    def check(*words, file=receipt, lang="en"):
        done = ironcage(
            "receipt",
            "check",
            file,
            "--policy",
            policy,
            *words,
            environment={"IRONCAGE_LANG": lang},
            cwd=tmp_path,
        )
        assert "[" not in done.err, done.err
        return done

    early = check()
    assert (early.code, "NOT YET DUE" in early.out) == (3, True)
    refused = node.run("receipt", "demand", receipt)
    assert (refused.code, "[demand-unanchored]" in refused.err) == (1, True)

    node.anchor()
    unshown = check(lang="zh")
    assert (unshown.code, "尚未出示" in unshown.out) == (3, True)
    assert ironcage("evidence", "verify", receipt, "--policy", policy).code == 3
    url = json.loads((node.home / "run" / "node.json").read_bytes())["url"]
    fetched = check("--node", url)
    assert (fetched.code, "HONOURED" in fetched.out) == (0, True)
    whole = tmp_path / "look-shown.receipt.json"
    assert ironcage("evidence", "verify", whole, "--policy", policy).code == 0
    found = ironcage("evidence", "verify", tmp_path, "--policy", policy, "--brief").out
    assert "look-shown.receipt.json  HONOURED" in found

    asked = node.run("receipt", "demand", receipt, environment={"IRONCAGE_LANG": "en"})
    assert (asked.code, "demanded" in asked.out) == (3, True)
    node.stop()
    node.start()
    answered = node.run("receipt", "demand", receipt, "--wait", environment={"IRONCAGE_LANG": "en"})
    assert (answered.code, "it is the promised entry" in answered.out) == (0, True)
    assert check("--json").json["finding"]["name"] == "honoured"

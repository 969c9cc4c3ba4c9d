# SPDX-License-Identifier: Apache-2.0
"""The disk of a department is gone: what was backed up is put back elsewhere, and work goes on under successor logs."""

from __future__ import annotations

import json
import shutil

import pytest

from node.crypto.note import parse_vkey
from node.log.checkpoint import verify_checkpoint
from tests.support.penalty_files import store_penalties
from tests.support.real_node import check_clean, ironcage, real_nodes, wait_until

LOOK = ("--purpose", "own-records", "--basis", "条例第九条", "--case", "2026-17")


@pytest.fixture
def node(real_chain, tmp_path):
    with real_nodes(real_chain.url, tmp_path) as (node,):
        node.chain_url = real_chain.url
        node.start()
        yield node


def fill(node, folder, numbers):
    job = node.wait_job(node.order(store_penalties(folder / "rows.csv", numbers)))
    node.anchor()
    return job


def newest_leaf(node):
    return node.records()[0]["leaf"]


def export(node, leaf, target):
    done = node.run("evidence", "export", leaf, "--disclose", "CF_WSH", *LOOK, "-o", target)
    assert done.code == 0, done.err
    return target


def policy_of(node, target):
    done = node.run("policy", "export", "--rpc", node.chain_url, "-o", target)
    assert done.code == 0, done.err
    return target


def verify(evidence, policy):
    return ironcage("evidence", "verify", evidence, "--policy", policy, "--json")


def checkpoints(node, logs):
    """The newest checkpoint of each log, checked under its keys: {(origin, size): root}."""
    found = {}
    with node.client() as client:
        for log in logs:
            kind, number = log["origin"].split("/")[-2:]
            note = client.get_text(f"/log/{kind}/{number}/checkpoint")
            checkpoint = verify_checkpoint(note, [parse_vkey(text) for text in log["vkeys"]]).checkpoint
            found[checkpoint.origin, checkpoint.size] = checkpoint.root
    return found


def described(node):
    with node.client() as client:
        node_says = client.get("/api/v1/node")
    return node_says, [*node_says["logs"], *node_says["earlier_logs"]]


@pytest.mark.slow
def test_a_department_whose_disk_is_gone_goes_on_under_successors(node, tmp_path):
    fill(node, tmp_path, range(20))
    early = newest_leaf(node)
    made = node.run("backup", tmp_path / "backups", "--json")
    assert made.code == 0, made.err
    fill(node, tmp_path, range(20, 30))
    lost = export(node, newest_leaf(node), tmp_path / "lost.evidence.json")
    signed = checkpoints(node, described(node)[1])
    before = policy_of(node, tmp_path / "before.json")
    assert verify(lost, before).code == 0
    node.stop()

    # The disk with the store is gone. Keys, settings and head files were kept elsewhere.
    shutil.rmtree(node.home / "data")
    done = node.run("restore", made.json["path"], "--json")
    assert done.code == 0, done.err
    records = done.json["account"]["logs"][0]
    assert (records["verdict"], records["complete"]) == ("behind-anchor", True)
    assert records["missing"] == records["promised"] - records["size"] >= 11
    assert node.run("restore", made.json["path"]).code == 1, "there is a store now"

    node.start(mode="read-only")
    wait_until(lambda: described(node)[0]["account"], "the account is taken")
    shown = node.run("node", "status")
    assert f"{records['missing']} entries from {records['size']} on are not in this store" in shown.out
    assert "ironcage log succeed" in shown.out
    refused = node.run(
        "import", store_penalties(tmp_path / "again.csv", range(20, 30)), "--item", "penalty:2018"
    )
    assert refused.code == 1
    busy = node.run("log", "succeed", "--reason", "restored-backup", "--yes")
    assert busy.code == 3
    assert "stop it" in busy.err
    node.stop()

    unsure = node.run("log", "succeed", "--reason", "restored-backup")
    assert (unsure.code, "[succession-not-confirmed]" in unsure.err, "--yes" in unsure.err) == (2, True, True)
    planned = node.run("log", "succeed", "--reason", "planned", "--yes")
    assert (planned.code, "[succession-unplanned]" in planned.err) == (1, True)
    waiting = node.run("log", "succeed", "--reason", "restored-backup", "--yes", "--json")
    assert (waiting.code, len(waiting.json["waiting"])) == (3, 2), "by notice, a day passes"
    unsure = node.run("log", "succeed", "--reason", "restored-backup", "--by-vote", "--json")
    assert (unsure.code, unsure.json["code"]) == (2, "succession-not-confirmed"), "by vote it closes at once"
    opened = node.run("log", "succeed", "--reason", "restored-backup", "--by-vote", "--yes", "--json")
    assert (opened.code, len(opened.json["begun"])) == (0, 2), opened.err

    node.start()
    job = fill(node, tmp_path, range(20, 30))
    assert (job["accepted"], job["duplicate"]) == (10, 0)
    answer, logs = described(node)
    assert [log["origin"].rpartition("/")[2] for log in logs] == ["1", "1", "0", "0"]
    assert answer["logs"][0]["succession"] | {"predecessor": "", "root": ""} == {
        "predecessor": "",
        "size": records["anchored"],
        "root": "",
        "reason": "restored-backup",
        "planned": False,
    }
    after = policy_of(node, tmp_path / "after.json")
    for name, leaf in (("early", early), ("new", newest_leaf(node))):
        found = verify(export(node, leaf, tmp_path / f"{name}.evidence.json"), after)
        assert found.code == 0, found.out
    assert verify(lost, after).code == 0, "what others hold of the lost log stays proven"
    for key, root in checkpoints(node, logs).items():
        assert signed.get(key, root) == root, "two roots at one size"
    checkpoint = node.run("log", "checkpoint")
    assert checkpoint.out.splitlines()[0].endswith("/records/1")
    node.stop()
    assert check_clean(node)["records"] == 30


def test_a_backup_that_is_the_newest_state_goes_on_where_it_was(node, tmp_path):
    fill(node, tmp_path, range(10))
    node.stop()
    made = node.run("backup", tmp_path / "backups", "--json")
    assert made.code == 0, made.err
    shutil.rmtree(node.home / "data")
    done = node.run("restore", made.json["path"])
    assert done.code == 0, done.err
    assert "start the node" in done.out
    node.start()
    assert fill(node, tmp_path, range(20))["duplicate"] == 10
    node.stop()
    check_clean(node)


def test_an_expired_backup_is_named_and_removed(node, tmp_path):
    made = node.run("backup", tmp_path / "backups", "--json")
    again = node.run("backup", tmp_path / "backups", "--json")
    assert again.json["expired"] == []
    manifest = tmp_path / "backups" / made.json["path"].rpartition("/")[2] / "manifest.json"
    fields = json.loads(manifest.read_bytes())
    fields["expires_at"] = fields["made_at"]
    manifest.write_bytes(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())
    killed = manifest.parent.with_name(manifest.parent.name.partition("-")[0] + "-1700000000000.partial")
    killed.mkdir()
    third = node.run("backup", tmp_path / "backups", "--json")
    assert third.json["expired"] == [str(killed), made.json["path"]]
    pruned = node.run("backup", tmp_path / "backups", "--prune", "--json")
    assert pruned.json == {"removed": [str(killed), made.json["path"]], "kept": None}
    assert not manifest.parent.exists()
    shutil.rmtree(again.json["path"])
    newest = tmp_path / "backups" / third.json["path"].rpartition("/")[2] / "manifest.json"
    last = json.loads(newest.read_bytes()) | {"made_at": 1_700_000_000, "expires_at": 1_700_000_000}
    newest.write_bytes(json.dumps(last, sort_keys=True, separators=(",", ":")).encode())
    stays = node.run("backup", tmp_path / "backups", "--prune")
    assert (stays.code, "newest complete backup and stays" in stays.out) == (0, True)
    assert newest.exists()
    inside = node.run("backup", node.home / "data" / "backups")
    assert (inside.code, "[backup-place]" in inside.err) == (1, True)

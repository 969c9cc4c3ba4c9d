# SPDX-License-Identifier: Apache-2.0
"""The main job as an operator does it: every command, from ``init`` to evidence that a stranger verifies."""

from __future__ import annotations

import csv
import json
import threading
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from consortium.samples.codes import build_uscc
from consortium.samples.files import store_samples
from consortium.samples.records import Unit
from node.core.clock import SystemClock, china_date
from node.core.encoding import encode_b64u
from node.core.types import LeafHash
from node.crypto.note import ED25519, build_vkey, encode_vkey, parse_vkey
from node.log.checkpoint import verify_checkpoint
from node.log.proof import parse_tlog_proof, verify_tlog_proof
from tests.support.real_node import COMMAND, DOMAIN, RealNode, check_clean, free_port, ironcage

MARKET, COURT = build_uscc("11", "520100", "00700001"), build_uscc("11", "520100", "00700002")
FIELDS = "CF_XDR_MC,CF_WSH,CF_CFLB,CF_JDRQ"
LOOK = ("--purpose", "own-records", "--case", "2026-17")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("job")


@pytest.fixture(scope="module")
def nodes(real_chain, folder):
    """Two nodes, made and started with nothing but the command line."""
    nodes = {
        name: RealNode(folder / name, code, program=(*COMMAND, "node", "run", "--home"))
        for name, code in (("market", MARKET), ("court", COURT))
    }
    for (name, node), roles in zip(nodes.items(), ("issuer,consumer", "consumer"), strict=True):
        who = ("--member", node.code, "--name", f"{name} 部门", "--roles", roles, "--port", "0")
        made = ironcage("init", *who, "--anchor-period", "3600", "--json", home=node.home)
        assert made.code == 0, made
        assert made.json["operator"].startswith("0x")
    market = nodes["market"].home
    founders = [word for node in nodes.values() for word in ("--founder", node.home / "member.json")]
    key = ("--key", market / "keys" / "operator.json", "--passphrase-file", market / "keys" / "passphrase")
    network = folder / "network.json"
    chain = ("--rpc", real_chain.url, "--domain", DOMAIN, "--out", network)
    deployed = ironcage("chain", "deploy", *chain, *founders, *key)
    assert deployed.code == 0, deployed
    for node in nodes.values():
        (node.home / "network.json").write_bytes(network.read_bytes())
        node.start()
    yield nodes
    for node in nodes.values():
        node.end()


@pytest.fixture(scope="module")
def market(nodes):
    return nodes["market"]


@pytest.fixture(scope="module")
def samples(folder):
    """Two files of penalties with the mess of real ones, and what an import of each must count."""
    today = date.fromisoformat(china_date(SystemClock().now_seconds()))
    units = Unit(MARKET, "筑城市市场监督管理局", "筑市监"), Unit(COURT, "筑城市中级人民法院", "筑法")
    return store_samples(folder, *units, today=today, rows=500)[:2]


@pytest.fixture(scope="module")
def imported(market, samples, folder):
    """Both files imported and anchored: the answer of each import, and the file of its refused rows."""
    done = []
    for sample in samples:
        refused = folder / f"{sample.path.stem}.refused.csv"
        report = market.ask("import", sample.path, "--item", sample.item, "--refusals", refused)
        done.append((sample, report, refused))
    market.anchor()
    return done


@pytest.fixture(scope="module")
def leaves(market, imported):
    """Leaf hashes of anchored, open penalties that no test has touched yet; each test takes its own."""
    return iter([r["leaf"] for r in market.records() if r["disclosure"] == "open"])


@pytest.fixture(scope="module")
def policies(market, imported, real_chain, folder):
    offline, chain = folder / "offline.policy.json", folder / "chain.policy.json"
    assert market.run("policy", "export", "--level", "logged", "-o", offline).code == 0
    assert market.run("policy", "export", "--rpc", real_chain.url, "-o", chain).code == 0
    return {"offline": offline, "chain": chain}


def export(market, leaf, target, fields=FIELDS):
    done = market.run("evidence", "export", leaf, "--disclose", fields, *LOOK, "-o", target)
    assert done.code == 0, done
    return target


def verify(evidence, policy, *arguments, home=None):
    return ironcage("evidence", "verify", evidence, "--policy", policy, *arguments, home=home)


def test_an_import_counts_and_names_every_refused_row(imported):
    for sample, report, refused in imported:
        job = report["import"]
        assert (job["state"], job["read"]) == ("done", sample.rows)
        assert (job["accepted"], job["duplicate"]) == (sample.accepted, sample.duplicates)
        assert job["refused"] == len(sample.refused)
        found = {refusal["row"]: refusal["rule"] for refusal in reversed(report["refusals"])}
        assert found == sample.refused
        assert all(refusal["reason"] for refusal in report["refusals"])
        with refused.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.DictReader(file))
        assert [int(line["row"]) for line in lines] == [refusal["row"] for refusal in report["refusals"]]


def test_the_same_file_again_changes_nothing(market, imported):
    sample, first, _ = imported[0]
    before = market.logs()["records"]["size"]
    done = market.run("import", sample.path, "--item", sample.item)
    assert done.code == 0
    # A changed row is refused again, not taken for a duplicate.
    duplicates = first["import"]["accepted"] + first["import"]["duplicate"]
    assert f"0 accepted (0 corrections), {duplicates} duplicate, {len(sample.refused)} refused" in done.out
    assert f"and {len(first['refusals']) - 20} more; --refusals FILE writes all" in done.out
    assert market.logs()["records"]["size"] == before


def test_records_are_listed_without_their_content(market, imported):
    lines = market.ask("record", "list", "--limit", "5")
    assert len(lines) == 5
    assert {line["item"] for line in lines} == {"penalty:2018"}
    assert {line["stage"] for line in lines} == {"anchored"}
    assert set(lines[0]) == {"index", "leaf", "item", "disclosure", "status", "stage"}
    table = market.run("record", "list", "--limit", "2").out
    assert lines[0]["leaf"] in table
    assert lines[2]["leaf"] not in table


def test_records_are_found_by_subject(market, leaves):
    leaf = next(leaves)
    subject = market.ask("record", "show", leaf, *LOOK)["subject"]
    found = market.ask("record", "list", "--subject", f"{subject['type']}:{subject['id']}", *LOOK)
    assert leaf in [line["leaf"] for line in found["records"]]
    assert market.ask("record", "list", "--subject", f"uscc:{MARKET}", *LOOK)["records"] == []
    assert market.run("record", "list", "--subject", subject["id"], *LOOK).code == 2


def test_a_shown_record_has_its_fields_and_a_receipt_and_is_a_logged_look(market, leaves):
    leaf = next(leaves)
    before = market.logs()["access"]["size"]
    shown = market.ask("record", "show", leaf, *LOOK)
    assert market.logs()["access"]["size"] == before + 1
    assert shown["record"]["leaf"] == leaf
    assert shown["fields"]["CF_CFJGDM"] == MARKET
    assert shown["receipt"].count(".") == 2
    text = market.run("record", "show", leaf, *LOOK, environment={"IRONCAGE_LANG": "zh"}).out
    assert "行政处罚决定书文号" in text
    assert shown["fields"]["CF_WSH"] in text


def test_a_look_without_a_record_or_a_purpose_is_refused(market, leaves):
    before = market.logs()["access"]["size"]
    assert market.ask("record", "show", "0" * 64, *LOOK, code=1)["code"] == "record-unknown"
    assert market.ask("record", "show", "xyz", *LOOK, code=2)["code"] == "leaf-form"
    assert market.run("record", "show", next(leaves)).code == 2
    assert market.logs()["access"]["size"] == before


def test_evidence_verifies_offline_and_with_the_chain(market, leaves, policies, folder):
    evidence = export(market, next(leaves), folder / "good.evidence.json")
    offline = verify(evidence, policies["offline"], "--json")
    assert (offline.code, offline.json["level"], offline.json["verdict"]) == (0, "logged", "satisfied")
    steps = {step["name"]: step for step in offline.json["steps"]}
    assert steps["chain"]["outcome"] == "not-checked"
    assert sorted(offline.json["record"]["disclosed"]) == sorted(FIELDS.split(","))
    # The sender of the evidence is not asked: the node's home plays no part.
    chained = verify(evidence, policies["chain"], "--json", home=None)
    assert (chained.code, chained.json["level"]) == (0, "anchored")
    assert chained.json["interval"]["proven"] is True
    assert chained.json["interval"]["start"] <= chained.json["interval"]["end"]
    assert chained.json["in_force"] is True
    text = verify(evidence, policies["chain"], "--lang", "zh").out
    assert "已锚定" in text
    assert "行政处罚决定书文号" in text


def test_evidence_that_was_changed_or_is_of_another_department_is_refused(
    market, nodes, leaves, policies, folder
):
    evidence = export(market, next(leaves), folder / "victim.evidence.json")
    changed = folder / "changed.evidence.json"
    text = evidence.read_text()
    _jwt, *rest = json.loads(text)["record"].split("~")
    first = rest[0]
    changed.write_text(text.replace(first, ("X" if first[0] != "X" else "Y") + first[1:]))
    refused = verify(changed, policies["offline"], "--json")
    assert (refused.code, refused.json["verdict"]) == (1, "refused")
    assert refused.json["record"] is None
    wrong = folder / "court.policy.json"
    assert nodes["court"].run("policy", "export", "--level", "logged", "-o", wrong).code == 0
    assert verify(evidence, wrong).code == 1
    # The worst of several files decides, and each has its own report.
    both = ironcage("evidence", "verify", evidence, changed, "--policy", policies["offline"], "--json")
    assert both.code == 1
    assert [json.loads(line)["satisfied"] for line in both.out.splitlines()] == [True, False]


def test_evidence_that_cannot_be_verified_now_says_try_again(market, leaves, policies, folder):
    evidence = export(market, next(leaves), folder / "later.evidence.json")
    away = folder / "away.policy.json"
    policy = json.loads(policies["chain"].read_text())
    policy["chain"]["rpc"] = f"http://127.0.0.1:{free_port()}"
    away.write_text(json.dumps(policy, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    done = verify(evidence, away, "--json")
    assert (done.code, done.json["verdict"], done.json["level"]) == (3, "unavailable", "logged")


def test_verification_of_what_is_not_there_is_wrong_usage(policies, folder):
    none = folder / "none.json"
    assert verify(none, policies["offline"], "--json").json["code"] == "file-missing"
    assert verify(none, policies["offline"]).code == 2
    no_policy = folder / "no.policy.json"
    no_policy.write_text("{}")
    assert verify(policies["offline"], no_policy).code == 2
    assert verify(policies["offline"], policies["offline"]).code == 1


def test_a_withdrawn_record_says_so_in_its_evidence(market, leaves, policies, folder):
    leaf = next(leaves)
    before = export(market, leaf, folder / "before.evidence.json")
    withdrawn = market.ask("record", "withdraw", leaf, "--ground", "复议撤销")
    assert withdrawn["status"] == "invalid"
    assert market.ask("record", "withdraw", leaf, "--ground", "again", code=1)["code"] == "record-withdrawn"
    anchors = market.ask("log", "anchor")
    assert {anchor["log"] for anchor in anchors} == {"records", "access"}
    assert all(0 < anchor["gas_used"] < 500_000 for anchor in anchors)
    after = export(market, leaf, folder / "after.evidence.json")
    report = verify(after, policies["chain"], "--json")
    assert report.code == 1
    assert (report.json["in_force"], report.json["status"]["meaning"]) == (False, "withdrawn")
    assert report.json["status"]["age_seconds"] < 3600
    # What was handed out before still proves what it proved; its status has an age that the policy can bound.
    assert verify(before, policies["offline"]).code == 0
    # A withdrawn record is not brought back by sending its row again.
    shown = market.ask("record", "show", leaf, *LOOK)
    assert shown["history"][0]["ground"] == "复议撤销"


def test_a_correction_supersedes_and_leaves_one_valid_record(market, leaves, policies, folder):
    leaf = next(leaves)
    fields = market.ask("record", "show", leaf, *LOOK)["fields"]
    row = folder / "row.json"
    changed = fields | {"CF_NR": "罚款金额更正为一万元"}
    row.write_text(json.dumps(changed, ensure_ascii=False), encoding="utf-8")
    new = market.ask("record", "correct", leaf, "--row", row, "--ground", "笔误")
    assert (new["status"], new["item"]) == ("valid", "penalty:2018")
    lines = {line["leaf"]: line for line in market.records()}
    assert lines[leaf]["status"] == "invalid"
    again = market.ask("record", "correct", leaf, "--row", row, "--ground", "again", code=1)
    assert again["code"] in {"record-withdrawn", "record-duplicate"}
    row.write_text(json.dumps(fields | {"CF_JDRQ": "2099-01-01"}), encoding="utf-8")
    refused = market.ask("record", "correct", new["leaf"], "--row", row, "--ground", "x", code=2)
    assert refused["code"] == "row-refused"
    assert "date-in-future" in refused["detail"]
    market.anchor()
    evidence = export(market, new["leaf"], folder / "corrected.evidence.json", "CF_NR")
    report = verify(evidence, policies["chain"], "--json").json
    assert report["satisfied"]
    assert report["record"]["supersedes"] == encode_b64u(bytes.fromhex(leaf))
    assert report["record"]["disclosed"] == {"CF_NR": "罚款金额更正为一万元"}


def test_a_policy_shows_whom_it_trusts(market, policies):
    shown = ironcage("policy", "show", policies["chain"])
    assert shown.code == 0
    assert f"{DOMAIN}/{MARKET}/records/0" in shown.out
    assert "anchored" in shown.out
    assert ironcage("policy", "show", market.home / "config.toml").code == 2


@contextmanager
def lying_node(description):
    """Answer ``/api/v1/node`` with a description that somebody made up."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(description).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_policy_is_not_written_from_keys_that_the_chain_does_not_have(market, nodes, folder):
    target = folder / "lie.policy.json"
    with market.client() as client:
        honest = client.get("/api/v1/node")
    with nodes["court"].client() as client:
        other = client.get("/api/v1/node")
    forged = json.loads(json.dumps(honest))
    origin = forged["logs"][0]["origin"]
    public = parse_vkey(other["logs"][0]["vkeys"][0]).public
    forged["logs"][0]["vkeys"][0] = encode_vkey(build_vkey(origin, ED25519, public))
    impostor = honest | {"member": COURT}
    # A log that was never opened, under the id of one that was.
    unopened = json.loads(json.dumps(honest))
    log = unopened["logs"][0]
    log["origin"] = origin.removesuffix("/0") + "/1"
    keys = [parse_vkey(text) for text in log["vkeys"]]
    log["vkeys"] = [encode_vkey(build_vkey(log["origin"], key.algorithm, key.public)) for key in keys]
    for description in (forged, impostor, unopened):
        with lying_node(description) as url:
            done = market.run("policy", "export", "--node", url, "-o", target)
        assert done.code == 1, done
        assert "[policy-log-key]" in done.err
        assert not target.exists()
    with lying_node({"hello": "world"}) as url:
        done = market.run("policy", "export", "--node", url, "-o", target)
    assert (done.code, target.exists()) == (3, False), done
    assert "[node-answer]" in done.err


def test_a_policy_can_trust_several_nodes(market, nodes, folder):
    urls = [json.loads((node.home / "run" / "node.json").read_bytes())["url"] for node in nodes.values()]
    target = folder / "both.policy.json"
    arguments = [word for url in urls for word in ("--node", url)]
    assert market.run("policy", "export", *arguments, "-o", target).code == 0
    owners = {log["owner"] for log in json.loads(target.read_text())["logs"]}
    assert owners == {MARKET, COURT}


def test_checkpoint_and_proof_are_verified_by_the_log_keys(market, imported):
    described = market.logs()["records"]
    vkeys = [parse_vkey(text) for text in described["vkeys"]]
    note = market.run("log", "checkpoint")
    assert note.code == 0
    verified = verify_checkpoint(note.out, vkeys)
    assert verified.algorithms == {"ed25519", "ml-dsa-44"}
    assert verified.checkpoint.size == described["published"]
    with market.client() as client:
        first = client.post("/api/v1/records/search", {"limit": 1, "before": 200})[0]
    proof = market.run("log", "prove", str(first["index"]))
    assert proof.code == 0
    leaf = LeafHash(bytes.fromhex(first["leaf"]))
    assert verify_tlog_proof(parse_tlog_proof(proof.out), leaf, vkeys).checkpoint.size > first["index"]
    assert market.run("log", "prove", "999999").code == 1
    access = market.run("log", "checkpoint", "--log", "access").out
    assert access.startswith(f"{DOMAIN}/{MARKET}/access/0\n")
    assert market.run("log", "checkpoint", "--log", "other").code == 2


def test_the_state_of_chain_node_and_members_is_shown(market, real_chain):
    status = market.ask("chain", "status")
    assert (status["state"], status["chain_id"]) == ("ready", real_chain.chain_id)
    assert market.run("chain", "status").out.startswith("state: ready\n")
    members = market.ask("member", "list")
    assert {member["code"]: member["roles"] for member in members} == {
        MARKET: ["issuer", "consumer"],
        COURT: ["consumer"],
    }
    assert COURT in market.run("member", "list").out
    node = market.ask("node", "status")
    assert (node["member"], node["state"]["mode"]) == (MARKET, "ready")
    assert "penalty:2018" in node["items"]
    assert "ready" in market.run("node", "status").out


def test_a_second_process_on_the_same_home_gives_way(market):
    before = (market.home / "run" / "node.json").read_bytes()
    second = ironcage("node", "run", home=market.home)
    assert (second.code, "[store-locked]" in second.err) == (3, True)
    assert (market.home / "run" / "node.json").read_bytes() == before
    assert market.state()["mode"] == "ready"


def test_init_refuses_what_would_not_work(market, folder):
    again = ironcage("init", "--member", MARKET, "--name", "x", home=market.home)
    assert (again.code, "[home-exists]" in again.err) == (1, True)
    wrong = ironcage("init", "--member", MARKET[:-1] + "B", "--name", "x", home=folder / "wrong")
    assert wrong.code == 2
    role = ironcage("init", "--member", MARKET, "--name", "x", "--roles", "king", home=folder / "wrong")
    assert (role.code, "[role-unknown]" in role.err) == (2, True)
    short = folder / "short"
    short.write_text("secret\n")
    short.chmod(0o600)
    weak = ironcage(
        "init", "--member", MARKET, "--name", "x", "--passphrase-file", short, home=folder / "wrong"
    )
    assert (weak.code, "[passphrase-short]" in weak.err) == (2, True)
    assert not (folder / "wrong" / "config.toml").exists()


def test_a_check_is_refused_while_the_node_runs_and_clean_when_it_is_stopped(nodes, imported):
    court = nodes["court"]
    running = court.run("log", "fsck")
    assert (running.code, "[store-locked]" in running.err, "stop it" in running.err) == (3, True, True)
    assert court.stop() == 0
    assert not (court.home / "run" / "node.json").exists()
    counts = check_clean(court)
    assert counts["records"] == 0
    stopped = court.run("node", "status")
    assert (stopped.code, "[node-not-running]" in stopped.err) == (3, True)
    court.start()
    assert "nothing wrong found" not in court.run("log", "fsck").out

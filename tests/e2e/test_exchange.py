# SPDX-License-Identifier: Apache-2.0
"""Two departments on a real chain: one asks the other, as operators and officers do it, and both logs say so."""

from __future__ import annotations

import csv
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from node.access.event import parse_entry
from node.access.receipt import parse_receipt
from node.client.api import NodeClient
from node.log.tiles import parse_bundle
from tests.support.many import CAP, companies
from tests.support.penalty_files import store_penalties
from tests.support.real_documents import ITEM, admin, decide_documents, start_reachable
from tests.support.real_node import real_nodes
from tests.support.rows import COMPANY

pytestmark = pytest.mark.slow
QUESTION = ("ask", f"uscc:{COMPANY}", "--purpose", "tender-check", "--basis", "gov-procurement-22")
FIELDS = ("--item", f"{ITEM}:CF_WSH,CF_CFLB")
CASE = ("--case", "2026-招-17")


@pytest.fixture(scope="module")
def nodes(real_chain, tmp_path_factory):
    """A court and a market regulator with three penalties; the documents are decided on, and both have anchored."""
    folder = tmp_path_factory.mktemp("exchange")
    with real_nodes(real_chain.url, folder, 2) as (court, market):
        for node in (court, market):
            start_reachable(node)
        decide_documents(folder, (court, market))
        market.wait_job(market.order(store_penalties(folder / "penalties.csv", range(3))))
        for node in (court, market):
            node.anchor()
        yield court, market


def events(node):
    """The kinds of the events in a node's access log, as far as an auditor reads it."""
    node.anchor()
    # What came behind the checkpoint is not shown yet.
    size = node.logs()["access"]["published"]
    token = admin(node).read_text().strip()
    url = json.loads((node.home / "run" / "node.json").read_bytes())["url"]
    with NodeClient(url, token) as client:
        data = client.get_bytes(f"/log/access/0/tile/entries/000.p/{size}")
    found = [parse_entry(entry) for entry in parse_bundle(data, size)]
    kinds = [event.kind for event in found if hasattr(event, "digests")]
    # That it was read stands there, too.
    return [kind for kind in kinds if kind != "audit"]


def test_an_officer_asks_and_both_logs_say_so(nodes):
    court, market = nodes
    before = len(events(court)), len(events(market))
    done = court.run(*QUESTION, *FIELDS, *CASE, "--save", str(court.home / "answers"))
    assert done.code == 0, done
    assert f"{market.code}  given" in done.out
    assert "云市监罚〔2026〕2号" in done.out
    assert "Not every department" not in done.out
    saved = sorted(path.name.partition(".")[2] for path in (court.home / "answers").iterdir())
    assert saved == ["answer.json", "receipt"]
    assert events(court)[before[0] :] == ["ask", "receive"]
    assert events(market)[before[1] :] == ["grant"]


def test_the_receipts_of_others_are_saved_for_an_auditor(nodes, tmp_path):
    court, market = nodes
    assert court.run(*QUESTION, *FIELDS, *CASE).code == 0
    assert court.run(*QUESTION, *FIELDS, *CASE).code == 0
    file = tmp_path / "held.txt"
    words = ("access", "receipts", "--save", file, "--member", court.code, "--token-file", admin(market))
    done = market.run(*words)
    assert done.code == 0, done
    assert f"receipts saved: {file}" in done.out
    receipts = [parse_receipt(line) for line in file.read_text().splitlines()]
    assert {(one.iss, one.aud) for one in receipts} == {(court.code, market.code)}
    pairs = sorted(one.pair for one in receipts)
    assert pairs == list(range(1, len(pairs) + 1)), "asks and their ends, without a gap"
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_record_and_a_refusal(nodes):
    court, market = nodes
    other = "91310000MA00000315"
    answer = court.ask("ask", f"uscc:{other}", *QUESTION[2:], *FIELDS, *CASE)
    assert [one["result"] for one in answer["outcomes"]] == ["none"]
    refused = court.ask(*QUESTION, *FIELDS, code=1)
    assert [(one["result"], one["code"]) for one in refused["outcomes"]] == [("refused", "case-required")]
    assert events(market)[-1] == "grant"


def test_a_list_of_subjects_is_asked_about_once_a_second_officer_has_approved_it(nodes, tmp_path):
    court, market = nodes
    tokens = {}
    for name in ("li", "wang"):
        tokens[name] = tmp_path / f"{name}.token"
        made = court.run("token", "create", name, "--role", "officer", "--out", str(tokens[name]))
        assert made.code == 0, made
    file, out, saved = tmp_path / "bidders.csv", tmp_path / "found.csv", tmp_path / "answers"
    file.write_text("\n".join(["统一社会信用代码", *companies(CAP + 1)]) + "\n", encoding="utf-8")
    terms = (*QUESTION[2:], *FIELDS, *CASE)
    ask = (
        "ask-many",
        str(file),
        *terms,
        "--token-file",
        str(tokens["li"]),
        "--csv",
        str(out),
        "--save",
        str(saved),
    )
    before = len(events(court)), len(events(market))
    waits = court.run(*ask)
    assert waits.code == 3, waits
    assert f"{CAP + 1} lines, nothing was asked yet" in waits.out
    (id_,) = re.findall(r"approval give ([0-9a-f]{32})", waits.out)
    own = court.run("approval", "give", id_, str(file), *terms, "--token-file", str(tokens["li"]))
    assert (own.code, "approver-same" in own.err) == (1, True), own
    listed = court.run("approval", "list", "--token-file", str(tokens["wang"]), "--json").json
    assert [(one["id"], one["officer"], one["lines"]) for one in listed] == [(id_, "li", CAP + 1)]
    given = court.run("approval", "give", id_, str(file), *terms, "--token-file", str(tokens["wang"]))
    assert given.code == 0, given
    done = court.run(*ask)
    assert done.code == 0, done
    assert f"{CAP + 1} subjects: {CAP} without record" in done.out
    assert events(court)[before[0] :] == ["bulk", "receive"]
    assert events(market)[before[1] :] == ["bulk"]
    with out.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["CF_WSH"] for row in rows if row["result"] == "ok"] == [
        f"云市监罚〔2026〕{number}号" for number in range(3)
    ]
    assert len([row for row in rows if row["result"] == "none"]) == CAP
    assert out.stat().st_mode & 0o777 == 0o600
    kinds = sorted(path.name.partition(".")[2] for path in saved.iterdir())
    assert kinds == ["answer.json", "receipt"]
    looks = market.run(
        "subject", "looks", f"uscc:{COMPANY}", "--document", "business-licence", "--save", tmp_path / "looks"
    )
    assert looks.code == 0, looks
    files = [json.loads(path.read_bytes()) for path in (tmp_path / "looks").glob("*.look.json")]
    assert [one["line"]["k"] for one in files if "line" in one] == [0]


def test_many_officers_at_once(nodes):
    court, market = nodes
    before = len(events(market))
    body = {
        "subject": {"type": "uscc", "id": COMPANY},
        "items": [{"item": ITEM, "fields": ["CF_WSH"]}],
        "purpose": "tender-check",
        "basis": "gov-procurement-22",
        "case": "2026-招-17",
    }

    def ask(_):
        with court.client() as client:
            return [one["result"] for one in client.post("/api/v1/ask", body)["outcomes"]]

    with ThreadPoolExecutor(16) as pool:
        assert set(map(tuple, pool.map(ask, range(48)))) == {("ok",)}
    assert len(events(market)) == before + 48


def test_a_provider_that_is_killed_answers_when_it_is_back(nodes):
    court, market = nodes
    market.kill()
    failed = court.ask(*QUESTION, *FIELDS, *CASE, code=3)
    assert [(one["result"], one["code"]) for one in failed["outcomes"]] == [("failed", "peer-away")]
    market.start()
    answer = court.ask(*QUESTION, *FIELDS, *CASE)
    assert [one["result"] for one in answer["outcomes"]] == ["ok"]
    for node in nodes:
        node.stop()
        done = node.run("log", "fsck", "--json")
        assert done.code == 0, done

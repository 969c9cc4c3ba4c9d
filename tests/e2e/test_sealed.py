# SPDX-License-Identifier: Apache-2.0
"""A sealed look on three real nodes: the inspector signs a warrant, a commission asks with it, a regulator of markets answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from node.access.unsealed import parse_opened
from tests.e2e.test_exchange import events
from tests.support.penalty_files import store_penalties
from tests.support.real_documents import ITEM, admin, as_admin, decide_documents, start_reachable
from tests.support.real_node import real_nodes, wait_until
from tests.support.rows import COMPANY

pytestmark = pytest.mark.slow
WHY = ("--purpose", "discipline", "--basis", "supervision-law-18", "--case", "2026-监-3")
QUESTION = (
    "ask",
    f"uscc:{COMPANY}",
    "--purpose",
    "discipline-inspection",
    "--basis",
    "supervision-law-18",
    "--case",
    "2026-监-3",
    "--item",
    f"{ITEM}:CF_WSH,CF_CFLB",
)


@pytest.fixture(scope="module")
def nodes(real_chain, tmp_path_factory):
    """Three members, each a regulator; documents are decided on, and all have anchored."""
    folder = tmp_path_factory.mktemp("sealed")
    roles = ["issuer", "consumer", "regulator"]
    with real_nodes(real_chain.url, folder, 3, roles=roles) as three:
        for node in three:
            start_reachable(node)
        _, market, _ = three
        decide_documents(folder, three)
        market.wait_job(market.order(store_penalties(folder / "penalties.csv", range(2))))
        for node in three:
            node.anchor()
        yield three


def day(ahead):
    return (datetime.now(tz=UTC) + timedelta(days=ahead)).strftime("%Y-%m-%d")


def test_a_sealed_look_from_the_warrant_to_the_inspector(nodes):
    commission, market, inspector = nodes
    warrant = inspector.home / "warrant.jwt"
    issued = inspector.run(
        *("warrant", "issue", "--asker", commission.code, "--looks", "1"),
        *("--until", day(1), "--open-by", day(30), "--out", str(warrant), *WHY),
        *("--token-file", str(admin(inspector))),
    )
    assert issued.code == 0, issued
    assert f"the warrant is in {warrant}" in issued.out
    assert warrant.stat().st_mode & 0o777 == 0o600

    before = {node.code: len(events(node)) for node in nodes}
    asked = commission.run(*QUESTION, "--to", market.code, "--warrant", str(warrant))
    assert asked.code == 0, asked
    assert f"{market.code}  given" in asked.out
    after = {node.code: events(node)[before[node.code] :] for node in nodes}
    assert after[commission.code] == ["sealed", "sealed"]
    assert after[market.code] == ["sealed"]
    assert after[inspector.code] == ["sealed"] * 3

    boxes = as_admin(inspector, "sealed", "list")
    assert [(one["member"], one["part"]) for one in boxes] == [
        (commission.code, "ask"),
        (market.code, "grant"),
        (commission.code, "receive"),
    ]
    statement = inspector.home / "grant.opened.jwt"
    saved = ("--save", str(statement), "--token-file", str(admin(inspector)))
    opened = inspector.run("sealed", "open", boxes[1]["box"], *WHY, *saved)
    assert opened.code == 0, opened
    assert COMPANY in opened.out
    assert f"what it held is in {statement}, signed" in opened.out
    assert statement.stat().st_mode & 0o777 == 0o600
    said = parse_opened(statement.read_text().strip())
    assert (said.iss, said.member, said.box.hex()) == (inspector.code, market.code, boxes[1]["box"])
    assert as_admin(inspector, "sealed", "list", "--overdue") == []
    (listed,) = as_admin(inspector, "warrant", "list")
    assert (listed["used"], listed["looks"]) == (1, 1)
    for node in (commission, market):
        assert as_admin(node, "sealed", "counts") == [], "this month is not over"

    # The subject at the window gets nothing of it.
    looks = as_admin(market, "subject", "looks", f"uscc:{COMPANY}", "--document", "business-licence")
    assert looks["looks"] == []
    refused = commission.ask(*QUESTION, "--to", market.code, "--warrant", str(warrant), code=1)
    assert [(one["result"], one["code"]) for one in refused["outcomes"]] == [("refused", "warrant-used-up")]


def test_an_inspector_whose_node_is_down_lets_nothing_be_given(nodes):
    commission, market, inspector = nodes
    warrant = inspector.home / "second.jwt"
    as_admin(
        inspector,
        *("warrant", "issue", "--asker", commission.code, "--looks", "5"),
        *("--until", day(1), "--open-by", day(30), "--out", str(warrant), *WHY),
    )
    inspector.stop()
    refused = commission.ask(*QUESTION, "--to", market.code, "--warrant", str(warrant), code=1)
    assert [(one["result"], one["code"]) for one in refused["outcomes"]] == [("refused", "regulator-away")]
    inspector.start()
    wait_until(
        lambda: commission.run(*QUESTION, "--to", market.code, "--warrant", str(warrant)).code == 0,
        "it is given once the inspector is back",
    )

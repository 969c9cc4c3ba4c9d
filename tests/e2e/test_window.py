# SPDX-License-Identifier: Apache-2.0
"""At the window: an enterprise is shown who looked at its data, takes the proof home, and a stranger checks it there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.test_exchange import CASE, FIELDS, ITEM, QUESTION, nodes
from tests.support.real_node import ironcage
from tests.support.rows import COMPANY

pytestmark = pytest.mark.slow
SUBJECT = f"uscc:{COMPANY}"
IDENTIFIED = ("--document", "business-licence")
__all__ = ("nodes",)


@pytest.fixture(scope="module")
def asked(nodes):
    """A question that was answered, one that was refused, a look by own staff; all anchored."""
    court, market = nodes
    assert court.run(*QUESTION, *FIELDS, *CASE).code == 0
    assert court.run(*QUESTION, *FIELDS).code == 1
    leaf = market.run("record", "list", "--subject", SUBJECT, "--purpose", "window", "--json").json[
        "records"
    ][0]["leaf"]
    assert market.run("record", "show", leaf, "--purpose", "window").code == 0
    for node in (court, market):
        node.anchor()
    return court, market


def test_both_departments_show_the_enterprise_who_looked(asked):
    court, market = asked
    shown = market.run("subject", "looks", SUBJECT, *IDENTIFIED, "--case", "2026-申-8")
    assert shown.code == 0, shown
    assert f"{court.code} asked" in shown.out
    assert "given 3 records" in shown.out
    assert "looked at by own staff" in shown.out
    refused = court.run("subject", "looks", SUBJECT, *IDENTIFIED)
    assert "wanted to ask another department: refused [case]" in refused.out


def test_what_is_taken_home_is_verified_by_a_stranger(asked, real_chain, tmp_path):
    _, market = asked
    home, policy = tmp_path / "home", tmp_path / "policy.json"
    saved = market.run("subject", "looks", SUBJECT, *IDENTIFIED, "--save", str(home))
    assert saved.code == 0, saved
    made = market.run("policy", "export", "--rpc", real_chain.url, "--out", str(policy))
    assert made.code == 0, made
    looks = sorted(home.glob("*.look.json"))
    assert len(looks) == 3
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in home.iterdir())
    (receipt,) = home.glob("*.receipt.json")
    assert receipt.name in saved.out
    assert COMPANY in (home / "looks.txt").read_text(encoding="utf-8")
    done = ironcage("evidence", "verify", *map(str, looks), "--policy", str(policy))
    assert done.code == 0, done
    assert done.out.count("PROVEN") == 3
    changed = json.loads(looks[0].read_bytes())
    changed["open"] = [*changed["open"][1:], changed["open"][0][:-2] + "AA"]
    looks[0].write_text(json.dumps(changed), encoding="utf-8")
    assert ironcage("evidence", "verify", str(looks[0]), "--policy", str(policy)).code == 1


def test_looking_for_a_subject_needs_a_purpose(asked):
    _, market = asked
    assert market.run("record", "list", "--subject", SUBJECT).code == 2
    assert market.run("record", "list", "--purpose", "window").code == 2


def test_a_consent_from_the_window_to_its_end(asked, tmp_path):
    court, market = asked
    token = tmp_path / "consent.jwt"
    until = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%d")
    issue = (
        *("consent", "issue", SUBJECT, "--provider", market.code, "--asker", court.code),
        *("--purpose", "tender-check", "--item", f"{ITEM}:CF_WSH,CF_CFLB", "--uses", "2"),
    )
    issued = market.run(*issue, "--until", until, "--out", str(token))
    assert issued.code == 0, issued
    assert market.run(*issue, "--until", "soon", "--out", str(token)).code == 2
    digest = issued.out.partition("take it back by: ")[2].split()[0]
    assert court.run(*QUESTION, *FIELDS, *CASE, "--consent", str(token)).code == 0
    listed = market.run("consent", "list", SUBJECT)
    assert digest in listed.out
    assert "1/2" in listed.out
    taken = market.run("consent", "revoke", digest)
    assert "from now on" in taken.out
    assert market.run("consent", "revoke", digest).code == 1
    assert market.run("consent", "revoke", "--file", str(token)).code == 1
    assert market.run("consent", "revoke").code == 2
    assert court.run(*QUESTION, *FIELDS, *CASE, "--consent", str(token)).code == 1
    shown = market.run("subject", "looks", SUBJECT, *IDENTIFIED)
    assert "the subject gave a consent" in shown.out
    assert "the subject took a consent back" in shown.out


def test_a_consent_that_another_window_takes_back_is_over_at_its_provider(asked, tmp_path):
    """The court's node tells the market regulator's, over its connection between nodes."""
    court, market = asked
    token = tmp_path / "consent.jwt"
    until = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%d")
    issued = court.run(
        *("consent", "issue", SUBJECT, "--provider", market.code, "--asker", court.code),
        *("--purpose", "tender-check", "--item", f"{ITEM}:CF_WSH,CF_CFLB", "--uses", "9"),
        *("--until", until, "--out", str(token)),
    )
    assert issued.code == 0, issued
    digest = issued.out.partition("take it back by: ")[2].split()[0]
    taken = court.run("consent", "revoke", digest)
    assert "from now on" in taken.out, taken
    # It has the regulator's receipt for that.
    assert "taken back, known to the provider" in court.run("consent", "list", SUBJECT).out

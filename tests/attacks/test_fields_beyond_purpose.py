# SPDX-License-Identifier: Apache-2.0
"""Fields beyond the purpose: an asker whose own node does not stop him asks for more than his purpose may see.

Nothing is left out silently and nothing is given: the question is refused as a whole, and the refusal stands in the
provider's log with what was asked for. The other way round, a provider that gives more than was asked is caught by the
asker's node before anything is shown, and holds in its hand what convicts it: a signed answer that discloses other
fields than the signed event says.
"""

from __future__ import annotations

import pytest

from node.errors import Verification
from node.service.vault import Vault
from tests.support.exchange_world import COURT, FIELDS, MARKET, VCT


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([{"vct": VCT["penalty:2018"], "fields": ["CF_FR_ZJHM", "CF_WSH"]}], "field-beyond-purpose"),
        ([{"vct": VCT["penalty:2018"], "fields": ["CF_NOTHING"]}], "field-unknown"),
        ([{"vct": "urn:ironcage:zj.example:salary:1", "fields": ["A"]}], "item-unknown"),
    ],
)
def test_what_the_purpose_does_not_see_is_refused_as_a_whole(world, items, code):
    refused = world.ask_by_hand(items=items)
    assert (refused.result, refused.code, refused.records) == ("deny", code, ())
    ((index, deny),) = world.events(MARKET)
    assert deny.kind == "deny"
    assert world.values(MARKET, index)["items"] == items


def test_the_ask_event_must_say_the_same_as_the_request(world):
    harmless = [{"vct": VCT["penalty:2018"], "fields": ["CF_WSH"]}]
    refused = world.ask_by_hand(ask={"items": harmless})
    assert (refused.result, refused.code) == ("deny", "request-differs")


def test_a_provider_that_gives_more_than_its_event_says_is_not_believed(world, monkeypatch):
    honest = Vault.open

    def talkative(vault, look, index):
        opened = honest(vault, look, index)
        jwt = opened.presentation.split("~")[0]
        # Discloses one field less than the event says; one more cannot be made without the record's secret.
        return opened.__class__(
            opened.index, opened.jwt, opened.vct, opened.subject, opened.values, f"{jwt}~"
        )

    monkeypatch.setattr(Vault, "open", talkative)
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "answer-released", ())
    ((index, _),) = world.events(COURT, "receive")
    assert world.values(COURT, index)["released"] is None


def test_each_disclosed_field_was_asked_for(world):
    outcome = world.ask_one()
    for one in outcome.records:
        assert set(one.record.disclosed) <= {*FIELDS, "subject"}


def test_nobody_else_opens_a_record(world):
    with pytest.raises(Exception, match="look") as caught:
        world.nodes[MARKET].services.records._vault.open(object(), 0)
    assert not isinstance(caught.value, Verification)

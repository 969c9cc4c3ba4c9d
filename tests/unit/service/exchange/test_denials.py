# SPDX-License-Identifier: Apache-2.0
"""What a department logs when it does not answer: one event about a request, whatever happens and however often it comes."""

from __future__ import annotations

import pytest

from node.errors import NotFound, Unavailable
from tests.support.exchange_world import COURT, MARKET


class Erased:
    """A vault in which one call finds that the record was erased this moment."""

    def __init__(self, vault, call):
        self._vault = vault
        self._call = call

    def __getattr__(self, name):
        if name != self._call:
            return getattr(self._vault, name)

        def refuse(*_):
            raise NotFound("secret-erased", "erased just now")

        return refuse


def test_what_is_erased_while_it_is_looked_for_is_refused_and_logged(world):
    searcher = world.exchanges[MARKET].provider._searcher
    searcher._vault = Erased(searcher._vault, "plan_release")
    outcome = world.ask_one()
    assert (outcome.result, outcome.code) == ("deny", "record-erased")
    assert world.kinds(MARKET) == ["deny"]


@pytest.mark.parametrize("erased_for_good", [False, True])
def test_what_is_erased_behind_its_grant_gets_no_second_event(world, erased_for_good):
    provider = world.exchanges[MARKET].provider
    vault = provider._vault
    provider._vault = Erased(vault, "open")
    outcome = world.ask_one()
    assert (outcome.result, outcome.code) == ("failed", "answer-incomplete")
    assert world.kinds(MARKET) == ["grant"]
    ((_, body),) = world.post.sent
    if erased_for_good:
        with pytest.raises(Unavailable, match="not there any more"):
            world.post.deliver(MARKET, body)
    else:
        provider._vault = vault
        world.post.deliver(MARKET, body)
    assert world.kinds(MARKET) == ["grant"]
    assert world.kinds(COURT) == ["ask", "receive"]

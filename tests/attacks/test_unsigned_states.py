# SPDX-License-Identifier: Apache-2.0
"""A member shows a state of its log that is known already, under signatures that do not hold.

Size and root are right, so nothing about the log seems to be wrong. But who keeps that note as proof of what was searched,
or of what the log was, keeps nothing: the member never signed it.
"""

from __future__ import annotations

import base64

from node.service.exchange.side import Side
from node.service.layout import LogKind
from tests.support.exchange_world import COURT, MARKET


def spoil(note):
    """Change each signature of a note in its last byte, and leave the rest as it is."""
    lines = []
    for line in note.split("\n"):
        if line.startswith("\N{EM DASH} "):
            head, signature = line.rsplit(" ", 1)
            raw = bytearray(base64.b64decode(signature))
            raw[-1] ^= 1
            lines.append(f"{head} {base64.b64encode(raw).decode()}")
        else:
            lines.append(line)
    return "\n".join(lines)


def test_what_was_searched_is_signed(world):
    assert world.ask_one().result == "ok"
    searcher = world.exchanges[MARKET].provider._answering._searcher
    note = searcher.note
    searcher.note = lambda searched: spoil(note(searched))
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "ed25519-signature", ())


def test_the_checkpoint_of_an_answer_is_signed(world, monkeypatch):
    assert world.ask_one().result == "ok"
    regulator, newest = world.exchanges[MARKET].provider._side, Side.newest_note

    def forged(self, kind):
        note = newest(self, kind)
        return spoil(note) if self is regulator and kind is LogKind.ACCESS else note

    monkeypatch.setattr(Side, "newest_note", forged)
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "ed25519-signature", ())


def test_the_checkpoint_of_a_request_is_signed(world):
    assert world.ask_by_hand().result == "ok"
    note = world.nodes[COURT].access.find_checkpoint()[1]
    refused = world.ask_by_hand(checkpoint=spoil(note))
    assert (refused.result, refused.code, refused.records) == ("deny", "ed25519-signature", ())

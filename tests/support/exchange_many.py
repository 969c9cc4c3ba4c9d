# SPDX-License-Identifier: Apache-2.0
"""Rules of the machine of two nodes: questions about many subjects, and what a second officer approves."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

from hypothesis.stateful import invariant, rule

from node.errors import AccessDenied
from tests.support.errors import raises_code
from tests.support.exchange_draws import BLOWS, CARRIAGES, NODES, luck
from tests.support.many import CAP, WANG, companies
from tests.support.two_nodes import OTHER

SIZES = (3, CAP + 1)
"""Subjects of a question; the second needs another officer."""
SURE_LINES = 300
"""As long as a member asked about fewer, no rate keeps it from asking."""
NOBODY, SELF, SECOND = range(3)
"""Who approves a question that waits: nobody, the officer who asks, another one."""


class ManyRules:
    """Asks about many at once; a mixin of ``ExchangeMachine``, whose lists of records it looks at."""

    @property
    def approved(self):
        """How often each member's second officer was asked to approve, by member: no more questions may come of it."""
        if not hasattr(self, "_approved"):
            self._approved = Counter()
        return self._approved

    @rule(asker=NODES, what=luck(2, 3, 6), blow=BLOWS, carriage=CARRIAGES)
    def ask_about_many(self, asker, what, blow, carriage):
        """Ask about a company with records and others without, with or without a case number."""
        size, approver, lacks_case = what[0], what[1], what[2] == 1
        ids = companies(SIZES[size])
        order = {"subject_id": "", "many": tuple(ids), "purpose": "tender-check", "basis": "bidding-law-18"}
        order |= {"case": None if lacks_case else "2026-招-17"}
        waits = SIZES[size] > CAP and not self._is_approved(asker)
        if lacks_case:
            expected = ("refused", "case-required", [])
        elif waits and approver != SECOND:
            expected = ("waits", None, [])
        else:
            expected = self._found(OTHER[asker], is_person=False)
        if sum(len(event.lines) or 1 for event in self.watch.events(asker, "bulk", "ask")) > SURE_LINES:
            expected = None
        self._ask(asker, order, expected, blow, carriage, put=partial(self._put_many, asker, approver))

    @invariant()
    def one_question_for_one_approval(self):
        """What more than one officer has to want was asked once for each time that a second one wanted it."""
        for code in OTHER:
            asked = [one for one in self.watch.events(code) if one.is_question and len(one.lines) > CAP]
            assert len(asked) <= self.approved[code], "an approval was used twice"
            assert all(one.said["officer"]["second"]["id"] == WANG.id for one in asked)

    def _put_many(self, asker, approver, order):
        """Ask, have it approved where that is needed, and ask again."""
        many = self.world.exchanges[asker].many
        asked = many.ask(order)
        if asked.waiting is None or approver == NOBODY:
            return asked.outcomes
        if approver == SELF:
            with raises_code(AccessDenied, "approver-same"):
                many.approve(asked.waiting.id, order)
            return []
        self.approved[asker] += 1
        many.approve(asked.waiting.id, replace(order, officer=WANG))
        again = many.ask(order)
        assert again.waiting is None, "it was approved"
        return again.outcomes

    def _is_approved(self, asker):
        """Whether a second officer approved the question, and it was not asked since."""
        # Of the questions that a rule here asks one alone needs it.
        return any(one.approver for one in self.world.exchanges[asker].many.approvals.list_waiting())

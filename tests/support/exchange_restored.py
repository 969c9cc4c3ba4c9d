# SPDX-License-Identifier: Apache-2.0
"""Rules of the machine of two nodes: an older copy of a store is put in place of the store, with its head files or without."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from node.errors import NodeError
from tests.support.exchange_draws import NODES
from tests.support.node_world import WHY
from tests.support.two_histories import put_back, take_copy
from tests.support.two_nodes import OTHER

QUESTION = {"purpose": "tender-check", "basis": "bidding-law-18", "case": "2026-执-17"}


class RestoredRules:
    """A mixin of ``ExchangeMachine``: whoever lost what was published stops, and is asked and asks in vain."""

    copies = None

    @initialize()
    def copy_all_stores(self):
        for code in OTHER:
            self.copy_a_store(code)

    @rule(code=NODES)
    def copy_a_store(self, code):
        """Keep a copy of a node's store and head files, as a backup of a whole machine does."""
        node = self.world.nodes[code]
        self.copies = {**(self.copies or {}), code: (take_copy(node), node.sizes())}

    @rule(code=NODES, has_newest_heads=st.booleans())
    def put_an_older_store_back(self, code, has_newest_heads):
        """The copy runs for a while in place of the node, and nothing comes of it where it lacks what is promised.

        Promised is what the newest head files say, or without them what was anchored. A copy of a node whose anchor was
        under way lacks nothing of it.
        """
        node = self.world.nodes[code]
        copy, copied = self.copies[code]
        readers = node.services.readers.values()
        newest, heads = node.store, [node.heads.load(one.origin) for one in readers]
        promised = (
            [head.size for head in heads] if has_newest_heads else [one.anchored_size() for one in readers]
        )
        lacks = any(size < least for size, least in zip(copied, promised, strict=True))
        if not lacks or self.world.chain.away:
            return
        on_chain = self._count_anchors(node)
        put_back(node, (copy[0], heads if has_newest_heads else copy[1]))
        sizes, sent = node.sizes(), len(self.world.post.sent)
        self._try_everything(code)
        assert (node.sizes(), len(self.world.post.sent)) == (sizes, sent), "a copy went on"
        assert self._count_anchors(node) == on_chain, "a copy was anchored"
        node.services.sequencer.close()
        node.store = newest
        for head in heads:
            node.heads.replace(head)
        node.start()
        self.world.prepare(code)

    def _try_everything(self, code):
        """Ask, answer, look and anchor; each is refused."""
        node, exchange = self.world.nodes[code], self.world.exchanges[code]
        asked = [one.body for one in self.watch.requests.values() if one.provider == code]
        attempts = [
            node.join,
            lambda: exchange.asker.ask(self.world.order(providers=(OTHER[code],), **QUESTION)),
            lambda: exchange.provider.answer(asked[-1]) if asked else None,
            lambda: [node.services.records.show(line.leaf, WHY) for line in node.lines()[:1]],
            lambda: node.services.anchorer.anchor_now(sleep=node.sleep, timeout_seconds=5),
        ]
        for attempt in attempts:
            with suppress(NodeError):
                attempt()
        assert node.services.sequencer.read_only is not None, "it does not know that it is a copy"

    @staticmethod
    def _count_anchors(node):
        client = node.services.chain
        return [len(client.fetch_anchors(log_id, 1)) for log_id in node.services.log_ids.values()]

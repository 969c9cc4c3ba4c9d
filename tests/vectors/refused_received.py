# SPDX-License-Identifier: Apache-2.0
"""Requests that must be refused for what they say was received before, each signed by the right key."""

from __future__ import annotations

from node.access.logged import encode_logged
from node.core.encoding import encode_b64u
from node.log.checkpoint import build_origin
from tests.support import one_exchange as world
from tests.vectors.refused_exchange import edited, resigned

_YEAR_2100 = 4_102_444_800


def refused_received():
    """Build all of them."""
    key = world.NODE_KEYS[world.ASKER]
    good = encode_logged(world.received())
    receipt = good["receipt"]

    def changed(name, code, /, *received):
        base = "requests/with what was received before"
        return edited("request", f"received: {name}", code, base=base, set={"received": list(received)})

    def shown(name, code, /, **changes):
        return changed(name, code, {**good, **changes})

    def signed(name, code, /, by=key, **claims):
        return shown(name, code, receipt=resigned(receipt, by, **claims))

    def logged(name, code, /, salted=None, **changes):
        return changed(name, code, encode_logged(world.received(salted, name=name, **changes)))

    return [
        changed("no event", "json-object", "x"),
        changed("seventeen", "json-list", *[good] * 17),
        changed("one twice", "received-twice", good, good),
        logged("an ask", "received-event", kind="ask", req=None),
        logged("of another provider's answer", "received-differs", world.asked(peer=world.REGULATOR)),
        shown("event altered", "receipt-leaf", event=good["event"].replace('"n":1', '"n":2')),
        shown("seven openings", "logged-open", open=good["open"][:-2]),
        shown("without the subject", "logged-open", open=[good["open"][0], *good["open"][2:]]),
        shown("an opening twice", "opening-twice", open=[good["open"][0], *good["open"][:-1]]),
        signed("receipt by another key", "jws-key", by=world.NODE_KEYS[world.PROVIDER]),
        signed("receipt for another member", "receipt-aud", aud=world.REGULATOR),
        signed("receipt of another request", "receipt-rid", rid=encode_b64u(bytes(16))),
        signed(
            "receipt of a log to come",
            "receipt-log",
            log=build_origin(world.DOMAIN, world.ASKER, "access", 1),
        ),
        signed(
            "receipt of another network",
            "receipt-log",
            log=build_origin("x.example", world.ASKER, "access", 0),
        ),
        signed(
            "receipt of the year 2100", "receipt-time", iat=_YEAR_2100, anchor_by=_YEAR_2100 + world.LIMIT
        ),
        signed("receipt with another limit", "receipt-anchor-by", anchor_by=world.NOW + 99_999),
        logged("from the future", "receipt-time", t_ms=(world.NOW + 90) * 1000),
    ]

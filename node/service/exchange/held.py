# SPDX-License-Identifier: Apache-2.0
"""The newest receipt that this node holds of another member: what tells that member's machine that it was put back.

It is asked for by whoever starts (``GET /api/v1/held/<USCC>``) and nobody is known by then, so it is sealed to the member
that signed it: a receipt names both sides of an event whose peer the public log does not tell.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from node.access.box import PAD_BYTES, encode_envelope, open_held, parse_envelope, seal_held
from node.errors import AccessDenied, InvalidInput, Unavailable, Verification
from node.service.exchange.ledger import find_newest_receipt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.core.types import MemberCode
    from node.crypto.hpke import ExchangeKey
    from node.ports.witnesses import Held
    from node.service.exchange.side import Side


class HeldReceipts:
    """Seals the newest receipt of a member to it, and opens what others hold of this one.

    Args:
        side: This node.
        keys: Its exchange keys by ``kid``.
    """

    def __init__(self, side: Side, keys: Mapping[str, ExchangeKey]) -> None:
        self._side = side
        self._keys = keys

    def seal(self, member: MemberCode) -> str | None:
        """Seal the newest receipt of a member; None where there is none, or no key of it can be found now."""
        receipt = find_newest_receipt(self._side.reads, member)
        if receipt is None:
            return None
        try:
            public = self._side.directory.get(member).exchange_key
        except (AccessDenied, Unavailable):
            return None
        if public is None:
            return None
        return encode_envelope(seal_held(receipt, public=public, from_=self._side.member, to=member)).decode()

    def open(self, held: Held) -> Held:
        """Open what a member sealed to this node; what does not open is left out, as if nothing had been said."""
        if held.sealed is None:
            return held
        try:
            envelope = parse_envelope(held.sealed.encode("ascii", "replace"), max_plaintext_bytes=PAD_BYTES)
            key = self._keys.get(envelope.kid)
            if key is None or (envelope.from_, envelope.to) != (held.by, self._side.member):
                return held
            return replace(held, receipts=(*held.receipts, open_held(envelope, key)))
        except (InvalidInput, Verification):
            return held

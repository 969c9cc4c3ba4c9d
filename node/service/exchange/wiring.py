# SPDX-License-Identifier: Apache-2.0
"""Put the two sides of an exchange together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.service.exchange.asker import Asker
from node.service.exchange.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.crypto.hpke import ExchangeKey
    from node.ports.peers import Peers
    from node.service.exchange.searching import Searcher
    from node.service.exchange.side import Side
    from node.service.vault import Vault


@dataclass(frozen=True, slots=True)
class Exchange:
    """Both sides of exchanges of this node.

    Attributes:
        asker: Asks for own officers.
        provider: Answers other members.
        exchange_key: Public half of the key that requests are sealed to now, 1,216 bytes.
    """

    asker: Asker
    provider: Provider
    exchange_key: bytes

    def tend(self) -> None:
        """Drop what is over, and log what was only counted or was lost; called now and then.

        Raises:
            NodeError: The log or the store cannot be used now; calling again goes on.
        """
        self.provider.sweep()
        self.asker.close_lost()


def build_exchange(
    side: Side,
    *,
    peers: Peers,
    searcher: Searcher,
    vault: Vault,
    exchange_keys: Sequence[ExchangeKey],
    count_reject: Callable[[], None],
) -> Exchange:
    """Build both sides.

    Args:
        side: This node.
        peers: Carries envelopes to other nodes.
        searcher: Finds own records.
        vault: Opens them.
        exchange_keys: What requests may be sealed to; the first is the newest.
        count_reject: Told of every message that no member signed.
    """
    keys = {key.kid: key for key in exchange_keys}
    return Exchange(
        Asker(side, peers),
        Provider(side, keys, searcher, vault, count_reject),
        exchange_keys[0].public,
    )

# SPDX-License-Identifier: Apache-2.0
"""Put the two sides of an exchange together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.service.consents import ConsentWindow
from node.service.depository import Depository
from node.service.exchange.answering import Answering
from node.service.exchange.approvals import Approvals
from node.service.exchange.asker import Asker
from node.service.exchange.contradictions import Contradictions
from node.service.exchange.directory import Directory
from node.service.exchange.ends import EndChecker
from node.service.exchange.held import HeldReceipts
from node.service.exchange.many import ManyAsker
from node.service.exchange.permits import Permits
from node.service.exchange.provider import Provider
from node.service.exchange.revoked import RevocationDesk
from node.service.exchange.revoking import Outbox
from node.service.exchange.searching import Searcher
from node.service.exchange.side import Side
from node.service.exchange.untold import Untold
from node.service.layout import LogKind
from node.service.sealing import Sealer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.core.clock import Clock
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.hpke import ExchangeKey
    from node.ports import AnchorChain, Store
    from node.ports.peers import Peers
    from node.service.exchange.permits import Rules
    from node.service.gossip import Gossip
    from node.service.looking import AccessLog
    from node.service.reading import Logs
    from node.service.rejects import Rejects
    from node.service.sequencer import Sequencer
    from node.service.services import Identity
    from node.service.status import StatusPublisher
    from node.service.vault import Vault


@dataclass(frozen=True, slots=True)
class Exchange:
    """Both sides of exchanges of this node.

    Attributes:
        asker: Asks for own officers.
        many: Asks for them about many subjects at once.
        provider: Answers other members.
        exchange_key: Public half of the key that requests are sealed to now, 1,216 bytes.
        window: Where subjects consent to be asked about.
        outbox: Tells providers what was taken back there.
        revocations: What other windows tell this provider.
        held: The newest receipt of each other member, sealed to it.
        contradictions: What other members signed against their own earlier word.
        depository: What a regulator issues and holds of sealed looks.
        directory: What the chain says about the other members.
    """

    asker: Asker
    many: ManyAsker
    provider: Provider
    exchange_key: bytes
    window: ConsentWindow
    outbox: Outbox
    revocations: RevocationDesk
    held: HeldReceipts
    contradictions: Contradictions
    depository: Depository
    directory: Directory

    def tend(self) -> None:
        """Drop what is over, log what was only counted or was lost, tell what has to be told; called now and then.

        Raises:
            NodeError: The log or the store cannot be used now; calling again goes on.
        """
        self.provider.sweep()
        self.asker.close_lost()
        self.many.approvals.sweep()
        self.window.sweep()
        self.revocations.sweep()
        self.outbox.tell_due()

    def stop(self) -> None:
        """Log what was only counted; called when nothing is asked and answered any more.

        Raises:
            NodeError: The log cannot be written now.
        """
        self.provider.stop()


def build_exchange(
    identity: Identity,
    *,
    store: Store,
    sequencer: Sequencer,
    logs: Mapping[LogKind, Logs],
    access: AccessLog,
    vault: Vault,
    status: StatusPublisher,
    gossip: Gossip,
    chain: AnchorChain,
    peers: Peers,
    find_rules: Callable[[], Rules | None],
    item_names: Mapping[int, str],
    node_key: Ed25519Signer,
    exchange_keys: Sequence[ExchangeKey],
    index_key: bytes,
    clock: Clock,
    random: Callable[[int], bytes],
    rejects: Rejects,
) -> Exchange:
    """Build both sides.

    Args:
        identity: Who this node is.
        store: The store.
        sequencer: Writes to it.
        logs: Logs of this node.
        access: Its access log.
        vault: Opens records.
        status: Proves their status.
        gossip: Takes note of other members' checkpoints.
        chain: Says who the others are.
        peers: Carries envelopes to their nodes.
        find_rules: Gives the shared documents in force; None where there are none.
        item_names: ``<item>:<version>`` by the number in rows.
        node_key: Signs requests and answers.
        exchange_keys: What requests may be sealed to; the newest first.
        index_key: Keys the digests by which records are found and questions are counted.
        clock: The clock.
        random: Source of unpredictable bytes.
        rejects: Counts messages that no member signed.
    """
    member, limit = identity.member, identity.anchor_limit_seconds
    directory = Directory(chain, identity.domain, clock, stale_seconds=limit)
    permits = Permits(store, member, directory, find_rules, index_key, clock)
    window = ConsentWindow(
        store,
        sequencer,
        logs[LogKind.ACCESS],
        access,
        vault,
        member=member,
        node_key=node_key,
        index_key=index_key,
        find_rules=permits.rules,
        clock=clock,
        random=random,
    )
    side = Side(
        member=member,
        node_key=node_key,
        reads=store,
        sequencer=sequencer,
        logs=logs,
        access=access,
        directory=directory,
        gossip=gossip,
        permits=permits,
        ends=EndChecker(index_key),
        untold=Untold(store, logs[LogKind.ACCESS], access, exchange_keys, random),
        clock=clock,
        random=random,
        anchor_limit_seconds=limit,
    )
    searcher = Searcher(
        store,
        logs[LogKind.RECORDS],
        vault,
        status,
        item_names=item_names,
        domain=identity.domain,
        index_key=index_key,
    )
    keys = {key.kid: key for key in exchange_keys}
    sealer = Sealer(side, peers, keys)
    asker = Asker(side, peers, sealer)
    return Exchange(
        asker,
        ManyAsker(side, asker, Approvals(store, sequencer, index_key, clock)),
        Provider(side, keys, Answering(side, searcher, vault, sealer), rejects.add),
        exchange_keys[0].public,
        window,
        Outbox(side, peers, keys),
        RevocationDesk(side, keys, index_key, rejects.add),
        HeldReceipts(side, keys),
        Contradictions(side, keys),
        Depository(side, keys, rejects.add),
        directory,
    )

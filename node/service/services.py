# SPDX-License-Identifier: Apache-2.0
"""A running node as its driving adapters (HTTP API, background loops, command line) see it."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.core.encoding import encode_b64u, encode_hex
from node.crypto.ed25519 import key_id16
from node.crypto.jws import parse_jws
from node.errors import Conflict, Unavailable
from node.log import succession
from node.log.tiles import MAX_ENTRY
from node.ports import KeyKind
from node.service.layout import LogKind
from node.service.missing import take_stock
from node.service.succession import describe_earlier, describe_succession
from node.service.witnesses import check_witnesses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.core.clock import Clock
    from node.core.types import LogId, MemberCode
    from node.errors import NodeError
    from node.ports import AnchorChain, DocumentSource, Endpoint, HeadFiles, Store
    from node.ports.witnesses import Witnesses
    from node.records.catalogue import CatalogueItem
    from node.service.anchoring import Anchorer
    from node.service.demands import Demands
    from node.service.documents import Documents
    from node.service.erasing import Eraser
    from node.service.events import OwnEvents
    from node.service.exchange.wiring import Exchange
    from node.service.exporting import EvidenceExporter
    from node.service.gossip import Gossip
    from node.service.importing import Importer
    from node.service.joining import Joiner
    from node.service.looking import AccessLog
    from node.service.missing import Account
    from node.service.reading import LogReader, Logs
    from node.service.records import Records
    from node.service.sequencer import Sequencer
    from node.service.subject_backfill import Backfill
    from node.service.subjects import SubjectView


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is in its consortium.

    Attributes:
        member: USCC.
        name_zh: Name of the department in Chinese.
        name_en: Name in English; may be empty.
        domain: Exchange domain.
        chain_id: Chain of the consortium.
        engine: Engine profile of that chain.
        registry: MemberRegistry, 0x….
        contract: AnchorLog, 0x….
        operator: Address of the operator key.
        anchor_limit_seconds: Age of an anchor past which nothing is released to others.
        endpoint: Where others are to reach the node; None leaves what the chain says as it is.
    """

    member: MemberCode
    name_zh: str
    name_en: str
    domain: str
    chain_id: int
    engine: str
    registry: str
    contract: str
    operator: str
    anchor_limit_seconds: int
    endpoint: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The keys by which others check what this node signs.

    Attributes:
        record: Record key, 32 bytes.
        node: Node key, 32 bytes.
        logs: The two C2SP vkeys of each log.
    """

    record: bytes
    node: bytes
    logs: Mapping[LogKind, tuple[str, str]]


@dataclass(slots=True)
class Condition:
    """What keeps the node from full work; None where nothing does.

    Attributes:
        chain: Why the chain cannot be used now.
        joined: Whether keys and logs are known to stand on the chain.
        key_ended: What the chain said of a key that was rotated, when its file is an old copy.
        verified: Whether the store was compared with the chain since the start.
        last_error: The newest error of a background loop.
        imports: Why imports wait.
        account: What a read-only node's store lacks; None before it was looked at.
    """

    chain: NodeError | None = None
    joined: bool = False
    key_ended: Conflict | None = None
    verified: bool = False
    last_error: NodeError | None = None
    imports: NodeError | None = None
    account: Account | None = None

    def require_compared(self) -> None:
        """Refuse to sign before it is known that the store continues what is anchored.

        Raises:
            Unavailable: ``chain-not-compared``.
        """
        if not self.verified:
            raise Unavailable(
                "chain-not-compared",
                "nothing is signed, receipts of looks among it, until the chain was asked whether this store continues it",
            )

    def require_joined(self) -> None:
        """Refuse to sign while the chain does not have this node's logs open.

        Raises:
            Unavailable: ``chain-not-joined``.
        """
        if not self.joined:
            raise Unavailable("chain-not-joined", "the node is still taking its place on the chain")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a driving adapter may call."""

    identity: Identity
    public_keys: PublicKeys
    log_ids: Mapping[LogKind, LogId]
    clock: Clock
    store: Store
    sequencer: Sequencer
    readers: Mapping[LogKind, LogReader]
    logs: Mapping[LogKind, Logs]
    items: Mapping[str, CatalogueItem]
    access: AccessLog
    events: OwnEvents
    subjects: SubjectView
    backfill: Backfill
    importer: Importer
    records: Records
    eraser: Eraser
    exporter: EvidenceExporter
    anchorer: Anchorer
    demands: Demands
    joiner: Joiner
    chain: AnchorChain
    heads: HeadFiles
    documents: Documents
    document_source: DocumentSource | None = None
    gossip: Gossip | None = None
    witnesses: Witnesses | None = None
    exchange: Exchange | None = None
    condition: Condition = field(default_factory=Condition)

    def describe(self) -> dict[str, object]:
        """Say openly who this node is and how far its logs have come."""
        identity, keys = self.identity, self.public_keys
        return {
            "member": identity.member,
            "name_zh": identity.name_zh,
            "name_en": identity.name_en,
            "domain": identity.domain,
            "chain": {
                "id": identity.chain_id,
                "engine": identity.engine,
                "member_registry": identity.registry,
                "anchor_log": identity.contract,
            },
            "keys": {"record": encode_b64u(keys.record), "node": encode_b64u(keys.node)},
            "operator": identity.operator,
            "logs": [self._describe_log(log) for log in self.readers],
            "earlier_logs": [
                describe_earlier(self.store, reader)
                for logs in self.logs.values()
                for reader in logs.readers[:-1]
                if reader.size()  # of a log that a restored store does not know nothing can be said
            ],
            "items": sorted(self.items),
            "store_format": self.store.format,
            "state": self.state(),
            "forks": [
                {"member": fork.member, "log": fork.origin, "file": fork.name}
                for fork in (self.gossip.list_forks() if self.gossip is not None else ())
            ],
            "demands": [demand.to_json() for demand in self.demands.unanswered],
            "account": None if self.condition.account is None else self.condition.account.to_json(),
        }

    def ask_witnesses(self) -> None:
        """Ask other members what they hold of this node, before anything is signed.

        Raises:
            Conflict: This store does not continue it; the node is read-only from here on.
            Unavailable: The chain cannot be asked who they are.
        """
        if self.witnesses is None:
            return
        member = self.identity.member
        node_keys = [
            period.key
            for period in self.chain.keys(member, KeyKind.NODE)
            if self.chain.compromised_from(member, KeyKind.NODE, period.key) is None
        ]
        held = self.witnesses.ask(member)
        if self.exchange is not None:
            held = [self.exchange.held.open(one) for one in held]
        try:
            check_witnesses(held, self.readers, self.public_keys.logs, node_keys, self.heads)
        except Conflict as error:
            self.sequencer.set_read_only(error)
            raise

    def take_stock(self) -> Account:
        """Look again at what a read-only node's store lacks, and keep it to be shown.

        Raises:
            Fatal, Unavailable: A head file or the store cannot be read.
        """
        self.condition.account = take_stock(self.store, self.readers, self.heads, self.log_ids, self.chain)
        return self.condition.account

    def state(self) -> dict[str, object]:
        """Say whether the node works and, if not, why."""
        blocking = self.sequencer.fatal or self.sequencer.read_only
        waiting = self.condition.chain or self.condition.last_error
        mode = "ready"
        if self.sequencer.fatal:
            mode = "stopped"
        elif self.sequencer.read_only:
            mode = "read-only"
        elif waiting or not (self.condition.verified and self.condition.joined):
            mode = "waiting-for-chain"
        reason = blocking or waiting or self._find_shortage()
        return {
            "mode": mode,
            "code": reason.code if reason else None,
            "reason": reason.message if reason else None,
            "unanchored_seconds": self._unanchored_seconds(),
        }

    def _find_shortage(self) -> Unavailable | None:
        """Find what keeps a node that is in order from taking work; it goes on by itself."""
        try:
            self.store.require_room()
        except Unavailable as error:
            return error
        return None

    def require_ready_to_sign(self) -> None:
        """Refuse while it is not known whether this store continues what was signed before: receipts are promises too.

        Raises:
            Conflict, Fatal: The node is read-only or stopped.
            Unavailable: ``chain-not-compared``; ``chain-not-joined``: joining tells whose the logs on the chain are.
        """
        self.sequencer.require_writable()
        self.condition.require_compared()
        self.condition.require_joined()

    def require_own_record_key(self) -> None:
        """Refuse to sign records with another key than so far, until the chain has said that it is this member's.

        The newest entry of the log tells which key signed so far: rows go in while the chain is away, but a key file that
        was mistaken for another member's, or for an older one, must not sign what stays in the log for ever.

        Raises:
            Unavailable: ``chain-not-joined``.
            InvalidInput: The newest entry is damaged.
        """
        if self.condition.key_ended is not None:
            raise Unavailable("chain-not-joined", self.condition.key_ended.message)
        reader = self.readers[LogKind.RECORDS]
        size = reader.size()
        if self.condition.joined or size == 0:
            return
        newest = parse_jws(reader.entry(reader.row(size - 1)), typ=None, max_bytes=MAX_ENTRY).header
        # A successor begins with an entry that the node key signed.
        if newest["typ"] != succession.TYP and newest["kid"] != key_id16(self.public_keys.record):
            raise Unavailable(
                "chain-not-joined",
                "record.pem holds another key than the one that signed so far: nothing is signed with it until the chain "
                "has taken it for this member's",
            )

    def require_ready_to_anchor(self) -> None:
        """Refuse while the node has not compared itself with the chain and joined it.

        Raises:
            Conflict, Fatal: The node is read-only or stopped.
            Unavailable: The chain is away, or the comparison goes on.
        """
        self.sequencer.require_writable()
        condition = self.condition
        if condition.chain is not None and not (condition.verified and condition.joined):
            raise copy(condition.chain)
        condition.require_compared()
        condition.require_joined()

    def _describe_log(self, log: LogKind) -> dict[str, object]:
        reader = self.readers[log]
        anchor = reader.find_anchor()
        return {
            "kind": log.text,
            "origin": reader.origin,
            "log_id": encode_hex(self.log_ids[log]),
            "vkeys": list(self.public_keys.logs[log]),
            "size": reader.size(),
            "published": reader.published_size(),
            "anchored": reader.anchored_size(),
            "anchors": anchor.anchor.i if anchor else 0,
            "succession": describe_succession(reader),
        }

    def _unanchored_seconds(self) -> int | None:
        ages = [
            max(0, self.clock.now_seconds() - found.anchor.time)
            for reader in self.readers.values()
            if (found := reader.find_anchor()) is not None
        ]
        return max(ages) if ages else None

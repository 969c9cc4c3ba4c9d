# SPDX-License-Identifier: Apache-2.0
"""Put the services of one node together from its ports and keys.

Wiring only: whoever calls it opens the store, the chain and the workers and closes them again, behind the sequencer.
``node.bootstrap`` hands in those of a home directory, tests those in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from node.crypto.sha256 import check_digests
from node.errors import Conflict
from node.log.checkpoint import build_origin, log_id
from node.log.merkle import EMPTY_ROOT
from node.ports import KeyKind, KeyRegistration
from node.service import layout
from node.service.anchoring import Anchorer
from node.service.demands import Demands
from node.service.documents import Documents
from node.service.erasing import Eraser
from node.service.events import OwnEvents
from node.service.exchange.rulebook import RuleBook
from node.service.exchange.wiring import build_exchange
from node.service.exporting import EvidenceExporter
from node.service.gossip import Gossip
from node.service.grounds import GroundSealer
from node.service.importing import Importer, ImportTools
from node.service.joining import Joiner
from node.service.keycheck import KeyChecks, build_key_check, check_own_keys
from node.service.layout import LogKind
from node.service.looking import AccessLog
from node.service.publishing import Publisher, build_vkeys, find_last_unwraps
from node.service.reading import LogReader, Logs
from node.service.records import Records
from node.service.rejects import Rejects
from node.service.sealing import Seals
from node.service.sending import Sender
from node.service.sequencer import Sequencer
from node.service.services import PublicKeys, Services
from node.service.startup import check_heads, create_heads
from node.service.status import StatusAllocator, StatusPublisher
from node.service.subject_backfill import Backfill
from node.service.subject_index import SubjectIndex
from node.service.subjects import SubjectView
from node.service.succession import take_over
from node.service.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.core.clock import Clock
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.hpke import ExchangeKey
    from node.ports import AnchorChain, DocumentSource, HeadFiles, Reads, Rows, SecretKeeper, Store
    from node.ports.peers import Peers
    from node.ports.witnesses import ForkFiles, LogSources, Witnesses
    from node.records.catalogue import CatalogueItem
    from node.service.importing import Workers
    from node.service.jobs import Job
    from node.service.publishing import LogKeys
    from node.service.services import Identity
    from node.service.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Ports:
    """What the node stands on.

    Attributes:
        store: The open store.
        heads: The head files.
        chain: The chain, as this member's node sees it.
        keeper: Has the wrapping key.
        workers: Where chunks of rows are issued.
        open_file: Opens the stored upload of an import behind its ``last_row``.
        clock: The clock.
        random: Source of unpredictable bytes.
        document_source: Where documents of other nodes come from; None for a node that gets none.
        exchanges: What exchanges stand on; None for a node that neither asks nor answers.
    """

    store: Store
    heads: HeadFiles
    chain: AnchorChain
    keeper: SecretKeeper
    workers: Workers
    open_file: Callable[[Job, CatalogueItem], Rows]
    clock: Clock
    random: Callable[[int], bytes]
    document_source: DocumentSource | None = None
    exchanges: ExchangePorts | None = None


@dataclass(frozen=True, slots=True)
class ExchangePorts:
    """What exchanges with other nodes stand on.

    Attributes:
        peers: Carries envelopes to other nodes.
        sources: Other members' logs.
        forks: Keeps proofs of forks.
        witnesses: Asks other members what they hold of this node; None where nobody is to be asked.
    """

    peers: Peers
    sources: LogSources
    forks: ForkFiles
    witnesses: Witnesses | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """What the node signs and digests with. Has no printable form.

    Attributes:
        record: Signs records, status lists and heads.
        node: Signs receipts.
        logs: Sign the checkpoints of each log.
        index: Keys the digests in indices, 32 bytes.
        exchange: Open requests of other members; the newest first, which is the one on the chain.
    """

    record: Ed25519Signer
    node: Ed25519Signer
    logs: Mapping[LogKind, LogKeys]
    index: bytes
    exchange: tuple[ExchangeKey, ...]

    def __repr__(self) -> str:
        """Show nothing."""
        return "Keys(…)"


LOG_NUMBERS: Final = {LogKind.RECORDS: 0, LogKind.ACCESS: 0}
"""Succession numbers of a node's first logs."""


def log_numbers(reads: Reads) -> dict[LogKind, int]:
    """Say which log of each kind is the open one, by its succession number."""
    return {log: layout.parse_number(reads.get(layout.number_key(log))) for log in LogKind}


def open_logs(reads: Reads, domain: str, member: str) -> dict[LogKind, Logs]:
    """Give all logs that a member's store holds, of each kind from the first to the open one."""
    return {
        log: Logs(
            reads,
            [LogReader(reads, log, n, build_origin(domain, member, log.text, n)) for n in range(newest + 1)],
        )
        for log, newest in log_numbers(reads).items()
    }


def open_readers(reads: Reads, domain: str, member: str) -> dict[LogKind, LogReader]:
    """Give a reader for each of a member's open logs."""
    return {log: logs.open for log, logs in open_logs(reads, domain, member).items()}


def assemble(identity: Identity, keys: Keys, ports: Ports, items: Mapping[str, CatalogueItem]) -> Services:
    """Build the services of a node. A store that does not continue its head files is read-only from the start.

    The caller closes ``Services.sequencer`` before the store.

    Args:
        identity: Who the node is.
        keys: Its keys.
        ports: What it stands on.
        items: Catalogue items by ``<item>:<version>``.

    Raises:
        Fatal: A head file or the right edge of a log is damaged, or this machine hashes wrongly.
        Conflict: ``keys-of-another-store`` or ``log-keys-differ``; nothing was written.
        Unavailable: The store cannot be read or written now.
    """
    check_digests()
    logs = open_logs(ports.store, identity.domain, identity.member)
    readers = {log: each.open for log, each in logs.items()}
    vkeys = {log: build_vkeys(reader.origin, keys.logs[log]) for log, reader in readers.items()}
    key_checks = _build_key_checks(ports.keeper, keys, vkeys, readers)
    check_own_keys(ports.store, key_checks)
    origins = {log: reader.origin for log, reader in readers.items()}
    numbers = {log: reader.number for log, reader in readers.items()}
    discontinuity = _find_discontinuity(ports.heads, readers)
    sequencer = Sequencer(ports.store, ports.heads, origins, numbers, read_only=discontinuity)
    try:
        _store_key_checks(ports.store, sequencer, key_checks)
        if discontinuity is None:
            take_over(ports.store, sequencer, logs)
            # The counter's file may have been lost or put back; what was said once is never taken back.
            if (said := find_last_unwraps(logs[LogKind.ACCESS])) is not None:
                ports.keeper.raise_to(said)
        return _wire(identity, keys, ports, items, logs, vkeys, sequencer)
    except BaseException:
        sequencer.close()
        raise


def _wire(
    identity: Identity,
    keys: Keys,
    ports: Ports,
    items: Mapping[str, CatalogueItem],
    logs: Mapping[LogKind, Logs],
    vkeys: Mapping[LogKind, tuple[str, str]],
    sequencer: Sequencer,
) -> Services:
    store, clock, random = ports.store, ports.clock, ports.random
    readers = {log: each.open for log, each in logs.items()}
    records = logs[LogKind.RECORDS]
    log_ids = {log: log_id(reader.origin) for log, reader in readers.items()}
    kinds = _number_items(store, sequencer, items)
    subjects = SubjectIndex(keys.index)
    access = AccessLog(
        sequencer,
        member=identity.member,
        origin=readers[LogKind.ACCESS].origin,
        node_key=keys.node,
        keeper=ports.keeper,
        clock=clock,
        random=random,
        anchor_limit_seconds=identity.anchor_limit_seconds,
        find_anchored_at=readers[LogKind.ACCESS].find_anchored_at,
        subjects=subjects,
    )
    vault = Vault(records, logs[LogKind.ACCESS], _items_by_vct(identity.domain, items), ports.keeper)
    sealer = GroundSealer(records, ports.keeper, random)
    status = StatusPublisher(store, keys.record, identity.domain, identity.member)
    sender = Sender(store, sequencer, ports.chain, clock)
    rejects = Rejects()
    publisher = Publisher(sequencer, readers, keys.logs, status, clock, random, rejects, ports.keeper)
    importer = Importer(
        ImportTools(
            store=store,
            sequencer=sequencer,
            reader=records,
            allocator=StatusAllocator(store, random),
            workers=ports.workers,
            items=items,
            kinds=kinds,
            open_file=ports.open_file,
            clock=clock,
            random=random,
            sealer=sealer,
        )
    )
    anchorer = Anchorer(ports.chain, sender, publisher, sequencer, readers, log_ids, ports.heads)
    item_names = {number: name for name, number in kinds.items()}
    documents = Documents(store, sequencer, ports.chain, anchorer.transact, identity.member)
    rule_book = RuleBook(documents, identity.domain)
    find_rules = rule_book.find
    gossip = exchange = None
    if ports.exchanges is not None and keys.exchange:
        gossip = Gossip(store, sequencer, identity.member, ports.exchanges.sources, ports.exchanges.forks)
        exchange = build_exchange(
            identity,
            store=store,
            sequencer=sequencer,
            logs=logs,
            access=access,
            vault=vault,
            status=status,
            gossip=gossip,
            chain=ports.chain,
            peers=ports.exchanges.peers,
            find_rules=find_rules,
            item_names=item_names,
            node_key=keys.node,
            exchange_keys=keys.exchange,
            index_key=keys.index,
            clock=clock,
            random=random,
            rejects=rejects,
        )
    return Services(
        identity=identity,
        public_keys=PublicKeys(keys.record.public, keys.node.public, vkeys),
        log_ids=log_ids,
        clock=clock,
        store=store,
        sequencer=sequencer,
        readers=readers,
        logs=logs,
        items=items,
        access=access,
        events=OwnEvents(logs[LogKind.ACCESS], access, vault, Seals(clock)),
        backfill=Backfill(store, sequencer, logs[LogKind.ACCESS], records, access, vault, subjects),
        subjects=SubjectView(
            store,
            logs[LogKind.ACCESS],
            access,
            vault,
            subjects,
            clock,
            chain_id=identity.chain_id,
            contract=identity.contract,
            find_rules=find_rules,
            find_names=rule_book.find_names,
        ),
        importer=importer,
        records=Records(
            store,
            records,
            sequencer,
            vault,
            access,
            clock,
            item_names=item_names,
            index_key=keys.index,
            sealer=sealer,
            random=random,
        ),
        eraser=Eraser(
            store,
            records,
            sequencer,
            access,
            vault,
            member=identity.member,
            signer=keys.record,
            index_key=keys.index,
            clock=clock,
        ),
        exporter=EvidenceExporter(
            records, vault, access, status, chain_id=identity.chain_id, contract=identity.contract
        ),
        anchorer=anchorer,
        demands=Demands(store, sequencer, anchorer, ports.chain, logs),
        joiner=Joiner(
            ports.chain,
            sender,
            sequencer,
            identity.member,
            identity.operator,
            _registrations(keys),
            log_ids,
            {log: reader.number for log, reader in readers.items()},
            identity.endpoint,
        ),
        chain=ports.chain,
        heads=ports.heads,
        documents=documents,
        gossip=gossip,
        exchange=exchange,
        witnesses=None if ports.exchanges is None else ports.exchanges.witnesses,
        document_source=ports.document_source,
    )


def _find_discontinuity(heads: HeadFiles, readers: Mapping[LogKind, LogReader]) -> Conflict | None:
    create_heads(heads, readers, EMPTY_ROOT)
    try:
        check_heads(heads, readers)
    except Conflict as error:
        return error
    return None


def _items_by_vct(domain: str, items: Mapping[str, CatalogueItem]) -> dict[str, CatalogueItem]:
    return {f"urn:ironcage:{domain}:{name}": item for name, item in items.items()}


def _number_items(store: Store, sequencer: Sequencer, items: Mapping[str, CatalogueItem]) -> dict[str, int]:
    """Give every catalogue item the number that it has in this store's rows, new ones the next free."""
    numbers = {
        name.decode(): int.from_bytes(key[1:], "big")
        for key, name in store.scan(layout.kind_key(0), layout.stop_of(b"v"))
    }
    for name in sorted(items):
        if name not in numbers and sequencer.read_only is None:
            number = numbers[name] = max(numbers.values(), default=0) + 1
            sequencer.run(partial(_put, layout.kind_key(number), name.encode()), entries=0)
    return numbers


def _build_key_checks(
    keeper: SecretKeeper,
    keys: Keys,
    vkeys: Mapping[LogKind, tuple[str, str]],
    readers: Mapping[LogKind, LogReader],
) -> KeyChecks:
    """Give what tells this node's keys from others; a log's public keys also so that a check needs no passphrase."""
    public = {
        log: (layout.vkeys_key(log, readers[log].number), "\n".join(texts).encode())
        for log, texts in vkeys.items()
    }
    return KeyChecks(build_key_check(keeper, keys.index), public)


def _store_key_checks(store: Store, sequencer: Sequencer, checks: KeyChecks) -> None:
    for key, value in ((layout.KEY_CHECK_KEY, checks.secret), *checks.logs.values()):
        if store.get(key) != value and sequencer.read_only is None:
            sequencer.run(partial(_put, key, value), entries=0)


def _put(key: bytes, value: bytes, transaction: Transaction) -> None:
    transaction.put(key, value)


def _registrations(keys: Keys) -> Sequence[KeyRegistration]:
    records, access = keys.logs[LogKind.RECORDS], keys.logs[LogKind.ACCESS]
    return (
        KeyRegistration(KeyKind.RECORD, keys.record.public),
        KeyRegistration(KeyKind.NODE, keys.node.public),
        KeyRegistration(KeyKind.RECORDS_LOG_ED25519, records.ed25519.public),
        KeyRegistration(KeyKind.ACCESS_LOG_ED25519, access.ed25519.public),
        KeyRegistration(KeyKind.RECORDS_LOG_ML_DSA_44, sha256(records.ml_dsa_44.public).digest()),
        KeyRegistration(KeyKind.ACCESS_LOG_ML_DSA_44, sha256(access.ml_dsa_44.public).digest()),
        *(
            KeyRegistration(KeyKind.EXCHANGE, sha256(key.public).digest(), key.public)
            for key in keys.exchange[:1]
        ),
    )

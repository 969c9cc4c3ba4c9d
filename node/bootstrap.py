# SPDX-License-Identifier: Apache-2.0
"""Put a node together from its home directory, start it, stop it.

1. worker processes start, before anything they could inherit is open
2. the store opens (one process owns it), the head files are compared: a store that does not continue them is
   read-only from its first moment
3. services are built; background loops start; the HTTP server listens
4. on SIGTERM: the server stops taking calls, imports stop at the next chunk, the writer finishes its queue
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from node.chain.evm import EvmChain
from node.chain.network import parse_network
from node.chain.rpc import Rpc
from node.chain.web3_transport import Web3Transport
from node.core.clock import SystemClock
from node.core.encoding import encode_hex
from node.core.types import MemberCode
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.note import ED25519, MLDSA44, build_vkey, encode_vkey, parse_vkey
from node.errors import Conflict, InvalidInput, NotFound
from node.log.checkpoint import build_origin, log_id
from node.log.merkle import EMPTY_ROOT
from node.ports import KeyKind, KeyRegistration
from node.readers.opening import open_table
from node.readers.table import Limits
from node.records.catalogue import load_builtin_items, load_item
from node.records.headers import find_header
from node.service import layout
from node.service.anchoring import Anchorer
from node.service.exporting import EvidenceExporter
from node.service.fsck import Checker, Finding
from node.service.importing import Importer, ImportTools
from node.service.joining import Joiner
from node.service.layout import LogKind
from node.service.looking import AccessLog, Vault
from node.service.publishing import LogKeys, Publisher
from node.service.reading import LogReader
from node.service.records import Records
from node.service.sending import Sender
from node.service.sequencer import Sequencer
from node.service.services import Identity, Services
from node.service.startup import check_heads, create_heads
from node.service.status import StatusAllocator, StatusPublisher
from node.storage.heads import DiskHeadFiles
from node.storage.keyfiles import NodeKeys, load_keys
from node.storage.opening import open_store
from node.worker.loops import ChainLoop, ImportLoop
from node.worker.pool import IssuerSetup, IssuingPool
from node.worker.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from node.chain.network import Network
    from node.config import Settings
    from node.core.clock import Clock
    from node.ports import HeadFiles, Rows, Store
    from node.records.catalogue import CatalogueItem
    from node.service.jobs import Job
    from node.service.transaction import Transaction

LOG_NUMBERS = {LogKind.RECORDS: 0, LogKind.ACCESS: 0}


@dataclass(frozen=True, slots=True)
class RunningNode:
    """A node that is put together: its services, loops and upload directory."""

    services: Services
    uploads: Uploads
    imports: ImportLoop
    chain_loop: ChainLoop

    def start_loops(self) -> None:
        """Start the background loops."""
        self.imports.start()
        self.chain_loop.start()


def load_network(settings: Settings) -> Network:
    """Load the consortium's network file.

    Raises:
        NotFound: It is not there.
        InvalidInput: It is not one.
    """
    path = settings.path(settings.network_file)
    if not path.is_file():
        raise NotFound(
            "network-missing", f"no network file {path.name} in {path.parent}: copy the consortium's here"
        )
    return parse_network(path.read_bytes())


@contextmanager
def open_chain(settings: Settings, network: Network) -> Iterator[EvmChain]:
    """Open the chain of a network for reading; nothing can be signed with it."""
    chain = EvmChain(Rpc(Web3Transport(chain_url(settings, network))), network.settings(), None)
    try:
        yield chain
    finally:
        chain.close()


def chain_url(settings: Settings, network: Network) -> str:
    """Choose the address of the chain node.

    Raises:
        InvalidInput: Neither the settings nor the network file name one.
    """
    url = settings.rpc_url or next(iter(network.rpc), "")
    if not url:
        raise InvalidInput("chain-url", "no chain node is named: set rpc_url in config.toml")
    return url


def load_more_items(settings: Settings) -> dict[str, bytes]:
    """Load the catalogue items of ``items_dir``, by their keys; the built-in ones come with the program.

    Raises:
        InvalidInput: A file is no catalogue item, or two have the same key.
    """
    files: dict[str, bytes] = {}
    if settings.items_dir is not None:
        for path in sorted(settings.path(settings.items_dir).glob("*.json")):
            data = path.read_bytes()
            key = load_item(data).key
            if key in files or key in load_builtin_items():
                raise InvalidInput("item-twice", f"catalogue item {key} of {path.name} is there already")
            files[key] = data
    return files


@contextmanager
def open_node(settings: Settings, passphrase: str, clock: Clock | None = None) -> Iterator[RunningNode]:
    """Open a node for its life: everything is closed, in order, when the context ends.

    Args:
        settings: Of the home directory.
        passphrase: Of the key files.
        clock: The clock; the system's by default.

    Raises:
        NodeError: What keeps the node from starting, in its message.
    """
    network = load_network(settings)
    keys = load_keys(
        settings.path(settings.keys_dir), passphrase, {log.text: n for log, n in LOG_NUMBERS.items()}
    )
    item_files = load_more_items(settings)
    clock = clock or SystemClock()
    with ExitStack() as stack:
        setup = IssuerSetup(
            network.domain,
            MemberCode(settings.member),
            keys.record_seed,
            keys.wrapping,
            keys.index,
            item_files,
        )
        pool = IssuingPool(setup, settings.workers)
        stack.callback(pool.close)
        pool.warm()
        identity_text = f"{network.domain}/{settings.member}"
        data_dir = settings.path(settings.data_dir)
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = open_store(data_dir / "store", identity_text.encode(), create=True)
        stack.callback(store.close)
        uploads = Uploads(data_dir / "uploads", settings.max_upload_bytes)
        node = _build(stack, settings, network, keys, item_files, store, pool, uploads, clock)
        yield node


def check_store(settings: Settings) -> tuple[list[Finding], dict[str, int]]:
    """Check the whole store of a node that is stopped.

    Returns:
        What is wrong, and how much was looked at.

    Raises:
        Unavailable: The node is running.
    """
    network = load_network(settings)
    member = MemberCode(settings.member)
    store = open_store(settings.path(settings.data_dir) / "store", f"{network.domain}/{member}".encode())
    try:
        readers = _readers(store, network.domain, member)
        vkeys = {log: [parse_vkey(text) for text in _stored_vkeys(store, log)] for log in LogKind}
        checker = Checker(store, readers, DiskHeadFiles(settings.path(settings.head_dir)), vkeys)
        return checker.run(), asdict(checker.counts)
    finally:
        store.close()


def _readers(store: Store, domain: str, member: MemberCode) -> dict[LogKind, LogReader]:
    return {
        log: LogReader(store, log, n, build_origin(domain, member, log.text, n))
        for log, n in LOG_NUMBERS.items()
    }


def _stored_vkeys(store: Store, log: LogKind) -> list[str]:
    stored = store.get(layout.vkeys_key(log))
    return stored.decode().split("\n") if stored else []


def _store_vkeys(sequencer: Sequencer, log: LogKind, vkeys: tuple[str, str]) -> None:
    """Keep the public keys of a log beside it, so that fsck needs no passphrase."""
    if sequencer.read_only is None:
        sequencer.run(lambda t: t.put(layout.vkeys_key(log), "\n".join(vkeys).encode()), entries=0)


def _build(
    stack: ExitStack,
    settings: Settings,
    network: Network,
    keys: NodeKeys,
    item_files: Mapping[str, bytes],
    store: Store,
    pool: IssuingPool,
    uploads: Uploads,
    clock: Clock,
) -> RunningNode:
    member = MemberCode(settings.member)
    origins = {log: build_origin(network.domain, member, log.text, n) for log, n in LOG_NUMBERS.items()}
    log_ids = {log: log_id(origin) for log, origin in origins.items()}
    readers = _readers(store, network.domain, member)
    heads = DiskHeadFiles(settings.path(settings.head_dir))
    sequencer = Sequencer(store, heads, origins, LOG_NUMBERS)
    stack.callback(sequencer.close)
    _check_continuity(sequencer, heads, readers)
    chain = EvmChain(Rpc(Web3Transport(chain_url(settings, network))), network.settings(), keys.operator)
    stack.callback(chain.close)
    items = load_builtin_items() | {name: load_item(data) for name, data in item_files.items()}
    record_signer = Ed25519Signer(keys.record_seed)
    access = AccessLog(
        sequencer,
        member=member,
        origin=origins[LogKind.ACCESS],
        node_key=keys.node,
        wrapping_key=keys.wrapping,
        clock=clock,
        random=os.urandom,
        anchor_limit_seconds=network.anchor_limit_seconds,
    )
    records = readers[LogKind.RECORDS]
    status = StatusPublisher(store, record_signer, network.domain, member)
    vault = Vault(records, _items_by_vct(network.domain, items), keys.wrapping)
    sender = Sender(store, sequencer, chain, clock)
    log_keys = {log: LogKeys(keys.logs[log.text].ed25519, keys.logs[log.text].ml_dsa_44) for log in LogKind}
    publisher = Publisher(sequencer, readers, log_keys, status, clock)
    kinds = _number_items(store, sequencer, items)
    importer = Importer(
        ImportTools(
            store=store,
            sequencer=sequencer,
            reader=records,
            allocator=StatusAllocator(store, os.urandom),
            workers=pool,
            items=items,
            kinds=kinds,
            open_file=_file_opener(settings, uploads),
            clock=clock,
            random=os.urandom,
        )
    )
    vkeys = {log: _vkeys(origins[log], log_keys[log]) for log in LogKind}
    for log in LogKind:
        _store_vkeys(sequencer, log, vkeys[log])
    contract = encode_hex(network.anchor_log)
    identity = Identity(
        member=member,
        name_zh=settings.name_zh,
        name_en=settings.name_en,
        domain=network.domain,
        chain_id=network.chain_id,
        engine=network.engine,
        registry=encode_hex(network.member_registry),
        contract=contract,
        vkeys=vkeys,
        record_key=record_signer.public,
        node_key=keys.node.public,
        log_ids=log_ids,
        operator=keys.operator.address,
    )
    services = Services(
        identity=identity,
        clock=clock,
        store=store,
        sequencer=sequencer,
        readers=readers,
        items=items,
        access=access,
        importer=importer,
        records=Records(
            store,
            records,
            sequencer,
            vault,
            access,
            clock,
            item_names={number: name for name, number in kinds.items()},
            index_key=keys.index,
        ),
        exporter=EvidenceExporter(
            records,
            vault,
            access,
            status,
            chain_id=network.chain_id,
            contract=contract,
        ),
        anchorer=Anchorer(chain, sender, publisher, sequencer, readers, log_ids),
        joiner=Joiner(
            chain,
            sender,
            sequencer,
            member,
            _registrations(record_signer, keys, log_keys),
            log_ids,
            LOG_NUMBERS,
        ),
        chain=chain,
        anchor_limit_seconds=network.anchor_limit_seconds,
    )
    return RunningNode(
        services,
        uploads,
        ImportLoop(services, uploads),
        ChainLoop(services, settings.anchor_period_seconds),
    )


def _check_continuity(sequencer: Sequencer, heads: HeadFiles, readers: Mapping[LogKind, LogReader]) -> None:
    create_heads(heads, readers, EMPTY_ROOT)
    try:
        check_heads(heads, readers)
    except Conflict as error:
        sequencer.set_read_only(error)


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
            sequencer.run(partial(_put_kind, number, name), entries=0)
    return numbers


def _put_kind(number: int, name: str, transaction: Transaction) -> None:
    transaction.put(layout.kind_key(number), name.encode())


def _file_opener(settings: Settings, uploads: Uploads) -> Callable[[Job, CatalogueItem], Rows]:
    def open_file(job: Job, item: CatalogueItem) -> Rows:
        limits = Limits(file_bytes=settings.max_upload_bytes, child_memory_bytes=settings.reader_memory_bytes)
        path, header = uploads.path(job.id), partial(find_header, item)
        return open_table(path, find_header=header, limits=limits, start_row=job.last_row + 1)

    return open_file


def _vkeys(origin: str, keys: LogKeys) -> tuple[str, str]:
    return (
        encode_vkey(build_vkey(origin, ED25519, keys.ed25519.public)),
        encode_vkey(build_vkey(origin, MLDSA44, keys.ml_dsa_44.public)),
    )


def _registrations(
    record: Ed25519Signer, keys: NodeKeys, logs: Mapping[LogKind, LogKeys]
) -> Sequence[KeyRegistration]:
    records, access = logs[LogKind.RECORDS], logs[LogKind.ACCESS]
    return (
        KeyRegistration(KeyKind.RECORD, record.public),
        KeyRegistration(KeyKind.NODE, keys.node.public),
        KeyRegistration(KeyKind.RECORDS_LOG_ED25519, records.ed25519.public),
        KeyRegistration(KeyKind.ACCESS_LOG_ED25519, access.ed25519.public),
        KeyRegistration(KeyKind.RECORDS_LOG_ML_DSA_44, sha256(records.ml_dsa_44.public).digest()),
        KeyRegistration(KeyKind.ACCESS_LOG_ML_DSA_44, sha256(access.ml_dsa_44.public).digest()),
    )

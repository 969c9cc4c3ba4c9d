# SPDX-License-Identifier: Apache-2.0
"""Put a node together from its home directory, start it, stop it.

1. worker processes start, before anything they could inherit is open
2. the store opens (one process owns it), the head files are compared: a store that does not continue them is
   read-only from its first moment
3. services are built; background loops start; the HTTP server listens
4. on SIGTERM: the server stops taking calls, imports stop at the next chunk, the writer finishes its queue
"""

from __future__ import annotations

import gc
import os
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from node.chain.evm import EvmChain
from node.chain.network import parse_network
from node.chain.rpc import Rpc
from node.chain.transport import HttpTransport
from node.chain.web3_transport import Web3Transport
from node.core.clock import SystemClock
from node.core.encoding import encode_hex
from node.core.types import MemberCode
from node.crypto.ed25519 import Ed25519Signer
from node.errors import InvalidInput, NotFound
from node.readers.opening import open_table
from node.readers.table import Limits
from node.records.catalogue import load_builtin_items, load_item
from node.records.headers import find_header
from node.service.assembly import LOG_NUMBERS, Keys, Ports, assemble, open_readers
from node.service.fsck.checker import Checker
from node.service.layout import LogKind
from node.service.publishing import LogKeys
from node.service.services import Identity, Services
from node.storage.heads import DiskHeadFiles
from node.storage.keyfiles import NodeKeys, load_keys
from node.storage.opening import open_store
from node.worker.loops import ChainLoop, ImportLoop
from node.worker.pool import IssuerSetup, IssuingPool
from node.worker.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from node.chain.network import Network
    from node.config import Settings
    from node.core.clock import Clock
    from node.ports import Rows
    from node.records.catalogue import CatalogueItem
    from node.service.fsck.findings import Finding
    from node.service.jobs import Job
    from node.storage.disk import DiskStore


@dataclass(frozen=True, slots=True)
class RunningNode:
    """A node that is put together: its services, store, loops and upload directory."""

    services: Services
    store: DiskStore
    uploads: Uploads
    imports: ImportLoop
    chain_loop: ChainLoop

    def start_loops(self) -> None:
        """Start the background loops."""
        self.imports.start()
        self.chain_loop.start()

    def request_stop(self) -> None:
        """Tell the loops to stop, without waiting."""
        self.imports.request_stop()
        self.chain_loop.request_stop()

    def join_loops(self) -> None:
        """Wait until the loops have stopped, for a few seconds at most."""
        self.imports.join()
        self.chain_loop.join()


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
    chain = EvmChain(Rpc(HttpTransport(chain_url(settings, network))), network.settings(), None)
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
    settings.require_separate_heads()
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
        # What was loaded stays for good; looking at all of it again takes the collector tens of milliseconds.
        gc.collect()
        gc.freeze()
        yield node


def check_store(
    settings: Settings, progress: Callable[[str, int], None] = lambda _log, _count: None
) -> tuple[list[Finding], dict[str, int]]:
    """Check the whole store of a node that is stopped.

    Args:
        settings: Of its home directory.
        progress: Told the log and how many of its entries were checked, now and then.

    Returns:
        What is wrong, and how much was looked at.

    Raises:
        Unavailable: The node is running.
    """
    network = load_network(settings)
    member = MemberCode(settings.member)
    store = open_store(settings.path(settings.data_dir) / "store", f"{network.domain}/{member}".encode())
    try:
        readers = open_readers(store, network.domain, member)
        heads = DiskHeadFiles(settings.path(settings.head_dir))
        checker = Checker(store, readers, heads, progress)
        return checker.run(), asdict(checker.counts)
    finally:
        store.close()


def _build(
    stack: ExitStack,
    settings: Settings,
    network: Network,
    keys: NodeKeys,
    item_files: Mapping[str, bytes],
    store: DiskStore,
    pool: IssuingPool,
    uploads: Uploads,
    clock: Clock,
) -> RunningNode:
    chain = EvmChain(Rpc(Web3Transport(chain_url(settings, network))), network.settings(), keys.operator)
    stack.callback(chain.close)
    ports = Ports(
        store=store,
        heads=DiskHeadFiles(settings.path(settings.head_dir)),
        chain=chain,
        workers=pool,
        open_file=_file_opener(settings, uploads),
        clock=clock,
        random=os.urandom,
    )
    items = load_builtin_items() | {name: load_item(data) for name, data in item_files.items()}
    services = assemble(_identity(settings, network, keys), _service_keys(keys), ports, items)
    stack.callback(services.sequencer.close)
    return RunningNode(
        services,
        store,
        uploads,
        ImportLoop(services, uploads),
        ChainLoop(services, settings.anchor_period_seconds),
    )


def _identity(settings: Settings, network: Network, keys: NodeKeys) -> Identity:
    return Identity(
        member=MemberCode(settings.member),
        name_zh=settings.name_zh,
        name_en=settings.name_en,
        domain=network.domain,
        chain_id=network.chain_id,
        engine=network.engine,
        registry=encode_hex(network.member_registry),
        contract=encode_hex(network.anchor_log),
        operator=keys.operator.address,
        anchor_limit_seconds=network.anchor_limit_seconds,
    )


def _service_keys(keys: NodeKeys) -> Keys:
    logs = {log: LogKeys(keys.logs[log.text].ed25519, keys.logs[log.text].ml_dsa_44) for log in LogKind}
    return Keys(Ed25519Signer(keys.record_seed), keys.node, logs, keys.wrapping, keys.index)


def _file_opener(settings: Settings, uploads: Uploads) -> Callable[[Job, CatalogueItem], Rows]:
    def open_file(job: Job, item: CatalogueItem) -> Rows:
        limits = Limits(file_bytes=settings.max_upload_bytes, child_memory_bytes=settings.reader_memory_bytes)
        path, header = uploads.path(job.id), partial(find_header, item)
        return open_table(path, find_header=header, limits=limits, start_row=job.last_row + 1)

    return open_file

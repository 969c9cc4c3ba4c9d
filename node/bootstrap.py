# SPDX-License-Identifier: Apache-2.0
"""Put a node together from its home directory, start it, stop it.

1. the key process starts and keys are opened (node.unlocking), unless somebody has begun it
2. worker processes start, before anything they could inherit is open; they load what they need meanwhile
3. the store opens (one process owns it), the head files are compared: a store that does not continue them is
   read-only from its first moment
4. services are built; background loops start; the HTTP server listens
5. on SIGTERM: the server stops taking calls, imports stop at the next chunk, the writer finishes its queue
"""

from __future__ import annotations

import gc
import os
import threading
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from node.chain.evm import EvmChain
from node.chain.network import parse_network
from node.chain.rpc import Rpc
from node.chain.transport import HttpTransport
from node.chain.web3_transport import Web3Transport
from node.client.documents import MemberDocuments
from node.client.peerlogs import PeerLogs
from node.client.peers import PeerPost
from node.client.witnesses import PeerWitnesses
from node.core.clock import SystemClock
from node.core.encoding import encode_hex
from node.core.types import MemberCode
from node.crypto.ed25519 import Ed25519Signer
from node.errors import Conflict, InvalidInput, NotFound
from node.readers.opening import open_table
from node.readers.table import Limits
from node.records.catalogue import load_builtin_items, load_item
from node.records.headers import find_header
from node.service.assembly import ExchangePorts, Keys, Ports, assemble, log_numbers, open_logs
from node.service.endpoint import build_endpoint
from node.service.fsck.checker import Checker
from node.service.fsck.seals import SealCheck
from node.service.keeping import LocalKeeper
from node.service.keycheck import KeyChecks, build_key_check, check_own_keys
from node.service.layout import LogKind
from node.service.publishing import LogKeys
from node.service.services import Identity, Services
from node.service.upgrades import SealGrounds
from node.storage.files import OsFiles
from node.storage.forks import DiskForkFiles
from node.storage.heads import DiskHeadFiles
from node.storage.keyfiles import (
    NodeKeys,
    find_newest_log_keys,
    load_keys,
    load_wrapping_key,
)
from node.storage.opening import open_store, undo_upgrade
from node.storage.state import FORMAT
from node.storage.tornlog import list_kept
from node.storage.upgrading import run_steps
from node.unlocking import Unlocking
from node.worker.erasing import PurgeLoop
from node.worker.exchange import ExchangeLoop
from node.worker.loops import ChainLoop, ImportLoop
from node.worker.pool import YOUNG_OBJECTS, IssuerSetup, IssuingPool
from node.worker.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from node.chain.network import Network
    from node.config import Settings
    from node.core.clock import Clock
    from node.crypto.secp256k1 import OperatorKey
    from node.ports import Endpoint, Rows, SecretKeeper
    from node.records.catalogue import CatalogueItem
    from node.service.fsck.findings import Finding
    from node.service.jobs import Job
    from node.service.keycheck import Stored
    from node.storage.disk import DiskStore
    from node.worker.keys import KeyProcess

JOIN_SECONDS: Final = 3.0
"""Longest wait for all threads to end. One that waits for somebody outside is left behind; it cannot write any more."""


class Joinable(Protocol):
    """A thread that was told to stop."""

    def join(self, seconds: float) -> None:
        """Wait until it has, ``seconds`` at most."""


@dataclass(frozen=True, slots=True)
class RunningNode:
    """A node that is put together: its services, store, loops, upload directory and workers."""

    services: Services
    store: DiskStore
    uploads: Uploads
    imports: ImportLoop
    chain_loop: ChainLoop
    purges: PurgeLoop
    exchanges: ExchangeLoop
    pool: IssuingPool
    stopping: threading.Event

    def start_loops(self) -> None:
        """Start the background loops but the chain's, which loads its client first: once calls are taken."""
        self.imports.start()
        self.purges.start()
        self.exchanges.start()

    def request_stop(self) -> None:
        """Tell the loops to stop, without waiting, and whoever waits for the reader of a workbook."""
        self.stopping.set()
        self.imports.request_stop()
        self.chain_loop.request_stop()
        self.purges.request_stop()
        self.exchanges.request_stop()

    def join(self, *others: Joinable) -> None:
        """Wait until the loops and what else works on the store have stopped, JOIN_SECONDS at most for all together."""
        clock = self.services.clock
        until = clock.monotonic() + JOIN_SECONDS
        for each in (*others, self.imports, self.chain_loop, self.purges, self.exchanges):
            each.join(max(0.0, until - clock.monotonic()))


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
def open_chain(
    settings: Settings, network: Network, operator: OperatorKey | None = None
) -> Iterator[EvmChain]:
    """Open the chain of a network; without an operator key nothing can be signed with it."""
    chain = EvmChain(Rpc(HttpTransport(chain_url(settings, network))), network.settings(), operator)
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
def open_node(
    settings: Settings, passphrase: str, clock: Clock | None = None, unlocking: Unlocking | None = None
) -> Iterator[RunningNode]:
    """Open a node for its life: everything is closed, in order, when the context ends.

    Args:
        settings: Of the home directory.
        passphrase: Of the key files.
        clock: The clock; the system's by default.
        unlocking: Its keys, where somebody has begun to open them; they are closed with the node.

    Raises:
        NodeError: What keeps the node from starting, in its message.
    """
    settings.require_separate_heads()
    network = load_network(settings)
    keys_dir = settings.path(settings.keys_dir)
    item_files = load_more_items(settings)
    clock = clock or SystemClock()
    with ExitStack() as stack:
        unlocking = stack.enter_context(closing(unlocking or Unlocking(settings, passphrase)))
        keeper, keys = unlocking.keeper, unlocking.wait()
        setup = IssuerSetup(
            network.domain,
            MemberCode(settings.member),
            keys.record_seed,
            keys.index,
            item_files,
        )
        pool = IssuingPool(setup, settings.workers, keeper.open_channel)
        stack.callback(pool.close)
        identity_text = f"{network.domain}/{settings.member}"
        data_dir = settings.path(settings.data_dir)
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        OsFiles().sync_dir(str(data_dir.parent))
        store = open_store(
            data_dir / "store",
            identity_text.encode(),
            create=True,
            upgrade=True,
            before_upgrade=_key_check(keeper, keys.index),
        )
        stack.callback(store.close)
        for kept in list_kept(data_dir / "store"):
            structlog.get_logger("ironcage").warning("a torn write was cut off and kept", path=str(kept))
        carry_upgrade(store, network.domain, MemberCode(settings.member), keeper, keys.index, _log_upgrade)
        keys = fit_log_keys(keys, keys_dir, passphrase, store)
        uploads = Uploads(data_dir / "uploads", settings.max_upload_bytes)
        node = _build(stack, settings, network, keys, keeper, item_files, store, pool, uploads, clock)
        # What was loaded stays for good; looking at all of it again takes the collector tens of milliseconds.
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)
        yield node


def fit_log_keys(keys: NodeKeys, directory: Path, passphrase: str, store: DiskStore) -> NodeKeys:
    """Take the keys of the store's open logs, where newer ones were loaded: a succession was begun and not finished."""
    numbers = {log.text: n for log, n in log_numbers(store).items()}
    if numbers == find_newest_log_keys(directory):
        return keys
    return load_keys(directory, passphrase, numbers)


def carry_upgrade(
    store: DiskStore,
    domain: str,
    member: MemberCode,
    keeper: SecretKeeper,
    index_key: bytes,
    tell: Callable[[str, int], None],
) -> None:
    """Carry the upgrade of a store that an older release wrote to its end; nothing to do for any other store.

    Raises:
        Conflict: ``keys-of-another-store``: the wrapping or the index key is not the store's; nothing was changed.
        NodeError: The store cannot be read or written now; calling again goes on.
    """
    _key_check(keeper, index_key)(store)
    progress = store.find_upgrade()
    if progress is None:
        return
    seal = SealGrounds(open_logs(store, domain, member)[LogKind.RECORDS], keeper, os.urandom)
    run_steps(store, progress, [seal], tell)
    if seal.lost:
        structlog.get_logger("ironcage").warning(
            "grounds dropped: their secrets do not open", changes=seal.lost
        )


def _key_check(keeper: SecretKeeper, index_key: bytes) -> Callable[[Stored], None]:
    """Give what refuses a store that was written with another wrapping or index key."""
    return partial(check_own_keys, checks=KeyChecks(build_key_check(keeper, index_key), {}))


def upgrade_store(settings: Settings, passphrase: str, tell: Callable[[str, int], None]) -> int:
    """Upgrade the store of a node that is stopped, without starting the node; give the format that it has now.

    Raises:
        NodeError: What keeps it from being opened or upgraded.
    """
    network = load_network(settings)
    keys_dir = settings.path(settings.keys_dir)
    keys = load_keys(keys_dir, passphrase, find_newest_log_keys(keys_dir))
    member = MemberCode(settings.member)
    path = settings.path(settings.data_dir) / "store"
    identity = f"{network.domain}/{member}".encode()
    keeper = LocalKeeper(load_wrapping_key(keys_dir, passphrase), os.urandom)
    store = open_store(path, identity, upgrade=True, before_upgrade=_key_check(keeper, keys.index))
    try:
        carry_upgrade(store, network.domain, member, keeper, keys.index, tell)
    finally:
        store.close()
    return store.format


def undo_store_upgrade(settings: Settings) -> None:
    """Put the store of a stopped node back to what it was before its upgrade.

    Raises:
        NodeError: It cannot be.
    """
    network = load_network(settings)
    path = settings.path(settings.data_dir) / "store"
    undo_upgrade(path, f"{network.domain}/{settings.member}".encode())


def _log_upgrade(step: str, done: int) -> None:
    structlog.get_logger("ironcage").info("store upgrade", to=FORMAT, step=step, done=done)


@contextmanager
def hold_store(settings: Settings) -> Iterator[None]:
    """Keep the store of a node that is stopped, so that no node starts meanwhile; a node that never ran has none.

    Raises:
        Unavailable: ``store-locked``, the node is running.
    """
    path = settings.path(settings.data_dir) / "store"
    if not path.is_dir():
        yield
        return
    store = open_store(path, f"{load_network(settings).domain}/{settings.member}".encode())
    try:
        yield
    finally:
        store.close()


def check_store(
    settings: Settings,
    progress: Callable[[str, int], None] = lambda _log, _count: None,
    *,
    passphrase: str | None = None,
) -> tuple[list[Finding], dict[str, int]]:
    """Check the whole store of a node that is stopped.

    Args:
        settings: Of its home directory.
        progress: Told the log and how many of its entries were checked, now and then.
        passphrase: Of the key files; with it everything sealed is checked, too.

    Returns:
        What is wrong, and how much was looked at; ``sealed`` is 0 without a passphrase.

    Raises:
        Unavailable: The node is running.
    """
    network = load_network(settings)
    member = MemberCode(settings.member)
    store = open_store(settings.path(settings.data_dir) / "store", f"{network.domain}/{member}".encode())
    try:
        logs = open_logs(store, network.domain, member)
        heads = DiskHeadFiles(settings.path(settings.head_dir))
        checker = Checker(store, logs, heads, progress)
        findings, sealed = checker.run(), 0
        if passphrase is not None:
            wrapping = load_wrapping_key(settings.path(settings.keys_dir), passphrase)
            seals = SealCheck(LocalKeeper(wrapping, os.urandom))
            findings += [found for log in logs.values() for own in log.readers for found in seals.run(own)]
            sealed = seals.count
        return findings, asdict(checker.counts) | {"sealed": sealed}
    finally:
        store.close()


def _build(
    stack: ExitStack,
    settings: Settings,
    network: Network,
    keys: NodeKeys,
    keeper: KeyProcess,
    item_files: Mapping[str, bytes],
    store: DiskStore,
    pool: IssuingPool,
    uploads: Uploads,
    clock: Clock,
) -> RunningNode:
    stopping = threading.Event()
    chain = EvmChain(Rpc(Web3Transport(chain_url(settings, network))), network.settings(), keys.operator)
    stack.callback(chain.close)
    post = PeerPost(allow_plain=settings.plain_peers)
    stack.callback(post.close)
    ports = Ports(
        store=store,
        heads=DiskHeadFiles(settings.path(settings.head_dir)),
        chain=chain,
        keeper=keeper,
        workers=pool,
        open_file=_file_opener(settings, uploads, stopping.is_set),
        clock=clock,
        random=os.urandom,
        document_source=MemberDocuments(chain, post),
        exchanges=ExchangePorts(
            post,
            PeerLogs(chain, post),
            DiskForkFiles(settings.path(settings.data_dir).parent / "forks"),
            PeerWitnesses(chain, post),
        ),
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
        PurgeLoop(services.eraser),
        ExchangeLoop(services),
        pool,
        stopping,
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
        endpoint=load_endpoint(settings, network),
    )


def load_endpoint(settings: Settings, network: Network) -> Endpoint | None:
    """Load what this node says on the chain about where it is reached; None when it is to say nothing.

    Raises:
        Conflict: ``contracts-older``.
        InvalidInput: ``public-url``, ``public-certificate``.
    """
    if not settings.public_url:
        return None
    if network.document_registry is None:
        raise Conflict(
            "contracts-older",
            "public_url is set, but this network was deployed by an older release, whose contracts keep no addresses of nodes",
        )
    file = settings.public_certificate or settings.tls_certificate
    certificate = None
    if file is not None:
        try:
            certificate = settings.path(file).read_bytes()
        except OSError as error:
            raise InvalidInput("public-certificate", f"{file}: it cannot be read: {error.strerror}") from None
    return build_endpoint(settings.public_url, certificate)


def _service_keys(keys: NodeKeys) -> Keys:
    logs = {log: LogKeys(keys.logs[log.text].ed25519, keys.logs[log.text].ml_dsa_44) for log in LogKind}
    return Keys(Ed25519Signer(keys.record_seed), keys.node, logs, keys.index, keys.exchange)


def _file_opener(
    settings: Settings, uploads: Uploads, is_stopping: Callable[[], bool]
) -> Callable[[Job, CatalogueItem], Rows]:
    def open_file(job: Job, item: CatalogueItem) -> Rows:
        limits = Limits(file_bytes=settings.max_upload_bytes, child_memory_bytes=settings.reader_memory_bytes)
        path, header = uploads.path(job.id), partial(find_header, item)
        return open_table(
            path, find_header=header, limits=limits, start_row=job.last_row + 1, is_stopping=is_stopping
        )

    return open_file

# SPDX-License-Identifier: Apache-2.0
"""The succession of the logs of a home directory whose node is stopped (``node.service.succeeding``)."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from node.bootstrap import chain_url, load_network
from node.chain.evm import EvmChain
from node.chain.rpc import Rpc
from node.chain.transport import HttpTransport
from node.core.types import MemberCode
from node.recovery import store_identity, store_path
from node.service.assembly import open_logs
from node.service.publishing import LogKeys
from node.service.succeeding import Department
from node.storage.heads import DiskHeadFiles
from node.storage.keyfiles import create_log_keys, has_log_keys, load_keys, load_log_keys
from node.storage.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.config import Settings
    from node.core.clock import Clock
    from node.service.layout import LogKind


@contextmanager
def open_department(settings: Settings, passphrase: str, clock: Clock) -> Iterator[Department]:
    """Open what the succession of a node's logs works on; closed when the context ends.

    Args:
        settings: Of its home directory.
        passphrase: Of its key files, and of those that are made.
        clock: The clock.

    Raises:
        Unavailable: ``store-locked``: the node runs.
        NodeError: Whatever keeps the node from starting.
    """
    settings.require_separate_heads()
    network = load_network(settings)
    member = MemberCode(settings.member)
    directory = settings.path(settings.keys_dir)
    keys = load_keys(directory, passphrase, {})

    @cache
    def load(kind: LogKind, number: int) -> LogKeys:
        pair = load_log_keys(directory, kind.text, number, passphrase)
        return LogKeys(pair.ed25519, pair.ml_dsa_44)

    def find(kind: LogKind, number: int) -> LogKeys | None:
        return load(kind, number) if has_log_keys(directory, kind.text, number) else None

    def create(kind: LogKind, number: int) -> LogKeys:
        if not has_log_keys(directory, kind.text, number):
            create_log_keys(directory, kind.text, number, passphrase, os.urandom)
        return load(kind, number)

    store = open_store(store_path(settings), store_identity(settings).encode())
    try:
        chain = EvmChain(Rpc(HttpTransport(chain_url(settings, network))), network.settings(), keys.operator)
        try:
            yield Department(
                domain=network.domain,
                member=member,
                store=store,
                heads=DiskHeadFiles(settings.path(settings.head_dir)),
                chain=chain,
                clock=clock,
                node_key=keys.node,
                open_logs=lambda: open_logs(store, network.domain, member),
                find_keys=find,
                create_keys=create,
            )
        finally:
            chain.close()
    finally:
        store.close()

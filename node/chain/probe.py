# SPDX-License-Identifier: Apache-2.0
"""Say how the chain stands, in the order in which a person would look (docs/chain.md, States).

1. does it answer, and is it the chain of this network        away, wrong-chain
2. is the trusted block there, are the contracts there        empty, wrong-chain
3. do the contracts belong to this network                    wrong-chain
4. does it have the anchors that we have seen final           behind, wrong-chain
5. is the chain node still catching up                        behind
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from node.chain.contracts import NO_ID
from node.chain.rpc import CallReverted
from node.errors import Unavailable
from node.log.anchor import anchor_commitment
from node.ports import ChainStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.chain.contracts import AnchorLog, MemberRegistry
    from node.chain.documents import DocumentRegistry
    from node.chain.network import ChainSettings
    from node.chain.rpc import Block, Rpc
    from node.core.types import LogId
    from node.log.anchor import Anchor
    from node.ports import ChainState

OPTIONAL_CALLS: Final[tuple[tuple[str, tuple[Any, ...]], ...]] = (
    ("eth_getProof", ("0x" + "00" * 20, [], "latest")),
    ("eth_feeHistory", ("0x1", "latest", [])),
    ("eth_getBlockReceipts", ("latest",)),
    ("net_peerCount", ()),
)


_Fault: TypeAlias = "tuple[ChainState, str] | None"
"""State and detail of the first thing that is wrong, or None."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a chain node offers beyond the portable calls.

    Attributes:
        client: What it calls itself.
        optional: Optional calls, and the tag ``finalized``, each with whether it answers.
    """

    client: str
    optional: tuple[tuple[str, bool], ...]


def probe_capabilities(rpc: Rpc) -> Capabilities:
    """Try the optional calls.

    Raises:
        Unavailable: The chain node cannot be asked.
    """
    optional = [(name, rpc.answers(name, *params)) for name, params in OPTIONAL_CALLS]
    optional.append(("finalized", rpc.answers("eth_getBlockByNumber", "finalized", False)))
    return Capabilities(rpc.client_version(), tuple(optional))


def probe_chain(
    rpc: Rpc,
    settings: ChainSettings,
    logs: AnchorLog,
    registry: MemberRegistry,
    known: Mapping[LogId, Anchor],
    documents: DocumentRegistry | None = None,
) -> ChainStatus:
    """Say how the chain stands; raises nothing that a chain node can cause.

    Args:
        rpc: The chain node.
        settings: Which chain it should be.
        logs: The anchoring contract there.
        registry: The member registry there.
        known: The last final anchor of each log that the caller keeps.
        documents: The document registry there, where the network has one.
    """
    try:
        chain_id = rpc.chain_id()
        if chain_id != settings.chain_id:
            detail = f"another chain answers: got id {chain_id}, want {settings.chain_id}"
            return ChainStatus("wrong-chain", chain_id, None, None, detail)
        newest = rpc.newest_block()
        fault = (
            _history_fault(rpc, settings)
            or _contracts_fault(rpc, settings, logs, registry, documents)
            or _known_fault(logs, newest, known)
            or _syncing_fault(rpc)
        )
    except CallReverted:
        detail = "the contracts at the network's addresses are others"
        return ChainStatus("wrong-chain", chain_id, newest.number, newest.time, detail)
    except Unavailable as error:
        return ChainStatus("away", None, None, None, error.message)
    state, detail = fault or ("ready", f"chain {chain_id} at block {newest.number} by {rpc.place}")
    return ChainStatus(state, chain_id, newest.number, newest.time, detail)


def _history_fault(rpc: Rpc, settings: ChainSettings) -> _Fault:
    number = settings.trusted_block
    trusted = rpc.find_block(number)
    if trusted is None:
        return (
            "empty",
            f"the chain has no block {number}, in which its contracts were deployed: it restarted empty",
        )
    if trusted.hash == settings.trusted_block_hash:
        return None
    if not rpc.code(settings.anchor_log):
        return "empty", f"the chain has another block {number} and no contracts: it restarted empty"
    return "wrong-chain", f"block {number} has another hash than in the network file: another chain"


def _contracts_fault(
    rpc: Rpc,
    settings: ChainSettings,
    logs: AnchorLog,
    registry: MemberRegistry,
    documents: DocumentRegistry | None,
) -> _Fault:
    contracts = {
        "AnchorLog": settings.anchor_log,
        "MemberRegistry": settings.member_registry,
        "DocumentRegistry": settings.document_registry,
    }
    for name, address in contracts.items():
        if address is not None and not rpc.code(address):
            return "empty", f"there is no {name} at its address on this chain"
    (domain,) = logs.read("domain")
    (registry_address,) = logs.read("registry")
    if domain != settings.domain or bytes.fromhex(registry_address[2:]) != registry.address:
        return "wrong-chain", "the contracts belong to another domain or member registry"
    if documents is not None:
        (registry_address,) = documents.read("registry")
        if bytes.fromhex(registry_address[2:]) != registry.address:
            return "wrong-chain", "the document registry belongs to another member registry"
    return None


def _known_fault(logs: AnchorLog, newest: Block, known: Mapping[LogId, Anchor]) -> _Fault:
    for log_id, anchor in known.items():
        name = f"anchor {anchor.i} of log {log_id.hex()[:16]}"
        if newest.number < anchor.block:
            return "behind", f"the chain is at block {newest.number}, but {name} was in block {anchor.block}"
        (commitment,) = logs.read("commitment", log_id, anchor.i)
        if commitment == NO_ID:
            return "behind", f"the chain does not have {name}, which was final in block {anchor.block}"
        if commitment != anchor_commitment(anchor):
            return "wrong-chain", f"the chain has another {name} than the one that was final"
    return None


def _syncing_fault(rpc: Rpc) -> _Fault:
    return ("behind", "the chain node is still catching up with its network") if rpc.is_syncing() else None

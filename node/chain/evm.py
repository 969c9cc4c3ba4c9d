# SPDX-License-Identifier: Apache-2.0
"""AnchorChain over an EVM chain's JSON-RPC (docs/chain.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from node.chain.abi import encode_values
from node.chain.account import ChainAccount
from node.chain.contracts import (
    NO_ID,
    AnchorLog,
    MemberRegistry,
    encode_code,
    find_anchors,
    find_log_id,
    load_abi,
)
from node.chain.demands import EvmDemands
from node.chain.documents import RESOLVE, DocumentRegistry, find_open, read_proposal
from node.chain.probe import Capabilities, probe_capabilities, probe_chain
from node.chain.rpc import CallReverted
from node.crypto.secp256k1 import encode_address
from node.errors import Conflict, InvalidInput, Unavailable
from node.ports import TransactionOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.chain.network import ChainSettings
    from node.chain.rpc import Rpc
    from node.core.types import LogId, MemberCode
    from node.crypto.secp256k1 import OperatorKey
    from node.log.anchor import Anchor
    from node.ports import (
        AnchorHead,
        AnchorRequest,
        ChainStatus,
        DocumentDraft,
        DocumentVersion,
        Endpoint,
        KeyKind,
        KeyPeriod,
        KeyRegistration,
        LogInfo,
        Member,
        Proposal,
        SignedTransaction,
    )

_Read = TypeVar("_Read")

# Gas limits are ceilings: what is not used costs nothing, and an estimate could fail for a reason of the moment.
ANCHOR_GAS: Final = 250_000
"""For each log in the transaction; the budget is 115,000 in the worst case."""
OPEN_LOG_GAS: Final = 600_000
CLOSE_LOG_GAS: Final = 150_000
ROTATE_GAS: Final = 200_000
PROPOSE_GAS: Final = 1_000_000
VOTE_GAS: Final = 1_000_000
"""The deciding vote carries the proposal out."""
ENDPOINT_GAS: Final = 400_000
VOTE_CLOSE: Final = 1
"""AnchorLog.onVote: close a log."""
REGISTER_GAS: Final = 100_000
REGISTER_KEY_GAS: Final = 250_000
"""For each key, the longest public data included."""

_BOTH: Final = 2


class EvmChain:
    """One network's contracts on an EVM chain, used with one operator key; implements ``AnchorChain``.

    Args:
        rpc: The chain node.
        settings: Which chain and contracts.
        operator: The member's operator key; None for a reader that signs nothing.

    Raises:
        InvalidInput: ``chain-id``.
    """

    def __init__(self, rpc: Rpc, settings: ChainSettings, operator: OperatorKey | None) -> None:
        self._rpc = rpc
        self._settings = settings
        self._account = ChainAccount(rpc, settings.chain_id, settings.profile, operator)
        self._logs = AnchorLog(rpc, settings.anchor_log, load_abi("AnchorLog"))
        self.demands = EvmDemands(self._logs, self._account)
        self._registry = MemberRegistry(rpc, settings.member_registry, load_abi("MemberRegistry"))
        self._documents = (
            DocumentRegistry(rpc, settings.document_registry, load_abi("DocumentRegistry"))
            if settings.document_registry is not None
            else None
        )

    def close(self) -> None:
        """Release the connections."""
        self._rpc.close()

    def probe(self, known: Mapping[LogId, Anchor] | None = None) -> ChainStatus:
        """Say how the chain stands."""
        return probe_chain(
            self._rpc, self._settings, self._logs, self._registry, known or {}, self._documents
        )

    def capabilities(self) -> Capabilities:
        """Say what the chain node offers beyond the portable calls."""
        return probe_capabilities(self._rpc)

    def log_head(self, log_id: LogId) -> AnchorHead | None:
        """Find the last anchor of a log; None when the log was never opened."""
        return self._unless("UnknownLog", lambda: self._logs.head(log_id))

    def log_info(self, log_id: LogId) -> LogInfo | None:
        """Find what is fixed about a log; None when it was never opened."""
        return self._unless("UnknownLog", lambda: self._logs.info(log_id))

    def last_log(self, member: MemberCode, kind: int) -> LogId | None:
        """Find a member's newest log of a kind, open or closed."""
        words = self._unless("UnknownMember", lambda: self._logs.read("lastLog", encode_code(member), kind))
        return find_log_id(words[0]) if words else None

    def commitment(self, log_id: LogId, i: int) -> bytes:
        """Give the 32 bytes that bind an anchor; zeros when there is none."""
        word: bytes = self._logs.read("commitment", log_id, i)[0]
        return word

    def fetch_anchors(self, log_id: LogId, from_i: int) -> list[tuple[Anchor, bytes]]:
        """Fetch the anchors of a log from number ``from_i`` on, each with its transaction's hash."""
        return self._unless("UnknownLog", lambda: self._logs.fetch_anchors(log_id, from_i)) or []

    def next_nonce(self) -> int:
        """Give the nonce that the chain expects next from the operator key."""
        return self._account.next_nonce()

    def sign_register_keys(self, keys: Sequence[KeyRegistration], nonce: int) -> SignedTransaction:
        """Sign the registration of own keys."""
        inputs = [(int(key.kind), key.key, key.from_block, key.data) for key in keys]
        return self._account.sign(
            self._registry.address,
            self._registry.abi.encode_call("registerKeys", inputs),
            gas=REGISTER_GAS + REGISTER_KEY_GAS * len(inputs),
            nonce=nonce,
        )

    def sign_rotate_operator(self, address: str, nonce: int) -> SignedTransaction:
        """Sign the announcement that another operator key takes over after the contract's notice of 24 hours.

        Args:
            address: Of the new key, EIP-55; one that never was an operator's or recovery key's.
            nonce: Of the key that signs, the present one.
        """
        data = self._registry.abi.encode_call("rotateOperator", address)
        return self._account.sign(self._registry.address, data, gas=ROTATE_GAS, nonce=nonce)

    def sign_open_log(self, kind: int, n: int, predecessor: LogId | None, nonce: int) -> SignedTransaction:
        """Sign the opening of own log."""
        data = self._logs.abi.encode_call("openLog", kind, n, predecessor or NO_ID)
        return self._account.sign(self._logs.address, data, gas=OPEN_LOG_GAS, nonce=nonce)

    def sign_close_log(self, log_id: LogId, nonce: int) -> SignedTransaction:
        """Sign the announcement that own log is to be closed."""
        data = self._logs.abi.encode_call("closeLog", log_id)
        return self._account.sign(self._logs.address, data, gas=CLOSE_LOG_GAS, nonce=nonce)

    def sign_close_by_vote(self, log_id: LogId, nonce: int) -> SignedTransaction:
        """Sign a proposal, with own vote, that own log is closed at once."""
        order = encode_values(("uint8", "bytes32", "uint64"), VOTE_CLOSE, log_id, 0)
        payload = encode_values(("address", "bytes"), encode_address(self._logs.address), order)
        data = self._registry.abi.encode_call("propose", RESOLVE, payload)
        return self._account.sign(self._registry.address, data, gas=PROPOSE_GAS, nonce=nonce)

    def sign_anchor(self, requests: Sequence[AnchorRequest], nonce: int) -> SignedTransaction:
        """Sign one transaction that anchors one log or two."""
        if not 1 <= len(requests) <= _BOTH:
            raise InvalidInput(
                "anchor-request", f"wrong number of logs to anchor: got {len(requests)}, want 1 or 2"
            )
        ids = [request.log_id for request in requests]
        sizes = [request.size for request in requests]
        roots = [request.root for request in requests]
        proofs = [list(request.proof) for request in requests]
        if len(requests) == _BOTH:
            data = self._logs.abi.encode_call("anchorBoth", ids, sizes, roots, proofs)
        else:
            data = self._logs.abi.encode_call("anchor", ids[0], sizes[0], roots[0], proofs[0])
        return self._account.sign(self._logs.address, data, gas=ANCHOR_GAS * len(requests), nonce=nonce)

    def send(self, raw: bytes) -> None:
        """Hand a signed transaction over; may be repeated with the same bytes at any time."""
        self._account.send(raw)

    def find_outcome(self, tx_hash: bytes) -> TransactionOutcome | None:
        """Find what became of a transaction; None while it stands in no block of the present history."""
        settled = self._account.find_settled(tx_hash)
        if settled is None:
            return None
        receipt = settled.receipt
        reason = None
        if receipt.status != 1:
            reason = self._account.find_reason(tx_hash, receipt, self.describe_reason)
        return TransactionOutcome(
            status=receipt.status,
            block=receipt.block,
            block_hash=receipt.block_hash,
            time=settled.time,
            gas_used=receipt.gas_used,
            final=settled.final,
            anchors=find_anchors(self._logs.abi, self._logs.address, receipt.events),
            revert_reason=reason,
        )

    def members(self) -> list[Member]:
        """List all that ever joined, in order of joining."""
        return self._registry.members()

    def member(self, code: MemberCode) -> Member | None:
        """Find a member by its code."""
        return self._unless("UnknownMember", lambda: self._registry.member(code))

    def key_at(self, member: MemberCode, kind: KeyKind, block: int) -> bytes | None:
        """Find the key (or digest) of a kind that was, is or will be valid at a block."""
        values = (encode_code(member), int(kind), block)
        words = self._unless("UnknownMember", lambda: self._registry.read("keyAt", *values))
        return words[0] if words and words[0] != NO_ID else None

    def keys(self, member: MemberCode, kind: KeyKind) -> list[KeyPeriod]:
        """List all keys of a kind that a member registered, oldest first."""
        return self._unless("UnknownMember", lambda: self._registry.keys(member, kind)) or []

    def block_time(self, block: int) -> int:
        """Give the time in seconds of a block that is there."""
        found = self._rpc.find_block(block)
        if found is None:
            raise Unavailable("chain-answer", f"chain node {self._rpc.place} does not have block {block}")
        return found.time

    def compromised_from(self, member: MemberCode, kind: KeyKind, key: bytes) -> int | None:
        """Find the block from which the others declared a key compromised."""
        values = (encode_code(member), int(kind), key)
        blocks = self._unless("UnknownMember", lambda: self._registry.read("compromisedFrom", *values))
        return (blocks[0] or None) if blocks else None

    def key_data(self, member: MemberCode, kind: KeyKind, key: bytes) -> bytes | None:
        """Find the public key that a digest was registered with."""
        for period in self.keys(member, kind):
            # It was registered in the first block in which it is valid, or before.
            if period.key == key:
                last = min(period.from_block, self._rpc.newest_block().number)
                return self._registry.key_data(member, kind, key, 0, last)
        return None

    def endpoint(self, member: MemberCode) -> Endpoint | None:
        """Find where a member's node is reached."""
        if self._documents is None:
            return None
        return self._unless("UnknownMember", lambda: self._registry.endpoint(member))

    def sign_set_endpoint(self, endpoint: Endpoint | None, nonce: int) -> SignedTransaction:
        """Sign own word of where this node is reached."""
        self._require_documents()
        url, tls_key = ("", None) if endpoint is None else (endpoint.url, endpoint.tls_key)
        data = self._registry.abi.encode_call("setEndpoint", url, tls_key or NO_ID)
        return self._account.sign(self._registry.address, data, gas=ENDPOINT_GAS, nonce=nonce)

    def document_versions(self) -> list[DocumentVersion]:
        """List all versions of all documents."""
        return self._require_documents().versions()

    def open_proposals(self) -> list[Proposal]:
        """List the proposals that can still be voted on."""
        return find_open(self._registry, self._require_documents(), self._rpc.newest_block().time)

    def find_proposal(self, proposal: int) -> Proposal | None:
        """Find a proposal, whatever became of it."""
        documents = self._require_documents()
        return self._unless("UnknownProposal", lambda: read_proposal(self._registry, documents, proposal))

    def sign_propose_document(self, draft: DocumentDraft, nonce: int) -> SignedTransaction:
        """Sign a proposal, with own vote, to put a version of a document."""
        payload = self._require_documents().encode_resolution(draft)
        data = self._registry.abi.encode_call("propose", RESOLVE, payload)
        return self._account.sign(self._registry.address, data, gas=PROPOSE_GAS, nonce=nonce)

    def sign_vote(self, proposal: int, nonce: int) -> SignedTransaction:
        """Sign own vote for a proposal."""
        data = self._registry.abi.encode_call("vote", proposal)
        return self._account.sign(self._registry.address, data, gas=VOTE_GAS, nonce=nonce)

    def describe_reason(self, data: bytes) -> str:
        """Put a contract's reason into words; contracts pass on each other's reasons."""
        contracts = (self._logs, self._registry, self._documents or self._registry)
        found = next((each for each in contracts if each.abi.find_error(data)), self._registry)
        return found.abi.describe_reason(data)

    def _require_documents(self) -> DocumentRegistry:
        if self._documents is None:
            raise Conflict(
                "contracts-older",
                "this network was deployed by an older release: its contracts keep neither shared documents nor the "
                "addresses of nodes. A network file with document_registry is wanted",
            )
        return self._documents

    def _unless(self, error: str, read: Callable[[], _Read]) -> _Read | None:
        """Read, and give None when a contract refuses with this error of its own."""
        try:
            return read()
        except CallReverted as reverted:
            names = (self._logs.abi.find_error(reverted.data), self._registry.abi.find_error(reverted.data))
            if error not in names:
                raise
            return None

# SPDX-License-Identifier: Apache-2.0
"""Chain: the anchoring contract and the member registry (protocol section 3; docs/chain.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from node.ports.documents import DocumentChain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from node.core.types import LogId, MemberCode, RootHash
    from node.log.anchor import Anchor
    from node.ports.demands import DemandChain
    from node.ports.members import Endpoint, KeyKind, KeyPeriod, KeyRegistration, Member


@dataclass(frozen=True, slots=True)
class AnchorRequest:
    """What one log asks the chain to accept.

    Attributes:
        log_id: The log.
        size: New size in entries, larger than the last anchored one.
        root: Root at that size.
        proof: RFC 6962 consistency proof from the last anchored size, 32 bytes each; empty for the first anchor.
    """

    log_id: LogId
    size: int
    root: RootHash
    proof: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class AnchorHead:
    """Where the chain stands with one open log; ``i`` 0 means that nothing was anchored yet.

    Attributes:
        size: Last anchored size in entries.
        i: Number of the last anchor, from 1.
        block: Height of its block, of the log's opening while ``i`` is 0.
        time: Time of that block in seconds.
        root: Last anchored root; 32 zero bytes while ``i`` is 0.
    """

    size: int
    i: int
    block: int
    time: int
    root: RootHash


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction ready to be sent, any number of times.

    Attributes:
        raw: The signed bytes.
        tx_hash: 32 bytes by which the chain knows it.
        nonce: Its place among the sender's transactions.
    """

    raw: bytes
    tx_hash: bytes
    nonce: int


@dataclass(frozen=True, slots=True)
class TransactionOutcome:
    """What became of a transaction that stands in a block.

    Attributes:
        status: 1 accepted, 0 reverted.
        block: Height of its block.
        block_hash: 32 bytes.
        time: Time of the block in seconds.
        gas_used: Gas.
        final: Whether the engine can no longer take the block back.
        anchors: The anchors it brought, in the order of its events.
        revert_reason: The contract's reason by name and arguments; None when accepted.
    """

    status: int
    block: int
    block_hash: bytes
    time: int
    gas_used: int
    final: bool
    anchors: tuple[tuple[LogId, Anchor], ...]
    revert_reason: str | None


@dataclass(frozen=True, slots=True)
class LogInfo:
    """What the chain has fixed about a log, and how it ends.

    Attributes:
        member: USCC of the owner.
        kind: 1 records, 2 access.
        n: 0, 1, 2 … by succession.
        predecessor: The log before, or None.
        successor: The log after, or None.
        opened_block: Block of its opening.
        closes_at: Chain time in seconds at which it is, or will be, closed; None while no end is known.
        closed: Whether it is closed now.
        last_good: Last good anchor named by a vote, or None.
        ed25519: Public key of the checkpoint's Ed25519 line, 32 bytes.
        ml_dsa_44_digest: SHA-256 of the public key of its ML-DSA-44 line.
    """

    member: MemberCode
    kind: int
    n: int
    predecessor: LogId | None
    successor: LogId | None
    opened_block: int
    closes_at: int | None
    closed: bool
    last_good: int | None
    ed25519: bytes
    ml_dsa_44_digest: bytes


ChainState = Literal["ready", "away", "wrong-chain", "empty", "behind"]


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """How the chain stands, as docs/chain.md (States) has it.

    Attributes:
        state: Anchoring needs ``ready``.
        chain_id: As the chain says, None while it is away.
        block: Height of its newest block, None while it is away.
        block_time: Time of that block in seconds, None while it is away.
        detail: One sentence for the operator.
    """

    state: ChainState
    chain_id: int | None
    block: int | None
    block_time: int | None
    detail: str


class AnchorChain(DocumentChain, Protocol):
    """The chain as one member's node sees and uses it; safe to use from several threads. Signing sends and asks nothing.

    Raises (every method, unless it says otherwise):
        Unavailable: ``chain-away`` without an answer; ``chain-answer`` or ``chain-rpc`` when the answer is
            malformed or a refusal. The same call may succeed later.
    """

    @property
    def demands(self) -> DemandChain:
        """Demands on logs of this and other members."""
        ...

    def probe(self, known: Mapping[LogId, Anchor] | None = None) -> ChainStatus:
        """Say how the chain stands; raises nothing, a chain that cannot be asked is ``away``.

        Args:
            known: The last final anchor of each log that the caller keeps; a chain that does not have them is
                ``behind``, or ``wrong-chain`` when it has others in their places.
        """
        ...

    def log_head(self, log_id: LogId) -> AnchorHead | None:
        """Find the last anchor of a log; None when the log was never opened."""
        ...

    def log_info(self, log_id: LogId) -> LogInfo | None:
        """Find what is fixed about a log; None when it was never opened."""
        ...

    def last_log(self, member: MemberCode, kind: int) -> LogId | None:
        """Find a member's newest log of a kind (1 records, 2 access), open or closed."""
        ...

    def commitment(self, log_id: LogId, i: int) -> bytes:
        """Give the 32 bytes that bind anchor ``i`` of a log; zeros when there is none."""
        ...

    def fetch_anchors(self, log_id: LogId, from_i: int) -> list[tuple[Anchor, bytes]]:
        """Fetch the anchors of a log from number ``from_i`` on, oldest first, each with its transaction's hash."""
        ...

    def next_nonce(self) -> int:
        """Give the nonce that the chain expects next from this node's operator key."""
        ...

    def sign_register_keys(self, keys: Sequence[KeyRegistration], nonce: int) -> SignedTransaction:
        """Sign the registration of own keys."""
        ...

    def sign_open_log(self, kind: int, n: int, predecessor: LogId | None, nonce: int) -> SignedTransaction:
        """Sign the opening of own log (kind 1 records, 2 access).

        Its two keys must have been registered before.
        """
        ...

    def sign_close_log(self, log_id: LogId, nonce: int) -> SignedTransaction:
        """Sign the notice that own log is to be closed."""
        ...

    def sign_close_by_vote(self, log_id: LogId, nonce: int) -> SignedTransaction:
        """Sign a proposal, and own vote, to close own log at once."""
        ...

    def sign_anchor(self, requests: Sequence[AnchorRequest], nonce: int) -> SignedTransaction:
        """Sign one transaction that anchors one log or two.

        Raises:
            InvalidInput: ``anchor-request`` for another number of logs.
        """
        ...

    def send(self, raw: bytes) -> None:
        """Hand a signed transaction over; may be repeated with the same bytes at any time.

        Raises:
            Conflict: ``nonce-used`` when another transaction took its place.
            Unavailable: Also ``chain-refused`` when the chain did not take it for another reason.
        """
        ...

    def find_outcome(self, tx_hash: bytes) -> TransactionOutcome | None:
        """Find what became of a transaction; None while it stands in no block of the chain's present history."""
        ...

    def members(self) -> list[Member]:
        """List all that ever joined, in order of joining."""
        ...

    def member(self, code: MemberCode) -> Member | None:
        """Find a member by its code."""
        ...

    def key_at(self, member: MemberCode, kind: KeyKind, block: int) -> bytes | None:
        """Find the key (or digest) of a kind that was, is or will be valid at a block."""
        ...

    def keys(self, member: MemberCode, kind: KeyKind) -> list[KeyPeriod]:
        """List all keys of a kind that a member registered, oldest first; empty for an unknown member."""
        ...

    def key_data(self, member: MemberCode, kind: KeyKind, key: bytes) -> bytes | None:
        """Find the public key that a digest was registered with (kinds 7 and 8); None when it never was."""
        ...

    def endpoint(self, member: MemberCode) -> Endpoint | None:
        """Find where a member's node is reached; None while it says nothing, or was not heard of."""
        ...

    def sign_set_endpoint(self, endpoint: Endpoint | None, nonce: int) -> SignedTransaction:
        """Sign own word of where this node is reached; None takes it back.

        Raises:
            Conflict: ``contracts-older``.
        """
        ...

    def block_time(self, block: int) -> int:
        """Give the time in seconds of a block that is there.

        Raises:
            Unavailable: ``chain-answer`` also when the chain node does not have the block.
        """
        ...

    def compromised_from(self, member: MemberCode, kind: KeyKind, key: bytes) -> int | None:
        """Find the block from which the others declared a key compromised; None when they never did."""
        ...

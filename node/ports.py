# SPDX-License-Identifier: Apache-2.0
"""The Protocols by which services reach storage, heads and the chain.

A service is given objects that satisfy these Protocols and knows nothing else of the outside. The classes that
implement them are the driven adapters (``node.storage``, ``node.chain``) and, in tests, the doubles in
``tests/support``. Values that cross a port are defined here or in a layer below.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Literal, Protocol

from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from node.core.types import LogId, MemberCode, RootHash
    from node.log.anchor import Anchor
    from node.log.head import Head
    from node.records.values import Cell

# ----------------------------------------------------------------
# Storage: one transactional byte store per node (DESIGN section 7, Store; docs/storage.md)
# ----------------------------------------------------------------


class Batch:
    """Collect changes that become visible and durable together, or not at all.

    Changes of one key apply in the order in which they were made; bytes of one stream are appended in the order
    in which they were given. A batch is filled by one thread, is committed once and is not used after that.

    Keys, in both key spaces, are non-empty and do not begin with a zero byte: those keys belong to the store.

    Attributes:
        changes: (key, value) to put, (key, None) to delete, in order.
        secret_changes: The same for the database of wrapped secrets.
        appends: For every stream touched, the pieces to append.
    """

    __slots__ = ("appends", "changes", "secret_changes")

    def __init__(self) -> None:
        self.changes: list[tuple[bytes, bytes | None]] = []
        self.secret_changes: list[tuple[bytes, bytes | None]] = []
        self.appends: dict[str, list[bytes]] = {}

    def append(self, stream: str, data: bytes) -> None:
        """Append ``data`` to the end of ``stream``; a stream comes into being with its first bytes."""
        pieces = self.appends.get(stream)
        if pieces is None:
            self.appends[stream] = [data]
        else:
            pieces.append(data)

    def put(self, key: bytes, value: bytes) -> None:
        """Set ``key`` to ``value``, whether or not it is there."""
        if key[:1] <= b"\x00":
            raise _unusable_key(key)
        self.changes.append((key, value))

    def delete(self, key: bytes) -> None:
        """Remove ``key``; an absent key is no error."""
        if key[:1] <= b"\x00":
            raise _unusable_key(key)
        self.changes.append((key, None))

    def put_secret(self, key: bytes, value: bytes) -> None:
        """Set a wrapped secret (never a secret in the clear)."""
        if key[:1] <= b"\x00":
            raise _unusable_key(key)
        self.secret_changes.append((key, value))

    def delete_secret(self, key: bytes) -> None:
        """Remove a wrapped secret; an absent one is no error."""
        if key[:1] <= b"\x00":
            raise _unusable_key(key)
        self.secret_changes.append((key, None))

    def change_all(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Set many keys, or remove those whose value is None, in a tenth of the time of single calls."""
        _check_keys(changes)
        self.changes.extend(changes.items())

    def change_all_secrets(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Set or remove many wrapped secrets."""
        _check_keys(changes)
        self.secret_changes.extend(changes.items())


def _check_keys(keys: Iterable[bytes]) -> None:
    # An unusable key sorts before every usable one.
    first = min(keys, default=b"\x01")
    if first[:1] <= b"\x00":
        raise _unusable_key(first)


def _unusable_key(key: bytes) -> InvalidInput:
    got = "an empty key" if not key else "a key with first byte 0x00"
    return InvalidInput("store-key", f"unusable store key: got {got}, want a first byte of at least 0x01")


class Reads(Protocol):
    """Read committed state; safe to call from any thread, also while a commit runs.

    Each call sees the state after some acknowledged commit, whole, and no later call of the same thread sees an
    earlier one. Calls that must see the same state use a :class:`Snapshot`.

    Raises:
        Unavailable: ``store-closed``, or ``store-read-failed`` when the operating system refuses a read.
        Fatal: ``store-corrupt`` or ``store-truncated`` when what is stored is not what was committed.
    """

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or None."""
        ...

    def get_all(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, or None, all of one committed state."""
        ...

    def get_secret(self, key: bytes) -> bytes | None:
        """Return the wrapped secret stored under ``key``, or None (never stored, or erased)."""
        ...

    def scan(
        self, start: bytes, stop: bytes | None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) with start ≤ key < stop in byte order; the whole scan sees one state.

        Args:
            start: First key, inclusive; ``b""`` is the beginning.
            stop: First key not wanted; None is the end.
            reverse: From the last key of the range to the first.
            limit: Greatest number of pairs, from the end that comes first; None is all.
        """
        ...

    def read(self, stream: str, offset: int, length: int) -> bytes:
        """Return exactly ``length`` committed bytes of ``stream``.

        Args:
            stream: Name of the stream.
            offset: First byte, from the beginning of the stream, in bytes.
            length: Number of bytes; 0 is allowed.

        Raises:
            InvalidInput: ``store-range`` when not all of these bytes are committed.
        """
        ...

    def length(self, stream: str) -> int:
        """Return the committed length of ``stream`` in bytes; 0 when nothing was ever appended."""
        ...


class Snapshot(Reads, Protocol):
    """One committed state, unchanged by later commits; release it soon, it holds back LevelDB's clean-up."""

    def close(self) -> None:
        """Release the snapshot; a second call does nothing, a read after it raises ``store-closed``."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Store(Reads, Protocol):
    """The node's transactional byte store: one writer, any number of readers."""

    format: int

    def commit(self, batch: Batch) -> None:
        """Make a batch durable and visible, whole; when this returns, the batch survives power loss.

        Raises:
            InvalidInput: ``store-stream`` or ``store-batch-size``; nothing was written.
            Unavailable: ``store-disk-full`` or ``store-closed``; nothing was written, try again later.
            Fatal: ``store-commit-failed``; whether the batch is stored is known after reopening only. Every
                later commit raises ``store-poisoned``; reads go on from the last acknowledged state.
        """
        ...

    def snapshot(self) -> Snapshot:
        """Return the last acknowledged state as a snapshot; use it as a context manager."""
        ...

    def purge(self, ranges: Sequence[tuple[bytes, bytes]] = (), secrets: Sequence[bytes] = ()) -> bool:
        """Take deleted secrets, and what was replaced or deleted in ranges of keys, from the disk itself.

        The bounds (first, last) of a range are no keys in use. False when a reader of an older state still needs it,
        or a copy of the store that cannot be removed now.

        Raises:
            InvalidInput: ``store-purge``: a secret is not deleted.
            Unavailable, Fatal: As for a commit.
        """
        ...

    def close(self) -> None:
        """Wait for calls in flight, then release everything; a second call does nothing."""
        ...


class HeadFiles(Protocol):
    """The newest head of each of our logs, kept outside the data directory and its backups (protocol section 2)."""

    def load(self, origin: str) -> Head | None:
        """Return the head stored for ``origin``, or None when there is none.

        Raises:
            Fatal: ``head-corrupt`` when the file is not a head of that origin.
            Unavailable: ``head-unreadable`` when the operating system refuses the read.
        """
        ...

    def store(self, head: Head) -> None:
        """Make ``head`` durable in place of the one before it.

        Raises:
            Conflict: ``head-behind`` or ``log-fork`` when it does not follow the stored one.
            Fatal: ``head-not-stored``; which of the two heads the disk holds is not known.
        """
        ...


# ----------------------------------------------------------------
# Readers: a department's file as rows (docs/import.md)
# ----------------------------------------------------------------


class Rows(Protocol):
    """An open file, its header read; used as a context manager.

    Attributes:
        header: Cells of the header row.
        date1904: Whether serial dates count from 1904.
        chunks: The rows below the header as chunks of ``node.records.chunks``, to be read once.
        notes: What was left out of the file: a place and a code of ``node.records.rules.WARNINGS``.
    """

    header: list[Cell]
    date1904: bool
    chunks: Iterator[bytes]
    notes: tuple[str, ...]

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


# ----------------------------------------------------------------
# Chain: the anchoring contract and the member registry (protocol section 3; docs/chain.md)
# ----------------------------------------------------------------


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


class KeyKind(IntEnum):
    """What a registered key is for (IMemberRegistry.keyAt); the registry keeps digests of keys over 32 bytes."""

    RECORD = 1
    NODE = 2
    RECORDS_LOG_ED25519 = 3
    ACCESS_LOG_ED25519 = 4
    RECORDS_LOG_ML_DSA_44 = 5
    ACCESS_LOG_ML_DSA_44 = 6
    EXCHANGE = 7
    CERTIFICATE = 8


class Role(IntFlag):
    """What a member takes part as."""

    ISSUER = 1
    CONSUMER = 2
    AUDITOR = 4
    REGULATOR = 8
    GATEWAY = 16


class MemberStatus(IntEnum):
    """Whether a member may act."""

    ACTIVE = 1
    SUSPENDED = 2
    REMOVED = 3


@dataclass(frozen=True, slots=True)
class Member:
    """A member as the registry has it now.

    Attributes:
        code: Its USCC.
        number: 1, 2, 3 … in order of joining.
        status: Whether it may act.
        roles: What it takes part as.
        governing: Whether it votes while it is active.
        operator: Address that sends its transactions, EIP-55.
        recovery: Address of its recovery key, EIP-55.
        pending_operator: Address that replaces ``operator`` at ``rotation_at``, or None.
        rotation_at: Chain time in seconds, or None.
        since_block: Block in which it joined (the last time).
    """

    code: MemberCode
    number: int
    status: MemberStatus
    roles: Role
    governing: bool
    operator: str
    recovery: str
    pending_operator: str | None
    rotation_at: int | None
    since_block: int


@dataclass(frozen=True, slots=True)
class KeyRegistration:
    """A key to register.

    Attributes:
        kind: What it is for.
        key: 32 bytes: raw Ed25519, or SHA-256 of the public key for other algorithms.
        data: The public key itself for kinds 7 and 8, empty for the others.
        from_block: First block in which it is valid, 0 for the block of the transaction.
    """

    kind: KeyKind
    key: bytes
    data: bytes = b""
    from_block: int = 0


@dataclass(frozen=True, slots=True)
class KeyPeriod:
    """A registered key with its blocks [from_block, to_block); ``to_block`` None while no end is known."""

    key: bytes
    from_block: int
    to_block: int | None


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


class AnchorChain(Protocol):
    """The chain as one member's node sees and uses it; safe to use from several threads. Signing sends and asks nothing.

    Raises (every method, unless it says otherwise):
        Unavailable: ``chain-away`` without an answer; ``chain-answer`` or ``chain-rpc`` when the answer is
            malformed or a refusal. The same call may succeed later.
    """

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

    def compromised_from(self, member: MemberCode, kind: KeyKind, key: bytes) -> int | None:
        """Find the block from which the others declared a key compromised; None when they never did."""
        ...

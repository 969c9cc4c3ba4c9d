# SPDX-License-Identifier: Apache-2.0
"""What the chain says about the other members: who they are, with which keys, where they are reached, how fresh their log is.

What was read stays good for some seconds, and for as long as the chain is away up to the network's ``anchor_limit``:
past that this node releases nothing anyway. So a suspended member is refused some seconds later, and a question
costs no call to the chain. What questions use is read again before it is no longer good, by a thread that none of them
waits for.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from node.access.receipt import MAX_SKEW_SECONDS
from node.crypto.ed25519 import key_id16
from node.errors import AccessDenied, NodeError, Unavailable
from node.log.checkpoint import build_origin
from node.ports import KeyKind, MemberStatus
from node.ports.peers import PeerAddress
from node.service.layout import LogKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.core.clock import Clock
    from node.core.types import MemberCode
    from node.ports import AnchorChain, KeyPeriod, Member

T = TypeVar("T")
FRESH_SECONDS: Final = 10.0
"""How long what was read from the chain is used without asking again, and a chain that failed is left alone."""
REFRESH_SECONDS: Final = 8.0
"""How old what is used may be before :meth:`Directory.refresh` reads it again, which is called every second."""
SETTLED_BLOCKS: Final = 100
"""Blocks behind which a block's time is kept for good: newer ones may be replaced."""


@dataclass(frozen=True, slots=True)
class PeerLog:
    """An open log of a member.

    Attributes:
        origin: Its origin.
        ed25519: Key of its checkpoints' first line, 32 bytes.
        ml_dsa_44_digest: SHA-256 of the key of their second line.
        anchored_at: Chain time of its last anchor, or of its opening, in seconds.
        anchored_size: Entries under that anchor.
    """

    origin: str
    ed25519: bytes
    ml_dsa_44_digest: bytes
    anchored_at: int
    anchored_size: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A member as the chain had it at one block.

    Attributes:
        member: Status, roles and operator.
        block: Height of that block.
        block_time: Its time in seconds.
        node_keys: Node keys that are valid there and not declared compromised, by ``kid``.
        past_node_keys: Node keys that were ever valid and not declared compromised, by ``kid``.
        node_key_ends: Chain time in seconds at which those of them ended that another one followed, by ``kid``.
        record_keys: Record keys that were ever valid and not declared compromised, by ``kid``.
        exchange_key: 1,216 bytes; None while it has none.
        logs: Its open logs.
        address: Where its node is reached; None while it says nothing.
    """

    member: Member
    block: int
    block_time: int
    node_keys: Mapping[str, bytes]
    past_node_keys: Mapping[str, bytes]
    node_key_ends: Mapping[str, int]
    record_keys: Mapping[str, bytes]
    exchange_key: bytes | None
    logs: Mapping[LogKind, PeerLog]
    address: PeerAddress | None

    @property
    def is_active(self) -> bool:
        """Whether it may act."""
        return self.member.status is MemberStatus.ACTIVE

    def find_node_key_of(self, kid: str, seconds: int) -> bytes | None:
        """Find the node key for something that is dated, not behind the key's end; a key that was replaced signs nothing new.

        Args:
            kid: Of the key.
            seconds: The date, as its signer says.
        """
        end = self.node_key_ends.get(kid)
        return None if end is not None and seconds > end + MAX_SKEW_SECONDS else self.past_node_keys.get(kid)

    def silent_seconds(self) -> int | None:
        """Give the age of its access log's last anchor in chain time; None while it has no such log."""
        log = self.logs.get(LogKind.ACCESS)
        return None if log is None else max(0, self.block_time - log.anchored_at)


class _Known(Generic[T]):
    """Something that the chain says, read again when it is no longer fresh; safe to use from any thread.

    One thread asks the chain. The others go on with what was known, as long as that is not too old; where nothing is
    they wait, and get what the one got. A chain that fails is left alone for as long as its answers would be fresh.

    Args:
        read: Asks the chain.
        clock: The clock.
        stale_seconds: How long what was read may be used while the chain is away.
    """

    def __init__(self, read: Callable[[], T], clock: Clock, stale_seconds: int) -> None:
        self._read = read
        self._clock = clock
        self._stale_seconds = stale_seconds
        self._reading = threading.Lock()
        self._found: tuple[float, T] | None = None
        self._failed: tuple[float, NodeError] | None = None
        self._is_used = False

    def get(self) -> T:
        """Give it.

        Raises:
            NodeError: What ``read`` raised now or a moment ago.
        """
        self._is_used = True
        found, now = self._found, self._clock.monotonic()
        if found is not None and now - found[0] < FRESH_SECONDS:
            return found[1]
        is_usable = found is not None and now - found[0] <= self._stale_seconds
        if not self._reading.acquire(blocking=not is_usable):
            assert found is not None, "usable"
            return found[1]
        try:
            return self._read_once(FRESH_SECONDS)
        finally:
            self._reading.release()

    def refresh(self) -> None:
        """Read it again before it is no longer fresh, if anybody used it since it was read and nobody reads it now.

        A chain that fails is no error here: whoever needs the answer meets it.
        """
        if not self._is_used or not self._reading.acquire(blocking=False):
            return
        try:
            with suppress(NodeError):
                self._read_once(REFRESH_SECONDS)
        finally:
            self._reading.release()

    def _read_once(self, fresh_seconds: float) -> T:
        found, failed, now = self._found, self._failed, self._clock.monotonic()
        if found is not None and now - found[0] < fresh_seconds:
            return found[1]
        if failed is None or now - failed[0] >= FRESH_SECONDS:
            self._is_used = False
            try:
                value = self._read()
            except NodeError as failure:
                failed = self._failed = self._clock.monotonic(), failure
            else:
                self._found, self._failed = (now, value), None
                return value
        error = failed[1]
        if found is not None and isinstance(error, Unavailable) and now - found[0] <= self._stale_seconds:
            return found[1]
        raise type(error)(error.code, error.message)


class Directory:
    """Finds members; safe to use from any thread.

    Args:
        chain: The chain.
        domain: Exchange domain.
        clock: The clock.
        stale_seconds: How long what was read may be used while the chain is away.
    """

    def __init__(self, chain: AnchorChain, domain: str, clock: Clock, *, stale_seconds: int) -> None:
        self._chain = chain
        self._domain = domain
        self._clock = clock
        self._stale_seconds = stale_seconds
        self._guard = threading.Lock()
        self._codes: _Known[frozenset[MemberCode]] = _Known(self._read_codes, clock, stale_seconds)
        self._times: dict[int, int] = {}
        self._peers: dict[MemberCode, _Known[Peer]] = {}
        self._members: dict[MemberCode, _Known[Member]] = {}

    def get(self, code: MemberCode) -> Peer:
        """Give a member.

        Raises:
            AccessDenied: ``member-unknown``: nobody of that code ever joined.
            Unavailable: ``chain-…``: the chain cannot be asked, and what is known is too old.
        """
        return self._find(self._peers, code, self._read)

    def member(self, code: MemberCode) -> Member:
        """Give status and roles of a member alone, which one call to the chain tells; of this one nothing else is asked.

        Raises:
            AccessDenied, Unavailable: As ``get``.
        """
        return self._find(self._members, code, self._read_member)

    def _find(
        self, known: dict[MemberCode, _Known[T]], code: MemberCode, read: Callable[[MemberCode], T]
    ) -> T:
        # Whoever is not among them costs no call: junk must not become load on the chain.
        if code not in self._codes.get():
            raise AccessDenied("member-unknown", f"{code} is no member of this network")
        with self._guard:
            found = known.get(code)
            if found is None:
                found = known[code] = _Known(partial(read, code), self._clock, self._stale_seconds)
        return found.get()

    def codes(self) -> frozenset[MemberCode]:
        """Give the codes of all that ever joined.

        Raises:
            Unavailable: ``chain-…``.
        """
        return self._codes.get()

    def refresh(self) -> None:
        """Read again what questions used and what is soon no longer fresh, so that none of them waits for the chain."""
        self._codes.refresh()
        with self._guard:
            used: list[_Known[Any]] = [*self._members.values(), *self._peers.values()]
        for known in used:
            known.refresh()

    def _read_codes(self) -> frozenset[MemberCode]:
        return frozenset(member.code for member in self._chain.members())

    def _read(self, code: MemberCode) -> Peer:
        chain = self._chain
        status = chain.probe()
        if status.block is None or status.block_time is None or status.state not in {"ready", "behind"}:
            raise Unavailable("chain-away", f"the chain cannot be asked about members: {status.detail}")
        member = self._read_member(code)
        exchange = chain.key_at(code, KeyKind.EXCHANGE, status.block)
        if exchange is not None and self._is_compromised(code, KeyKind.EXCHANGE, exchange, status.block):
            exchange = None
        endpoint = chain.endpoint(code)
        node_periods = chain.keys(code, KeyKind.NODE)
        past_node_keys = self._keys(code, KeyKind.NODE, node_periods, status.block)
        valid = {
            period.key for period in node_periods if period.to_block is None or status.block < period.to_block
        }
        return Peer(
            member=member,
            block=status.block,
            block_time=status.block_time,
            node_keys={kid: key for kid, key in past_node_keys.items() if key in valid},
            past_node_keys=past_node_keys,
            node_key_ends=self._ends(node_periods, status.block),
            record_keys=self._keys(code, KeyKind.RECORD, chain.keys(code, KeyKind.RECORD), status.block),
            exchange_key=None if exchange is None else chain.key_data(code, KeyKind.EXCHANGE, exchange),
            logs={kind: log for kind in LogKind if (log := self._log(code, kind)) is not None},
            address=None if endpoint is None else PeerAddress(code, endpoint.url, endpoint.tls_key),
        )

    def _read_member(self, code: MemberCode) -> Member:
        member = self._chain.member(code)
        if member is None:
            raise AccessDenied("member-unknown", f"{code} is no member of this network")
        return member

    def _keys(
        self, code: MemberCode, kind: KeyKind, periods: Sequence[KeyPeriod], block: int
    ) -> dict[str, bytes]:
        """Name the keys that were ever valid and not declared compromised."""
        return {
            key_id16(period.key): period.key
            for period in periods
            if period.from_block <= block and not self._is_compromised(code, kind, period.key, block)
        }

    def _ends(self, periods: Sequence[KeyPeriod], block: int) -> dict[str, int]:
        return {
            key_id16(period.key): self._time_of(period.to_block, block)
            for period in periods
            if period.to_block is not None and period.to_block <= block
        }

    def _time_of(self, number: int, newest: int) -> int:
        time = self._times.get(number)
        if time is None:
            time = self._chain.block_time(number)
            if newest - number >= SETTLED_BLOCKS:
                self._times[number] = time
        return time

    def _is_compromised(self, code: MemberCode, kind: KeyKind, key: bytes, block: int) -> bool:
        since = self._chain.compromised_from(code, kind, key)
        return since is not None and since <= block

    def _log(self, code: MemberCode, kind: LogKind) -> PeerLog | None:
        log_id = self._chain.last_log(code, kind.number)
        info = None if log_id is None else self._chain.log_info(log_id)
        head = None if log_id is None else self._chain.log_head(log_id)
        if info is None or head is None or info.closed:
            return None
        origin = build_origin(self._domain, code, kind.text, info.n)
        return PeerLog(origin, info.ed25519, info.ml_dsa_44_digest, head.time, head.size)

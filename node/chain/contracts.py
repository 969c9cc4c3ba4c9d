# SPDX-License-Identifier: Apache-2.0
"""What AnchorLog and MemberRegistry say, in our own values: the functions that are read and the events that are kept."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from contracts import load_artifact
from node.chain.abi import WORD_BYTES, ContractAbi
from node.chain.rpc import printable
from node.core.clock import MAX_TIME
from node.core.types import LogId, MemberCode, RootHash
from node.crypto.secp256k1 import encode_address, parse_address
from node.errors import InvalidInput, Unavailable
from node.log.anchor import Anchor
from node.ports import AnchorHead, Endpoint, KeyPeriod, LogInfo, Member, MemberStatus, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.chain.rpc import Event, Rpc
    from node.ports import KeyKind

NO_ID: Final = bytes(32)
NO_END: Final = 2**64 - 1
WINDOW_BLOCKS: Final = 1_000
"""Blocks asked of eth_getLogs at once; engines refuse more."""

_NO_ADDRESS: Final = "0x" + "0" * 40


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract of one network, read through one chain node.

    Args:
        rpc: The chain node.
        address: Of the contract, 20 bytes.
        abi: Its ABI.
    """

    rpc: Rpc
    address: bytes
    abi: ContractAbi

    def read(self, function: str, *values: Any) -> tuple[Any, ...]:
        """Call a function that changes nothing."""
        data = self.rpc.call(self.address, self.abi.encode_call(function, *values))
        return self.abi.decode_result(function, data)


@dataclass(frozen=True, slots=True)
class AnchorLog(Contract):
    """The AnchorLog contract of one network."""

    def head(self, log_id: LogId) -> AnchorHead:
        """Give the last anchor of a log that is open or was.

        Raises:
            CallReverted: No such log.
        """
        size, i, block, time, root = self.read("head", log_id)
        return AnchorHead(size, i, block, _check_time(time), RootHash(root))

    def info(self, log_id: LogId) -> LogInfo:
        """Give what is fixed about a log.

        Raises:
            CallReverted: No such log.
        """
        (fields,) = self.read("logInfo", log_id)
        member, kind, n, predecessor, successor, opened, closes_at, closed, last_good, ed25519, ml_dsa = (
            fields
        )
        return LogInfo(
            MemberCode(_parse_code(member)),
            kind,
            n,
            find_log_id(predecessor),
            find_log_id(successor),
            opened,
            _check_time(closes_at) or None,
            closed,
            last_good or None,
            ed25519,
            ml_dsa,
        )

    def fetch_anchors(self, log_id: LogId, from_i: int) -> list[tuple[Anchor, bytes]]:
        """Fetch the anchors from number ``from_i`` on, walking back from the last one.

        Every anchor names the block of the one before, so blocks between anchors are skipped, however many.

        Raises:
            CallReverted: No such log.
            Unavailable: ``chain-answer`` when the events do not follow each other without a gap, as happens while
                blocks are being replaced.
        """
        head = self.head(log_id)
        wanted, to_block = head.i, head.block
        found: list[tuple[Anchor, bytes]] = []
        while wanted >= max(from_i, 1):
            window = self._window(log_id, to_block)
            for anchor, tx_hash in reversed(window):
                if anchor.i != wanted or (found and not _follows(found[-1][0], anchor)):
                    raise _gap(log_id, wanted)
                found.append((anchor, tx_hash))
                wanted -= 1
            if not window:
                raise _gap(log_id, wanted)
            to_block = found[-1][0].prev_block
        return [pair for pair in reversed(found) if pair[0].i >= from_i]

    def _window(self, log_id: LogId, to_block: int) -> list[tuple[Anchor, bytes]]:
        events = self.rpc.events(
            self.address,
            (self.abi.topic("Anchored"), log_id),
            from_block=max(0, to_block - WINDOW_BLOCKS + 1),
            to_block=to_block,
        )
        return [(parse_anchored(self.abi, event)[1], event.tx_hash) for event in events]


@dataclass(frozen=True, slots=True)
class MemberRegistry(Contract):
    """The MemberRegistry contract of one network."""

    def members(self) -> list[Member]:
        """List all that ever joined."""
        (rows,) = self.read("members")
        return [_parse_member(row) for row in rows]

    def member(self, code: MemberCode) -> Member:
        """Give a member.

        Raises:
            CallReverted: No such member.
        """
        (row,) = self.read("member", encode_code(code))
        return _parse_member(row)

    def keys(self, code: MemberCode, kind: KeyKind) -> list[KeyPeriod]:
        """List the keys of a kind, oldest first.

        Raises:
            CallReverted: No such member.
        """
        (rows,) = self.read("keys", encode_code(code), int(kind))
        return [
            KeyPeriod(key, from_block, None if to_block == NO_END else to_block)
            for key, from_block, to_block in rows
        ]

    def endpoint(self, code: MemberCode) -> Endpoint | None:
        """Give where a member's node is reached, by its own word; None while it says nothing.

        Raises:
            CallReverted: No such member.
        """
        ((url, tls_key, _),) = self.read("endpointOf", encode_code(code))
        return Endpoint(printable(url), None if tls_key == NO_ID else tls_key) if url else None

    def key_data(
        self, code: MemberCode, kind: KeyKind, key: bytes, from_block: int, to_block: int
    ) -> bytes | None:
        """Find the public key that a digest was registered with, in blocks from_block … to_block, newest first.

        Raises:
            Unavailable: ``chain-answer`` when it is not what the digest says.
        """
        topics = (
            self.abi.topic("KeyRegistered"),
            encode_code(code).ljust(WORD_BYTES, b"\x00"),
            int(kind).to_bytes(WORD_BYTES, "big"),
            key,
        )
        while to_block >= from_block:
            first = max(from_block, to_block - WINDOW_BLOCKS + 1)
            for event in self.rpc.events(self.address, topics, from_block=first, to_block=to_block):
                data: bytes = self.abi.decode_event("KeyRegistered", event.topics, event.data)["data"]
                if sha256(data).digest() != key:
                    raise Unavailable("chain-answer", "chain node gives another key than its digest says")
                return data
            to_block = first - 1
        return None


def load_abi(name: str) -> ContractAbi:
    """Load the ABI of one of our contracts from the contracts package."""
    return ContractAbi(load_artifact(name).abi)


def encode_code(code: MemberCode) -> bytes:
    """Encode a member's code as the contracts have it: 18 ASCII bytes.

    Raises:
        InvalidInput: ``member-code`` for another shape; whether the code is a valid USCC is not looked at.
    """
    if len(code) != 18 or not code.isascii():  # noqa: PLR2004  the length of a USCC
        raise InvalidInput(
            "member-code", f"member code is malformed: got {len(code)} characters, want 18 in ASCII"
        )
    return code.encode("ascii")


def find_log_id(word: bytes) -> LogId | None:
    """Take 32 zero bytes for no log."""
    return None if word == NO_ID else LogId(word)


def parse_anchored(abi: ContractAbi, event: Event) -> tuple[LogId, Anchor]:
    """Parse an Anchored event.

    Raises:
        Unavailable: ``chain-answer`` when it is malformed.
    """
    fields = abi.decode_event("Anchored", event.topics, event.data)
    i, prev_size, prev_block, prev_time, size, root, block, time = fields["a"]
    _check_time(time)
    try:
        anchor = Anchor(i, prev_size, prev_block, prev_time, size, RootHash(root), block, time)
    except InvalidInput as error:
        raise Unavailable("chain-answer", f"chain node gives a malformed event: {error.message}") from None
    if anchor.i != fields["i"] or anchor.block != event.block:
        raise Unavailable("chain-answer", f"chain node gives an event that contradicts itself: anchor {i}")
    return LogId(fields["logId"]), anchor


def find_anchors(
    abi: ContractAbi, address: bytes, events: Sequence[Event]
) -> tuple[tuple[LogId, Anchor], ...]:
    """Pick the anchors out of a transaction's events, in order."""
    topic = abi.topic("Anchored")
    return tuple(
        parse_anchored(abi, event)
        for event in events
        if event.address == address and event.topics[:1] == (topic,)
    )


def _follows(later: Anchor, earlier: Anchor) -> bool:
    return (later.prev_size, later.prev_block, later.prev_time) == (earlier.size, earlier.block, earlier.time)


def _gap(log_id: LogId, wanted: int) -> Unavailable:
    return Unavailable(
        "chain-answer", f"chain node gives no anchor {wanted} of log {log_id.hex()[:16]}, want it to follow"
    )


def _parse_code(data: bytes) -> str:
    text = data.decode("latin-1")
    if not (text.isascii() and text.isalnum()):
        raise Unavailable(
            "chain-answer", "chain node gives a malformed member code: want letters and digits in ASCII"
        )
    return text


def _check_time(seconds: int) -> int:
    if seconds > MAX_TIME:
        raise Unavailable(
            "chain-answer", f"chain node gives a time that is in no calendar: want at most {MAX_TIME}"
        )
    return seconds


def _parse_member(row: tuple[Any, ...]) -> Member:
    code, number, status, roles, governing, operator, recovery, pending, rotation_at, since = row
    try:
        return Member(
            MemberCode(_parse_code(code)),
            number,
            MemberStatus(status),
            Role(roles),
            governing,
            _address(operator),
            _address(recovery),
            None if pending == _NO_ADDRESS else _address(pending),
            _check_time(rotation_at) or None,
            since,
        )
    except ValueError:
        raise Unavailable("chain-answer", f"chain node gives a malformed member {number}") from None


def _address(text: str) -> str:
    return encode_address(parse_address(text))

# SPDX-License-Identifier: Apache-2.0
"""The portable JSON-RPC calls, typed: what goes in is exact, what comes back is parsed by grammar.

Every method here exists on anvil, geth, Besu, GoQuorum and FISCO BCOS (docs/chain.md, What the client calls). A
call never waits for a block and never subscribes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from node.core.clock import MAX_TIME
from node.core.encoding import encode_hex
from node.core.printable import cut_line
from node.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from node.chain.transport import Transport

HASH_BYTES: Final = 32
ADDRESS_BYTES: Final = 20

_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_MAX_QUANTITY: Final = 2**64 - 1
"""What is asked for here fits 64 bits on every chain; more could not be stored."""
_MAX_MESSAGE_CHARACTERS: Final = 200
_REVERTED: Final = 3
"""JSON-RPC error code for a reverted call, with the contract's reason in ``data`` (EIP-1474 practice)."""


class RpcError(Unavailable):
    """The chain node refused a call.

    Attributes:
        rpc_code: Its JSON-RPC error code, which engines use freely.
        rpc_message: Its text, printable and cut.
        data: The bytes it added, such as a contract's reason; empty without.
    """

    rpc_code: int = 0
    rpc_message: str = ""
    data: bytes = b""


class CallReverted(Conflict):
    """The contract refused a read.

    Attributes:
        data: The contract's reason, encoded by its ABI; empty when the engine did not say.
    """

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Block:
    """The part of a block header that every engine agrees on; time in seconds."""

    number: int
    hash: bytes
    parent_hash: bytes
    time: int


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a contract, with the transaction and block it stands in."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    tx_hash: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a transaction did; ``contract`` is the address it created."""

    status: int
    block: int
    block_hash: bytes
    gas_used: int
    events: tuple[Event, ...]
    contract: bytes | None


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction as the chain node has it; ``block`` is None while it waits."""

    sender: bytes
    to: bytes | None
    gas: int
    data: bytes
    block: int | None


class Rpc:
    """The portable calls over one transport.

    Raises (every method):
        Unavailable: ``chain-away`` without an answer, ``chain-answer`` when the answer is malformed,
            ``chain-rpc`` (:class:`RpcError`) when the node refused the call.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return self._transport.place

    def close(self) -> None:
        """Release the transport's connections."""
        self._transport.close()

    def client_version(self) -> str:
        """Give what the chain node calls itself, printable and cut."""
        answer = self._call("web3_clientVersion")
        return printable(answer) if isinstance(answer, str) else self._refuse("web3_clientVersion")

    def chain_id(self) -> int:
        """Give the chain's id."""
        return self._quantity(self._call("eth_chainId"), "eth_chainId")

    def block_number(self) -> int:
        """Give the height of the newest block."""
        return self._quantity(self._call("eth_blockNumber"), "eth_blockNumber")

    def is_syncing(self) -> bool:
        """Tell whether the chain node is still catching up with its network."""
        return self._call("eth_syncing") is not False

    def find_block(self, number: int | str) -> Block | None:
        """Find a block by height or tag (``latest``, ``finalized``); None when the node has none.

        Raises:
            RpcError: Also when the engine does not know the tag.
        """
        what = "eth_getBlockByNumber"
        answer = self._call(what, _block_name(number), False)
        if answer is None:
            return None
        fields = self._object(answer, what)
        return Block(
            self._quantity(fields.get("number"), what),
            self._data(fields.get("hash"), what, length=HASH_BYTES),
            self._data(fields.get("parentHash"), what, length=HASH_BYTES),
            self._quantity(fields.get("timestamp"), what, most=MAX_TIME),
        )

    def newest_block(self) -> Block:
        """Give the newest block."""
        block = self.find_block("latest")
        return block if block is not None else self._refuse("eth_getBlockByNumber")

    def code(self, address: bytes) -> bytes:
        """Give the code of a contract; empty when there is none."""
        return self._data(self._call("eth_getCode", encode_hex(address), "latest"), "eth_getCode")

    def transaction_count(self, address: bytes, tag: str) -> int:
        """Give the number of an account's transactions, by ``latest`` or ``pending`` state."""
        what = "eth_getTransactionCount"
        return self._quantity(self._call(what, encode_hex(address), tag), what)

    def call(
        self,
        to: bytes,
        data: bytes,
        *,
        sender: bytes | None = None,
        gas: int | None = None,
        block: int | str = "latest",
    ) -> bytes:
        """Run a contract's function without a transaction and give what it returns.

        Raises:
            CallReverted: The contract refused.
        """
        return self._data(
            self._reverting("eth_call", _call_object(to, data, sender, gas), _block_name(block)), "eth_call"
        )

    def estimate_gas(self, to: bytes | None, data: bytes, *, sender: bytes) -> int:
        """Ask how much gas a transaction would use.

        Raises:
            CallReverted: The contract would refuse it.
        """
        what = "eth_estimateGas"
        return self._quantity(self._reverting(what, _call_object(to, data, sender, None)), what)

    def send(self, raw: bytes) -> bytes:
        """Hand over a signed transaction and give the hash that the node answers."""
        what = "eth_sendRawTransaction"
        return self._data(self._call(what, encode_hex(raw)), what, length=HASH_BYTES)

    def find_transaction(self, tx_hash: bytes) -> Transaction | None:
        """Find a transaction, waiting or in a block; None when the node does not know it."""
        what = "eth_getTransactionByHash"
        answer = self._call(what, encode_hex(tx_hash))
        if answer is None:
            return None
        fields = self._object(answer, what)
        to, block = fields.get("to"), fields.get("blockNumber")
        return Transaction(
            self._data(fields.get("from"), what, length=ADDRESS_BYTES),
            None if to is None else self._data(to, what, length=ADDRESS_BYTES),
            self._quantity(fields.get("gas"), what),
            self._data(fields.get("input"), what),
            None if block is None else self._quantity(block, what),
        )

    def find_receipt(self, tx_hash: bytes) -> Receipt | None:
        """Find the receipt of a transaction; None while it stands in no block that the node has."""
        what = "eth_getTransactionReceipt"
        answer = self._call(what, encode_hex(tx_hash))
        if answer is None:
            return None
        fields = self._object(answer, what)
        contract = fields.get("contractAddress")
        return Receipt(
            self._quantity(fields.get("status"), what),
            self._quantity(fields.get("blockNumber"), what),
            self._data(fields.get("blockHash"), what, length=HASH_BYTES),
            self._quantity(fields.get("gasUsed"), what),
            self._events(fields.get("logs"), what),
            None if contract is None else self._data(contract, what, length=ADDRESS_BYTES),
        )

    def events(
        self, address: bytes, topics: tuple[bytes, ...], *, from_block: int, to_block: int
    ) -> tuple[Event, ...]:
        """Give a contract's events whose first topics are ``topics``, in order; both blocks inclusive."""
        what = "eth_getLogs"
        query = {
            "address": encode_hex(address),
            "topics": [encode_hex(topic) for topic in topics],
            "fromBlock": hex(from_block),
            "toBlock": hex(to_block),
        }
        return self._events(self._call(what, query), what)

    def answers(self, method: str, *params: Any) -> bool:
        """Tell whether the chain node answers an optional call at all."""
        try:
            self._call(method, *params)
        except RpcError:
            return False
        return True

    def _call(self, method: str, *params: Any) -> Any:
        answer = self._transport.request(method, params)
        if isinstance(answer.get("error"), dict):
            raise self._error(method, answer["error"])
        if "result" not in answer:
            self._refuse(method)
        return answer["result"]

    def _reverting(self, method: str, *params: Any) -> Any:
        try:
            return self._call(method, *params)
        except RpcError as error:
            if error.rpc_code != _REVERTED and "revert" not in error.rpc_message.lower():
                raise
            reverted = CallReverted("chain-call-reverted", f"the contract refused: {error.rpc_message}")
            reverted.data = error.data
            raise reverted from None

    def _error(self, method: str, error: dict[str, Any]) -> RpcError:
        code, message = error.get("code"), error.get("message")
        text = printable(message) if isinstance(message, str) else "no reason given"
        number = code if type(code) is int else 0
        refused = RpcError("chain-rpc", f"chain node {self.place} refuses {method}: {text} ({number})")
        refused.rpc_code = number
        refused.rpc_message = text
        refused.data = _reason_bytes(error.get("data"))
        return refused

    def _refuse(self, what: str) -> NoReturn:
        raise Unavailable("chain-answer", f"chain node {self.place} gives a malformed answer to {what}")

    def _object(self, value: Any, what: str) -> dict[str, Any]:
        return value if isinstance(value, dict) else self._refuse(what)

    def _quantity(self, value: Any, what: str, *, most: int = _MAX_QUANTITY) -> int:
        if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
            self._refuse(what)
        number = int(value, 0)
        return number if number <= most else self._refuse(what)

    def _data(self, value: Any, what: str, *, length: int | None = None) -> bytes:
        if not isinstance(value, str) or not _DATA.fullmatch(value):
            self._refuse(what)
        data = bytes.fromhex(value[2:])
        return data if length is None or len(data) == length else self._refuse(what)

    def _events(self, value: Any, what: str) -> tuple[Event, ...]:
        if not isinstance(value, list):
            self._refuse(what)
        return tuple(self._event(self._object(item, what), what) for item in value)

    def _event(self, fields: dict[str, Any], what: str) -> Event:
        topics = fields.get("topics")
        if not isinstance(topics, list):
            self._refuse(what)
        return Event(
            self._data(fields.get("address"), what, length=ADDRESS_BYTES),
            tuple(self._data(topic, what, length=HASH_BYTES) for topic in topics),
            self._data(fields.get("data"), what),
            self._quantity(fields.get("blockNumber"), what),
            self._data(fields.get("transactionHash"), what, length=HASH_BYTES),
        )


def printable(text: str) -> str:
    """Make a text that a chain node chose fit for a message: one short line without control characters."""
    return cut_line(text, most_characters=_MAX_MESSAGE_CHARACTERS)


def _block_name(block: int | str) -> str:
    return hex(block) if isinstance(block, int) else block


def _call_object(to: bytes | None, data: bytes, sender: bytes | None, gas: int | None) -> dict[str, str]:
    call = {"data": encode_hex(data)}
    if to is not None:
        call["to"] = encode_hex(to)
    if sender is not None:
        call["from"] = encode_hex(sender)
    if gas is not None:
        call["gas"] = hex(gas)
    return call


def _reason_bytes(data: Any) -> bytes:
    # Engines put the reason into data itself, into data.data, or behind a word such as "Reverted 0x…".
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, str):
        return b""
    text = data[data.find("0x") :] if "0x" in data else ""
    return bytes.fromhex(text[2:]) if text and _DATA.fullmatch(text) else b""

# SPDX-License-Identifier: Apache-2.0
"""Contract calls, results, events and reasons by a contract's ABI; the coding itself is eth_abi's.

Functions and events are found by name, so the ABI must not overload any. What comes from a chain node is decoded
strictly: what does not fit its type, or is padded with anything but zeros, is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from eth_abi.codec import ABICodec
from eth_abi.decoding import BytesDecoder
from eth_abi.encoding import BytesEncoder
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.registry import BaseEquals, registry

from node.chain.rpc import printable
from node.core.encoding import encode_hex
from node.crypto.keccak import keccak256
from node.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SELECTOR_BYTES: Final = 4
WORD_BYTES: Final = 32
_ERROR: Final = keccak256(b"Error(string)")[:SELECTOR_BYTES]
_PANIC: Final = keccak256(b"Panic(uint256)")[:SELECTOR_BYTES]
_MAX_TEXT_BYTES: Final = 32

# What the reasons mean that an operator may meet; the contracts' interfaces say the same at each error.
_MEANINGS: Final = {
    "OldRootMismatch": "the consistency proof does not lead from the anchored root: rewritten history",
    "NewRootMismatch": "the consistency proof does not lead to the new root",
    "WrongProofLength": "the consistency proof has too few or too many hashes",
    "SizeNotGrown": "the log is not larger than at its last anchor",
    "NotAuthorised": "this account is not the operator key of the active member that owns the log",
    "LogIsClosed": "the log is closed; it goes on under a successor",
    "LogKeysMissing": "the log's two public keys are not registered",
    "WrongSuccession": "number and predecessor do not continue the member's logs of this kind",
    "PredecessorOpen": "the log before is still open",
    "UnknownLog": "no such log is open on this chain",
    "MalformedEndpoint": "want https with a key, or http with a loopback host, a port and no key; no path",
    "MalformedKind": "want 1 to 32 characters of a-z, 0-9 and hyphen",
    "MalformedName": "want 1 to 64 characters of a-z, 0-9, dot, colon and hyphen",
    "WrongVersion": "the document has another last version; another vote overtook this one",
    "NothingToWithdraw": "there is no such document to withdraw",
    "UnknownProposal": "no such proposal",
    "ProposalClosed": "the proposal was carried out or has expired",
    "AlreadyVoted": "this member has voted for it already",
    "KeyInUse": "this key is registered already: one key, one purpose, one member",
}


@dataclass(frozen=True, slots=True)
class _Item:
    """A function, event or error: its name, selector or topic, and its arguments' names and types."""

    name: str
    hash: bytes
    names: tuple[str, ...]
    types: tuple[str, ...]
    results: tuple[str, ...]
    indexed: tuple[bool, ...]


class _ExactBytesEncoder(BytesEncoder):
    """Refuses fixed bytes that are too short, which eth_abi would fill up with zeros into another value."""

    def validate_value(self, value: Any) -> None:
        super().validate_value(value)  # type: ignore[no-untyped-call]  # eth_abi is typed in part
        if len(value) * 8 != self.value_bit_size:
            self.invalidate_value(value, msg="has the wrong length")


def _build_codec() -> ABICodec:
    exact = registry.copy()  # type: ignore[no-untyped-call]  # eth_abi is typed in part
    exact.unregister("bytes<M>")
    fixed = BaseEquals("bytes", with_sub=True)  # type: ignore[no-untyped-call]  # eth_abi is typed in part
    exact.register(fixed, _ExactBytesEncoder, BytesDecoder, label="bytes<M>")
    return ABICodec(exact)


_CODEC: Final = _build_codec()


class ContractAbi:
    """A contract's functions, events and errors.

    Args:
        abi: The JSON ABI, from the contracts package.
    """

    def __init__(self, abi: Sequence[Mapping[str, Any]]) -> None:
        self._functions = {item.name: item for item in _items(abi, "function")}
        self._events = {item.name: item for item in _items(abi, "event")}
        self._errors = {item.hash[:SELECTOR_BYTES]: item for item in _items(abi, "error")}
        self._constructor = next(
            (_types(entry["inputs"]) for entry in abi if entry["type"] == "constructor"), ()
        )

    def encode_call(self, function: str, *values: Any) -> bytes:
        """Encode a call of a function.

        Raises:
            InvalidInput: ``chain-call`` when a value does not fit its type.
        """
        item = self._functions[function]
        return item.hash[:SELECTOR_BYTES] + _encode(function, item.types, values)

    def encode_constructor(self, *values: Any) -> bytes:
        """Encode what follows the creation code.

        Raises:
            InvalidInput: ``chain-call`` when a value does not fit its type.
        """
        return _encode("constructor", self._constructor, values)

    def decode_result(self, function: str, data: bytes) -> tuple[Any, ...]:
        """Decode what a function returned.

        Raises:
            Unavailable: ``chain-answer`` when it is not of the function's types.
        """
        return _decode(function, self._functions[function].results, data)

    def topic(self, event: str) -> bytes:
        """Give the first topic of an event, by which it is searched."""
        return self._events[event].hash

    def decode_event(self, event: str, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
        """Decode an event into its arguments by name.

        Args:
            event: Its name.
            topics: Its topics, the first being :meth:`topic`; indexed arguments must be of one word.
            data: Its data.

        Raises:
            Unavailable: ``chain-answer`` when it is not of the event's types.
        """
        item = self._events[event]
        if not topics or topics[0] != item.hash or len(topics) != 1 + sum(item.indexed):
            raise Unavailable("chain-answer", f"chain node gives a malformed event {event}")
        plain = [kind for kind, indexed in zip(item.types, item.indexed, strict=True) if not indexed]
        values = iter(_decode(event, tuple(plain), data))
        words = iter(topics[1:])
        return {
            name: _decode(event, (kind,), next(words))[0] if indexed else next(values)
            for name, kind, indexed in zip(item.names, item.types, item.indexed, strict=True)
        }

    def find_error(self, data: bytes) -> str | None:
        """Name the error of this contract that a reason is; None when it is none of its errors."""
        item = self._errors.get(data[:SELECTOR_BYTES])
        return item.name if item else None

    def describe_reason(self, data: bytes) -> str:
        """Put a contract's reason into words: name, arguments, meaning; never fails."""
        selector, values = data[:SELECTOR_BYTES], data[SELECTOR_BYTES:]
        try:
            if selector == _ERROR:
                return printable(str(_decode("Error", ("string",), values)[0]))
            if selector == _PANIC:
                return f"Panic(0x{_decode('Panic', ('uint256',), values)[0]:02x})"
            item = self._errors.get(selector)
            if item is not None:
                return _describe(item, _decode(item.name, item.types, values))
        except Unavailable:
            pass
        return f"unknown reason {encode_hex(data[:WORD_BYTES])}" if data else "no reason given"


def _describe(item: _Item, values: tuple[Any, ...]) -> str:
    arguments = ", ".join(
        f"{name}={_plain(value)}" if name else _plain(value)
        for name, value in zip(item.names, values, strict=True)
    )
    meaning = _MEANINGS.get(item.name)
    return f"{item.name}({arguments})" + (f": {meaning}" if meaning else "")


def _plain(value: Any) -> str:
    if not isinstance(value, bytes):
        return printable(str(value))
    text = value.rstrip(b"\x00")
    # Codes of members are ASCII in a bytes18; hashes are not.
    if text and len(value) < _MAX_TEXT_BYTES and text.isalnum():
        return text.decode("ascii")
    return encode_hex(value)


def _items(abi: Sequence[Mapping[str, Any]], kind: str) -> list[_Item]:
    items = []
    for entry in abi:
        if entry["type"] != kind:
            continue
        types = _types(entry["inputs"])
        items.append(
            _Item(
                entry["name"],
                keccak256(f"{entry['name']}({','.join(types)})".encode()),
                tuple(argument["name"] for argument in entry["inputs"]),
                types,
                _types(entry.get("outputs", ())),
                tuple(argument.get("indexed", False) for argument in entry["inputs"]),
            )
        )
    assert len({item.name for item in items}) == len(items), "the ABI overloads a name"
    return items


def _types(arguments: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(_type(argument) for argument in arguments)


def _type(argument: Mapping[str, Any]) -> str:
    kind: str = argument["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_types(argument['components']))}){kind[len('tuple') :]}"


def encode_values(types: tuple[str, ...], *values: Any) -> bytes:
    """Encode values as ``abi.encode`` does, for calls that carry others inside.

    Raises:
        InvalidInput: ``chain-call``.
    """
    return _encode("values", types, values)


def decode_values(types: tuple[str, ...], data: bytes) -> tuple[Any, ...]:
    """Decode what :func:`encode_values` encoded.

    Raises:
        Unavailable: ``chain-answer`` when it is something else.
    """
    return _decode("payload", types, data)


def _encode(what: str, types: tuple[str, ...], values: Sequence[Any]) -> bytes:
    try:
        return _CODEC.encode(types, values)
    except (EncodingError, ValueError, TypeError):
        raise InvalidInput("chain-call", f"values do not fit {what}: want ({', '.join(types)})") from None


def _decode(what: str, types: tuple[str, ...], data: bytes) -> tuple[Any, ...]:
    try:
        return _CODEC.decode(types, data)
    except (DecodingError, ValueError, OverflowError):
        raise Unavailable(
            "chain-answer", f"chain node gives a malformed {what}: got {len(data)} bytes"
        ) from None

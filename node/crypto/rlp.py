# SPDX-License-Identifier: Apache-2.0
"""Encoder of recursive length prefix data, as Ethereum transactions need it (Yellow Paper, appendix B)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

RlpItem: TypeAlias = "bytes | int | Sequence[RlpItem]"

_STRING = 0x80
_LIST = 0xC0
_SHORT_BYTES = 55


def encode_rlp(item: RlpItem) -> bytes:
    """Encode bytes, an unsigned integer (big endian without leading zeros) or a sequence of items.

    Raises:
        InvalidInput: ``rlp-integer`` for a negative integer.
    """
    if isinstance(item, int):
        if item < 0:
            raise InvalidInput("rlp-integer", "integer has no RLP form: got a negative number")
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < _STRING else _prefix(_STRING, len(item)) + item
    payload = b"".join(encode_rlp(each) for each in item)
    return _prefix(_LIST, len(payload)) + payload


def _prefix(offset: int, length: int) -> bytes:
    if length <= _SHORT_BYTES:
        return bytes([offset + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + _SHORT_BYTES + len(size)]) + size

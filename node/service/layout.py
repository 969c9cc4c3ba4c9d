# SPDX-License-Identifier: Apache-2.0
"""Where everything lies in the store: keys, rows and streams (docs/storage.md prints the same table).

All integers in keys are big-endian, so that a scan runs in order. ``L`` is one byte naming the kind of log. Logs
follow each other by succession: eight bytes that count within a log hold the log's number n above 48 bits of count (a
*place*), so that the first log of a kind has plain indices.

    key                                value
    L: t L level(1) tile(8)            hashes of one tile, 32 bytes each
       N L level(1) tile(8)            the 16 inner nodes of a full tile, 32 bytes each; a store may lack them
       e L first index(8)              rows of consecutive entries, ROW_BYTES each
       y L [n(2)]                      vkeys of the log's checkpoints, one a line; n is left out where it is 0
       z L [n(2)]                      size(8): entries in the log (sequenced and integrated)
       n L                             number(2) of the open log; absent while it is the first
       O L                             empty: this store had the chain open the first log of the kind
       U L n(2)                        second(8) of chain time at which log n was opened
       m L place(8)                    place(8) of the same entry in the log that took it over
       M L                             msgpack: what a succession has still to take over
       c L size(8)                     signed note of a published checkpoint
       a L i(8)                        msgpack of one accepted anchor
    r: l leaf hash[:16]                place(8)
       i identity digest(16)           place(8) + content digest(16)
       s subject digest(16) place(8)   empty
       o place(8)                      msgpack of the status history of one record
       v kind(2)                       vct text
       x place(8)                      msgpack of the erasure of a record (node.service.erasing)
       X place(8)                      msgpack of what of it still has to be purged from the disk
    status:
       k list(4)                       the list, two bits an entry
       u list(4)                       bitmap of the entries in use
       D list(4)                       empty: changed since the last status head
       h list(4) seq(8)                digest of the token of that list from that head on
       d digest(32)                    token text
       H seq(8)                        msgpack [place in the records logs, number of lists]
       G seq(8)                        empty: numbers of heads before it were passed over, a lost store may have used them
    receipts: A member(18)             pair(8): number of the last receipt for that member
              B                        pair(8) behind which the receipts for a member that has none yet begin
              P                        pairs(8) that were passed over, because a lost store may have used them
              R place(8)               member(18) pair(8): whom the receipt of an event is for, and its number
    gossip: g log id(32)               msgpack of the newest checkpoint of another member's log, and of those to check
            F log id(32)               msgpack of the proof that it forked
    exchanges: E and a letter          node.service.exchange.ledger, node.service.exchange.approvals
    sealed looks: S and a letter       node.service.sealing, node.service.boxes
    rates, consents: T, C and a letter node.service.limiting, node.service.consents, node.service.exchange.revoking
    looks: Y and a letter      node.service.subject_index
    documents: Wd digest(32)           a shared document
               Wv kind 0 name 0 n(4)   msgpack of its n-th version, as the chain had it last
    jobs: j id(16) · J id(16) row(8) · chain: q, w demands on own logs · keys: K what tells wrapping and index key from others
    secrets database: L place(8)       wrapped secret, 60 bytes
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import Final

ROW: Final = struct.Struct(">16sQHQIIIHB")
ROW_BYTES: Final = ROW.size
_U32: Final = struct.Struct(">I")
_U64: Final = struct.Struct(">Q")
_KIND: Final = struct.Struct(">H")
MEMBER_BYTES: Final = 18
NO_LIST: Final = 0xFFFFFFFF
NUMBER_SHIFT: Final = 48
INDEX_MASK: Final = (1 << NUMBER_SHIFT) - 1
MAX_NUMBER: Final = 0xFFFF
DISCLOSURES: Final = ("", "open", "shared", "authorised")


class LogKind(Enum):
    """The two logs of a node; the value is the byte that names it in keys."""

    RECORDS = b"r"
    ACCESS = b"a"

    # Members are singletons. Enum hashes their names, in Python, at every look into a dictionary.
    __hash__ = object.__hash__

    @property
    def text(self) -> str:
        """The word that stands in origins, paths and reports."""
        return "records" if self is LogKind.RECORDS else "access"

    @property
    def number(self) -> int:
        """The ``kind`` that AnchorLog uses (protocol section 3): 1 records, 2 access."""
        return 1 if self is LogKind.RECORDS else 2


def log_kind(text: str) -> LogKind | None:
    """Find the log named ``records`` or ``access``."""
    return {"records": LogKind.RECORDS, "access": LogKind.ACCESS}.get(text)


@dataclass(frozen=True, slots=True)
class Row:
    """What the node keeps in the open about one entry.

    Attributes:
        key: 16 bytes that name the secret's owner: ``jti`` of a record, ``rid`` of an event, zero otherwise.
        entry_offset: Byte offset of the entry itself (behind its length prefix) in the entries stream.
        entry_length: Bytes of the entry, at most 65,535.
        values_offset: Byte offset of the sealed values in the values stream.
        values_length: Bytes of positions and sealed values; 0 when the entry has none.
        status_list: Number of the status list; NO_LIST when the entry has no status.
        status_index: Place in that list.
        kind: Number of the catalogue item (key ``v``); 0 for entries that are no records.
        disclosure: Place of the record's disclosure class in DISCLOSURES; 0 for entries that are no records.
        number: Succession number of the log that the entry is in; not stored with it.
    """

    key: bytes
    entry_offset: int
    entry_length: int
    values_offset: int
    values_length: int
    status_list: int
    status_index: int
    kind: int
    disclosure: int
    number: int = 0


def parse_row(block: bytes, at: int, number: int = 0) -> Row:
    """Read row ``at`` of a block of rows of log number ``number``."""
    return Row(*(*ROW.unpack_from(block, at * ROW_BYTES), number))


def place_of(number: int, index: int) -> int:
    """Name entry ``index`` of log ``number`` among the entries of all logs of its kind."""
    return number << NUMBER_SHIFT | index


def split_place(place: int) -> tuple[int, int]:
    """Give the number of the log and the index that a place stands for."""
    return place >> NUMBER_SHIFT, place & INDEX_MASK


def entries_stream(log: LogKind, number: int) -> str:
    """Name the stream that holds the entries of a log as C2SP bundles back to back."""
    return f"{log.text}.{number}/entries"


def values_stream(log: LogKind, number: int) -> str:
    """Name the stream that holds the sealed values of a log's entries."""
    return f"{log.text}.{number}/values"


def u64(number: int) -> bytes:
    """Encode 8 bytes big-endian."""
    return _U64.pack(number)


def parse_u64(data: bytes) -> int:
    """Decode 8 bytes big-endian."""
    return int(_U64.unpack(data)[0])


def tile_key(log: LogKind, level: int, index: int, number: int = 0) -> bytes:
    """Key of a tile."""
    return b"t" + log.value + bytes((level,)) + _U64.pack(number << NUMBER_SHIFT | index)


def inner_key(log: LogKind, level: int, index: int, number: int = 0) -> bytes:
    """Key of the inner nodes of a full tile."""
    return b"N" + log.value + bytes((level,)) + _U64.pack(number << NUMBER_SHIFT | index)


def rows_key(log: LogKind, first_index: int, number: int = 0) -> bytes:
    """Key of a block of rows."""
    return b"e" + log.value + _U64.pack(number << NUMBER_SHIFT | first_index)


def size_key(log: LogKind, number: int = 0) -> bytes:
    """Key of a log's size."""
    return b"z" + log.value + (_KIND.pack(number) if number else b"")


def checkpoint_key(log: LogKind, size: int, number: int = 0) -> bytes:
    """Key of a published checkpoint."""
    return b"c" + log.value + _U64.pack(number << NUMBER_SHIFT | size)


def anchor_key(log: LogKind, i: int, number: int = 0) -> bytes:
    """Key of an accepted anchor."""
    return b"a" + log.value + _U64.pack(number << NUMBER_SHIFT | i)


def leaf_key(leaf: bytes) -> bytes:
    """Key of the place of a records-log entry by leaf hash."""
    return b"l" + leaf[:16]


def vkeys_key(log: LogKind, number: int = 0) -> bytes:
    """Key of the vkeys that check a log's checkpoints, one a line."""
    return b"y" + log.value + (_KIND.pack(number) if number else b"")


def number_key(log: LogKind) -> bytes:
    """Key of the number of the open log of a kind."""
    return b"n" + log.value


def encode_number(number: int) -> bytes:
    """Encode the value of a number key."""
    return _KIND.pack(number)


def parse_number(data: bytes | None) -> int:
    """Decode the value of a number key; the first log has none."""
    return int(_KIND.unpack(data)[0]) if data else 0


def opened_key(log: LogKind) -> bytes:
    """Key that says that this store had the chain open the first log of a kind."""
    return b"O" + log.value


def opened_at_key(log: LogKind, number: int) -> bytes:
    """Key of the chain time at which a log was opened: from then on it has to be anchored."""
    return b"U" + log.value + _KIND.pack(number)


def moved_key(log: LogKind, place: int) -> bytes:
    """Key of where the entry at a place stands again, in a later log."""
    return b"m" + log.value + _U64.pack(place)


def taking_over_key(log: LogKind) -> bytes:
    """Key of what the open log has still to take over from the one before."""
    return b"M" + log.value


def last_of(prefix: bytes, number: int) -> bytes:
    """Give the first key behind those of log ``number`` that count within a log under a prefix."""
    return stop_of(prefix) if number == MAX_NUMBER else prefix + _U64.pack((number + 1) << NUMBER_SHIFT)


def identity_key(digest: bytes) -> bytes:
    """Key of the record with one identity."""
    return b"i" + digest


def subject_key(digest: bytes, place: int | None = None) -> bytes:
    """Key (or, without place, key prefix) of the records about one subject."""
    return b"s" + digest + (b"" if place is None else _U64.pack(place))


def history_key(place: int) -> bytes:
    """Key of the status history of a record."""
    return b"o" + _U64.pack(place)


def erasure_key(place: int) -> bytes:
    """Key of the erasure of a record."""
    return b"x" + _U64.pack(place)


def purge_key(place: int) -> bytes:
    """Key of what has still to be purged from the disk after an erasure."""
    return b"X" + _U64.pack(place)


def passed_heads_key(seq: int) -> bytes:
    """Key that says that the numbers of status heads before this one were passed over."""
    return b"G" + _U64.pack(seq)


def kind_key(kind: int) -> bytes:
    """Key of the vct that a kind number stands for."""
    return b"v" + _KIND.pack(kind)


def status_list_key(number: int) -> bytes:
    """Key of a status list."""
    return b"k" + _U32.pack(number)


def status_used_key(number: int) -> bytes:
    """Key of the bitmap of used entries of a status list."""
    return b"u" + _U32.pack(number)


def status_dirty_key(number: int) -> bytes:
    """Key that marks a status list as changed since the last head."""
    return b"D" + _U32.pack(number)


def token_digest_key(number: int, seq: int) -> bytes:
    """Key of the digest of a list's token from status head ``seq`` on."""
    return b"h" + _U32.pack(number) + _U64.pack(seq)


def token_key(digest: bytes) -> bytes:
    """Key of a status list token."""
    return b"d" + digest


def status_head_key(seq: int) -> bytes:
    """Key of a status head."""
    return b"H" + _U64.pack(seq)


def receipt_key(place: int) -> bytes:
    """Key of what the receipt of an event says beside the event."""
    return b"R" + _U64.pack(place)


def encode_receipt(aud: str, pair: int) -> bytes:
    """Encode whom a receipt is for, and its number; the rest of it stands in its event."""
    return aud.encode("ascii") + _U64.pack(pair)


def parse_receipt(data: bytes) -> tuple[str, int]:
    """Decode what ``encode_receipt`` gave."""
    return data[:MEMBER_BYTES].decode("ascii"), parse_u64(data[MEMBER_BYTES:])


def gossip_key(log_id: bytes) -> bytes:
    """Key of what is kept of another member's log."""
    return b"g" + log_id


def fork_key(log_id: bytes) -> bytes:
    """Key of the proof that another member's log forked."""
    return b"F" + log_id


def job_key(job_id: bytes) -> bytes:
    """Key of an import job."""
    return b"j" + job_id


def refusals_key(job_id: bytes, first_row: int) -> bytes:
    """Key of the refused rows of one chunk of an import."""
    return b"J" + job_id + _U64.pack(first_row)


def secret_key(log: LogKind, place: int) -> bytes:
    """Key, in the secrets database, of an entry's wrapped secret."""
    return log.value + _U64.pack(place)


def u32(data: bytes) -> int:
    """Decode 4 bytes big-endian."""
    return int(_U32.unpack(data)[0])


def document_key(digest: bytes) -> bytes:
    """Key of a shared document by its SHA-256."""
    return DOCUMENT_PREFIX + digest


def document_version_key(kind: str, name: str, number: int) -> bytes:
    """Key of a version of a shared document; kinds and names have no zero byte."""
    return DOCUMENT_VERSION_PREFIX + b"\x00".join((kind.encode(), name.encode(), _U32.pack(number)))


DOCUMENT_PREFIX: Final = b"Wd"
DOCUMENT_VERSION_PREFIX: Final = b"Wv"
PENDING_TRANSACTION_KEY: Final = b"q"
DEMANDS_KEY: Final = b"w"
KEY_CHECK_KEY: Final = b"K"
PAIR_KEY: Final = b"A"
PAIR_BASE_KEY: Final = b"B"
PASSED_PAIRS_KEY: Final = b"P"


def stop_of(prefix: bytes) -> bytes:
    """Give the first key after all keys that start with ``prefix`` (not all of its bytes 0xff)."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,))

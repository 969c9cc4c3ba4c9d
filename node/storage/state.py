# SPDX-License-Identifier: Apache-2.0
"""The store's own keys: who it belongs to, what is committed, which secret changes are under way.

Pure encoding and decision; docs/storage.md has the table of journal positions that :func:`decide_journal` follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgpack

from node.core.printable import cut_line
from node.errors import Conflict, Fatal, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMAT = 3
"""Version of the layout that this code writes; docs/storage.md says what each one changed."""

STORE_KEY = b"\x00store"
"""In both databases: format and identity."""

STATE_KEY = b"\x00state"
"""In the main database: what is committed."""

JOURNAL_KEY = b"\x00journal"
"""In the database of secrets: the newest secret changes."""

FIRST_KEY = b"\x01"
"""Least key of callers."""

SECRET_PREFIX = b"s"
"""First byte of every caller's key in the database of secrets."""

MAX_IDENTITY_BYTES = 200
"""Longest identity."""


@dataclass(frozen=True, slots=True)
class State:
    """What is committed.

    Attributes:
        seq: Number of the last commit; 0 before the first.
        secrets_seq: Number of the last commit that changed secrets; 0 before the first.
        lengths: Committed length of every stream in bytes.
    """

    seq: int
    secrets_seq: int
    lengths: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Journal:
    """Secret changes of one commit.

    Attributes:
        seq: Number of that commit.
        changes: (key, value) put or (key, None) deleted, in order.
    """

    seq: int
    changes: Sequence[tuple[bytes, bytes | None]]


def check_identity(identity: bytes) -> None:
    """Check that ``identity`` is 1 to 200 bytes.

    Raises:
        InvalidInput: ``store-identity``.
    """
    if not 0 < len(identity) <= MAX_IDENTITY_BYTES:
        raise InvalidInput(
            "store-identity",
            f"unusable node identity: got {len(identity)} bytes, want 1 to {MAX_IDENTITY_BYTES}",
        )


def encode_owner(identity: bytes) -> bytes:
    """Return the value of the store key."""
    return _pack([FORMAT, identity])


def check_owner(value: bytes, identity: bytes) -> int:
    """Check that a store was made by this format or an older one, and for this node; give its format.

    Raises:
        Conflict: ``store-format-newer`` or ``store-other-node``.
        Fatal: ``store-corrupt``.
    """
    owner = _unpack(value, "format record")
    if not isinstance(owner, list) or not owner or type(owner[0]) is not int or owner[0] < 1:
        raise _corrupt("format record")
    if owner[0] > FORMAT:
        raise format_newer(owner[0])
    if len(owner) != 2 or not isinstance(owner[1], bytes):  # noqa: PLR2004  # format and identity
        raise _corrupt("format record")
    if owner[1] != identity:
        raise Conflict(
            "store-other-node",
            f"the store belongs to another node: got {_show(owner[1])}, want {_show(identity)}",
        )
    return owner[0]


def format_newer(found: int) -> Conflict:
    """Build the refusal of a store that a newer release wrote."""
    return Conflict(
        "store-format-newer",
        f"the store was written by a newer release: got format {found}, want at most {FORMAT}; nothing was changed. "
        "Run that release or a newer one, or restore a backup made before the upgrade",
    )


def encode_state(state: State) -> bytes:
    """Return the value of the state key."""
    return _pack([state.seq, state.secrets_seq, dict(state.lengths)])


def parse_state(value: bytes) -> State:
    """Read the value of the state key.

    Raises:
        Fatal: ``store-corrupt``.
    """
    match _unpack(value, "state"):
        case [int(seq), int(secrets_seq), dict(lengths)] if 0 <= secrets_seq <= seq:
            if all(
                isinstance(name, str) and type(length) is int and length >= 0
                for name, length in lengths.items()
            ):
                return State(seq, secrets_seq, lengths)
    raise _corrupt("state")


def encode_journal(journal: Journal) -> bytes:
    """Return the value of the journal key."""
    return _pack([journal.seq, journal.changes])


def parse_journal(value: bytes) -> Journal:
    """Read the value of the journal key.

    Raises:
        Fatal: ``store-corrupt``.
    """
    match _unpack(value, "journal"):
        case [int(seq), list(changes)] if all(_is_change(change) for change in changes):
            return Journal(seq, [(key, value) for key, value in changes])
    raise _corrupt("journal")


def decide_journal(state: State, journal: Journal | None) -> Sequence[tuple[bytes, bytes | None]]:
    """Return the changes that have to be applied (again) on opening; none when the entry is to be discarded.

    Raises:
        Fatal: ``store-main-behind`` or ``store-secrets-behind`` when one database is older than the other.
    """
    seq = 0 if journal is None else journal.seq
    if seq > state.seq + 1:
        raise Fatal(
            "store-main-behind",
            f"the main database is older than that of the secrets: got commit {state.seq}, want at least {seq - 1}",
        )
    if seq < state.secrets_seq or state.secrets_seq < seq <= state.seq:
        raise Fatal(
            "store-secrets-behind",
            f"the database of secrets is not of this store's age: got commit {seq}, want {state.secrets_seq}",
        )
    return journal.changes if journal is not None and seq == state.secrets_seq else ()


def applied(changes: Sequence[tuple[bytes, bytes | None]]) -> list[tuple[bytes, bytes | None]]:
    """Return what secret changes are in terms of the database of secrets."""
    return [(SECRET_PREFIX + key, value) for key, value in changes]


def _is_change(change: object) -> bool:
    match change:
        case [bytes(), bytes() | None]:
            return True
    return False


def _pack(value: object) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def _unpack(value: bytes, what: str) -> Any:
    try:
        return msgpack.unpackb(value, raw=False, strict_map_key=True)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise _corrupt(what) from error


def _corrupt(what: str) -> Fatal:
    return Fatal("store-corrupt", f"the store's {what} is unreadable")


def _show(identity: bytes) -> str:
    return cut_line(identity.decode("ascii", "backslashreplace"), most_characters=MAX_IDENTITY_BYTES)

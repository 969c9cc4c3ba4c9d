# SPDX-License-Identifier: Apache-2.0
"""Members and their keys as the registry on the chain has them (protocol section 1; docs/chain.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.core.types import MemberCode


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
class Endpoint:
    """Where a member's node is reached, by its own word.

    Attributes:
        url: ``https://host[:port]``, or ``http://`` with a loopback host and a port.
        tls_key: SHA-256 of the SubjectPublicKeyInfo (DER) of its TLS certificate, 32 bytes; None for plain HTTP.
    """

    url: str
    tls_key: bytes | None

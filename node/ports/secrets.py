# SPDX-License-Identifier: Apache-2.0
"""Where the wrapping key is: in a process of its own, a token, or, for a check of a stopped node, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class SecretKeeper(Protocol):
    """Wraps the secrets of records and events, and unwraps them under a count; the wrapping key does not come out.

    A secret is 32 bytes; its name is the record's ``jti`` or the event's ``rid`` as text, to which it is bound. Every
    method raises ``Unavailable`` while the key cannot be reached.
    """

    @property
    def unwraps(self) -> int | None:
        """How many secrets have come out since there is this key, as last heard of; None where nobody counts.

        It never goes back. After the machine stopped without warning it may be a little too large, never too small.
        """
        ...

    def wrap(self, secret: bytes, name: str) -> bytes:
        """Wrap a secret."""
        ...

    def wrap_all(self, secrets: Sequence[bytes], names: Sequence[str]) -> list[bytes]:
        """Wrap many secrets."""
        ...

    def unwrap(self, wrapped: bytes, name: str) -> bytes:
        """Give a secret out, and count it. For ``node.service.vault`` alone.

        Raises:
            InvalidInput: ``wrap-length``, ``wrap-jti``.
            Verification: ``wrap-tag``.
        """
        ...

    def history_key(self, wrapped: bytes, name: str) -> bytes:
        """Derive the key of the grounds of a record's status changes, 32 bytes, which opens no value and no salt.

        Raises:
            InvalidInput, Verification: As for ``unwrap``.
        """
        ...

    def check_sealed(self, wrapped: bytes, name: str, sealed: bytes) -> None:
        """Check that sealed values open under a wrapped secret; neither comes out.

        Raises:
            InvalidInput, Verification: As for ``unwrap``; ``values-seal``.
        """
        ...

    def raise_to(self, count: int) -> None:
        """Count on from at least a number: the last one that this node has said."""
        ...

    def key_check(self) -> bytes:
        """Give half of a digest of the wrapping key, 16 bytes, by which it is told from others."""
        ...

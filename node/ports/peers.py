# SPDX-License-Identifier: Apache-2.0
"""Other members' nodes: where they are reached, and what carries an envelope there and its answer back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Future

    from node.core.types import MemberCode


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a member's node is reached.

    Attributes:
        member: Whose node it is.
        url: ``https://host[:port]``; ``http://`` only for one on this machine, where the settings allow it.
        pin: SHA-256 of the SubjectPublicKeyInfo (DER) of the server's TLS certificate; None for plain HTTP alone.
    """

    member: MemberCode
    url: str
    pin: bytes | None


class Peers(Protocol):
    """Carries messages to other nodes; safe to use from any thread."""

    def send(self, address: PeerAddress, body: bytes) -> Future[bytes]:
        """Send a body to a peer's exchange route and give the body of its answer.

        The same bytes may arrive there more than once.

        Args:
            address: From the chain's member registry.
            body: An encoded envelope.

        Returns:
            Done at the latest when the whole time of a message is over. It raises

            Unavailable: ``peer-away``, ``peer-slow``, ``peer-busy``, ``peer-answer``, ``stopping``.
            AccessDenied: ``peer-certificate``: it shows another TLS key than the chain names; nothing was sent.
            InvalidInput: ``peer-address``.
            Conflict: ``peer-refused``: it took no notice of the message; the code that it gave is in the text.
        """
        ...

    def deposit(self, address: PeerAddress, body: bytes) -> Future[bytes]:
        """Send a body to a regulator's deposit route and give the body of its answer; all else as ``send``."""
        ...

    def revoke(self, address: PeerAddress, body: bytes) -> Future[bytes]:
        """Send a body to a provider's revocation route and give the body of its answer; all else as ``send``."""
        ...

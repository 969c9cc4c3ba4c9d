# SPDX-License-Identifier: Apache-2.0
"""Shared documents: which of them hold, by digest, and where their bytes come from (docs/protocol/documents.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.core.types import MemberCode
    from node.ports.chain import SignedTransaction


@dataclass(frozen=True, slots=True, order=True)
class DocumentVersion:
    """A version of a shared document as DocumentRegistry has it.

    Attributes:
        kind: What it is: ``item``, ``catalogue``, ``purposes``, …
        name: Which one of that kind.
        version: 1, 2, 3 … within kind and name.
        digest: SHA-256 of the document, 32 bytes; None where this version withdraws it.
        since_block: First block in which it holds.
        decided_block: Block of the deciding vote.
        proposal: Number of the proposal that passed.
    """

    kind: str
    name: str
    version: int
    digest: bytes | None
    since_block: int
    decided_block: int
    proposal: int


@dataclass(frozen=True, slots=True)
class DocumentDraft:
    """What a vote about a shared document is to put.

    Attributes:
        kind: As in DocumentVersion.
        name: As in DocumentVersion.
        version: One more than the document's last.
        digest: SHA-256 of the document, 32 bytes; None withdraws it.
        from_block: First block in which it is to hold, 0 for the block of the decision.
    """

    kind: str
    name: str
    version: int
    digest: bytes | None
    from_block: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal of the governing members as it stands.

    Attributes:
        id: 1, 2, 3 … of all proposals, whatever they are about.
        proposer: Number of the member that made it.
        executed: Whether it passed and was carried out.
        expires_at: Chain time in seconds from which no vote counts any more.
        votes: Votes that count now.
        needed: Votes that are needed now.
        document: What it puts, or None when it is about something else than a shared document.
    """

    id: int
    proposer: int
    executed: bool
    expires_at: int
    votes: int
    needed: int
    document: DocumentDraft | None


class DocumentChain(Protocol):
    """DocumentRegistry as one member's node sees and uses it; errors as in ``AnchorChain``.

    Raises (every method):
        Conflict: ``contracts-older``: the network was deployed without a DocumentRegistry.
    """

    def document_versions(self) -> list[DocumentVersion]:
        """List all versions of all documents: documents in order of their first version, each from its first on."""
        ...

    def open_proposals(self) -> list[Proposal]:
        """List the proposals that can still be voted on, about whatever, oldest first."""
        ...

    def find_proposal(self, proposal: int) -> Proposal | None:
        """Find a proposal, whatever became of it."""
        ...

    def sign_propose_document(self, draft: DocumentDraft, nonce: int) -> SignedTransaction:
        """Sign a proposal, with own vote, to put a version of a document."""
        ...

    def sign_vote(self, proposal: int, nonce: int) -> SignedTransaction:
        """Sign own vote for a proposal."""
        ...


class DocumentSource(Protocol):
    """Other members' nodes as places to get a document from; safe to use from any thread."""

    def holders(self) -> Sequence[MemberCode]:
        """List the members to ask, in the order in which they should be.

        Raises:
            Unavailable: ``chain-…``.
        """
        ...

    def fetch_document(self, member: MemberCode, digest: bytes, *, most_bytes: int) -> bytes:
        """Fetch the bytes that a member's node gives for a digest; whether they are the right ones is not looked at.

        Raises:
            NodeError: It gives none, too many, or is away.
        """
        ...

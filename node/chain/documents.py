# SPDX-License-Identifier: Apache-2.0
"""What DocumentRegistry says, and what a vote about a document carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.chain.abi import decode_values, encode_values
from node.chain.contracts import NO_ID, Contract
from node.crypto.secp256k1 import encode_address, parse_address
from node.errors import InvalidInput, Unavailable
from node.ports import DocumentDraft, DocumentVersion, Proposal

if TYPE_CHECKING:
    from node.chain.contracts import MemberRegistry

RESOLVE: Final = 8
"""Number of IMemberRegistry.Action.Resolve."""
PAGE_DOCUMENTS: Final = 50
"""Documents asked for in one call."""
MAX_DOCUMENTS: Final = 10_000
"""More than that are not believed to be there."""

_ORDER: Final = ("string", "string", "uint32", "bytes32", "uint64")
_RESOLUTION: Final = ("address", "bytes")


@dataclass(frozen=True, slots=True)
class DocumentRegistry(Contract):
    """The DocumentRegistry contract of one network."""

    def versions(self) -> list[DocumentVersion]:
        """List all versions of all documents, in the order in which the documents were first put.

        Raises:
            Unavailable: ``chain-answer`` when the answers contradict each other, as while blocks are being replaced.
        """
        found: list[DocumentVersion] = []
        place = 0
        while True:
            (page,) = self.read("documents", place, PAGE_DOCUMENTS)
            for kind, name, count in page:
                (rows,) = self.read("versions", kind, name)
                # A version may have been put between the two calls, but none goes away.
                if len(rows) < count:
                    raise Unavailable(
                        "chain-answer", "chain node gives fewer versions of a document than it counts"
                    )
                found += [_parse_version(kind, name, number, row) for number, row in enumerate(rows, 1)]
            place += len(page)
            if len(page) < PAGE_DOCUMENTS:
                return found
            if place > MAX_DOCUMENTS:
                raise Unavailable("chain-answer", f"chain node gives more than {MAX_DOCUMENTS} documents")

    def encode_resolution(self, draft: DocumentDraft) -> bytes:
        """Encode the payload of a proposal that puts a document.

        Raises:
            InvalidInput: ``chain-call``; ``document-name`` when the contract would refuse kind or name.
        """
        order = encode_values(
            _ORDER, draft.kind, draft.name, draft.version, draft.digest or NO_ID, draft.from_block
        )
        return encode_values(_RESOLUTION, encode_address(self.address), order)

    def parse_resolution(self, payload: bytes) -> DocumentDraft | None:
        """Parse what a proposal carries; None when it is not about a document, or is not what the contract takes.

        Anybody among the governing members may propose anything, so what does not parse is no fault of the chain node.
        """
        try:
            target, order = decode_values(_RESOLUTION, payload)
            if parse_address(target) != self.address:
                return None
            kind, name, version, digest, from_block = decode_values(_ORDER, order)
        except (Unavailable, InvalidInput):
            return None
        return DocumentDraft(kind, name, version, _digest(digest), from_block)


def find_open(registry: MemberRegistry, documents: DocumentRegistry, now: int) -> list[Proposal]:
    """List the proposals that can still be voted on, oldest first.

    Proposals live equally long, so behind the newest that has expired there is none that has not.

    Args:
        registry: Has the proposals.
        documents: Understands those about documents.
        now: Chain time in seconds.
    """
    (number,) = registry.read("proposalCount")
    found = []
    while number > 0:
        proposal = read_proposal(registry, documents, number)
        if proposal.expires_at <= now:
            break
        if not proposal.executed:
            found.append(proposal)
        number -= 1
    return found[::-1]


def read_proposal(registry: MemberRegistry, documents: DocumentRegistry, number: int) -> Proposal:
    """Read a proposal.

    Raises:
        CallReverted: ``UnknownProposal``.
    """
    ((action, executed, proposer, expires_at, votes, needed, payload),) = registry.read("proposal", number)
    document = documents.parse_resolution(payload) if action == RESOLVE else None
    return Proposal(number, proposer, executed, expires_at, votes, needed, document)


def _parse_version(kind: str, name: str, number: int, row: tuple[Any, ...]) -> DocumentVersion:
    digest, since_block, decided_block, proposal = row
    return DocumentVersion(kind, name, number, _digest(digest), since_block, decided_block, proposal)


def _digest(word: bytes) -> bytes | None:
    return None if word == NO_ID else word

# SPDX-License-Identifier: Apache-2.0
"""Shared documents: kept by digest, got from other nodes by content, decided on by vote (docs/protocol/documents.md).

    document    bytes, named by their SHA-256; kept for good, because old decisions rest on old documents
    version     what the chain says: kind, name, number, digest, and the first block in which it holds
    in force    the newest version whose first block has come

What the chain says is kept, too, so that a node whose chain is away goes on by the rules it read last; how long it may
release anything by them is the anchor limit's business. Nothing that another node sends is believed: bytes count when
their digest is the one that was asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Protocol

import msgpack

from node.access.catalogue import parse_catalogue
from node.access.names import parse_member_names
from node.access.purposes import parse_purposes
from node.core.canonical import encode_json, parse_json
from node.errors import Conflict, InvalidInput, NodeError, NotFound, Unavailable
from node.ports import DocumentDraft, DocumentVersion
from node.records.catalogue import load_item
from node.service import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from node.core.types import MemberCode
    from node.ports import AnchorChain, DocumentSource, Proposal, SignedTransaction, Store
    from node.service.sequencer import Sequencer
    from node.service.transaction import Transaction

MAX_DOCUMENT_BYTES: Final = 1 << 20
MOST_MISSES: Final = 3
"""Documents put to the vote that are looked for in vain in one round."""
DIGEST_BYTES: Final = 32
PURPOSES: Final = ("purposes", "exchange")
"""Kind and name of the purposes for which members ask each other."""
CATALOGUE: Final = ("catalogue", "exchange")
"""Kind and name of the catalogue of what they ask for."""
MEMBERS: Final = ("members", "exchange")
"""What members are called, for lists that a person reads."""
ITEM: Final = "item"
"""Kind of a catalogue item's file; its name is the item's, ``penalty:2018``."""

_KIND: Final = re.compile(r"[a-z0-9-]{1,32}")
_NAME: Final = re.compile(r"[a-z0-9.:-]{1,64}")


class Transact(Protocol):
    """Sends a transaction of this node's and waits until it is final."""

    def __call__(
        self, purpose: str, sign: Callable[[int], SignedTransaction], *, sleep: Callable[[float], None]
    ) -> None:
        """See ``Anchorer.transact``."""
        ...


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What came of asking the chain and the other nodes.

    Attributes:
        changed: Whether the chain says something else than before.
        fetched: Digests of the documents that were got.
        missing: Digests of those that nobody gave, with the last reason.
    """

    changed: bool
    fetched: tuple[bytes, ...]
    missing: tuple[tuple[bytes, str], ...]


class Documents:
    """The shared documents as this node has them; safe to use from any thread.

    Args:
        store: Keeps them.
        sequencer: Writes them.
        chain: Says which hold.
        transact: Sends a transaction of this node's between two anchors and waits for it (``Anchorer.transact``).
        member: This member.
    """

    def __init__(
        self,
        store: Store,
        sequencer: Sequencer,
        chain: AnchorChain,
        transact: Transact,
        member: MemberCode,
    ) -> None:
        self._store = store
        self._sequencer = sequencer
        self._chain = chain
        self._transact = transact
        self._member = member
        prefix = layout.DOCUMENT_VERSION_PREFIX
        stored = store.scan(prefix, layout.stop_of(prefix))
        self._known = tuple(sorted(parse_document_version(key, value) for key, value in stored))
        self._block = 0
        self._turn = 0

    # ---- by content

    def add(self, data: bytes) -> bytes:
        """Keep a document and give its digest; one that is there already stays as it is.

        Raises:
            InvalidInput: ``document-size``.
        """
        if not 0 < len(data) <= MAX_DOCUMENT_BYTES:
            raise InvalidInput(
                "document-size", f"document has {len(data)} bytes, want 1 to {MAX_DOCUMENT_BYTES}"
            )
        digest = sha256(data).digest()
        if self._store.get(layout.document_key(digest)) is None:
            self._sequencer.run(lambda t: t.put(layout.document_key(digest), data), entries=0)
        return digest

    def get(self, digest: bytes) -> bytes:
        """Give a document by its digest; the files of the built-in catalogue items are among them.

        Raises:
            NotFound: ``document-unknown``.
        """
        data = self._store.get(layout.document_key(digest)) or load_own_files().get(digest)
        if data is None:
            raise NotFound("document-unknown", f"this node does not have document {digest.hex()}")
        return data

    def has(self, digest: bytes) -> bool:
        """Tell whether a document is here."""
        return digest in load_own_files() or self._store.get(layout.document_key(digest)) is not None

    def fetch(self, digest: bytes, source: DocumentSource) -> None:
        """Get a document from the first node that gives the right bytes; nothing to do for one that is here.

        Raises:
            Unavailable: ``document-nowhere``, with the reason of the last that was asked; ``chain-…``.
        """
        if self.has(digest):
            return
        last = "no other member says where its node is reached"
        for member in source.holders():
            if member == self._member:
                continue
            try:
                data = source.fetch_document(member, digest, most_bytes=MAX_DOCUMENT_BYTES)
            except NodeError as error:
                last = f"{member}: {error.message}"
                continue
            if sha256(data).digest() == digest:
                self.add(data)
                return
            last = f"{member}: it gave other bytes than were asked for"
        raise Unavailable("document-nowhere", f"no node gives document {digest.hex()}: {last}")

    # ---- as the chain has them

    def refresh(self, source: DocumentSource | None = None) -> Refreshed:
        """Read from the chain which versions there are, and get the bytes of all of them and of those put to the vote.

        Raises:
            Unavailable: The chain is away.
            Conflict: ``contracts-older``.
        """
        found = self._chain.document_versions()
        self._block = self._chain.probe().block or self._block
        changed = self._keep(found)
        fetched: list[bytes] = []
        missing: list[tuple[bytes, str]] = []
        # Those that are put to the vote, too: nobody votes for what he cannot read.
        proposed = [proposal.document for proposal in self.proposals() if proposal.document is not None]
        newest = sorted(found, key=lambda version: -version.decided_block)
        for version in newest:
            self._fetch_with_items(version.kind, version.digest, source, fetched, missing)
        # What one member puts to the vote must not keep the others from anchoring, between two of which this runs: each
        # miss has asked every member. Another one is first each time, so that all have their turn.
        self._turn += 1
        start, most = self._turn % max(1, len(proposed)), len(missing) + MOST_MISSES
        for draft in proposed[start:] + proposed[:start]:
            if len(missing) >= most:
                break
            self._fetch_with_items(draft.kind, draft.digest, source, fetched, missing)
        return Refreshed(changed, tuple(fetched), tuple(missing))

    def _fetch_with_items(
        self,
        kind: str,
        digest: bytes | None,
        source: DocumentSource | None,
        fetched: list[bytes],
        missing: list[tuple[bytes, str]],
    ) -> None:
        """Get a document that is not here, and of a catalogue the files of its items."""
        if digest is not None:
            self._fetch_missing([digest], source, fetched, missing)
            if kind == CATALOGUE[0] and self.has(digest):
                self._fetch_missing(_items_of(self.get(digest)), source, fetched, missing)

    def _fetch_missing(
        self,
        digests: Iterable[bytes],
        source: DocumentSource | None,
        fetched: list[bytes],
        missing: list[tuple[bytes, str]],
    ) -> None:
        known = {digest for digest, _ in missing}
        for digest in digests:
            if digest in known or self.has(digest):
                continue
            try:
                if source is None:
                    raise Unavailable("document-nowhere", f"document {digest.hex()} is not here")
                self.fetch(digest, source)
            except NodeError as error:
                missing.append((digest, error.message))
            else:
                fetched.append(digest)

    def versions(self) -> list[DocumentVersion]:
        """List all versions as the chain had them last, by kind, name and number."""
        return list(self._known)

    def find(self, kind: str, name: str, block: int | None = None) -> DocumentVersion | None:
        """Find the version in force; None when there is none, or the document is withdrawn.

        Args:
            kind: Its kind.
            name: Its name.
            block: Block in which it is in force; None is the newest that this node has seen the chain reach.
        """
        at = self._seen_block() if block is None else block
        found = None
        for version in self._known:
            if (version.kind, version.name) == (kind, name) and version.since_block <= at:
                found = version
        return None if found is None or found.digest is None else found

    def load(self, kind: str, name: str, block: int | None = None) -> bytes | None:
        """Give the bytes of the version in force; None when there is none. Arguments as in ``find``.

        Raises:
            Unavailable: ``document-nowhere``: the chain names one that this node has not got yet.
        """
        version = self.find(kind, name, block)
        if version is None or version.digest is None:
            return None
        if not self.has(version.digest):
            raise Unavailable(
                "document-nowhere", f"document {version.digest.hex()} ({kind} {name}) has not been got yet"
            )
        return self.get(version.digest)

    def _seen_block(self) -> int:
        """Give a height that the chain has reached: that of the last look, or of the newest decision that is known."""
        return max(self._block, *(version.decided_block for version in self._known), 0)

    # ---- votes

    def proposals(self) -> list[Proposal]:
        """List the proposals about documents that can still be voted on, oldest first.

        Raises:
            Unavailable: The chain is away.
            Conflict: ``contracts-older``.
        """
        return [proposal for proposal in self._chain.open_proposals() if proposal.document is not None]

    def propose(
        self,
        kind: str,
        name: str,
        digest: bytes | None,
        *,
        from_block: int = 0,
        sleep: Callable[[float], None],
    ) -> Proposal:
        """Propose the next version of a document, with own vote; None as digest withdraws it.

        Returns:
            The proposal as it stands then; carried out already where one vote is enough.

        Raises:
            InvalidInput: ``document-kind``, ``document-label``; what is wrong with a document of a kind that is known here.
            NotFound: ``document-unknown``: this node does not have it, or an item's file that a catalogue names, so nobody
                could get it from here.
            Conflict: ``document-same``, ``transaction-reverted``, ``contracts-older``.
            Unavailable: The chain is away.
        """
        if not _KIND.fullmatch(kind):
            raise InvalidInput("document-kind", "kind is malformed: want 1 to 32 of a-z, 0-9 and hyphen")
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                "document-label", "name is malformed: want 1 to 64 of a-z, 0-9, dot, colon and hyphen"
            )
        if digest is not None:
            data = self.get(digest)
            check_document(kind, name, data)
            if kind == CATALOGUE[0]:
                for item in _items_of(data):
                    self.get(item)
        last = [v for v in self._chain.document_versions() if (v.kind, v.name) == (kind, name)]
        if (last[-1].digest if last else None) == digest:
            raise Conflict("document-same", f"{kind} {name} is that already: nothing to vote on")
        draft = DocumentDraft(kind, name, len(last) + 1, digest, from_block)
        self._order("propose-document", lambda nonce: self._chain.sign_propose_document(draft, nonce), sleep)
        return self._find_own(draft)

    def vote(self, number: int, sleep: Callable[[float], None]) -> Proposal:
        """Vote for a proposal about a document that this node has, and give it as it stands then.

        Raises:
            NotFound: ``proposal-unknown``: no such proposal, or not about a document.
            Conflict: ``document-unseen``: its document is not here, so nobody here can have read it; ``transaction-reverted``.
            InvalidInput: What is wrong with a document of a kind that is known here.
            Unavailable: The chain is away.
        """
        draft = self.find_proposal(number).document
        if draft is not None and draft.digest is not None:
            if not self.has(draft.digest):
                raise Conflict(
                    "document-unseen",
                    f"proposal {number} puts document {draft.digest.hex()}, which is not here: get and read it first",
                )
            check_document(draft.kind, draft.name, self.get(draft.digest))
        self._order("vote", lambda nonce: self._chain.sign_vote(number, nonce), sleep)
        return self.find_proposal(number)

    def find_proposal(self, number: int) -> Proposal:
        """Give a proposal about a document.

        Raises:
            NotFound: ``proposal-unknown``.
            Unavailable: The chain is away.
        """
        proposal = self._chain.find_proposal(number)
        if proposal is None or proposal.document is None:
            raise NotFound("proposal-unknown", f"there is no proposal {number} about a document")
        return proposal

    # ---- inside

    def _order(
        self, purpose: str, sign: Callable[[int], SignedTransaction], sleep: Callable[[float], None]
    ) -> None:
        self._transact(purpose, sign, sleep=sleep)
        self._keep(self._chain.document_versions())

    def _find_own(self, draft: DocumentDraft) -> Proposal:
        for version in self._chain.document_versions():
            if (version.kind, version.name, version.version) == (draft.kind, draft.name, draft.version):
                return self.find_proposal(version.proposal)
        own = self._chain.member(self._member)
        for proposal in reversed(self._chain.open_proposals()):
            if proposal.document == draft and own is not None and proposal.proposer == own.number:
                return proposal
        raise Unavailable("chain-answer", "the chain node does not show a proposal that it took")

    def _keep(self, found: list[DocumentVersion]) -> bool:
        """Keep what the chain says, and tell whether it is something else than before."""
        now = tuple(sorted(found))
        if now == self._known:
            return False
        self._sequencer.run(lambda t: self._replace(t, found), entries=0)
        self._known = now
        return True

    def _replace(self, transaction: Transaction, found: list[DocumentVersion]) -> None:
        """Put what the chain says in place of what it said: a block with a decision in it may have gone away."""
        now = {layout.document_version_key(v.kind, v.name, v.version): _encode(v) for v in found}
        prefix = layout.DOCUMENT_VERSION_PREFIX
        for key, value in self._store.scan(prefix, layout.stop_of(prefix)):
            if key not in now:
                transaction.delete(key)
            elif now[key] == value:
                del now[key]
        transaction.put_all(now.items())


def check_document(kind: str, name: str, data: bytes) -> None:
    """Refuse a document that this program cannot read, of the kinds that it knows; others are bytes to it.

    Raises:
        InvalidInput: What is wrong with it; ``document-label`` when it belongs under another name.
    """
    if kind == ITEM:
        key = load_item(data).key
        if key != name:
            raise InvalidInput(
                "document-label", f"the document is catalogue item {key}: want that as its name"
            )
    elif kind == PURPOSES[0]:
        parse_purposes(data)
    elif kind == CATALOGUE[0]:
        parse_catalogue(data)
    elif kind == MEMBERS[0]:
        parse_member_names(data)


def spell_document(kind: str, data: bytes) -> bytes:
    """Give a document, as a person wrote it, in the one spelling in which its kind is registered.

    Raises:
        InvalidInput: ``json-…``.
    """
    if kind in {PURPOSES[0], CATALOGUE[0], MEMBERS[0]}:
        return encode_json(parse_json(data, max_bytes=MAX_DOCUMENT_BYTES, what=f"{kind} document"))
    return data


@cache
def load_own_files() -> Mapping[bytes, bytes]:
    """Load the files of the built-in catalogue items, by their digests: what comes with every node needs no fetching."""
    folder = files("node.records").joinpath("items")
    contents = (file.read_bytes() for file in folder.iterdir() if file.name.endswith(".json"))
    return {sha256(content).digest(): content for content in contents}


def _items_of(catalogue: bytes) -> list[bytes]:
    """Give the digests of the items' files that a catalogue names; of one that cannot be read, none."""
    try:
        return [item.schema for item in parse_catalogue(catalogue).items.values()]
    except InvalidInput:
        return []


def _encode(version: DocumentVersion) -> bytes:
    packed: bytes = msgpack.packb(
        [version.digest, version.since_block, version.decided_block, version.proposal]
    )
    return packed


def parse_document_version(key: bytes, value: bytes) -> DocumentVersion:
    """Parse a version as it is stored; what is no version makes no sense and lets any error out."""
    kind, name, number = key[len(layout.DOCUMENT_VERSION_PREFIX) :].split(b"\x00", 2)
    digest, since_block, decided_block, proposal = msgpack.unpackb(value)
    return DocumentVersion(
        kind.decode("ascii"),
        name.decode("ascii"),
        int.from_bytes(number, "big"),
        digest,
        since_block,
        decided_block,
        proposal,
    )

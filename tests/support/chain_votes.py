# SPDX-License-Identifier: Apache-2.0
"""Votes, shared documents and endpoints of the chain in memory: the contracts' rules as far as a node can meet them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from node.ports import DocumentDraft, DocumentVersion, Endpoint, MemberStatus, Proposal

LIFETIME_SECONDS = 14 * 86_400
KIND = re.compile(r"[a-z0-9-]{1,32}")
NAME = re.compile(r"[a-z0-9.:-]{1,64}")
SECURE = re.compile(r"https://[a-z0-9.:\[\]-]+")
PLAIN = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost):[0-9]+")
MAX_URL_BYTES = 255


class RevertError(Exception):
    """What a contract says when it refuses."""


@dataclass
class Ballot:
    proposal: Proposal
    voters: set[int] = field(default_factory=set)


@dataclass
class VoteState:
    """What MemberRegistry keeps of votes and endpoints, and DocumentRegistry of documents."""

    ballots: list[Ballot] = field(default_factory=list)
    documents: dict[tuple[str, str], list[DocumentVersion]] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)


class Votes:
    """Both contracts' part in one transaction of one member."""

    def __init__(self, votes, members, block, member, sender):
        self.votes = votes
        self.members = members
        self.block = block
        self.member = member
        self.sender = sender

    def set_endpoint(self, url, tls_key_hex):
        key = bytes.fromhex(tls_key_hex)
        form = SECURE if key else PLAIN
        if url and (len(url) > MAX_URL_BYTES or not form.fullmatch(url)):
            raise RevertError("MalformedEndpoint()")
        self.votes.endpoints.pop(self.member.code, None)
        if url:
            self.votes.endpoints[self.member.code] = Endpoint(url, key or None)

    def propose_document(self, kind, name, version, digest_hex, from_block):
        self._require_governing()
        draft = DocumentDraft(kind, name, version, bytes.fromhex(digest_hex) or None, from_block)
        expires_at = self.block.time + LIFETIME_SECONDS
        number = len(self.votes.ballots) + 1
        self.votes.ballots.append(
            Ballot(Proposal(number, self.member.number, False, expires_at, 0, 0, draft))
        )
        self._cast(self.votes.ballots[-1])

    def vote(self, number):
        self._require_governing()
        if not 0 < number <= len(self.votes.ballots):
            raise RevertError(f"UnknownProposal(id={number})")
        ballot = self.votes.ballots[number - 1]
        if ballot.proposal.executed or self.block.time >= ballot.proposal.expires_at:
            raise RevertError(f"ProposalClosed(id={number})")
        if self.member.number in ballot.voters:
            raise RevertError(f"AlreadyVoted(id={number})")
        self._cast(ballot)

    def _cast(self, ballot):
        ballot.voters.add(self.member.number)
        counted = tally(ballot, self.members)
        if counted.votes >= counted.needed:
            ballot.proposal = replace(ballot.proposal, executed=True)
            self._put(ballot.proposal)

    def _put(self, proposal):
        draft = proposal.document
        if not KIND.fullmatch(draft.kind):
            raise RevertError("MalformedKind()")
        if not NAME.fullmatch(draft.name):
            raise RevertError("MalformedName()")
        versions = self.votes.documents.get((draft.kind, draft.name), [])
        expected = len(versions) + 1
        if draft.version != expected:
            raise RevertError(f"WrongVersion(version={draft.version}, expected={expected})")
        if draft.digest is None and (not versions or versions[-1].digest is None):
            raise RevertError("NothingToWithdraw()")
        now = self.block.number
        since = max(draft.from_block, now, versions[-1].since_block if versions else 0)
        self.votes.documents.setdefault((draft.kind, draft.name), versions).append(
            DocumentVersion(draft.kind, draft.name, expected, draft.digest, since, now, proposal.id)
        )

    def _require_governing(self):
        if not self.member.governing:
            raise RevertError(f"NotAuthorised(caller={self.sender})")


def tally(ballot, members):
    """Give a proposal with the votes that count now and those that are needed now."""
    electorate = {m.number for m in members.values() if m.governing and m.status is MemberStatus.ACTIVE}
    needed = 2 * len(electorate) // 3 + 1
    return replace(ballot.proposal, votes=len(ballot.voters & electorate), needed=needed)


class VotingClient:
    """What one node sees of it: the part of ``node.ports.AnchorChain`` about documents and endpoints."""

    def document_versions(self):
        return [version for versions in self._state().votes.documents.values() for version in versions]

    def open_proposals(self):
        state = self._state()
        return [
            tally(ballot, state.members)
            for ballot in state.votes.ballots
            if not ballot.proposal.executed and self.chain.head.time < ballot.proposal.expires_at
        ]

    def find_proposal(self, proposal):
        state = self._state()
        if not 0 < proposal <= len(state.votes.ballots):
            return None
        return tally(state.votes.ballots[proposal - 1], state.members)

    def endpoint(self, member):
        return self._state().votes.endpoints.get(member)

    def sign_propose_document(self, draft, nonce):
        digest = draft.digest.hex() if draft.digest else ""
        args = [draft.kind, draft.name, draft.version, digest, draft.from_block]
        return self._sign("proposeDocument", args, nonce)

    def sign_vote(self, proposal, nonce):
        return self._sign("vote", [proposal], nonce)

    def sign_set_endpoint(self, endpoint, nonce):
        url, tls_key = ("", None) if endpoint is None else (endpoint.url, endpoint.tls_key)
        return self._sign("setEndpoint", [url, (tls_key or b"").hex()], nonce)

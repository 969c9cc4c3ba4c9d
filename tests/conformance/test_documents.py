# SPDX-License-Identifier: Apache-2.0
"""What every AnchorChain does about shared documents, endpoints and long keys: on anvil and in memory."""

from __future__ import annotations

from hashlib import sha256

import pytest

from node.chain import documents
from node.core.types import MemberCode
from node.ports import DocumentDraft, DocumentVersion, Endpoint, KeyKind, KeyRegistration
from tests.support.labs import FOUNDERS

MEMBER, OTHER = (founder.code for founder in FOUNDERS)
UNKNOWN_MEMBER = MemberCode("91330106MA27Y8LH0H")
FIRST, SECOND = sha256(b"first").digest(), sha256(b"second").digest()
LONGEST_KIND, LONGEST_NAME = "0123456789abcdef" * 2, "a.z:0-9-" * 8


def propose(lab, draft, *, by=0):
    client = lab.clients[by]
    return lab.settle(client.sign_propose_document(draft, client.next_nonce()), by=client)


def vote(lab, proposal, *, by=1):
    client = lab.clients[by]
    return lab.settle(client.sign_vote(proposal, client.next_nonce()), by=client)


def put(lab, draft):
    """Have both members decide; the outcome of the deciding vote."""
    assert propose(lab, draft).status == 1
    return vote(lab, lab.client.open_proposals()[-1].id)


def test_at_first_there_are_no_documents(lab):
    assert lab.client.document_versions() == []
    assert lab.client.open_proposals() == []
    assert lab.client.find_proposal(1) is None


def test_a_proposal_waits_for_the_other_member(lab):
    draft = DocumentDraft("purposes", "exchange", 1, FIRST)
    proposed = propose(lab, draft)
    assert proposed.status == 1, proposed.revert_reason
    (proposal,) = lab.clients[1].open_proposals()
    assert (proposal.id, proposal.proposer, proposal.executed) == (1, 1, False)
    assert (proposal.votes, proposal.needed, proposal.document) == (1, 2, draft)
    assert proposal.expires_at == proposed.time + 14 * 86_400
    assert lab.client.find_proposal(1) == proposal
    assert lab.client.document_versions() == []


def test_the_deciding_vote_puts_the_document(lab):
    outcome = put(lab, DocumentDraft("purposes", "exchange", 1, FIRST))
    assert outcome.status == 1, outcome.revert_reason
    version = DocumentVersion("purposes", "exchange", 1, FIRST, outcome.block, outcome.block, 1)
    assert lab.client.document_versions() == [version]
    assert lab.clients[1].document_versions() == [version]
    assert lab.client.open_proposals() == []
    done = lab.client.find_proposal(1)
    assert (done.executed, done.votes, done.needed) == (True, 2, 2)


def test_history_is_kept_in_order(lab):
    first = put(lab, DocumentDraft("item", "penalty:2018", 1, FIRST, 1_000_000_000))
    second = put(lab, DocumentDraft("item", "penalty:2018", 2, SECOND))
    other = put(lab, DocumentDraft("purposes", "exchange", 1, FIRST))
    gone = put(lab, DocumentDraft("purposes", "exchange", 2, None))
    assert lab.client.document_versions() == [
        DocumentVersion("item", "penalty:2018", 1, FIRST, 1_000_000_000, first.block, 1),
        DocumentVersion("item", "penalty:2018", 2, SECOND, 1_000_000_000, second.block, 2),
        DocumentVersion("purposes", "exchange", 1, FIRST, other.block, other.block, 3),
        DocumentVersion("purposes", "exchange", 2, None, gone.block, gone.block, 4),
    ]


def test_more_documents_than_are_asked_for_at_once_are_listed(lab, monkeypatch):
    monkeypatch.setattr(documents, "PAGE_DOCUMENTS", 2)
    names = ["first", "second", "third"]
    for name in [*names, LONGEST_NAME]:
        outcome = put(lab, DocumentDraft(LONGEST_KIND, name, 1, FIRST))
        assert outcome.status == 1, outcome.revert_reason
    assert [version.name for version in lab.client.document_versions()] == [*names, LONGEST_NAME]


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        (DocumentDraft("purposes", "exchange", 2, FIRST), "WrongVersion(version=2, expected=1)"),
        (DocumentDraft("purposes", "exchange", 1, None), "NothingToWithdraw()"),
        (DocumentDraft("Purposes", "exchange", 1, FIRST), "MalformedKind()"),
        (DocumentDraft("purposes", "ex change", 1, FIRST), "MalformedName()"),
        (DocumentDraft("purposes", "", 1, FIRST), "MalformedName()"),
    ],
)
def test_a_vote_for_what_cannot_be_is_refused(lab, draft, reason):
    outcome = put(lab, draft)
    assert outcome.status == 0
    assert outcome.revert_reason.startswith(reason)
    assert lab.client.document_versions() == []
    assert [p.votes for p in lab.client.open_proposals()] == [1]


def test_of_two_votes_about_one_version_one_passes(lab):
    for digest in (FIRST, SECOND):
        assert propose(lab, DocumentDraft("purposes", "exchange", 1, digest)).status == 1
    assert vote(lab, 1).status == 1
    late = vote(lab, 2)
    assert (late.status, late.revert_reason.split("(")[0]) == (0, "WrongVersion")
    assert [v.digest for v in lab.client.document_versions()] == [FIRST]


def test_a_member_votes_once_and_for_what_is_there(lab):
    assert propose(lab, DocumentDraft("purposes", "exchange", 1, FIRST)).status == 1
    assert vote(lab, 1, by=0).revert_reason.startswith("AlreadyVoted(id=1)")
    assert vote(lab, 7).revert_reason.startswith("UnknownProposal(id=7)")
    assert vote(lab, 1).status == 1
    assert vote(lab, 1).revert_reason.startswith("ProposalClosed(id=1)")


def test_a_member_says_where_it_is_reached(lab):
    client = lab.client
    assert client.endpoint(MEMBER) is None
    assert client.endpoint(UNKNOWN_MEMBER) is None
    for endpoint in (Endpoint("https://a.example:8620", FIRST), Endpoint("http://127.0.0.1:8620", None)):
        assert lab.settle(client.sign_set_endpoint(endpoint, client.next_nonce())).status == 1
        assert lab.clients[1].endpoint(MEMBER) == endpoint
    assert client.endpoint(OTHER) is None
    assert lab.settle(client.sign_set_endpoint(None, client.next_nonce())).status == 1
    assert client.endpoint(MEMBER) is None


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint("https://a.example", None),
        Endpoint("http://a.example:80", None),
        Endpoint("http://127.0.0.1:80", FIRST),
        Endpoint("https://a.example/path", FIRST),
        Endpoint("https://" + "a" * 248, FIRST),
    ],
)
def test_an_endpoint_that_nobody_could_trust_is_refused(lab, endpoint):
    outcome = lab.settle(lab.client.sign_set_endpoint(endpoint, lab.client.next_nonce()))
    assert outcome.status == 0
    assert outcome.revert_reason.startswith("MalformedEndpoint()")


def test_a_long_key_is_found_by_its_digest(lab):
    client, data = lab.client, bytes(range(256)) * 4 + bytes(192)
    digest = sha256(data).digest()
    assert client.key_data(MEMBER, KeyKind.EXCHANGE, digest) is None
    later = KeyRegistration(KeyKind.EXCHANGE, digest, data)
    assert lab.settle(client.sign_register_keys([later], client.next_nonce())).status == 1
    assert lab.clients[1].key_data(MEMBER, KeyKind.EXCHANGE, digest) == data
    assert client.key_data(OTHER, KeyKind.EXCHANGE, digest) is None
    assert client.key_data(MEMBER, KeyKind.EXCHANGE, FIRST) is None

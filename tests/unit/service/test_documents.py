# SPDX-License-Identifier: Apache-2.0
"""Shared documents between two nodes on one chain: kept, proposed, decided, got by content, in force by block."""

from __future__ import annotations

from hashlib import sha256

import pytest

from node.access.purposes import load_sample_purposes
from node.core.types import MemberCode
from node.errors import Conflict, Fatal, InvalidInput, NotFound, Unavailable
from node.ports import DocumentVersion, Role
from node.service import layout
from node.service.documents import MAX_DOCUMENT_BYTES, MOST_MISSES, load_own_files, spell_document
from tests.support.chain import SimulatedChain
from tests.support.clock import ManualClock
from tests.support.errors import raises_code
from tests.support.node_world import NodeWorld, build_identity
from tests.support.records import OTHER_MEMBER
from tests.support.rows import ISSUER

RULES = load_sample_purposes()
DIGEST = sha256(RULES).digest()
LIST = b'{"v":1}'
POWER = Fatal("store-commit-failed", "power")


class Nodes:
    """Other nodes to get documents from; implements ``node.ports.DocumentSource``.

    Attributes:
        worlds: The node of each member.
        bent: What a member gives in place of what it has: bytes or an error.
        asked: (member, digest) of every call.
    """

    def __init__(self, worlds):
        self.worlds = worlds
        self.bent = {}
        self.asked = []

    def holders(self):
        return list(self.worlds)

    def fetch_document(self, member, digest, *, most_bytes):
        self.asked.append((member, digest))
        given = self.bent.get(member)
        if isinstance(given, Exception):
            raise given
        data = self.worlds[member].services.documents.get(digest) if given is None else given
        assert len(data) <= most_bytes
        return data


class Pair:
    """Two members that govern together: nothing passes without both."""

    def __init__(self):
        clock = ManualClock()
        members = (ISSUER, OTHER_MEMBER)
        founders = [(MemberCode(m), build_identity(m).operator, Role.ISSUER) for m in members]
        self.chain = SimulatedChain(founders, clock=clock)
        self.worlds = {m: NodeWorld(member=m, chain=self.chain, clock=clock, seed=m) for m in members}
        self.first, self.second = self.worlds.values()
        self.source = Nodes(self.worlds)
        for world in self.worlds.values():
            world.join()

    def close(self):
        for world in self.worlds.values():
            world.close()

    def put(self, kind, name, data, **options):
        """Have both decide, each with its own node; the proposal as it ended."""
        digest = None if data is None else self.first.services.documents.add(data)
        proposal = propose(self.first, kind, name, digest, **options)
        self.second.services.documents.refresh(self.source)
        return vote(self.second, proposal.id)


def propose(world, kind, name, digest, **options):
    return world.services.documents.propose(kind, name, digest, sleep=world.sleep, **options)


def vote(world, number):
    return world.services.documents.vote(number, world.sleep)


@pytest.fixture
def pair():
    made = Pair()
    yield made
    made.close()


# ---- by content


def test_a_document_is_kept_by_its_digest(pair):
    documents = pair.first.services.documents
    assert documents.add(RULES) == DIGEST
    assert documents.add(RULES) == DIGEST
    assert documents.get(DIGEST) == RULES
    pair.first.restart()
    assert pair.first.services.documents.get(DIGEST) == RULES
    with raises_code(NotFound, "document-unknown"):
        documents.get(bytes(32))


def test_documents_have_a_size(pair):
    documents = pair.first.services.documents
    for data in (b"", bytes(MAX_DOCUMENT_BYTES + 1)):
        with raises_code(InvalidInput, "document-size"):
            documents.add(data)
    assert len(documents.get(documents.add(bytes(MAX_DOCUMENT_BYTES)))) == MAX_DOCUMENT_BYTES


def test_it_is_got_from_whoever_has_it(pair):
    pair.first.services.documents.add(RULES)
    documents = pair.second.services.documents
    documents.fetch(DIGEST, pair.source)
    assert documents.get(DIGEST) == RULES
    asked = len(pair.source.asked)
    documents.fetch(DIGEST, pair.source)
    assert len(pair.source.asked) == asked, "what is here is not asked for"


def test_a_node_does_not_ask_itself(pair):
    with raises_code(Unavailable, "document-nowhere"):
        pair.second.services.documents.fetch(DIGEST, pair.source)
    assert [member for member, _ in pair.source.asked] == [ISSUER]


@pytest.mark.parametrize(
    "given", [b"", RULES[:-1], RULES + b" ", bytes(MAX_DOCUMENT_BYTES), Unavailable("peer-away", "away")]
)
def test_other_bytes_than_were_asked_for_are_refused(pair, given):
    pair.source.bent[ISSUER] = given
    documents = pair.second.services.documents
    with raises_code(Unavailable, "document-nowhere") as caught:
        documents.fetch(DIGEST, pair.source)
    assert ISSUER in caught.value.message
    assert not documents.has(DIGEST)
    assert not documents.has(sha256(given).digest() if isinstance(given, bytes) else bytes(32))


def test_a_bad_node_does_not_keep_a_good_one_from_being_asked(pair):
    pair.first.services.documents.add(RULES)
    pair.source.worlds = {"91330106MA27Y8LH0H": None, **pair.worlds}
    pair.source.bent["91330106MA27Y8LH0H"] = b"junk"
    pair.second.services.documents.fetch(DIGEST, pair.source)
    assert pair.second.services.documents.has(DIGEST)


# ---- votes


def test_both_decide_and_both_have_it(pair):
    done = pair.put("purposes", "exchange", RULES)
    assert (done.executed, done.votes, done.needed) == (True, 2, 2)
    for world in pair.worlds.values():
        documents = world.services.documents
        documents.refresh(pair.source)
        version = documents.find("purposes", "exchange")
        assert (version.version, version.digest, version.proposal) == (1, DIGEST, done.id)
        assert documents.load("purposes", "exchange") == RULES
        assert documents.proposals() == []


def test_what_is_proposed_holds_only_when_it_passes(pair):
    digest = pair.first.services.documents.add(RULES)
    proposal = propose(pair.first, "purposes", "exchange", digest)
    assert (proposal.executed, proposal.votes, proposal.needed) == (False, 1, 2)
    for world in pair.worlds.values():
        world.services.documents.refresh(pair.source)
        assert world.services.documents.load("purposes", "exchange") is None
        assert [p.id for p in world.services.documents.proposals()] == [proposal.id]


def test_nobody_votes_for_what_he_cannot_read(pair):
    digest = pair.first.services.documents.add(RULES)
    proposal = propose(pair.first, "purposes", "exchange", digest)
    with raises_code(Conflict, "document-unseen"):
        vote(pair.second, proposal.id)
    with raises_code(NotFound, "document-unknown"):
        propose(pair.first, "purposes", "exchange", bytes(32))
    assert pair.second.services.documents.refresh(pair.source).fetched == (DIGEST,)
    assert vote(pair.second, proposal.id).executed


def test_a_vote_is_cast_once(pair):
    proposal = propose(pair.first, "list", "one", pair.first.services.documents.add(LIST))
    with raises_code(Conflict, "transaction-reverted") as caught:
        vote(pair.first, proposal.id)
    assert "AlreadyVoted" in caught.value.message
    assert pair.first.services.joiner.sender.pending() is None
    with raises_code(NotFound, "proposal-unknown"):
        vote(pair.first, 7)


@pytest.mark.parametrize(
    ("kind", "name", "data", "code"),
    [
        ("purposes", "exchange", b"{}", None),
        ("purposes", "exchange", RULES + b"\n", None),
        ("catalogue", "exchange", b"[]", None),
        ("item", "penalty:2018", b"{}", None),
        ("Item", "penalty:2018", LIST, "document-kind"),
        ("list", "", LIST, "document-label"),
        ("list", "a" * 65, LIST, "document-label"),
    ],
)
def test_what_the_program_cannot_read_is_not_proposed(pair, kind, name, data, code):
    digest = pair.first.services.documents.add(data)
    with pytest.raises(InvalidInput) as caught:
        propose(pair.first, kind, name, digest)
    assert code in {None, caught.value.code}
    assert pair.first.services.documents.proposals() == []


def test_an_item_stands_under_its_own_name(pair):
    from importlib.resources import files

    data = files("node.records").joinpath("items", "penalty-2018.json").read_bytes()
    digest = pair.first.services.documents.add(data)
    with raises_code(InvalidInput, "document-label"):
        propose(pair.first, "item", "permit:2018", digest)
    assert propose(pair.first, "item", "penalty:2018", digest).document.digest == digest


def test_the_same_again_needs_no_vote(pair):
    pair.put("list", "one", LIST)
    with raises_code(Conflict, "document-same"):
        propose(pair.first, "list", "one", sha256(LIST).digest())
    with raises_code(Conflict, "document-same"):
        propose(pair.first, "list", "two", None)


def listed(*digests):
    from node.core.canonical import encode_json
    from node.core.encoding import encode_b64u

    items = [
        {"item": f"list-{n}:2026", "schema": encode_b64u(digest), "owner": ISSUER, "providers": None}
        for n, digest in enumerate(digests)
    ]
    title = {"zh": "目录", "en": "catalogue"}
    return encode_json({"v": 1, "domain": "zj.example", "title": title, "items": items})


def test_a_catalogue_brings_the_files_of_its_items(pair):
    own = next(iter(load_own_files()))
    catalogue = listed(own, sha256(LIST).digest())
    digest = pair.first.services.documents.add(catalogue)
    with raises_code(NotFound, "document-unknown"):
        propose(pair.first, "catalogue", "exchange", digest)
    pair.first.services.documents.add(LIST)
    proposal = propose(pair.first, "catalogue", "exchange", digest)
    done = pair.second.services.documents.refresh(pair.source)
    assert done.fetched == (digest, sha256(LIST).digest())
    assert vote(pair.second, proposal.id).executed
    assert pair.second.services.documents.refresh(pair.source).fetched == ()


def test_a_catalogue_whose_item_nobody_has_names_it(pair):
    catalogue = listed(sha256(LIST).digest())
    pair.first.services.documents.add(LIST)
    pair.put("catalogue", "exchange", catalogue)
    for world in pair.worlds.values():
        world.store.damage(layout.document_key(sha256(LIST).digest()), None)
    ((missing, _),) = pair.second.services.documents.refresh(pair.source).missing
    assert missing == sha256(LIST).digest()


def test_the_built_in_items_are_given_without_being_kept(pair):
    for digest, content in load_own_files().items():
        assert pair.first.services.documents.get(digest) == content
        assert pair.first.services.documents.has(digest)


# ---- in force


def test_the_newest_version_whose_block_has_come_is_in_force(pair):
    pair.put("list", "one", LIST)
    later = pair.chain.head.number + 50
    pair.put("list", "one", RULES, from_block=later)
    documents = pair.second.services.documents
    documents.refresh(pair.source)
    assert documents.load("list", "one") == LIST
    assert documents.load("list", "one", later - 1) == LIST
    assert documents.load("list", "one", later) == RULES
    pair.chain.mine(50)
    documents.refresh(pair.source)
    assert documents.load("list", "one") == RULES
    pair.put("list", "one", None)
    documents.refresh(pair.source)
    assert documents.find("list", "one") is None
    assert documents.load("list", "one") is None
    assert documents.load("list", "one", later) == RULES, "history stays"
    assert [v.version for v in documents.versions()] == [1, 2, 3]


def test_a_chain_that_is_away_leaves_the_rules_that_were_read_last(pair):
    pair.put("purposes", "exchange", RULES)
    pair.second.services.documents.refresh(pair.source)
    pair.chain.away = True
    pair.second.restart()
    documents = pair.second.services.documents
    with raises_code(Unavailable, "chain-away"):
        documents.refresh(pair.source)
    assert documents.load("purposes", "exchange") == RULES


def test_a_document_that_nobody_gives_is_named_and_not_passed_over(pair):
    pair.put("purposes", "exchange", RULES)
    lonely = pair.second
    lonely.store.damage(layout.document_key(DIGEST), None)
    lonely.restart()
    pair.source.bent[ISSUER] = Unavailable("peer-away", "away")
    documents = lonely.services.documents
    ((missing, reason),) = documents.refresh(pair.source).missing
    assert missing == DIGEST
    assert "away" in reason
    with raises_code(Unavailable, "document-nowhere"):
        documents.load("purposes", "exchange")
    assert documents.refresh().missing[0][0] == DIGEST
    pair.source.bent.clear()
    assert documents.refresh(pair.source).fetched == (DIGEST,)
    assert documents.load("purposes", "exchange") == RULES


def test_what_nobody_has_is_looked_for_a_few_times_a_round_and_keeps_nothing_else_away(pair):
    for number in range(3 * MOST_MISSES):
        digest = pair.first.services.documents.add(b'{"n":%d}' % number)
        propose(pair.first, "list", f"l{number}", digest)
    pair.source.bent[ISSUER] = Unavailable("peer-away", "away")
    documents = pair.second.services.documents
    missed = [digest for _ in range(3 * MOST_MISSES) for digest, _ in documents.refresh(pair.source).missing]
    assert len(missed) == 3 * MOST_MISSES**2
    assert len(set(missed)) == 3 * MOST_MISSES


def test_a_decision_that_the_chain_took_back_is_forgotten(pair):
    before = pair.chain.head.number
    pair.put("list", "one", LIST)
    documents = pair.second.services.documents
    documents.refresh(pair.source)
    assert documents.find("list", "one")
    pair.chain.reorganise(pair.chain.head.number - before, lose=True)
    assert documents.refresh(pair.source).changed
    assert documents.versions() == []
    pair.second.restart()
    assert pair.second.services.documents.versions() == []


def test_nothing_is_written_when_nothing_changed(pair):
    pair.put("list", "one", LIST)
    documents = pair.second.services.documents
    documents.refresh(pair.source)
    commits = pair.second.store.commits
    assert not documents.refresh(pair.source).changed
    assert pair.second.store.commits == commits


@pytest.mark.parametrize("stored", [False, True])
def test_a_crash_while_a_document_is_kept(pair, stored):
    pair.first.store.fail_next(POWER, stored=stored)
    with raises_code(Fatal, "store-commit-failed"):
        pair.first.services.documents.add(RULES)
    pair.first.restart()
    assert pair.first.services.documents.has(DIGEST) == stored
    assert pair.first.services.documents.add(RULES) == DIGEST
    assert pair.first.services.documents.get(DIGEST) == RULES


def test_a_vote_whose_answer_was_lost_is_on_the_chain(pair):
    proposal = propose(pair.first, "list", "one", pair.first.services.documents.add(LIST))
    pair.second.services.documents.refresh(pair.source)
    pair.chain.lost_answers = 1
    with pytest.raises(Unavailable):
        vote(pair.second, proposal.id)
    pair.second.anchor()
    documents = pair.second.services.documents
    documents.refresh(pair.source)
    assert documents.find("list", "one").proposal == proposal.id


def test_versions_survive_in_their_order(pair):
    for number, name in enumerate(("b", "a", "a-b", "a.c")):
        pair.put("list", name, b"%d" % number)
    pair.first.services.documents.refresh()
    kept = pair.first.services.documents.versions()
    assert [version.name for version in kept] == ["a", "a-b", "a.c", "b"]
    pair.first.restart()
    assert pair.first.services.documents.versions() == kept
    assert all(isinstance(version, DocumentVersion) for version in kept)


# ---- spelling


def test_a_person_may_write_rules_in_any_layout():
    import json

    pretty = json.dumps(json.loads(RULES), indent=2, ensure_ascii=False).encode()
    assert spell_document("purposes", pretty) == RULES
    assert spell_document("item", pretty) == pretty
    with pytest.raises(InvalidInput):
        spell_document("purposes", b"no JSON")

# SPDX-License-Identifier: Apache-2.0
"""What a subject is shown at the window: every look, by whom and why, with a file for each; nothing when the log fails."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from node.access.event import SALTED_NAMES, parse_event
from node.access.logged import CONCEALED
from node.access.names import Name, encode_member_names
from node.access.opening import parse_opening
from node.access.question import AskedSubject, ItemQuery
from node.access.receipt import parse_receipt
from node.errors import InvalidInput, Unavailable
from node.evidence.looks import verify_look_file
from node.evidence.promises import parse_receipt_file
from node.log.merkle import leaf_hash
from node.service.consents import Terms
from node.service.documents import MEMBERS
from node.service.drafting import EventDraft, Officer, Purpose
from node.service.issuing import subject_digest
from node.service.subject_index import BEGUN_KEY, PREFIX
from node.service.subjects import DOCUMENTS, MOST_LOOKS, summarise
from tests.support.errors import raises_code
from tests.support.exchange_world import COURT, MARKET, TAX, VCT, ExchangeWorld
from tests.support.many import ask_one_of_many, companies, market_world
from tests.support.node_world import WHY, ChainEyes
from tests.support.rows import COMPANY, PERSON, RESIDENT_ID

FIRM = AskedSubject("uscc", COMPANY)
CITIZEN = AskedSubject("rid", RESIDENT_ID)
OTHER = AskedSubject("uscc", "91520100MA0000170J")
CLERK = Purpose("wang", "", basis="个人信息保护法第四十五条", case="2026-申-8")


@pytest.fixture
def world():
    """A court, and a market regulator with two penalties against a firm and one against a citizen, anchored."""
    with ExchangeWorld() as made:
        made.nodes[MARKET].import_penalties([1, 2])
        made.nodes[MARKET].import_penalties([7], **PERSON)
        made.anchor()
        yield made


def show(world, code=MARKET, subject=FIRM, **options):
    return world.nodes[code].services.subjects.show(subject, "business-licence", CLERK, **options)


def summaries(world, code=MARKET, subject=FIRM):
    return [
        (look.parts[0].kind, one.by, one.of, one.outcome, one.records)
        for look in show(world, code, subject).looks
        for one in [summarise(look, code)]
    ]


def verify(world, code, file):
    node = world.nodes[code]
    now = world.clock.now_seconds()
    return verify_look_file(file, node.policy(), now_seconds=now, chain=ChainEyes(node.chain))


def give_consent(world, uses=2):
    terms = Terms(
        subject=CITIZEN,
        provider=MARKET,
        asker=COURT,
        purpose="window-query",
        items=(ItemQuery(VCT["penalty:2018"], ("CF_WSH", "subject")),),
        end=world.clock.now_seconds() + 3_600,
        uses=uses,
    )
    return world.nodes[MARKET].services.exchange.window.give(terms, WHY)


def ask_on(world, consent):
    return world.ask_one(
        subject_type="rid",
        subject_id=RESIDENT_ID,
        purpose="window-query",
        basis=None,
        case=None,
        fields={VCT["penalty:2018"]: ("CF_WSH",)},
        consents={MARKET: consent.token},
    )


def test_both_sides_show_a_question_and_what_came_of_it(world):
    world.ask(providers=(MARKET, TAX))
    assert summaries(world, MARKET) == [("grant", COURT, MARKET, "given", 2)]
    assert summaries(world, TAX) == [("grant", COURT, TAX, "none", 0)]
    assert sorted(summaries(world, COURT)) == [
        ("ask", COURT, MARKET, "given", 2),
        ("ask", COURT, TAX, "none", 0),
    ]


def test_what_was_refused_is_shown_too_by_whom_and_why(world):
    assert world.ask_one(case=None).result == "refused"
    assert summaries(world, COURT) == [("deny", COURT, COURT, "refused", None)]
    answer = world.ask_by_hand(case=None)
    assert answer.result == "deny"
    (look,) = show(world).looks
    assert summarise(look, MARKET).outcome == "refused"
    assert look.parts[0].values["rule"] == "case"
    assert look.parts[0].values["peer"] == COURT


def test_a_question_that_nobody_answered_stays_open_or_says_so(world):
    world.post.away.add(MARKET)
    world.ask()
    assert summaries(world, COURT) == [("ask", COURT, MARKET, "no-answer", None)]


def test_what_own_staff_did_with_the_records_is_shown_although_the_events_name_nobody(world):
    node = world.nodes[MARKET]
    leaf = node.leaf(0)
    node.services.records.show(leaf, WHY)
    node.services.exporter.export(leaf, {"CF_WSH"}, WHY)
    node.services.records.find("uscc", COMPANY, WHY, limit=10)
    assert summaries(world) == [
        ("read", MARKET, MARKET, "given", 2),
        ("export", MARKET, MARKET, "given", 1),
        ("read", MARKET, MARKET, "given", 1),
    ]
    assert summaries(world, subject=CITIZEN) == []


def test_consents_their_uses_and_their_end_are_shown(world):
    consent = give_consent(world)
    assert ask_on(world, consent).result == "ok"
    world.nodes[MARKET].services.exchange.window.take_back(consent.digest, WHY)
    assert ask_on(world, consent).code == "consent-revoked"
    looks = show(world, subject=CITIZEN).looks
    assert [look.parts[0].kind for look in looks] == ["deny", "revoke", "grant", "consent"]
    digests = {look.parts[0].values["consent"] for look in looks}
    assert len(digests) == 1
    assert digests != {None}


def test_a_consent_taken_back_by_its_token_is_found(world):
    consent = give_consent(world)
    world.nodes[MARKET].services.exchange.window.take_back_token(consent.token, WHY)
    assert [look.parts[0].kind for look in show(world, subject=CITIZEN).looks] == ["revoke", "consent"]


def test_the_view_is_a_look_with_who_identified_whom_by_what(world):
    world.ask()
    shown = show(world)
    node = world.nodes[MARKET]
    index = node.access.size() - 1
    said = world.values(MARKET, index)
    assert parse_event(node.access.entry(node.access.row(index))).kind == "audit"
    assert said["officer"]["id"] == "wang"
    assert said["subject"] == {"type": "uscc", "id": COMPANY}
    assert (said["purpose"], said["rule"]) == ("subject-view", "identified-by-business-licence")
    assert (said["basis"], said["case"]) == (CLERK.basis, CLERK.case)
    file = parse_receipt_file(shown.file)
    receipt = parse_receipt(file.receipt)
    assert (receipt.idx, receipt.leaf) == (index, leaf_hash(file.event.encode()))
    assert shown.name == f"{receipt.leaf.hex()[:16]}.receipt.json"
    names = [parse_opening(text)[0] for text in file.openings]
    assert names == [name for name in SALTED_NAMES if name != CONCEALED]
    first = show(world).looks[0].parts[0]
    assert (first.kind, first.values["purpose"]) == ("audit", "subject-view")


def test_no_officer_is_shown(world):
    world.ask()
    world.nodes[MARKET].services.records.show(world.nodes[MARKET].leaf(0), WHY)
    for code in (MARKET, COURT):
        for look in show(world, code).looks:
            for part in look.parts:
                assert CONCEALED not in part.values
                assert all(
                    parse_opening(text)[0] != CONCEALED
                    for text in json.loads(part.file or b'{"open":[]}')["open"]
                )


def test_every_secret_that_comes_out_is_counted_by_the_view(world):
    node = world.nodes[MARKET]
    world.ask()
    node.services.records.show(node.leaf(0), WHY)
    read = set()
    node.store.on_secret = read.add
    show(world)
    node.store.on_secret = None
    index = node.access.size() - 1
    event = parse_event(node.access.entry(node.access.row(index)))
    # One grant, one read, and the record that the read names: only its subject is opened.
    assert len(read) == event.n == 3
    released = world.values(MARKET, index)["released"]
    assert [len(digests) for _, digests in released] == [1]


def test_files_prove_each_look_once_it_is_anchored(world):
    world.ask()
    world.nodes[MARKET].services.records.show(world.nodes[MARKET].leaf(0), WHY)
    assert all(part.file is None for look in show(world).looks for part in look.parts)
    world.anchor()
    parts = [part for look in show(world).looks for part in look.parts]
    assert [part.stage for part in parts] == ["anchored"] * 3
    for part in parts:
        ruling = verify(world, MARKET, part.file)
        assert (ruling.finding.name, ruling.verdict.exit_code) == ("proven", 0)
        assert ruling.about["subject"] == f"uscc {COMPANY}"
        assert ruling.about["kind"] == part.kind


def test_pages_together_are_all_looks_and_split_none(world):
    for number in range(5):
        world.ask(case=f"2026-执-{number}")
    whole = [look.rid for look in show(world, COURT).looks]
    paged, before = [], None
    while True:
        page = show(world, COURT, limit=2, before=before)
        # Each page is a look itself, the newest of all.
        paged += [look.rid for look in page.looks if look.parts[0].kind == "ask"]
        assert all(len(look.parts) == 2 for look in page.looks if look.parts[0].kind == "ask")
        before = page.next_before
        if before is None:
            break
    assert paged == whole


def test_nothing_is_shown_when_the_log_takes_nothing(world):
    world.ask()
    node = world.nodes[MARKET]
    size, read = node.access.size(), []
    node.store.on_secret = read.append
    node.store.fail_next(Unavailable("store-full", "no space"))
    with raises_code(Unavailable, "store-full"):
        show(world)
    assert (node.access.size(), read) == (size, [])


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("identity-document", {"document": "110101199003070396"}),
        ("identity-document", {"document": ""}),
        ("looks-limit", {"limit": 0}),
        ("looks-limit", {"limit": MOST_LOOKS + 1}),
    ],
)
def test_what_is_no_view_is_refused_and_not_logged(world, code, changes):
    node = world.nodes[MARKET]
    size = node.access.size()
    options = {"document": "passport", "limit": 1} | changes
    with raises_code(InvalidInput, code) as caught:
        node.services.subjects.show(FIRM, options["document"], CLERK, limit=options["limit"])
    assert node.access.size() == size
    assert "1990" not in caught.value.message


def test_who_was_never_looked_at_is_told_so_and_that_is_logged(world):
    assert show(world, subject=OTHER).looks == ()
    assert [look.parts[0].kind for look in show(world, subject=OTHER).looks] == ["audit"]


def test_sealed_looks_leave_no_trace_before_their_time(world):
    node = world.nodes[MARKET]
    opens = world.clock.now_seconds() + 600
    sealed = EventDraft(
        kind="sealed",
        peer=COURT,
        subject={"type": "uscc", "id": COMPANY},
        purpose="supervision",
        items=[],
        box=b"b" * 32,
        open_by=opens,
        warrant=b"w" * 32,
    )
    world.ask()
    without = summaries(world)
    count = parse_event(node.access.entry(node.access.row(node.access.size() - 1))).n
    node.services.access.log(sealed)
    node.services.access.log(sealed)
    shown = show(world)
    assert [look.parts[0].kind for look in shown.looks] == ["audit", *(kind for kind, *_ in without)]
    assert shown.next_before is None
    # The view before it is the one thing more that was opened: nothing counts what was left out.
    assert parse_event(node.access.entry(node.access.row(node.access.size() - 1))).n == count + 1
    world.clock.advance(seconds=601)
    world.anchor()
    assert sum(look.parts[0].kind == "sealed" for look in show(world).looks) == 2


def test_the_index_tells_nothing_without_its_key(world):
    world.ask()
    node = world.nodes[MARKET]
    keys = [key for key, _ in node.store.scan(b"", None)]
    stored = b"".join(key + value for key, value in node.store.scan(PREFIX, b"Z"))
    assert COMPANY.encode() not in stored
    digest = subject_digest(node.keys.index, *FIRM)
    # An erasure deletes the digest under which records are found: it must not stand here as well.
    assert any(digest in key for key in keys)
    assert digest not in stored
    assert subject_digest(b"k" * 32, *FIRM) not in stored


def test_two_nodes_have_different_digests_for_one_subject(world):
    world.ask()
    indices = [
        {key[2:18] for key, _ in world.nodes[code].store.scan(b"Ys", b"Yt")} for code in (MARKET, COURT)
    ]
    assert all(indices)
    assert not indices[0] & indices[1]


def test_an_erased_record_is_nobodys_any_more(world):
    node = world.nodes[MARKET]
    leaf = node.leaf(0)
    node.services.records.show(leaf, WHY)
    world.ask()
    node.services.eraser.erase(leaf, ground="ordered", why=WHY)
    # The look by its hash cannot be told to be at this firm; the question named the firm itself.
    assert [kind for kind, *_ in summaries(world)] == ["grant"]
    assert node.check() == []


def test_the_index_survives_a_restart_and_goes_on(world):
    world.ask()
    world.restart(MARKET)
    world.ask(case="2026-执-18")
    assert len(show(world).looks) == 2
    node = world.nodes[MARKET]
    assert node.check() == []
    assert node.store.get(BEGUN_KEY) is not None


def test_an_event_that_is_not_committed_is_not_in_the_index(world):
    node = world.nodes[MARKET]
    node.store.fail_next(Unavailable("store-full", "no space"))
    with raises_code(Unavailable, "store-full"):
        node.services.access.log(
            EventDraft(
                kind="audit", officer=Officer("li"), purpose="p", subject={"type": "uscc", "id": COMPANY}
            )
        )
    assert list(node.store.scan(PREFIX, b"Z")) == []
    assert show(world).looks == ()


def test_every_kind_of_document_is_a_word_that_an_event_can_hold(world):
    for document in DOCUMENTS:
        world.nodes[MARKET].services.subjects.show(OTHER, document, CLERK)
    rules = [world.values(MARKET, index)["rule"] for index, _ in world.events(MARKET, "audit")]
    assert rules == [f"identified-by-{document}" for document in DOCUMENTS]


def test_purposes_have_names_where_the_documents_are_here(world):
    named = world.nodes[MARKET].services.subjects.name_purpose
    assert named("pre-listing") is not None
    assert named("no-such-purpose") is None
    assert named(None) is None


def test_a_line_of_a_bulk_question_is_shown_to_its_subject_alone(world):
    with market_world() as many:
        ids = companies(3)
        ask_one_of_many(many, ids)
        many.anchor()
        mine, never = AskedSubject("uscc", ids[0]), AskedSubject("uscc", companies(1, start=50)[0])
        assert [one[:4] for one in summaries(many, MARKET, mine)][:1] == [("bulk", COURT, MARKET, "given")]
        assert summaries(many, COURT, mine) == [("bulk", COURT, MARKET, "listed", None)]
        assert summaries(many, MARKET, never) == []
        (part,) = [p for look in show(many, MARKET, mine).looks for p in look.parts if p.kind == "bulk"]
        assert part.values["subject"] == {"type": "uscc", "id": ids[0]}
        assert not any(other in part.file.decode() for other in ids[1:])
        ruling = verify(many, MARKET, part.file)
        assert (ruling.finding.name, ruling.about["subject"]) == ("proven", f"uscc {ids[0]}")


def test_members_are_named_as_the_shared_document_has_them(world):
    subjects = world.nodes[MARKET].services.subjects
    assert subjects.name_members([COURT, TAX]) == {}
    data = encode_member_names({COURT: Name("市法院", "city court")})
    for node in world.nodes.values():
        node.services.documents.add(data)
    first, *others = world.nodes.values()
    proposal = first.services.documents.propose(*MEMBERS, sha256(data).digest(), sleep=first.sleep)
    for node in others:
        if not node.services.documents.find_proposal(proposal.id).executed:
            node.services.documents.vote(proposal.id, sleep=node.sleep)
    for node in world.nodes.values():
        node.services.documents.refresh()
    assert subjects.name_members([COURT, TAX]) == {COURT: ("市法院", "city court")}


def test_a_list_is_shown_without_names_rather_than_not_at_all(world):
    """The chain names a document that this node has not got yet; the view is logged by then."""
    subjects = world.nodes[MARKET].services.subjects

    def missing():
        raise Unavailable("document-nowhere", "not got yet")

    subjects._find_rules = subjects._find_names = missing
    assert subjects.name_members([COURT]) == {}
    assert subjects.name_purpose("pre-listing") is None

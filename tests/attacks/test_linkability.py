# SPDX-License-Identifier: Apache-2.0
"""Linkability: a member wants to know which looks of others are about the same enterprise, and about which one.

It gets more than any member is given. It reads every entry of the other logs, as an auditor does without openings; it
measures every envelope on the network; it has all openings of half of the events, as if it had been a side of them, and
with them their salts; and it knows every subject, case, officer, consent and record that there is. It looks for anything
that two events share, for guesses that hash to what an event names, and for sizes that betray a subject.

The control is the same attack on the same exchanges with one salt for all events, where it names every subject.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations, product

import pytest

from node.access.box import MAX_REQUEST_BYTES, open_request, parse_envelope
from node.access.event import SALTED_NAMES, build_heartbeat, digest_of, event_salts
from node.access.question import AskedSubject, ItemQuery
from node.access.request import parse_request
from node.core.canonical import encode_json, parse_json
from node.core.encoding import encode_b64u, parse_b64u
from node.log.merkle import leaf_hash
from node.service.consents import Terms
from tests.support.exchange_world import COURT, FIELDS, MARKET, VCT, ExchangeWorld
from tests.support.node_world import WHY
from tests.support.rows import COMPANY, PERSON, RESIDENT_ID

SUBJECTS = [
    ("uscc", COMPANY),
    ("name", "某某有限公司"),
    ("name", "某某省某某市某某区某某街道某某建筑安装工程有限责任公司第一分公司"),
    ("uscc", "91330106MA27Y8LH7C"),
    ("uscc", "91350100M000100Y43"),
]
"""The first is asked about again and again; the others now and then."""
QUESTIONS = [0, 1, 0, 2, 0, 0, 3, 0, 4, 1, 0, 0]
CASE, BASIS = "2026-执-17", "civil-procedure-253"
KINDS = ("ask", "grant", "receive", "read", "consent")


@dataclass
class Sight:
    """An event as it stands in the open, and, for the one who checks the attack, what it is about."""

    entry: bytes
    fields: dict
    subject: tuple
    known: dict | None


def all_events(world):
    """Every event of both nodes; the attacker has the openings of every second one of each kind."""
    seen, met = [], defaultdict(int)
    for code in (COURT, MARKET):
        for index, event in world.events(code):
            said = world.values(code, index)
            about = said["subject"]
            subject = (about["type"], about["id"]) if about else ("record",)
            met[event.kind] += 1
            known = said if met[event.kind] % 2 else None
            entry = world.nodes[code].access.entry(world.nodes[code].access.row(index))
            seen.append(Sight(entry, parse_json(entry, max_bytes=1 << 20), subject, known))
    return seen


def salts_of(world, sight):
    """The salts of an event whose openings the attacker has."""
    for node in world.nodes.values():
        for index, row in node.access.rows(0, node.access.size()):
            if node.access.entry(row) == sight.entry:
                return event_salts(node.keeper.unwrap(node.access.wrapped_secret(index), sight.fields["rid"]))
    raise AssertionError("no such event")


@pytest.fixture(scope="module", params=["own salts", "one salt for all"])
def world(request):
    """A day of questions, looks and consents; in the control every event takes its salts from the same secret."""
    with pytest.MonkeyPatch.context() as monkeypatch, ExchangeWorld((COURT, MARKET)) as made:
        made.is_control = request.param != "own salts"
        if made.is_control:
            give_one_salt(monkeypatch)
        live_a_day(made)
        yield made


def give_one_salt(monkeypatch):
    own, one = event_salts, event_salts(bytes(32))
    ours = [module for name, module in sys.modules.items() if name.startswith(("node.", "tests.attacks."))]
    for module in ours:
        if getattr(module, "event_salts", None) is own:
            monkeypatch.setattr(module, "event_salts", lambda _secret: one)


def live_a_day(world):
    market = world.nodes[MARKET]
    market.import_penalties(range(3))
    market.import_penalties(range(3, 5), **PERSON)
    world.anchor()
    end = world.clock.now_seconds() + 86_400
    items = (ItemQuery(VCT["penalty:2018"], (*FIELDS, "subject")),)
    terms = Terms(AskedSubject("rid", RESIDENT_ID), MARKET, COURT, "window-query", items, end, 9)
    world.consent = world.exchanges[MARKET].window.give(terms, WHY)
    for number in QUESTIONS:
        type_, id_ = SUBJECTS[number]
        outcome = world.ask_one(subject_type=type_, subject_id=id_, case=CASE, basis=BASIS)
        assert outcome.result == ("none" if number else "ok")
        world.clock.advance(seconds=20)
    for _ in range(2):
        world.ask_one(
            subject_type="rid",
            subject_id=RESIDENT_ID,
            purpose="window-query",
            basis=None,
            case=None,
            fields={VCT["penalty:2018"]: FIELDS},
            consents={MARKET: world.consent.token},
        )
        market.services.records.show(market.leaf(0), WHY)
    world.anchor()


# ---- the attack


def shared_bytes(sights):
    """Pairs of events of different requests that have any digest, or any run of eight bytes behind one, in common."""
    tokens = defaultdict(set)
    for place, sight in enumerate(sights):
        for digest in sight.fields["_sd"]:
            raw = parse_b64u(digest)
            for at in range(len(raw) - 7):
                tokens[raw[at : at + 8]].add(place)
    return {
        (one, other)
        for places in tokens.values()
        for one, other in combinations(sorted(places), 2)
        if sights[one].fields["rid"] != sights[other].fields["rid"]
    }


def recognised(world, sights):
    """What each event whose openings the attacker lacks is about, by guessing under every salt that it has."""
    salts = {salt for sight in sights if sight.known is not None for salt in salts_of(world, sight)}
    salts |= {encode_b64u(bytes(18))}
    salts |= {encode_b64u(parse_b64u(sight.fields["rid"]).ljust(18, b"\0")) for sight in sights}
    guesses = {}
    for salt, (type_, id_) in product(salts, [*SUBJECTS, ("rid", RESIDENT_ID)]):
        text = encode_b64u(encode_json([salt, "subject", {"type": type_, "id": id_}]))
        guesses[digest_of(text)] = (type_, id_)
    for salt in salts:
        text = encode_b64u(encode_json([salt, "consent", encode_b64u(world.consent.digest)]))
        guesses[digest_of(text)] = ("rid", RESIDENT_ID)
    found = {}
    for place, sight in enumerate(sights):
        hits = [guesses[digest] for digest in sight.fields["_sd"] if digest in guesses]
        if sight.known is None and hits:
            found[place] = hits[0]
    return found


def test_no_event_shares_anything_with_another(world):
    sights = all_events(world)
    assert {sight.fields["kind"] for sight in sights} == set(KINDS)
    pairs = shared_bytes(sights)
    if world.is_control:
        about = defaultdict(set)
        for place, sight in enumerate(sights):
            about[sight.subject].add(place)
        same = {pair for places in about.values() for pair in combinations(sorted(places), 2)}
        same = {(a, b) for a, b in same if sights[a].fields["rid"] != sights[b].fields["rid"]}
        assert pairs >= same, "the attack finds what is there to find"
    else:
        assert pairs == set()


def test_no_subject_is_guessed(world):
    sights = all_events(world)
    found = recognised(world, sights)
    asked = {
        place: sight.subject
        for place, sight in enumerate(sights)
        if sight.known is None and sight.subject != ("record",)
    }
    assert len(asked) > len(QUESTIONS)
    assert found == (asked if world.is_control else {})


def test_what_stands_in_the_open_is_the_same_for_every_subject(world):
    """Of one kind of event all entries have one form and one length: nothing but time, rid and digests differs."""
    forms = defaultdict(set)
    for sight in all_events(world):
        form = tuple((name, len(str(value))) for name, value in sight.fields.items() if name != "n")
        # How many records were found stands in the open, as the protocol has it.
        forms[sight.fields["kind"]].add(form)
    assert {kind: len(found) for kind, found in forms.items()} == dict.fromkeys(KINDS, 1)
    assert set(SALTED_NAMES).isdisjoint(name for sight in all_events(world) for name in sight.fields)


def test_padding_is_not_told_from_events_by_its_hash(world):
    """A member that is no auditor has the tiles: leaf hashes, of which it can make again none but heartbeats."""
    for code in (COURT, MARKET):
        reader = world.nodes[code].access
        size = reader.size()
        assert size % 16 == 0
        entries = [reader.entry(row) for _, row in reader.rows(0, size)]
        leaves = [reader.leaf(index) for index in range(size)]
        assert leaves == [leaf_hash(entry) for entry in entries]
        assert len(set(leaves)) == size
        guessable = {leaf_hash(encode_json({"kind": "pad", "v": 1, "x": encode_b64u(bytes(16))}))}
        assert guessable.isdisjoint(leaves)


def test_a_heartbeat_is_found_by_trying(world):
    """What remains: nothing in a heartbeat is random, so its counts can be tried; they name no subject and no event."""
    reader = world.nodes[MARKET].access
    entries = [reader.entry(row) for _, row in reader.rows(0, reader.size())]
    beats = [parse_json(entry, max_bytes=1 << 20) for entry in entries if b'"heartbeat"' in entry]
    assert beats
    for beat in beats:
        # The anchor's time is on the chain; the attacker tries the seconds around it.
        around = range(beat["t"] - 1_000, beat["t"] + 1_000)
        tried = {leaf_hash(build_heartbeat(t_ms, rejects=0, unwraps=None)) for t_ms in around}
        assert tried & {leaf_hash(entry) for entry in entries}
        assert beat.keys() == {"kind", "rejects", "t", "unwraps", "v"}


def test_envelopes_have_one_size_whoever_is_asked_about(world):
    """The court asks about five subjects with names of all lengths; what is on the network is one size."""
    sent = [body for _, body in world.post.sent][: len(QUESTIONS)]
    lengths, sizes, answers = set(), defaultdict(set), defaultdict(set)
    for number, body, answer in zip(QUESTIONS, sent, world.post.answers, strict=False):
        envelope = parse_envelope(body, max_plaintext_bytes=MAX_REQUEST_BYTES)
        token = open_request(envelope, world.exchange_key(MARKET))
        lengths.add(len(token))
        # How many ends of earlier questions a request tells, and how much an answer holds, shows in steps of 4 KiB.
        sizes[len(parse_request(token).received)].add(len(body))
        answers[number == 0].add(len(answer))
    assert len(lengths) > len(sizes), "without padding they would differ"
    assert {told: len(found) for told, found in sizes.items()} == dict.fromkeys(sizes, 1)
    assert {is_found: len(found) for is_found, found in answers.items()} == {True: 1, False: 1}

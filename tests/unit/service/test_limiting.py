# SPDX-License-Identifier: Apache-2.0
"""Rates and uses, counted in the commit that logs their event: in memory, on disk, and when the disk dies in between."""

from dataclasses import replace
from functools import partial

import pytest

from node.access.consent import build_consent, parse_consent
from node.access.decision import ConsentGiven, Counts, WarrantGiven, decide
from node.access.question import AskedSubject, ItemQuery
from node.access.warrant import build_warrant, parse_warrant
from node.crypto.ed25519 import Ed25519Signer
from node.errors import AccessDenied, NodeError, Verification
from node.log.checkpoint import build_origin
from node.log.merkle import EMPTY_ROOT
from node.service import layout
from node.service.assembly import LOG_NUMBERS, open_readers
from node.service.layout import LogKind
from node.service.limiting import (
    DROPPED_AT_ONCE,
    KEPT_SECONDS,
    RateCharge,
    UseCharge,
    Used,
    charge_all,
    drop_ended,
    list_ended,
    list_uses,
    read_counts,
    read_used,
    revoke,
)
from node.service.sequencer import Sequencer, load_tail
from node.service.startup import create_heads
from node.service.transaction import Transaction
from node.storage.memory import MemoryHeadFiles, MemoryStore
from node.storage.opening import open_store
from tests.support import purposes
from tests.support.errors import raises_code
from tests.support.faults import Faults, FaultyDisk, PowerCutError
from tests.support.purposes import ASKER, AT, PENALTY, PROVIDER

INDEX_KEY = bytes(range(32))
IDENTITY = b"zj.example/" + PROVIDER.encode()
PURPOSE = purposes.sample_rules().purposes["pre-listing"]
KEY = Ed25519Signer(bytes(32))
CONSENT = parse_consent(
    build_consent(
        signer=KEY,
        iss=PROVIDER,
        aud=PROVIDER,
        iat=AT - 60,
        exp=AT + 3_600,
        jti=bytes(16),
        asker=ASKER,
        subject=AskedSubject("rid", "110101199003070396"),
        items=[ItemQuery(PENALTY, ("CF_WSH",))],
        purpose=PURPOSE.code,
        uses=3,
    )
)
WARRANT = parse_warrant(
    build_warrant(
        signer=KEY,
        iss=PROVIDER,
        asker=ASKER,
        iat=AT - 60,
        exp=AT + 3_600,
        jti=bytes(16),
        looks=5,
        open_by=AT + 7_200,
    )
)
ORIGINS = {log: build_origin("zj.example", PROVIDER, log.text, 0) for log in LogKind}


def rid(number):
    return number.to_bytes(16, "big")


def of_member(lines=1, at=AT, purpose=PURPOSE):
    return RateCharge.of_member(INDEX_KEY, ASKER, purpose, lines, at)


def of_officer(lines=1, at=AT):
    return RateCharge.of_officer(INDEX_KEY, "li", PURPOSE, lines, at)


def asking(number, *charges):
    """What the access log does with a question: the charges, then the event."""

    def operation(transaction):
        index = transaction.size(LogKind.ACCESS)
        charge_all(charges)(transaction, index)
        return transaction.append(LogKind.ACCESS, b"event %d" % number, key=rid(number))

    return operation


class Node:
    def __init__(self, store):
        self.store = store
        heads = MemoryHeadFiles()
        self.readers = open_readers(store, "zj.example", PROVIDER)
        create_heads(heads, self.readers, EMPTY_ROOT)
        self.sequencer = Sequencer(store, heads, ORIGINS, LOG_NUMBERS)

    def run(self, operation):
        return self.sequencer.run(operation)

    def events(self):
        reader = self.readers[LogKind.ACCESS]
        return [row.key for _, row in reader.rows(0, reader.size())]

    def counts(self, **whose):
        whose = {"member": ASKER, "officer": None, "purpose": PURPOSE.code, "at": AT} | whose
        return read_counts(self.store, INDEX_KEY, **whose)

    def uses(self):
        return read_used(self.store, CONSENT.digest).uses


@pytest.fixture(params=["memory", "disk"])
def node(request, tmp_path):
    store = (
        MemoryStore() if request.param == "memory" else open_store(tmp_path / "store", IDENTITY, create=True)
    )
    made = Node(store)
    yield made
    made.sequencer.close()
    store.close()


def test_of_questions_that_arrive_together_those_are_granted_that_there_is_room_for(node):
    rate = PURPOSE.rate
    node.run(asking(0, of_member(rate.member_hour - 2)))
    futures = [node.sequencer.submit(asking(n, of_member())) for n in range(1, 5)]
    errors = [future.exception() for future in futures]
    assert [error is None for error in errors] == [True, True, False, False]
    assert {error.code for error in errors[2:]} == {"rate-member"}
    assert node.events() == [rid(0), rid(1), rid(2)]
    assert node.counts().member_hour == rate.member_hour


def test_what_one_charge_refuses_costs_nothing_of_the_others(node):
    node.run(asking(0, of_officer(PURPOSE.rate.officer_hour)))
    with raises_code(AccessDenied, "rate-officer"):
        node.run(asking(1, of_member(), UseCharge.of_consent(CONSENT, rid(1)), of_officer()))
    assert node.counts() == Counts()
    assert node.uses() == 0
    assert node.events() == [rid(0)]


def test_members_officers_and_purposes_are_counted_apart(node):
    other = purposes.sample_rules().purposes["tender-check"]
    node.run(asking(0, of_member(3), of_officer(5)))
    node.run(asking(1, of_member(7, purpose=other)))
    assert node.counts() == Counts(3, 3)
    assert node.counts(member=None, officer="li") == Counts(0, 0, 5, 5)
    assert node.counts(member=None, officer="wang") == Counts(0, 0, 0, 0)
    assert node.counts(purpose=other.code) == Counts(7, 7)
    assert node.counts(member="91440300708461136T") == Counts()
    # An officer is never taken for a member of the same name.
    assert node.counts(member="li") == Counts()


def test_hours_and_days_go_by(node):
    node.run(asking(0, of_member(PURPOSE.rate.member_hour)))
    with raises_code(AccessDenied, "rate-member"):
        node.run(asking(1, of_member(at=AT + 3_599)))
    later = AT + 3_660
    node.run(asking(1, of_member(at=later)))
    assert node.counts(at=later) == Counts(1, PURPOSE.rate.member_hour + 1)
    assert node.counts(at=AT + 100_000) == Counts()


def test_a_consent_is_used_as_often_as_it_says(node):
    for number in range(3):
        node.run(asking(number, UseCharge.of_consent(CONSENT, rid(number))))
    with raises_code(AccessDenied, "consent-used-up"):
        node.run(asking(3, UseCharge.of_consent(CONSENT, rid(3))))
    assert read_used(node.store, CONSENT.digest) == Used(CONSENT.exp, 3, issuer=CONSENT.iss)
    places = [layout.place_of(0, index) for index in range(3)]
    assert list_uses(node.store, CONSENT.digest) == list(zip(map(rid, range(3)), places, strict=True))


def test_a_repeated_request_uses_a_consent_once(node):
    for _ in range(5):
        node.run(asking(1, UseCharge.of_consent(CONSENT, rid(1))))
    assert node.uses() == 1
    assert list_uses(node.store, CONSENT.digest) == [(rid(1), 0)]
    node.run(lambda t: revoke(t, CONSENT.digest, end=None, at=AT))
    node.run(asking(1, UseCharge.of_consent(CONSENT, rid(1))))


def test_a_warrant_counts_lines(node):
    node.run(asking(0, UseCharge.of_warrant(WARRANT, rid(0), 4)))
    with raises_code(AccessDenied, "warrant-used-up"):
        node.run(asking(1, UseCharge.of_warrant(WARRANT, rid(1), 2)))
    node.run(asking(2, UseCharge.of_warrant(WARRANT, rid(2), 1)))
    assert read_used(node.store, WARRANT.digest).uses == 5
    assert WarrantGiven.of(WARRANT, looks=5) == WarrantGiven(ASKER, WARRANT.exp, 0)
    node.run(lambda t: revoke(t, WARRANT.digest, end=None, at=AT))
    with raises_code(AccessDenied, "warrant-revoked"):
        node.run(asking(3, UseCharge.of_warrant(WARRANT, rid(3), 0)))


@pytest.mark.parametrize("end", [None, CONSENT.exp])
def test_what_was_taken_back_is_good_for_nothing(node, end):
    assert node.run(lambda t: revoke(t, CONSENT.digest, end=end, at=AT)) is True
    assert node.run(lambda t: revoke(t, CONSENT.digest, end=end, at=AT + 9)) is False
    assert read_used(node.store, CONSENT.digest) == Used(end, 0, AT)
    with raises_code(AccessDenied, "consent-revoked"):
        node.run(asking(0, UseCharge.of_consent(CONSENT, rid(0))))
    assert node.events() == []


def test_a_used_consent_can_be_taken_back_between_decision_and_commit(node):
    node.run(asking(0, UseCharge.of_consent(CONSENT, rid(0))))
    taking_back = node.sequencer.submit(lambda t: revoke(t, CONSENT.digest, end=CONSENT.exp, at=AT))
    asked = node.sequencer.submit(asking(1, UseCharge.of_consent(CONSENT, rid(1))))
    assert taking_back.result() is True
    assert asked.exception().code == "consent-revoked"
    assert read_used(node.store, CONSENT.digest) == Used(CONSENT.exp, 1, AT, CONSENT.iss)


def test_counts_go_a_year_after_the_end_and_leave_nothing(node):
    node.run(asking(0, UseCharge.of_consent(CONSENT, rid(0))))
    node.run(asking(1, UseCharge.of_consent(CONSENT, rid(1))))
    node.run(lambda t: revoke(t, CONSENT.digest, end=CONSENT.exp, at=AT))
    gone = CONSENT.exp + KEPT_SECONDS
    assert list_ended(node.store, gone, limit=10) == []
    ended = list_ended(node.store, gone + 1, limit=10)
    assert ended == [CONSENT.digest]
    node.run(lambda t: drop_ended(t, node.store, ended))
    assert list(node.store.scan(b"C", b"D")) == []
    assert list_ended(node.store, gone + 10**9, limit=10) == []


def test_what_was_used_often_is_dropped_in_several_commits(node):
    other = replace(CONSENT, digest=bytes(32))
    for number in range(3):
        charge = UseCharge.of_consent(CONSENT, rid(number))
        node.run(lambda t, charge=charge: charge.write(t, 0))
    many = replace(CONSENT, digest=b"\x01" * 32, uses=10_000)
    uses = [UseCharge.of_consent(many, rid(number)) for number in range(DROPPED_AT_ONCE)]
    node.run(lambda t: [each.write(t, 0) for each in (*uses, UseCharge.of_consent(other, rid(0)))])
    end, dropped = CONSENT.exp + KEPT_SECONDS + 1, []
    while ended := list_ended(node.store, end, limit=10):
        dropped.append(node.run(lambda t, ended=ended: drop_ended(t, node.store, ended)))
    # The first takes a use and most of the thousand, the second the rest of them and the last.
    assert dropped == [1, 2]
    assert list(node.store.scan(b"C", b"D")) == []


def test_what_was_taken_back_without_a_known_end_is_kept(node):
    node.run(lambda t: revoke(t, CONSENT.digest, end=None, at=AT))
    assert list_ended(node.store, AT * 2, limit=10) == []
    node.run(lambda t: revoke(t, WARRANT.digest, end=WARRANT.exp, at=AT))
    assert list_ended(node.store, AT * 2, limit=10) == [WARRANT.digest]


def test_the_store_says_of_nobody_what_he_asked(node):
    before = dict(node.store.scan(b"", None))
    node.run(asking(0, of_member(), of_officer(), UseCharge.of_consent(CONSENT, rid(0))))
    new = [key + value for key, value in node.store.scan(b"", None) if before.get(key) != value]
    said = b"".join(new)
    # At whose window the consent was given is in the open: that one may take it back.
    for word in (ASKER, "li\x00", PURPOSE.code, "110101199003070396", "CF_WSH"):
        assert word.encode() not in said
    # Under another key it would be another counter: it is no plain hash of a guessable name.
    assert (
        read_counts(node.store, bytes(32), member=ASKER, officer=None, purpose=PURPOSE.code, at=AT)
        == Counts()
    )


def test_a_decision_reads_what_was_counted(node):
    node.run(asking(0, of_member(PURPOSE.rate.member_hour), UseCharge.of_consent(CONSENT, rid(0))))
    asked = {"purpose": PURPOSE.code, "basis": "enforcement-publicity", "subject_type": "rid"}
    asked |= {"asked": {PENALTY: ("CF_WSH",)}}

    def given():
        used = read_used(node.store, CONSENT.digest)
        return ConsentGiven.of(
            CONSENT, subject=CONSENT.subject, uses=used.uses, is_revoked=used.revoked is not None
        )

    assert decide(purposes.question(**asked, consent=given())).rule == "consent"
    assert decide(purposes.question(**asked, consent=given(), counts=node.counts())).code == "rate-member"
    node.run(lambda t: revoke(t, CONSENT.digest, end=CONSENT.exp, at=AT))
    assert decide(purposes.question(**asked, consent=given())).code == "consent-revoked"
    other = ConsentGiven.of(CONSENT, subject=AskedSubject("rid", "330106199001011234"), uses=0)
    assert decide(purposes.question(**asked, consent=other)).code == "consent-subject"


@pytest.mark.parametrize(
    "stored", [b"", b"\xc1", b"\x93\x01\xc0\xc0", b"\x93\x01\xff\xc0", b"\x92\x01\x01", b"\x07"]
)
def test_a_damaged_count_is_no_count(node, stored):
    node.run(lambda t: t.put(b"Cc" + CONSENT.digest, stored))
    with raises_code(Verification, "uses-form"):
        read_used(node.store, CONSENT.digest)
    with raises_code(Verification, "uses-form"):
        node.run(asking(0, UseCharge.of_consent(CONSENT, rid(0))))
    assert node.events() == []


# ---- the disk dies


def open_on(disk, path):
    return open_store(path, IDENTITY, create=True, files=disk.files, open_database=disk.open_database)


def commit(store, operation):
    transaction = Transaction(store, {kind: load_tail(store, kind, 0) for kind in LogKind})
    operation(transaction)
    batch, _ = transaction.seal()
    store.commit(batch)


def grant(store, number):
    charges = (of_member(2), of_officer(), UseCharge.of_consent(CONSENT, rid(number)))
    commit(store, asking(number, *charges))


def grant_all(store):
    """Grant three questions and return how many were acknowledged before the disk failed."""
    for number in range(3):
        try:
            grant(store, number)
        except (NodeError, PowerCutError):
            return number
    return 3


def check_counts_are_events(store, events):
    """Every event is counted once, and nothing else is."""
    counted = read_counts(store, INDEX_KEY, member=ASKER, officer="li", purpose=PURPOSE.code, at=AT)
    assert counted == Counts(2 * len(events), 2 * len(events), len(events), len(events))
    used = [each for each, _ in list_uses(store, CONSENT.digest)]
    assert used == events
    assert read_used(store, CONSENT.digest).uses == len(events)


def events_in(store):
    reader = open_readers(store, "zj.example", PROVIDER)[LogKind.ACCESS]
    return [row.key for _, row in reader.rows(0, reader.size())]


@pytest.mark.parametrize(
    "mode", ["fail-before", "fail-torn", "fail-after", "cut-before", "cut-torn", "cut-after"]
)
def test_a_disk_that_dies_at_any_call_leaves_each_event_counted_once(tmp_path, mode):
    whole = FaultyDisk(Faults())
    store = open_on(whole, tmp_path / "whole")
    created = len(whole.faults.calls)
    assert grant_all(store) == 3
    store.close()
    lost = set()
    for at in range(created, len(whole.faults.calls)):
        if mode.endswith("torn") and whole.faults.calls[at] != "write":
            continue
        path = tmp_path / str(at)
        disk = FaultyDisk(Faults(at, mode))
        store = open_on(disk, path)
        acknowledged = grant_all(store)
        disk.abandon()
        if mode.startswith("cut"):
            disk.files.lose_unsynced()
        store = open_store(path, IDENTITY, create=True)
        events = events_in(store)
        assert events in ([rid(n) for n in range(count)] for count in (acknowledged, acknowledged + 1))
        lost.add(acknowledged + 1 - len(events))
        check_counts_are_events(store, events)
        # The askers come again: who has an event gets what it led to, the others are granted now.
        for number in range(len(events), 3):
            grant(store, number)
        check_counts_are_events(store, [rid(n) for n in range(3)])
        with raises_code(AccessDenied, "consent-used-up"):
            commit(store, asking(3, UseCharge.of_consent(CONSENT, rid(3))))
        store.close()
    assert lost
    if mode in ("fail-after", "cut-after"):
        assert lost == {0, 1}, "some faults are after the commit point, some before"


def test_a_purge_that_is_broken_off_is_taken_up_again(tmp_path):
    path = tmp_path / "store"
    store = open_store(path, IDENTITY, create=True)
    grant_all(store)
    now = CONSENT.exp + KEPT_SECONDS + 1
    store.close()
    for mode in ("cut-before", "cut-after"):
        disk = FaultyDisk(Faults())
        store = open_on(disk, path)
        disk.faults.at, disk.faults.mode = len(disk.faults.calls), mode
        ended = list_ended(store, now, limit=10)
        with pytest.raises(PowerCutError):
            commit(store, partial(drop_ended, reads=store, digests=ended))
        disk.abandon()
        store = open_store(path, IDENTITY, create=True)
        assert (list_ended(store, now, limit=10) == []) == (list(store.scan(b"C", b"D")) == [])
        store.close()

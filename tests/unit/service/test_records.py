# SPDX-License-Identifier: Apache-2.0
"""Listing, searching, showing and withdrawing records."""

from hashlib import sha256

import pytest

from node.access.event import ParsedEvent, parse_entry, parse_event, verify_openings
from node.access.receipt import parse_receipt
from node.core.encoding import encode_b64u
from node.errors import Conflict, InvalidInput, NotFound, Unavailable
from node.service.looking import _MINT, Look
from tests.support.errors import raises_code
from tests.support.node_world import DOMAIN, WHY, NodeWorld, penalty
from tests.support.rows import COMPANY, PERSON, RESIDENT_ID

OTHER = "91520100MA0000170J"


@pytest.fixture
def world():
    with NodeWorld() as made:
        made.join()
        yield made


def indices(lines):
    return [line.index for line in lines]


def found(world, kind, identifier, limit=100):
    return indices(world.services.records.find(kind, identifier, WHY, limit=limit).lines)


def access_events(world):
    reader = world.access
    entries = (reader.entry(row) for _, row in reader.rows(0, reader.size()))
    return [event for event in map(parse_entry, entries) if isinstance(event, ParsedEvent)]


def fill(world):
    """Records between status heads: records at 0-2, 4-5, 7; heads at 3, 6, 8."""
    for numbers in (range(3), range(3, 5), range(5, 6)):
        world.import_penalties(numbers)
        world.anchor()
    return world.services.records


def test_lists_go_from_the_newest_back_and_leave_out_what_is_no_record(world):
    records = fill(world)
    assert indices(records.list_newest(limit=100)) == [7, 5, 4, 2, 1, 0]
    assert indices(records.list_newest(limit=2)) == [7, 5]
    assert indices(records.list_newest(limit=2, before=5)) == [4, 2]
    assert indices(records.list_newest(limit=5, before=1)) == [0]
    assert records.list_newest(limit=5, before=0) == []
    assert indices(records.list_newest(limit=1, before=10_000)) == [7]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_together_are_the_whole_list(world, limit):
    records = fill(world)
    found, before = [], None
    while page := records.list_newest(limit=limit, before=before):
        found += indices(page)
        before = page[-1].index
    assert found == [7, 5, 4, 2, 1, 0]


def test_a_list_of_an_empty_log_is_empty(world):
    assert world.services.records.list_newest(limit=10) == []


def test_a_line_shows_nothing_of_the_content(world):
    world.import_rows([penalty(1, **PERSON)])
    line = world.lines()[0]
    assert (line.index, line.item, line.disclosure, line.status, line.stage) == (
        0,
        "penalty:2018",
        "authorised",
        "valid",
        "integrated",
    )
    assert line.leaf == world.records.leaf(0)
    assert world.services.records.line(line.leaf) == line
    assert RESIDENT_ID not in repr(line)


def test_records_are_found_by_their_subject(world):
    rows = [penalty(n, CF_XDR_SHXYM=OTHER if n % 3 == 0 else COMPANY) for n in range(7)]
    world.import_rows([*rows, penalty(50, **PERSON)])
    assert found(world, "uscc", OTHER) == [0, 3, 6]
    assert found(world, "uscc", COMPANY, limit=2) == [1, 2]
    assert found(world, "rid", RESIDENT_ID) == [7]
    assert found(world, "uscc", "91520100MA0000189F") == []
    assert found(world, "name", "孙样本") == []


def test_a_subject_is_found_as_people_type_it(world):
    world.import_penalties([1])
    full_width = "".join(chr(ord(c) + 0xFEE0) for c in COMPANY)
    for typed in (COMPANY.lower(), f"  {COMPANY} ", full_width):
        assert found(world, "uscc", typed) == [0]


@pytest.mark.parametrize(
    ("kind", "identifier"), [("uscc", "123"), ("rid", "1"), ("uscc", ""), ("name", " "), ("passport", "x")]
)
def test_what_cannot_be_a_subject_is_refused(world, kind, identifier):
    with raises_code(InvalidInput, "record-subject") as caught:
        world.services.records.find(kind, identifier, WHY, limit=10)
    assert access_events(world) == []
    assert identifier not in caught.value.message or len(identifier) < 4


def test_looking_for_a_subject_is_logged_and_names_what_was_listed(world):
    world.import_penalties(range(3))
    looked = world.services.records.find("uscc", COMPANY, WHY, limit=2)
    (event,) = access_events(world)
    reader = world.access
    place = reader.place(reader.size() - 1)
    look = Look(0, {}, frozenset({place}), _MINT)
    said = verify_openings(event, world.services.records._vault.open_event(look, place))
    assert (event.kind, event.n, parse_receipt(looked.receipt).rid) == ("read", 2, event.rid)
    assert said["subject"] == {"type": "uscc", "id": COMPANY}
    assert (said["officer"]["id"], said["purpose"], said["case"]) == (WHY.officer, WHY.purpose, WHY.case)
    entries = [world.records.entry(world.records.row(line.index)) for line in looked.lines]
    assert said["released"] == [[encode_b64u(sha256(jwt).digest()), []] for jwt in entries]
    assert said["items"] == [{"vct": f"urn:ironcage:{DOMAIN}:penalty:2018", "fields": []}]


def test_finding_nothing_is_logged_too(world):
    assert found(world, "uscc", OTHER) == []
    (event,) = access_events(world)
    assert (event.kind, event.n) == ("read", 1)


def test_a_log_that_takes_nothing_shows_no_records(world):
    world.import_penalties([1])
    world.store.fail_next(Unavailable("store-full", "no space"))
    with raises_code(Unavailable, "store-full"):
        world.services.records.find("uscc", COMPANY, WHY, limit=10)
    assert access_events(world) == []


def test_the_index_of_subjects_tells_nothing_without_the_key(world):
    world.import_rows([penalty(1), penalty(2, **PERSON)])
    keys = b"".join(key for key, _ in world.store.scan(b"", None))
    assert COMPANY.encode() not in keys
    assert RESIDENT_ID.encode() not in keys


def test_showing_a_record_logs_it_and_gives_the_receipt(world):
    world.import_penalties(range(2))
    shown = world.services.records.show(world.leaf(1), WHY)
    assert shown.opened.subject == ("uscc", COMPANY)
    assert shown.opened.values["CF_WSH"] == "云市监罚〔2026〕1号"
    assert "BZ" not in shown.opened.values
    receipt = parse_receipt(shown.receipt)
    assert parse_event(world.access.entry(world.access.row(receipt.idx))).kind == "read"
    assert receipt.anchor_by == receipt.iat + 4 * 3600


def test_withdrawing_is_final_and_keeps_its_ground_at_home(world):
    world.import_penalties(range(3))
    leaf = world.leaf(1)
    line = world.services.records.withdraw(leaf, officer="wang", ground="复议撤销")
    assert (line.index, line.status) == (1, "invalid")
    commits = world.store.commits
    with raises_code(Conflict, "record-withdrawn"):
        world.services.records.withdraw(leaf, officer="wang", ground="再次")
    assert world.store.commits == commits
    shown = world.services.records.show(leaf, WHY)
    assert [(c.status, c.officer, c.ground) for c in shown.history] == [(1, "wang", "复议撤销")]
    world.anchor()
    entries = [world.records.entry(row) for _, row in world.records.rows(0, world.records.size())]
    assert not any("复议".encode() in entry for entry in entries)
    assert [line.status for line in world.lines()] == ["valid", "invalid", "valid"]


@pytest.mark.parametrize("ground", ["", "   ", "x" * 501])
def test_a_withdrawal_needs_a_ground(world, ground):
    world.import_penalties([1])
    with raises_code(InvalidInput, "ground"):
        world.services.records.withdraw(world.leaf(), officer="wang", ground=ground)
    assert world.lines()[0].status == "valid"


def test_unknown_records(world):
    fill(world)
    records = world.services.records
    for call in (
        records.line,
        lambda leaf: records.show(leaf, WHY),
        lambda leaf: records.withdraw(leaf, officer="w", ground="g"),
    ):
        for leaf in (bytes(32), world.records.leaf(3)):  # entry 3 is a status head
            with raises_code(NotFound, "record-unknown"):
                call(leaf)


def test_a_leaf_hash_is_compared_whole(world):
    """The index keeps sixteen bytes of it; the rest must fit too."""
    world.import_penalties([1])
    leaf = world.leaf()
    with raises_code(NotFound, "record-unknown"):
        world.services.records.line(leaf[:16] + bytes(16))

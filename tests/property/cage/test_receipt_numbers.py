# SPDX-License-Identifier: Apache-2.0
"""Numbers of receipts against the events of the log: what is missing from the papers is no gap, what is missing from the log is."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.access.receipt import parse_receipt
from node.cage.lines import NUMBERED
from node.cage.numbering import MOST_PEERS, Numbering
from node.cage.proof import MemoryScratch, parse_finding, verify_finding
from node.crypto.ed25519 import Ed25519Signer
from node.service.drafting import TWO_SIDED
from tests.support.audit_world import START, AuditWorld, codes_of, seed_of

AT = START + 1_000
QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SILENCE = {"node-silent", "unanchored"}


def by_provider(world):
    return [token for token in world.receipts if parse_receipt(token).iss == world.nodes[1].member]


@given(seed=st.integers(0, 10**6), data=st.data())
@QUICK
def test_whichever_receipts_are_shown_honest_nodes_have_no_gaps(seed, data):
    """Some are lost, some are dropped by who holds them; nodes are down, some do not open, and some receipts are forged."""
    world = AuditWorld(seed, nodes=4)
    for number in data.draw(st.sets(st.integers(0, 3), max_size=2)):
        start = data.draw(st.integers(0, 3_000))
        world.nodes[number].down.append((START + start, START + start + data.draw(st.integers(10, 3_000))))
    world.some_exchanges(40)
    world.run()
    keep = data.draw(st.sampled_from([0.0, 0.3, 0.9]))
    shown = [token for token in world.receipts if world.random.random() < keep]
    middle = world.random.randrange(len(shown) + 1)
    world.receipts, world.held = shown[:middle], shown[middle:]
    for node in world.nodes:
        node.opens = data.draw(st.integers(0, 3)) != 0
    liar = world.nodes[0]
    liar.node_key, real = Ed25519Signer(seed_of("forger")), liar.node_key
    other = world.nodes[1].member
    world.held += [
        liar.receipt(world.random.randrange(len(liar.entries)), bytes(16), other, AT, pair=1 + number)
        for number in range(data.draw(st.integers(0, 5)))
    ]
    liar.node_key = real
    chosen = data.draw(st.sets(st.integers(0, 3), min_size=1))
    assert codes_of(world.audit(nodes=sorted(chosen))) <= SILENCE


@given(seed=st.integers(0, 10**6), data=st.data())
@QUICK
def test_a_number_without_its_event_is_found_among_lost_messages(seed, data):
    """The provider takes a look out of its log; its asker drops the receipt, and many messages between the two were lost."""
    world = AuditWorld(seed)
    for number in range(12):
        endings = ["grant", "deny", "lost-answer", "lost-request", "crash"]
        world.exchange(AT + 10 * number, 0, 1, ending=data.draw(st.sampled_from(endings)))
    world.exchange(AT + 200, 0, 1)
    asker, provider = world.nodes[:2]
    hidden = AT + 10 * data.draw(st.integers(0, 12)) + 5
    world.plan(hidden, lambda: provider.pair_with(asker.member))
    world.run()
    (last, *_) = sorted(by_provider(world), key=lambda token: -parse_receipt(token).pair)
    world.receipts, world.held = ([], [last]) if data.draw(st.booleans()) else (world.receipts, [])
    (finding,) = world.audit().findings.listed
    assert (finding.code, finding.member, finding.values["count"]) == ("pair-gap", provider.member, 1)
    assert last in finding.receipts or world.receipts
    file = parse_finding(finding.proof)
    assert file.receipts == finding.receipts
    assert not verify_finding(file, world.policy())


def world_with_a_gap():
    """Six exchanges; behind the third the provider gives a number that no event of its log has."""
    world = AuditWorld(4)
    for number in range(6):
        world.exchange(AT + 10 * number, 0, 1)
    asker, provider = world.nodes[:2]
    world.plan(AT + 25, lambda: provider.pair_with(asker.member))
    world.run()
    return world, asker, provider


def test_a_gap_is_named_between_the_receipts_around_it():
    world, asker, _provider = world_with_a_gap()
    tokens = by_provider(world)
    (finding,) = world.audit().findings.listed
    assert (finding.code, finding.values) == (
        "pair-gap",
        {"aud": asker.member, "first": 3, "last": 5, "count": 1},
    )
    assert finding.receipts == (tokens[2], tokens[3])
    assert "序号 3 与 5" in finding.text("zh")


def test_receipts_that_nobody_signed_hide_no_gap():
    world, asker, provider = world_with_a_gap()
    places = [parse_receipt(token).idx for token in by_provider(world)]
    provider.node_key, real = Ed25519Signer(seed_of("forger")), provider.node_key
    world.held = [
        provider.receipt(place, bytes(16), asker.member, AT, pair=4) for place in (places[2] + 1, places[3])
    ]
    provider.node_key = real
    report = world.audit()
    assert codes_of(report) == {"pair-gap"}
    (finding,) = report.findings.listed
    assert finding.values["count"] == 1


def test_without_openings_a_gap_is_named_where_no_event_at_all_is_left_for_the_number():
    world = AuditWorld(4)
    for number in range(6):
        world.exchange(AT + 10 * number, 0, 1)
    world.exchange(AT + 24, 2, 1, ending="deny")
    asker, provider = world.nodes[:2]
    world.plan(AT + 28, lambda: provider.pair_with(asker.member))
    world.run()
    assert codes_of(world.audit()) == {"pair-gap"}
    provider.opens = False
    assert codes_of(world.audit()) == set(), "it may be the event that was for another"
    last = parse_receipt(by_provider(world)[-1])
    world.receipts = [provider.receipt(last.idx, last.rid, asker.member, last.iat, pair=last.pair + 1)]
    assert codes_of(world.audit()) == {"pair-gap"}, "it is one more than there are events for anybody"


@pytest.mark.parametrize("number", [2, 4])
def test_a_number_that_is_given_out_of_turn_is_named(number):
    """It took a number for one event, hid it, and used the number again, later than numbers behind it."""
    world = AuditWorld(4)
    for at in range(3):
        world.exchange(AT + 10 * at, 0, 1)
    asker, provider = world.nodes[:2]
    world.plan(AT + 25, lambda: provider.pairs.update({asker.member: 4}))
    world.exchange(AT + 30, 0, 1)
    world.plan(AT + 35, lambda: provider.pairs.update({asker.member: number - 1}))
    world.exchange(AT + 40, 0, 1)
    world.run()
    hidden = [token for token in by_provider(world) if parse_receipt(token).pair == number][:-1]
    world.receipts = [token for token in world.receipts if token not in hidden]
    found = world.audit().findings.listed
    assert {finding.member for finding in found} == {provider.member}
    assert "pair-order" in {finding.code for finding in found}


def test_what_takes_a_number_is_what_the_other_side_is_told_of():
    assert NUMBERED == TWO_SIDED


@given(
    events=st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["a", "b", None])), max_size=60),
    repeat=st.sampled_from([1, 60]),
    asked=st.lists(st.tuples(st.integers(-1, 400), st.integers(0, 400)), max_size=5),
)
@QUICK
def test_events_are_counted_as_a_plain_list_counts_them(events, repeat, asked):
    numbering, plain, place = Numbering(MemoryScratch(), "n"), [], 0
    for step, peer in events * repeat:
        numbering.note(place, peer)
        plain.append((place, peer))
        place += step
    for after, upto in [*asked, (place // 3, place // 2), (place // 5, place), (-1, place)]:
        if after <= upto:
            counted = numbering.count("a", after, upto)
            within = [peer for at, peer in plain if after < at <= upto]
            assert counted == (within.count("a"), within.count("a") + within.count(None))


def test_members_beyond_a_bound_are_anybodys():
    numbering = Numbering(MemoryScratch(), "n")
    for number in range(MOST_PEERS + 5):
        numbering.note(number, f"member {number}")
    assert numbering.count("member 3", -1, MOST_PEERS + 5) == (1, 6)
    assert numbering.count(f"member {MOST_PEERS + 2}", -1, MOST_PEERS + 5) == (0, 5)

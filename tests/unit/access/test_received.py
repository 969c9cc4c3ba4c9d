# SPDX-License-Identifier: Apache-2.0
"""How earlier questions ended, as the next request says it; what is refused stands in the vectors."""

from __future__ import annotations

from dataclasses import replace

from node.access.logged import OPENED_NAMES, encode_logged
from node.access.received import (
    MAX_RECEIVED,
    MAX_RELEASED_CHARS,
    RELEASED,
    parse_received,
    select_received,
    verify_received,
)
from node.access.request import parse_request
from node.errors import InvalidInput
from node.log.checkpoint import build_origin
from tests.support.errors import raises_code
from tests.support.one_exchange import (
    ASKER,
    EARLIER_RID,
    LIMIT,
    LOGS,
    NODE_KEYS,
    NOW,
    PROVIDER,
    asked,
    received,
    record,
    released_of,
    request,
    request_with_received,
)
from tests.support.records import DOMAIN


def check(shown, **changes):
    arguments = {
        "find_key": lambda _kid: NODE_KEYS[ASKER].public,
        "iss": ASKER,
        "aud": PROVIDER,
        "log": LOGS[ASKER],
        "now_seconds": NOW + 5,
        "anchor_limit_seconds": LIMIT,
    }
    return verify_received(shown, **{**arguments, **changes})


def test_the_end_of_a_question_is_promised_and_opened():
    opened = check(received())
    assert (opened.event.kind, opened.event.rid, opened.receipt.pair) == ("receive", EARLIER_RID, 41)
    assert opened.values[RELEASED] == released_of([record()])
    assert opened.values.keys() == set(OPENED_NAMES)


def test_it_may_be_of_years_ago_and_of_a_log_that_has_a_successor():
    years = 3 * 365 * 86_400
    assert check(received(), now_seconds=NOW + years).event.rid == EARLIER_RID
    successor = build_origin(DOMAIN, ASKER, "access", 1)
    assert check(received(), log=successor).receipt.log == LOGS[ASKER]


def test_a_long_list_of_what_was_released_may_stay_at_home():
    shown = received()
    assert select_received(shown.open) == shown.open
    long = (*shown.open[:-1], "A" * (MAX_RELEASED_CHARS + 1))
    assert select_received(long) == shown.open[:-1]
    opened = check(replace(shown, open=shown.open[:-1]))
    assert RELEASED not in opened.values
    assert opened.values.items() <= asked().items()


def test_a_request_has_at_most_sixteen():
    events = [received(name=f"number {number}", rid=bytes([number]) * 16) for number in range(17)]
    assert len(parse_received([encode_logged(each) for each in events[:MAX_RECEIVED]])) == 16
    with raises_code(InvalidInput, "json-list"):
        request(received=events)


def test_a_request_gives_them_in_its_order():
    first, second = parse_request(request_with_received()).received
    assert (first, second.receipt) == (received(), parse_request(request_with_received()).received[1].receipt)
    assert check(second).values[RELEASED] is None
    assert parse_request(request()).received == ()

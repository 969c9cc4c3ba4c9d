# SPDX-License-Identifier: Apache-2.0
"""The count of unwraps against the looks: what is explained, what is let pass, what is named."""

from __future__ import annotations

from node.cage.unwraps import DAY_MS, LET_PASS, UnwrapCount


def begun(at=100):
    made = UnwrapCount()
    assert made.compare(0, at) == (0, False)
    return made


def looked(made, n, kind="read"):
    made.note_look(kind, n)
    return made


def test_what_the_looks_say_may_come_out():
    assert looked(begun(), 3).compare(1, 103) == (0, False)
    assert looked(begun(), 3).compare(1, 101) == (0, False)
    assert looked(begun(), 3).compare(1, 104) == (1, False)


def test_a_look_just_before_a_heartbeat_is_used_behind_it_and_not_for_ever():
    made = looked(begun(), 5)
    assert made.compare(1, 100) == (0, False)
    assert looked(made, 1).compare(2, 106) == (0, False)
    made = looked(begun(), 5)
    for t_ms in (1, 2):
        assert made.compare(t_ms, 100) == (0, False)
    assert made.compare(3, 105) == (5, False)


def test_events_by_which_nothing_comes_out_explain_nothing():
    for kind in ("ask", "receive", "deny", "consent", "revoke"):
        assert looked(begun(), 9, kind).compare(1, 101) == (1, False), kind
    for kind in ("read", "export", "erase", "grant", "sealed", "audit"):
        assert looked(begun(), 1, kind).compare(1, 102) == (1, False), kind


def test_a_line_of_many_subjects_may_release_several_records():
    assert looked(begun(), 2, "bulk").compare(1, 300) == (0, False)


def test_what_a_stop_may_have_counted_is_let_pass_once_a_day():
    made = begun()
    assert made.compare(1, 100 + LET_PASS - 1) == (LET_PASS - 1, False)
    assert made.compare(2, 100 + LET_PASS) == (1, True)
    assert made.compare(DAY_MS + 1, 100 + LET_PASS + 500) == (500, False)


def test_a_count_that_is_not_there_or_goes_back_is_compared_with_nothing():
    made = begun()
    assert made.compare(1, None) == (0, False)
    assert made.compare(2, 9_000) == (0, False)
    assert made.compare(3, 5) == (0, False)
    assert looked(made, 1).compare(4, 6) == (0, False)

# SPDX-License-Identifier: Apache-2.0
"""The receipts that a node shows are read page by page; whatever else a node answers ends the reading."""

import pytest

from cli.auditing import fetch_held
from node.client.logs import Budget, fetch_receipts
from node.errors import AccessDenied, Unavailable
from tests.support.errors import raises_code


class Answers:
    """Stands for a node: gives one answer after the other, and remembers what was asked."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []

    def post(self, path, body):
        assert path == "/api/v1/access/receipts"
        self.asked.append(body["after"])
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Endless(Answers):
    """A node that has a page behind each page, each a second later."""

    def __init__(self, receipts=("a" * 10,)):
        super().__init__()
        self._receipts = list(receipts)
        self.seconds = 0.0

    def post(self, path, body):
        self._answers.append(page(self._receipts, (body["after"] or 0) + 1))
        self.seconds += 1.0
        return super().post(path, body)

    def now(self):
        return self.seconds


def still():
    """Give the time of a clock that stands."""
    return 0.0


def page(receipts, following):
    return {"receipts": receipts, "next": following}


def test_page_by_page():
    node = Answers(page(["a", "b"], 7), page(["c"], 9), page([], None))
    assert list(fetch_receipts(node, still)) == ["a", "b", "c"]
    assert node.asked == [None, 7, 9]


@pytest.mark.parametrize(
    "odd",
    [
        AccessDenied("role-missing", "not to an officer"),
        Unavailable("node-away", "no answer"),
        page(None, 8),
        page(3, 8),
        {"receipts": ["c"]},
        [],
        None,
    ],
    ids=["not to him", "away", "null", "number", "no next", "list", "nothing"],
)
def test_what_is_no_page_ends_it(odd):
    assert list(fetch_receipts(Answers(page(["a"], 7), odd), still)) == ["a"]


@pytest.mark.parametrize("following", [7, 3, "9", 9.0, True])
def test_a_node_that_turns_pages_back_is_not_read_for_ever(following):
    node = Answers(page(["a"], 7), page(["b"], following))
    assert list(fetch_receipts(node, still)) == ["a", "b"]


def test_what_is_no_text_is_left_out():
    assert list(fetch_receipts(Answers(page(["a", None, 5, ["x"], "b"], None)), still)) == ["a", "b"]


@pytest.mark.parametrize(
    ("budget", "pages"),
    [(Budget(pages=5), 5), (Budget(characters=35), 4), (Budget(seconds=3.0), 4)],
    ids=["pages", "characters", "seconds"],
)
def test_a_node_without_end_is_read_so_far_and_named(budget, pages):
    node, seen = Endless(), []
    with raises_code(Unavailable, "receipts-endless"):
        seen.extend(fetch_receipts(node, node.now, budget))
    assert len(node.asked) == pages


def test_pages_that_hold_nothing_come_to_an_end_too():
    node = Endless(receipts=())
    with raises_code(Unavailable, "receipts-endless"):
        list(fetch_receipts(node, still, Budget(pages=3)))
    assert len(node.asked) == 3


def test_one_that_does_not_end_is_named_and_holds_up_no_other():
    away = []
    nodes = [("http://a", Endless()), ("http://b", Answers(page(["b"], None)))]
    assert list(fetch_held(nodes, away, Budget(pages=3)))[-1] == "b"
    assert away == [{"node": "http://a", "code": "receipts-endless"}]

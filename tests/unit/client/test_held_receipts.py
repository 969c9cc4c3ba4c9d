# SPDX-License-Identifier: Apache-2.0
"""The receipts that a node shows are read page by page; whatever else a node answers ends the reading."""

import pytest

from node.client.logs import fetch_receipts
from node.errors import AccessDenied, Unavailable


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


def page(receipts, following):
    return {"receipts": receipts, "next": following}


def test_page_by_page():
    node = Answers(page(["a", "b"], 7), page(["c"], 9), page([], None))
    assert list(fetch_receipts(node)) == ["a", "b", "c"]
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
    assert list(fetch_receipts(Answers(page(["a"], 7), odd))) == ["a"]


@pytest.mark.parametrize("following", [7, 3, "9", 9.0, True])
def test_a_node_that_turns_pages_back_is_not_read_for_ever(following):
    node = Answers(page(["a"], 7), page(["b"], following))
    assert list(fetch_receipts(node)) == ["a", "b"]


def test_what_is_no_text_is_left_out():
    assert list(fetch_receipts(Answers(page(["a", None, 5, ["x"], "b"], None)))) == ["a", "b"]

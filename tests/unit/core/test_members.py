# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from node.core.members import check_integer, check_list, check_text
from node.errors import InvalidInput
from tests.support.errors import raises_code


def test_values_of_the_right_type_and_size_are_returned():
    assert check_text("é" * 3, "name", max_chars=3) == "ééé"
    assert check_integer(5, "count", least=5, most=5) == 5
    assert check_list([1, None], "items", max_items=2) == [1, None]


@pytest.mark.parametrize("value", [None, 1, b"a", ["a"], True])
def test_other_types_are_not_text(value):
    with raises_code(InvalidInput, "json-text"):
        check_text(value, "name")


def test_text_is_bounded():
    with raises_code(InvalidInput, "json-text-size"):
        check_text("é" * 4, "name", max_chars=3)


@pytest.mark.parametrize("value", [None, "5", True, 5.0, -1, 11, 2**53])
def test_integers_are_bounded_and_no_booleans(value):
    with raises_code(InvalidInput, "json-range"):
        check_integer(value, "count", most=10)
    with raises_code(InvalidInput, "json-range"):
        check_integer(2**53, "count")


@pytest.mark.parametrize("value", [None, "ab", (1,), {}, [1, 2, 3]])
def test_lists_are_bounded(value):
    with raises_code(InvalidInput, "json-list"):
        check_list(value, "items", max_items=2)

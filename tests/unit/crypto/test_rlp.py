# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from node.crypto.rlp import encode_rlp
from node.errors import InvalidInput
from tests.support.errors import raises_code


@pytest.mark.parametrize(
    ("item", "want"),
    [
        (b"dog", "83646f67"),
        ((b"cat", b"dog"), "c88363617483646f67"),
        (b"", "80"),
        ((), "c0"),
        (0, "80"),
        (b"\x00", "00"),
        (15, "0f"),
        (127, "7f"),
        (128, "8180"),
        (1024, "820400"),
        (((), ((),), ((), ((),))), "c7c0c1c0c3c0c1c0"),
        (b"a" * 55, "b7" + "61" * 55),
        (b"a" * 56, "b838" + "61" * 56),
        (b"a" * 256, "b90100" + "61" * 256),
        ([b"a" * 54], "f7" + "b6" + "61" * 54),
        ([b"a" * 55], "f838" + "b7" + "61" * 55),
    ],
)
def test_examples_of_the_yellow_paper_and_borders_of_lengths(item, want):
    assert encode_rlp(item).hex() == want


def test_negative_integers_have_no_form():
    with raises_code(InvalidInput, "rlp-integer"):
        encode_rlp((1, -1))

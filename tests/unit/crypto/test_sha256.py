# SPDX-License-Identifier: Apache-2.0
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.crypto.sha256 import sha256_all


@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1_000, 2_100, 5_000, 70_000])
@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 40])
def test_digests_are_those_of_another_library(length, count):
    # Lengths differ, as the messages of one call go through the processor's lanes together.
    messages = [bytes([number]) * (length + number % 3) for number in range(count)]
    digests = [sha256(message).digest() for message in messages]
    assert sha256_all(messages) == digests
    assert sha256_all([message[:7] for message in messages], [message[7:] for message in messages]) == digests


@given(pieces=st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))))
def test_pieces_are_hashed_as_if_joined(pieces):
    columns = [list(column) for column in zip(*pieces, strict=True)] or [[]]
    assert sha256_all(*columns) == [sha256(b"".join(message)).digest() for message in pieces]


def test_a_piece_too_few_is_refused():
    with pytest.raises(ValueError, match="one chunk per lane"):
        sha256_all([b"a", b"b"], [b"c"])

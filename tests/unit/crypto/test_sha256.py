# SPDX-License-Identifier: Apache-2.0
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stringzilla import Sha256s

from node.crypto import sha256 as module
from node.crypto.sha256 import check_digests, sha256_all
from node.errors import Fatal
from tests.support.errors import raises_code
from tests.support.node_world import NodeWorld


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


class WrongLanes:
    """The library on a processor for which one of its ways of hashing is wrong."""

    def __init__(self, lanes):
        self.lanes = Sha256s(lanes)

    def update(self, pieces):
        self.lanes.update(pieces)

    def digest(self):
        digests = self.lanes.digest()
        return digests if len(digests) < 16 else [*digests[:15], bytes(32), *digests[16:]]


def test_a_node_whose_machine_hashes_wrongly_does_not_start(monkeypatch):
    check_digests()
    monkeypatch.setattr(module, "Sha256s", WrongLanes)
    with raises_code(Fatal, "digests-wrong"):
        NodeWorld()

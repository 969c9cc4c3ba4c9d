# SPDX-License-Identifier: Apache-2.0
"""A status list against a plain list of numbers; paths of heads of any size."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import NodeError, Verification
from node.records.names import StatusUri
from node.records.status import (
    LIST_SIZE,
    StatusHead,
    StatusList,
    StatusToken,
    build_status_head,
    compress_places,
    decompress_places,
    encode_status_token,
    status_at,
    status_path,
    verify_status_head,
    verify_status_path,
    verify_status_token,
)
from tests.support.records import DOMAIN, IAT, MEMBER, SIGNER, find_key

CHANGES = st.lists(
    st.tuples(st.integers(0, LIST_SIZE - 1) | st.integers(0, 9), st.integers(0, 3)), max_size=40
)


@given(CHANGES)
def test_list_keeps_what_was_set_and_nothing_else(changes):
    places, model = StatusList(), {}
    for index, status in changes:
        places.set(index, status)
        model[index] = status
    neighbours = {index + step for index in model for step in (-1, 1) if 0 <= index + step < LIST_SIZE}
    assert all(places.get(index) == model.get(index, 0) for index in model.keys() | neighbours)
    whole = int.from_bytes(places.to_bytes(), "little")
    assert whole == sum(status << 2 * index for index, status in model.items())


@settings(max_examples=20)
@given(CHANGES, st.integers(0, 10**9))
def test_token_round_trip(changes, k):
    places = StatusList()
    for index, status in changes:
        places.set(index, status)
    uri = StatusUri(DOMAIN, MEMBER, k)
    verified = verify_status_token(encode_status_token(places, uri, IAT, SIGNER), find_key)
    assert (verified.uri, verified.places) == (uri, places)


@given(st.binary(max_size=600), st.sampled_from([1, 2, 4, 8]))
def test_any_width_reads_like_one_little_endian_number(data, bits):
    assert decompress_places(compress_places(data), max_bytes=600) == data
    whole = int.from_bytes(data, "little")
    read = [status_at(data, bits, index) for index in range(len(data) * 8 // bits)]
    assert read == [whole >> bits * index & (1 << bits) - 1 for index in range(len(read))]


@given(st.text(alphabet="AeNo1_-", max_size=60))
def test_any_text_unpacks_within_the_bound_or_is_refused(text):
    with suppress(NodeError):
        assert len(decompress_places(text, max_bytes=64)) <= 64


@settings(max_examples=40)
@given(st.integers(1, 70), st.data())
def test_paths_hold_for_their_own_place_only(count, data):
    digests = [hashlib.sha256(bytes([k])).digest() for k in range(count)]
    head = verify_status_head(build_status_head(MEMBER, IAT, 0, digests, SIGNER), find_key)
    k = data.draw(st.integers(0, count - 1))
    path = status_path(digests, k)

    def token(number, digest):
        return StatusToken(StatusUri(DOMAIN, MEMBER, number), IAT, StatusList(), digest)

    verify_status_path(head, token(k, digests[k]), path)
    for number in range(count + 2):
        if number != k:
            with pytest.raises(Verification):
                verify_status_path(head, token(number, digests[k]), path)
    with pytest.raises(Verification):
        verify_status_path(head, token(k, hashlib.sha256(b"other").digest()), path)
    assert type(head) is StatusHead

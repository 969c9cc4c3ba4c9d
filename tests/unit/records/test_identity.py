# SPDX-License-Identifier: Apache-2.0
"""Identity and content, and their keyed digests."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.docnumber import normalise_document_number
from node.records.identity import (
    KeyedDigests,
    build_content,
    build_identity,
    fold_number,
    fold_numbers,
    identity_digest,
)

KEY = bytes(range(32))
SUBJECT = ("uscc", "91520100MA00000156")


def test_digests_are_keyed_truncated_and_told_apart():
    expected = hmac.new(KEY, b"identity\x00abc", hashlib.sha256).digest()[:16]
    assert identity_digest(KEY, b"abc") == expected
    contents = KeyedDigests(KEY, "content").digest_all([b"abc", b"abc"])
    assert contents == 2 * hmac.new(KEY, b"content\x00abc", hashlib.sha256).digest()[:16]
    assert identity_digest(bytes(32), b"abc") != expected


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_no_key(key):
    with pytest.raises(AssertionError):
        identity_digest(key, b"x")
    with pytest.raises(AssertionError):
        KeyedDigests(key, "content")


@given(st.text(alphabet="云罚许〔〕（）()[]【】［］﹝﹞ 0123456789１２２０２６号\u200b\u3000", max_size=20))
def test_the_short_cut_folds_as_the_whole_rule_does(number):
    assert fold_number(number) == normalise_document_number(number)


@given(st.binary(min_size=32, max_size=32), st.lists(st.binary(max_size=200), max_size=4))
def test_digests_of_many_are_those_of_each(key, messages):
    together = KeyedDigests(key, "identity").digest_all(messages)
    assert together == b"".join(identity_digest(key, message) for message in messages)


@given(
    st.lists(
        st.one_of(st.none(), st.text(alphabet="云〔(（2026)）〕 1\x01\u3000号", max_size=12)), max_size=6
    )
)
def test_numbers_together_fold_as_each_alone(numbers):
    assert fold_numbers(numbers) == [None if number is None else fold_number(number) for number in numbers]


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=2, max_size=4),
    st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=2, max_size=4),
)
def test_other_values_are_other_content(first, second):
    same = build_content(*SUBJECT, first) == build_content(*SUBJECT, second)
    assert same == (first == second)


def test_a_numbered_identity_does_not_see_the_content():
    def build(document, content):
        return build_identity("penalty:2018", "x", document=document, subject=SUBJECT, content=content)

    assert build(("1号", None), b"a") == build(("1号", None), b"b")
    assert build(None, b"a") != build(None, b"b")
    assert build(("1号", "2026-01-02"), b"a") != build(("1号", None), b"a")

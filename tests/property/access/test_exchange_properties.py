# SPDX-License-Identifier: Apache-2.0
"""Exchange formats: what is read is what was written, and nothing that was changed is taken for it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from node.access.answer import released_of
from node.access.box import MAX_REQUEST_BYTES, PAD_BYTES, answer_info, pad, unpad
from node.access.bulk import Line, encode_line, hash_lines, line_salts, parse_line
from node.access.question import AskedSubject, ItemQuery, covers, encode_items, parse_items
from node.access.request import build_request, parse_request
from node.core.encoding import encode_b64u
from node.crypto.hpke import ExchangeKey, seal
from node.crypto.token import token_digest
from node.errors import InvalidInput, Verification
from tests.support import plain_exchange as plain
from tests.support.one_exchange import ASKER, NODE_KEYS, PROVIDER, REPLY_KEY, VCT, parsed_request

FIELDS = (
    st.lists(st.sampled_from(["A", "B", "C", "a", "subject"]), min_size=1, unique=True).map(sorted).map(tuple)
)
ITEMS = st.dictionaries(st.sampled_from([VCT, VCT + "a", VCT + "b"]), FIELDS, min_size=1).map(
    lambda made: tuple(ItemQuery(vct, fields) for vct, fields in sorted(made.items()))
)
WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=40)
DIGESTS = st.binary(min_size=32, max_size=32).map(encode_b64u)
RELEASED = st.none() | st.lists(st.tuples(DIGESTS, st.lists(DIGESTS, max_size=3)).map(list), max_size=3)
SUBJECTS = st.builds(AskedSubject, st.just("name"), st.from_regex(r"[A-Za-z0-9一-龥]{1,20}", fullmatch=True))


@given(token=st.text("abc.-_", min_size=1, max_size=9_000))
def test_padding_comes_off_again(token):
    padded = pad(token, MAX_REQUEST_BYTES)
    assert unpad(padded) == token
    assert len(padded) % PAD_BYTES == 0


@given(left=ITEMS, right=ITEMS)
def test_covering_is_inclusion_of_pairs(left, right):
    def pairs(items):
        return {(item.vct, field) for item in items for field in item.fields}

    assert covers(left, right) == (pairs(left) >= pairs(right))
    assert parse_items(encode_items(left)) == left


@given(items=ITEMS, purpose=WORDS, basis=st.none() | WORDS, case=st.none() | WORDS, exp=st.integers(-5, 400))
@settings(max_examples=60)
def test_a_request_is_read_as_it_was_written_or_not_signed(items, purpose, basis, case, exp):
    good = parsed_request()
    fields = {name: getattr(good, name) for name in good.__dataclass_fields__ if name != "digest"}
    fields |= {"items": items, "purpose": purpose, "basis": basis, "case": case, "exp": good.iat + exp}
    try:
        token, request = build_request(signer=NODE_KEYS[ASKER], **fields)
    except InvalidInput as error:
        assert (error.code, 0 < exp <= 300) == ("request-validity", False)  # noqa: PT017  the code is the point
        return
    read = parse_request(token)
    assert request == read
    assert {name: getattr(read, name) for name in fields} == fields
    assert read.digest == token_digest(token)
    assert plain.verify(token, "exchange-request+jwt", NODE_KEYS[ASKER].public)["purpose"] == purpose


@settings(max_examples=40)
@given(
    secret=st.binary(min_size=32, max_size=32),
    values=st.lists(st.tuples(SUBJECTS, RELEASED), min_size=1, max_size=20),
)
def test_bulk_sets_are_those_of_the_naive_tree(secret, values):
    salts = line_salts(secret, len(values))
    lines = [Line(salt, *value) for salt, value in zip(salts, values, strict=True)]
    texts = [encode_line(line) for line in lines]
    assert [parse_line(text) for text in texts] == lines
    made = hash_lines(texts)
    leaves = [plain.leaf_hash(text.encode()) for text in texts]
    assert made.root == plain.tree_root(leaves)
    assert [made.path(k) for k in range(len(texts))] == [
        plain.tree_path(leaves, k) for k in range(len(texts))
    ]


@given(
    seed=st.binary(min_size=32, max_size=32), info=st.binary(max_size=100), secret=st.binary(max_size=5_000)
)
@settings(max_examples=30)
def test_both_halves_of_hpke_agree(seed, info, secret):
    key = ExchangeKey(seed)
    assert key.public == plain.exchange_public(seed)
    assert plain.hpke_open(seed, info, seal(key.public, info, secret)) == secret
    assert key.open(info, plain.hpke_seal(key.public, info, secret, seed)) == secret


SEALED_INFO = answer_info(PROVIDER, ASKER, bytes(32))
SEALED = seal(REPLY_KEY.public, SEALED_INFO, b"x" * 100)


@given(bit=st.integers(0, 8 * len(SEALED) - 1))
def test_no_bit_of_a_box_can_be_changed(bit):
    changed = bytearray(SEALED)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        REPLY_KEY.open(SEALED_INFO, bytes(changed))
    except Verification as error:
        assert error.code == "box-open"  # noqa: PT017  the code is the point
    else:
        raise AssertionError("a changed box opened")


@given(parts=st.lists(st.lists(st.text("abc", min_size=1), max_size=4), max_size=3))
def test_released_is_what_the_other_half_computes(parts):
    records = ["~".join(["jwt", *disclosures, ""]) for disclosures in parts]
    assert released_of(records) == plain.released_of(records)

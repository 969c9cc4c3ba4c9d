# SPDX-License-Identifier: Apache-2.0
"""Envelopes: what is bound by the box, padding in its one form, sizes."""

from __future__ import annotations

import pytest

from node.access import box
from node.access.box import (
    MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES,
    PAD_BYTES,
    Envelope,
    encode_envelope,
    max_envelope_bytes,
    open_answer,
    open_held,
    open_request,
    pad,
    parse_envelope,
    seal_answer,
    seal_held,
    seal_request,
    unpad,
)
from node.crypto.hpke import seal
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code
from tests.support.one_exchange import ASKER, PROVIDER, PROVIDER_KEY, REGULATOR, REPLY_KEY

REQ = bytes(range(32))
SEALED = seal_request("a.b.c", public=PROVIDER_KEY.public, from_=ASKER, to=PROVIDER)
REPLY = seal_answer("d.e.f", reply=REPLY_KEY.public, req=REQ, from_=PROVIDER, to=ASKER)


def test_what_is_sealed_opens_again():
    assert (SEALED.from_, SEALED.to, SEALED.kid) == (ASKER, PROVIDER, PROVIDER_KEY.kid)
    assert open_request(SEALED, PROVIDER_KEY) == "a.b.c"
    assert REPLY.kid == "reply"
    assert open_answer(REPLY, REPLY_KEY, req=REQ) == "d.e.f"
    for envelope in (SEALED, REPLY):
        data = encode_envelope(envelope)
        assert parse_envelope(data, max_plaintext_bytes=MAX_REQUEST_BYTES) == envelope


def test_info_is_that_of_the_protocol():
    kid = PROVIDER_KEY.kid
    assert (
        box.request_info(ASKER, PROVIDER, kid)
        == f"ironcage/v1/request\n{ASKER}\n{PROVIDER}\n{kid}\n".encode()
    )
    assert box.answer_info(PROVIDER, ASKER, bytes(32)) == (
        f"ironcage/v1/answer\n{PROVIDER}\n{ASKER}\n{'A' * 43}\n".encode()
    )


def test_an_answer_opens_for_its_request_alone():
    with raises_code(Verification, "box-open"):
        open_answer(REPLY, REPLY_KEY, req=bytes(32))
    with raises_code(Verification, "box-open"):
        open_answer(Envelope(REGULATOR, ASKER, "reply", REPLY.box), REPLY_KEY, req=REQ)
    with raises_code(Verification, "box-open"):
        open_answer(REPLY, PROVIDER_KEY, req=REQ)


def test_a_request_is_no_answer_and_an_answer_no_request():
    with raises_code(Verification, "box-kid"):
        open_answer(SEALED, PROVIDER_KEY, req=REQ)
    with raises_code(Verification, "box-kid"):
        open_request(REPLY, REPLY_KEY)
    as_request = Envelope(PROVIDER, ASKER, REPLY_KEY.kid, REPLY.box)
    with raises_code(Verification, "box-open"):
        open_request(as_request, REPLY_KEY)


def test_a_held_receipt_opens_for_its_signer_and_is_no_request():
    held = seal_held("g.h.i", public=PROVIDER_KEY.public, from_=ASKER, to=PROVIDER)
    assert parse_envelope(encode_envelope(held), max_plaintext_bytes=PAD_BYTES) == held
    assert open_held(held, PROVIDER_KEY) == "g.h.i"
    with raises_code(Verification, "box-kid"):
        open_held(held, REPLY_KEY)
    with raises_code(Verification, "box-open"):
        open_request(held, PROVIDER_KEY)
    for other in (SEALED, Envelope(REGULATOR, PROVIDER, held.kid, held.box)):
        with raises_code(Verification, "box-open"):
            open_held(other, PROVIDER_KEY)


@pytest.mark.parametrize("length", [1, 4_095, 4_096, 4_097, 8_192, 100_000])
def test_padding_goes_to_the_next_block(length):
    padded = pad("a" * length, 1 << 18)
    assert len(padded) % PAD_BYTES == 0
    assert 0 <= len(padded) - length < PAD_BYTES
    assert unpad(padded) == "a" * length


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b" " * 4_096,
        b"a" * 4_095,
        b"a".ljust(8_192),
        (b"a" * 4_096).ljust(8_192),
        b"a".ljust(4_097),
        b"\xffa".ljust(4_096),
    ],
)
def test_other_padding_is_refused(plaintext):
    with raises_code(InvalidInput, "box-padding"):
        unpad(plaintext)


def test_wrong_padding_inside_a_box_is_refused():
    info = box.request_info(ASKER, PROVIDER, PROVIDER_KEY.kid)
    envelope = Envelope(
        ASKER, PROVIDER, PROVIDER_KEY.kid, seal(PROVIDER_KEY.public, info, b"a.b.c".ljust(8_192))
    )
    with raises_code(InvalidInput, "box-padding"):
        open_request(envelope, PROVIDER_KEY)


def test_messages_have_a_greatest_size():
    with raises_code(InvalidInput, "box-size"):
        pad("a" * (MAX_REQUEST_BYTES + 1), MAX_REQUEST_BYTES)
    with raises_code(InvalidInput, "box-size"):
        pad("", MAX_REQUEST_BYTES)
    largest = seal_request("a" * MAX_REQUEST_BYTES, public=PROVIDER_KEY.public, from_=ASKER, to=PROVIDER)
    data = encode_envelope(largest)
    assert len(data) <= max_envelope_bytes(MAX_REQUEST_BYTES)
    assert parse_envelope(data, max_plaintext_bytes=MAX_REQUEST_BYTES) == largest
    with raises_code(InvalidInput, "json-size"):
        parse_envelope(
            b" " * (max_envelope_bytes(MAX_REQUEST_BYTES) + 1), max_plaintext_bytes=MAX_REQUEST_BYTES
        )
    assert MAX_REQUEST_BYTES % PAD_BYTES == MAX_ANSWER_BYTES % PAD_BYTES == 0

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
from hashlib import sha256

import pytest

from node.errors import Conflict, InvalidInput
from node.log.head import Head, check_continues, encode_head, parse_head
from node.log.merkle import EMPTY_ROOT

ORIGIN = "delta.example/91350100M000100Y43/access/0"
ROOT = b"\x11" * 32
HEAD = Head(ORIGIN, 512, ROOT)
DATA = encode_head(HEAD)


def _with_digest(text):
    return text + base64.b64encode(sha256(text).digest()) + b"\n"


def test_a_head_file_reads_as_it_was_written():
    assert parse_head(DATA) == HEAD
    assert DATA.startswith(b"ironcage/head/v1\n")
    assert parse_head(encode_head(Head(ORIGIN, 0, EMPTY_ROOT))).size == 0


def test_any_flipped_bit_is_noticed():
    for place in range(len(DATA)):
        for bit in range(8):
            damaged = DATA[:place] + bytes([DATA[place] ^ 1 << bit]) + DATA[place + 1 :]
            with pytest.raises(InvalidInput):
                parse_head(damaged)


def test_any_cut_is_noticed():
    for length in range(len(DATA)):
        with pytest.raises(InvalidInput):
            parse_head(DATA[:length])


@pytest.mark.parametrize(
    "data",
    [
        DATA + b"\n",
        b"\n" + DATA,
        DATA * 2,
        b"\xff" * 100,
        _with_digest(b"ironcage/head/v1\n"),
        _with_digest(b"ironcage/head/v2\n" + DATA.split(b"\n", 1)[1]),
        _with_digest(b"\n".join(DATA.split(b"\n")[:4]) + b"\nextra\n"),
        _with_digest(b"\n".join(DATA.split(b"\n")[:4]).replace(b"512", b"0512") + b"\n"),
        _with_digest(b"ironcage/head/v1\n" + b"o" * 1_024 + b"\n"),
    ],
)
def test_other_contents_are_refused(data):
    with pytest.raises(InvalidInput):
        parse_head(data)


def test_a_store_that_continues_is_let_through():
    check_continues(HEAD, 512, ROOT)
    check_continues(HEAD, 600, ROOT)
    check_continues(None, 0, EMPTY_ROOT)


@pytest.mark.parametrize(
    ("head", "size", "root", "code"),
    [
        (None, 1, None, "log-head-missing"),
        (HEAD, 511, None, "log-behind"),
        (HEAD, 0, EMPTY_ROOT, "log-behind"),
        (HEAD, 512, b"\x12" * 32, "log-fork"),
        (HEAD, 600, b"\x12" * 32, "log-fork"),
        (HEAD, 600, None, "log-fork"),
    ],
)
def test_a_store_that_does_not_continue_is_refused(head, size, root, code):
    with pytest.raises(Conflict) as caught:
        check_continues(head, size, root)
    assert caught.value.code == code

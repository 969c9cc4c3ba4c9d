# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from node.core.encoding import encode_b64
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import (
    ED25519,
    MLDSA44,
    Note,
    NoteSignature,
    VKey,
    build_vkey,
    encode_note,
    encode_subtree_message,
    encode_vkey,
    find_signatures,
    parse_note,
    parse_vkey,
    sign_note,
    sign_subtree,
    verify_note,
    verify_note_signature,
    verify_subtree,
)
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code

NAME = "gy.example/91520100MA00000156/records/0"
ED, PQ = Ed25519Signer(b"\1" * 32), MlDsa44Signer(b"\2" * 32)
ED_KEY, PQ_KEY = build_vkey(NAME, ED25519, ED.public), build_vkey(NAME, MLDSA44, PQ.public)
TEXT = "a text\n\nwith a blank line — and 中文\n"
TREE = {"origin": NAME, "start": 0, "end": 7, "root": b"\5" * 32}


def _line(name=NAME, blob=b"12345"):
    return f"— {name} {encode_b64(blob)}\n"


def test_key_ids_are_those_of_the_format():
    for vkey in (ED_KEY, PQ_KEY):
        data = NAME.encode() + b"\n" + bytes([vkey.algorithm]) + vkey.public
        assert vkey.key_id == hashlib.sha256(data).digest()[:4]
        assert parse_vkey(encode_vkey(vkey)) == vkey


def test_two_lines_on_one_note():
    pq_line = sign_subtree(PQ, name=NAME, timestamp_seconds=1_800_000_000, **TREE)
    text = encode_note(Note(TEXT, (sign_note(TEXT, NAME, ED), pq_line)))
    note = parse_note(text.encode())
    assert note == parse_note(text)
    assert note.text == TEXT
    assert verify_note(note, [PQ_KEY, ED_KEY]) == (ED_KEY,)
    (line,) = find_signatures(note, PQ_KEY)
    assert verify_subtree(line, PQ_KEY, **TREE) == 1_800_000_000


def test_subtree_message_and_blob_are_those_of_the_format():
    message = (
        b"subtree/v1\n\0"
        + bytes([2])
        + b"me"
        + (5).to_bytes(8, "big")
        + bytes([3])
        + b"log"
        + (1).to_bytes(8, "big")
        + (9).to_bytes(8, "big")
        + b"\7" * 32
    )
    arguments = {
        "name": "me",
        "timestamp_seconds": 5,
        "origin": "log",
        "start": 1,
        "end": 9,
        "root": b"\7" * 32,
    }
    assert encode_subtree_message(**arguments) == message
    line = sign_subtree(PQ, **arguments)
    assert line.blob[:8] == (5).to_bytes(8, "big")
    assert len(line.blob) == 8 + 2420
    MLDSA44PublicKey.from_public_bytes(PQ.public).verify(line.blob[8:], message)


@pytest.mark.parametrize("change", [{"origin": NAME + "1"}, {"start": 1}, {"end": 8}, {"root": b"\6" * 32}])
def test_a_cosignature_covers_the_whole_head(change):
    line = sign_subtree(PQ, name=NAME, timestamp_seconds=1_800_000_000, **TREE)
    with raises_code(Verification, "ml-dsa-44-signature"):
        verify_subtree(line, PQ_KEY, **TREE | change)
    later = NoteSignature(line.name, line.key_id, (1_800_000_001).to_bytes(8, "big") + line.blob[8:])
    for bad in (
        later,
        NoteSignature(line.name, line.key_id, line.blob[:-1]),
        NoteSignature(line.name, line.key_id, b"\0"),
    ):
        with raises_code(Verification, "ml-dsa-44-signature"):
            verify_subtree(bad, PQ_KEY, **TREE)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * 256},
        {"origin": ""},
        {"origin": "中" * 86},
        {"root": bytes(31)},
        {"timestamp_seconds": -1},
        {"timestamp_seconds": 2**64},
        {"start": 8},
        {"start": -1},
        {"end": 2**64},
    ],
)
def test_subtrees_that_do_not_fit_their_fields(change):
    with raises_code(InvalidInput, "subtree-message"):
        encode_subtree_message(**{"name": NAME, "timestamp_seconds": 5} | TREE | change)


def test_a_line_is_checked_against_its_own_key_only():
    line, pq_line = sign_note(TEXT, NAME, ED), sign_subtree(PQ, name=NAME, timestamp_seconds=5, **TREE)
    verify_note_signature(TEXT, line, ED_KEY)
    with raises_code(Verification, "ed25519-signature"):
        verify_note_signature(TEXT + "\n", line, ED_KEY)
    with raises_code(Verification, "note-key"):
        verify_note_signature(TEXT, line, build_vkey("other", ED25519, ED.public))
    with raises_code(Verification, "note-key"):
        verify_subtree(line, PQ_KEY, **TREE)
    with raises_code(InvalidInput, "vkey-algorithm"):
        verify_note_signature(TEXT, pq_line, PQ_KEY)
    with raises_code(InvalidInput, "vkey-algorithm"):
        verify_subtree(line, ED_KEY, **TREE)


def test_every_line_by_a_known_key_must_hold():
    good = sign_note(TEXT, NAME, ED)
    bad = NoteSignature(NAME, good.key_id, bytes(64))
    foreign = NoteSignature("someone", b"\0\0\0\0", b"x")
    assert verify_note(Note(TEXT, (foreign, good, good)), [ED_KEY]) == (ED_KEY,)
    for lines in ((good, bad), (bad, good), (bad,)):
        with raises_code(Verification, "ed25519-signature"):
            verify_note(Note(TEXT, lines), [ED_KEY])
    for lines, known in (((foreign,), [ED_KEY]), ((good,), []), ((good,), [PQ_KEY])):
        with raises_code(Verification, "note-unsigned"):
            verify_note(Note(TEXT, lines), known)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"a\xff\n\n" + _line().encode(), "note-encoding"),
        ("a\ud800\n\n" + _line(), "note-encoding"),
        ("", "note-form"),
        (None, "note-form"),
        (["a"], "note-form"),
        ("a\n", "note-form"),
        ("a\n\n", "note-form"),
        ("a\n\n\n", "note-form"),
        ("a\n" + _line(), "note-form"),
        ("a\n\n" + _line()[:-1], "note-form"),
        ("a\r\n\n" + _line(), "note-form"),
        ("a\t\n\n" + _line(), "note-form"),
        ("a\n\n- x YWJjZGU=\n", "note-form"),
        ("a\n\n—  x YWJjZGU=\n", "note-form"),
        ("a\n\n— x  YWJjZGU=\n", "note-form"),
        ("a\n\n— x YWJjZGU= \n", "note-form"),
        ("a\n\n— x\u00a0y YWJjZGU=\n", "note-form"),
        ("a\n\n— x YWJjZA==\n", "note-form"),
        ("a\n\n— x YWJjZGV=\n", "base64"),
        ("a\n\n— x YWJjZGU\n", "base64"),
        ("a\n\n— x+y YWJjZGU=\n", "note-key-name"),
        ("a\n\n" + _line("x" * 256), "note-key-name"),
        ("a\n\n" + _line() * 101, "note-signatures"),
    ],
)
def test_malformed_notes(data, code):
    with raises_code(InvalidInput, code):
        parse_note(data)


def test_hundred_signatures_are_read():
    assert len(parse_note("a\n\n" + _line() * 100).signatures) == 100


def test_only_well_formed_notes_are_written():
    line = sign_note(TEXT, NAME, ED)
    for text in ("", "a", "a\t\n"):
        with raises_code(InvalidInput, "note-form"):
            encode_note(Note(text, (line,)))
        with raises_code(InvalidInput, "note-form"):
            sign_note(text, NAME, ED)
    for lines in ((), (line,) * 101):
        with raises_code(InvalidInput, "note-signatures"):
            encode_note(Note(TEXT, lines))
    for name in ("", "a b", "a+b", "a\u3000b", "a\n", "x" * 256):
        with raises_code(InvalidInput, "note-key-name"):
            sign_note(TEXT, name, ED)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "vkey-form"),
        ("a+00000000", "vkey-form"),
        ("a+00000000+", "vkey-form"),
        ("a b+00000000+AA==", "vkey-form"),
        ("a+0000000G+AA==", "vkey-form"),
        (encode_vkey(ED_KEY).replace(ED_KEY.key_id.hex(), ED_KEY.key_id.hex().upper()), "vkey-form"),
        (encode_vkey(ED_KEY) + "\n", "vkey-form"),
        ("a+00000000+====", "base64"),
        (encode_vkey(VKey("a", bytes(4), 4, ED.public)), "vkey-algorithm"),
        (encode_vkey(VKey("a", bytes(4), ED25519, ED.public[:-1])), "vkey-length"),
        (encode_vkey(VKey("a", bytes(4), MLDSA44, ED.public)), "vkey-length"),
        (encode_vkey(VKey("a", bytes(4), ED25519, (1).to_bytes(32, "little"))), "ed25519-key-small-order"),
        (encode_vkey(VKey(NAME + "x", ED_KEY.key_id, ED25519, ED.public)), "vkey-id"),
        (encode_vkey(VKey("x" * 256, ED_KEY.key_id, ED25519, ED.public)), "note-key-name"),
    ],
)
def test_malformed_verifier_keys(text, code):
    with raises_code(InvalidInput, code):
        parse_vkey(text)

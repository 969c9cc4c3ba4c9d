# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
from hashlib import sha256

import pytest

from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import (
    ED25519,
    MLDSA44,
    Note,
    build_vkey,
    encode_note,
    parse_note,
    sign_note,
    sign_subtree,
)
from node.errors import InvalidInput, Verification
from node.log.checkpoint import (
    MAX_CHECKPOINT,
    Checkpoint,
    build_origin,
    encode_checkpoint,
    log_id,
    parse_checkpoint,
    parse_origin,
    parse_signed_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from node.log.merkle import EMPTY_ROOT, MAX_SIZE

MEMBER = "91350100M000100Y43"
ORIGIN = f"delta.example/{MEMBER}/records/0"
ED, ML = Ed25519Signer(b"e" * 32), MlDsa44Signer(b"m" * 32)
VKEYS = (build_vkey(ORIGIN, ED25519, ED.public), build_vkey(ORIGIN, MLDSA44, ML.public))
ROOT = sha256(b"root").digest()
CHECKPOINT = Checkpoint(ORIGIN, 512, ROOT)
SIGNED = sign_checkpoint(CHECKPOINT, ED, ML, 1_790_000_000)


def _code(error, call, *arguments):
    with pytest.raises(error) as caught:
        call(*arguments)
    return caught.value.code


def test_origin_names_domain_member_kind_and_number():
    origin = parse_origin(ORIGIN)
    assert (origin.domain, origin.member, origin.kind, origin.n) == ("delta.example", MEMBER, "records", 0)
    assert build_origin("delta.example", MEMBER, "access", 12) == f"delta.example/{MEMBER}/access/12"
    assert log_id(ORIGIN) == sha256(ORIGIN.encode()).digest()


@pytest.mark.parametrize(
    "origin",
    [
        "",
        MEMBER,
        f"delta.example/{MEMBER}/records",
        f"delta.example/{MEMBER}/records/0/",
        f"delta.example/{MEMBER}/records/00",
        f"delta.example/{MEMBER}/records/-1",
        f"delta.example/{MEMBER}/records/0\n",
        f"delta.example/{MEMBER}/logs/0",
        f"Delta.example/{MEMBER}/records/0",
        f"/{MEMBER}/records/0",
        f"{'d' * 64}/{MEMBER}/records/0",
        "delta.example/91350100M000100Y44/records/0",
        f"delta.example/{MEMBER.lower()}/records/0",
    ],
)
def test_other_origins_are_refused(origin):
    with pytest.raises(InvalidInput):
        parse_origin(origin)


def test_body_has_three_lines():
    body = encode_checkpoint(CHECKPOINT)
    assert body == f"{ORIGIN}\n512\n{base64.b64encode(ROOT).decode()}\n"
    assert parse_checkpoint(body) == CHECKPOINT


B64 = base64.b64encode(ROOT).decode()


@pytest.mark.parametrize(
    "body",
    [
        "",
        f"o\n512\n{B64}",
        f"o\n512\n{B64}\nextension\n",
        f"o\n512\n{B64}\n\n",
        f"\n512\n{B64}\n",
        f"o\n0512\n{B64}\n",
        f"o\n+512\n{B64}\n",
        f"o\n5_12\n{B64}\n",
        f"o\n 512\n{B64}\n",
        f"o\n٥\n{B64}\n",
        f"o\n512\r\n{B64}\n",
        f"o\n{MAX_SIZE + 1}\n{B64}\n",
        f"o\n512\n{B64[:-1]}\n",
        f"o\n512\n{B64[:-2]}F=\n",
        f"o\n512\n{B64.replace('=', '')}\n",
        f"o\n512\n{base64.b64encode(ROOT[:31]).decode()}\n",
        f"o\n0\n{B64}\n",
        f"o\x07\n512\n{B64}\n",
        f"o\ud800\n512\n{B64}\n",
        f"{'o' * 256}\n512\n{B64}\n",
    ],
)
def test_other_bodies_are_refused(body):
    with pytest.raises(InvalidInput):
        parse_checkpoint(body)


def test_an_empty_log_has_a_checkpoint():
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert parse_checkpoint(encode_checkpoint(empty)) == empty
    assert verify_checkpoint(sign_checkpoint(empty, ED, ML, 1), VKEYS).checkpoint == empty


def test_a_checkpoint_carries_two_lines_by_its_own_log():
    checkpoint, note = parse_signed_checkpoint(SIGNED)
    assert checkpoint == CHECKPOINT
    assert [(line.name, line.key_id) for line in note.signatures] == [(ORIGIN, vkey.key_id) for vkey in VKEYS]
    verified = verify_checkpoint(SIGNED, VKEYS)
    assert verified.checkpoint == CHECKPOINT
    assert verified.algorithms == {"ed25519", "ml-dsa-44"}
    assert verified.timestamp_seconds == 1_790_000_000


def test_without_the_post_quantum_key_its_line_is_ignored():
    verified = verify_checkpoint(SIGNED, VKEYS[:1])
    assert verified.algorithms == {"ed25519"}
    assert verified.timestamp_seconds is None


def test_without_the_post_quantum_line_the_report_says_so():
    _, note = parse_signed_checkpoint(SIGNED)
    assert verify_checkpoint(encode_note(Note(note.text, note.signatures[:1])), VKEYS).algorithms == {
        "ed25519"
    }


def test_the_ed25519_line_is_always_required():
    _, note = parse_signed_checkpoint(SIGNED)
    alone = encode_note(Note(note.text, note.signatures[1:]))
    assert _code(Verification, verify_checkpoint, alone, VKEYS) == "checkpoint-unsigned"
    assert _code(Verification, verify_checkpoint, SIGNED, VKEYS[1:]) == "checkpoint-unknown-log"
    assert _code(Verification, verify_checkpoint, SIGNED, []) == "checkpoint-unknown-log"


def test_keys_of_another_log_do_not_count():
    other = ORIGIN.replace("records", "access")
    keys = [build_vkey(other, ED25519, ED.public), build_vkey(other, MLDSA44, ML.public)]
    assert _code(Verification, verify_checkpoint, SIGNED, keys) == "checkpoint-unknown-log"
    forged = encode_note(
        Note(encode_checkpoint(CHECKPOINT), (sign_note(encode_checkpoint(CHECKPOINT), other, ED),))
    )
    assert _code(Verification, verify_checkpoint, forged, [*VKEYS, *keys]) == "checkpoint-unsigned"


def test_a_witness_line_is_ignored():
    _, note = parse_signed_checkpoint(SIGNED)
    witness = sign_note(note.text, "witness.example", Ed25519Signer(b"w" * 32))
    assert (
        verify_checkpoint(encode_note(Note(note.text, (*note.signatures, witness))), VKEYS).checkpoint
        == CHECKPOINT
    )


def test_two_lines_by_one_key_are_refused():
    _, note = parse_signed_checkpoint(SIGNED)
    twice = encode_note(Note(note.text, (*note.signatures, note.signatures[0])))
    assert _code(Verification, verify_checkpoint, twice, VKEYS) == "checkpoint-line-twice"


@pytest.mark.parametrize("change", ["size", "root", "origin", "start"])
def test_a_post_quantum_line_over_anything_else_spoils_the_note(change):
    covered = {"origin": ORIGIN, "start": 0, "end": 512, "root": ROOT}
    covered |= {
        "size": {"end": 513},
        "root": {"root": bytes(32)},
        "origin": {"origin": "delta.example/other"},
        "start": {"start": 1},
    }[change]
    body = encode_checkpoint(CHECKPOINT)
    line = sign_subtree(ML, name=ORIGIN, timestamp_seconds=1, **covered)
    note = encode_note(Note(body, (sign_note(body, ORIGIN, ED), line)))
    assert _code(Verification, verify_checkpoint, note, VKEYS) == "ml-dsa-44-signature"


def test_any_changed_line_spoils_the_note():
    grown = SIGNED.replace("\n512\n", "\n513\n")
    assert _code(Verification, verify_checkpoint, grown, VKEYS) == "ed25519-signature"
    note = parse_note(SIGNED)
    for place in (0, 1):
        lines = list(note.signatures)
        blob = bytearray(lines[place].blob)
        blob[-1] ^= 1
        lines[place] = type(lines[place])(lines[place].name, lines[place].key_id, bytes(blob))
        with pytest.raises(Verification):
            verify_checkpoint(encode_note(Note(note.text, tuple(lines))), VKEYS)


def test_extension_lines_are_refused_even_when_signed():
    body = encode_checkpoint(CHECKPOINT) + "extension\n"
    note = encode_note(Note(body, (sign_note(body, ORIGIN, ED),)))
    assert _code(InvalidInput, verify_checkpoint, note, VKEYS) == "checkpoint-form"


def test_a_note_above_its_bound_is_not_parsed():
    long = SIGNED + "— witness.example " + "A" * MAX_CHECKPOINT + "\n"
    assert _code(InvalidInput, verify_checkpoint, long, VKEYS) == "checkpoint-length"

# SPDX-License-Identifier: Apache-2.0
"""Signed notes and verifier keys of ../shared/vectors/tlog-text-formats.

Sources: golang/mod (BSD-3-Clause), C2SP (CC-BY-4.0), transparency-dev/formats (Apache-2.0).
"""

from __future__ import annotations

import base64
import json

import pytest

from node.crypto.ed25519 import Ed25519Signer
from node.crypto.note import (
    ED25519,
    Note,
    build_vkey,
    encode_note,
    encode_vkey,
    parse_note,
    parse_vkey,
    sign_note,
    verify_note,
)
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code
from tests.support.shared import shared_path


def _load(name):
    return json.loads(shared_path(f"vectors/tlog-text-formats/{name}.json").read_bytes())


def test_c2sp_example():
    data = _load("signed-note-c2sp-example")
    vkey = parse_vkey(data["vkey"])
    note = parse_note(data["note"])
    assert verify_note(note, [vkey]) == (vkey,)
    assert note.text == "This is an example message.\n"
    assert encode_note(note) == data["note"]
    assert encode_vkey(vkey) == data["vkey"]


def test_every_golang_case_gets_its_published_verdict():
    data = _load("signed-note-golang")
    assert len(data["cases"]) == 12
    for case in data["cases"]:
        known = [parse_vkey(data["vkeys"][name]) for name in case["known"]]
        assert _verdict(case["note"], known) == case["result"], case["name"]
        if case["result"] == "ok":
            note = parse_note(case["note"])
            assert note.text == data["text"]
            signed = [vkey.name for vkey in verify_note(note, known)]
            assert signed == case["verified"]
            others = [line.name for line in note.signatures if line.name not in signed]
            assert [name for name in others if name in case["unverified"]] == others


def _verdict(note, known):
    try:
        verify_note(parse_note(note), known)
    except InvalidInput:
        return "malformed"
    except Verification as error:
        return {"note-unsigned": "unverified", "ed25519-signature": "invalid_signature"}[error.code]
    return "ok"


def test_golang_malformed_bytes():
    (case,) = _load("signed-note-golang")["malformed_bytes_hex"]
    with raises_code(InvalidInput, "note-encoding"):
        parse_note(bytes.fromhex(case["note_hex"]))


def test_golang_signing_key_makes_the_published_signature():
    data = _load("signed-note-golang")
    encoded = data["signing_key_TEST_ONLY"].split("+", 4)[4]
    seed = base64.b64decode(encoded)[1:]
    line = sign_note(data["text"], "PeterNeumann", Ed25519Signer(seed))
    # The first case carries this line and one by another key after it.
    assert data["cases"][0]["note"].startswith(encode_note(Note(data["text"], (line,))))
    assert (
        encode_vkey(build_vkey("PeterNeumann", ED25519, Ed25519Signer(seed).public)) == data["vkeys"]["peter"]
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("convert from algEd25519", None),
        ("native algEd25519CosignatureV1 verifier", "vkey-algorithm"),
        # Its key id is not SHA-256(name ‖ 0x0A ‖ 0x06 ‖ key); the library it comes from does not look.
        ("native algMLDSA44 verifier", "vkey-id"),
    ],
)
def test_published_verifier_keys(name, code):
    (text,) = (each["vkey"] for each in _load("cosignature-vkeys-formats")["vkeys"] if each["name"] == name)
    if code is None:
        assert encode_vkey(parse_vkey(text)) == text
        return
    with raises_code(InvalidInput, code):
        parse_vkey(text)

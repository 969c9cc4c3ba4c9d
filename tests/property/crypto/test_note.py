# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.crypto.ed25519 import Ed25519Signer
from node.crypto.note import (
    ED25519,
    Note,
    NoteSignature,
    build_vkey,
    encode_note,
    encode_vkey,
    parse_note,
    parse_vkey,
    sign_note,
    verify_note,
)
from node.errors import NodeError

SIGNER = Ed25519Signer(b"\1" * 32)
NAMES = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="+").filter(str.isprintable),
    min_size=1,
    max_size=40,
)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32))]) | st.just("\n")
).map(lambda text: text + "\n")
LINES = st.builds(NoteSignature, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))


@given(TEXTS, st.lists(LINES, min_size=1, max_size=5))
def test_notes_are_read_as_written(text, lines):
    note = Note(text, tuple(lines))
    assert parse_note(encode_note(note)) == note


@given(NAMES)
def test_verifier_keys_are_read_as_written(name):
    vkey = build_vkey(name, ED25519, SIGNER.public)
    assert parse_vkey(encode_vkey(vkey)) == vkey


@given(TEXTS, NAMES, st.data())
def test_no_changed_character_verifies(text, name, data):
    vkey = build_vkey(name, ED25519, SIGNER.public)
    signed = encode_note(Note(text, (sign_note(text, name, SIGNER),)))
    assert verify_note(parse_note(signed), [vkey]) == (vkey,)
    place = data.draw(st.integers(0, len(signed) - 1))
    other = data.draw(st.characters(exclude_characters=signed[place]))
    with pytest.raises(NodeError):
        verify_note(parse_note(signed[:place] + other + signed[place + 1 :]), [vkey])


@given(
    st.text() | st.binary() | st.lists(st.sampled_from(["\n", "— ", "a", " ", "YWJjZGU=", "+"])).map("".join)
)
def test_any_input_is_read_or_refused_with_a_typed_error(data):
    try:
        note = parse_note(data)
    except NodeError:
        return
    assert encode_note(note) == (data if isinstance(data, str) else data.decode())

# SPDX-License-Identifier: Apache-2.0
"""Texts of the log: what is written reads back, and nothing else reads as the same value."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import ED25519, MLDSA44, build_vkey
from node.errors import InvalidInput, NodeError
from node.log.checkpoint import (
    Checkpoint,
    encode_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from node.log.head import Head, encode_head, parse_head
from node.log.merkle import MAX_SIZE
from node.log.proof import TlogProof, encode_tlog_proof, parse_tlog_proof
from node.log.tiles import (
    BundleName,
    encode_bundle,
    entries_path,
    parse_bundle,
    parse_tile_path,
    tile_path,
)

ORIGIN = "delta.example/91350100M000100Y43/records/0"
ED, ML = Ed25519Signer(b"e" * 32), MlDsa44Signer(b"m" * 32)
VKEYS = (build_vkey(ORIGIN, ED25519, ED.public), build_vkey(ORIGIN, MLDSA44, ML.public))
SIGNED = sign_checkpoint(Checkpoint(ORIGIN, 512, b"\x11" * 32), ED, ML, 1_790_000_000)

hashes = st.binary(min_size=32, max_size=32)
checkpoints = st.builds(Checkpoint, st.just(ORIGIN), st.integers(1, MAX_SIZE), hashes)
proofs = st.builds(
    TlogProof,
    st.integers(0, MAX_SIZE - 1),
    st.lists(hashes, max_size=63).map(tuple),
    st.just(SIGNED),
    st.none() | st.binary(min_size=1, max_size=50),
)


@st.composite
def mutations(draw, text):
    """The text with one character replaced, removed, doubled or inserted."""
    place = draw(st.integers(0, len(text) - 1))
    what = draw(st.sampled_from(["", "0", "=", "\n", " ", "A", "+", "\u0660", text[place] * 2]))
    return text[:place] + what + text[place + draw(st.integers(0, 1)) :]


@given(checkpoints)
def test_checkpoints_read_back(checkpoint):
    assert parse_checkpoint(encode_checkpoint(checkpoint)) == checkpoint
    assert (
        parse_head(encode_head(Head(checkpoint.origin, checkpoint.size, checkpoint.root))).size
        == checkpoint.size
    )


@given(proofs)
def test_proofs_read_back(proof):
    assert parse_tlog_proof(encode_tlog_proof(proof)) == proof


@given(checkpoints, st.data())
def test_a_checkpoint_has_one_spelling(checkpoint, data):
    text = encode_checkpoint(checkpoint)
    changed = data.draw(mutations(text))
    with suppress(InvalidInput):
        assert encode_checkpoint(parse_checkpoint(changed)) == changed


@given(proofs, st.data())
def test_a_proof_has_one_spelling(proof, data):
    text = encode_tlog_proof(proof)
    changed = data.draw(mutations(text))
    with suppress(InvalidInput):
        assert encode_tlog_proof(parse_tlog_proof(changed)) == changed


@given(st.data())
def test_a_changed_checkpoint_never_verifies_as_another(data):
    changed = data.draw(mutations(SIGNED))
    try:
        verified = verify_checkpoint(changed, VKEYS)
    except NodeError:
        return
    # What may change is which lines are recognised; never the tree head.
    assert verified.checkpoint == Checkpoint(ORIGIN, 512, b"\x11" * 32)


@given(st.integers(0, 63), st.integers(0, MAX_SIZE >> 8), st.integers(1, 256))
def test_tile_names_read_back(level, index, width):
    name = parse_tile_path(tile_path(level, index, width))
    assert (name.level, name.index, name.width) == (level, index, width)
    assert parse_tile_path(entries_path(index, width)) == BundleName(index, width)


@given(st.text(alphabet="tile/0123456789x.pentris", max_size=40))
def test_a_tile_name_has_one_spelling(path):
    with suppress(InvalidInput):
        name = parse_tile_path(path)
        ours = (
            entries_path(name.index, name.width)
            if isinstance(name, BundleName)
            else tile_path(name.level, name.index, name.width)
        )
        assert ours == path


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_read_back(entries):
    assert parse_bundle(encode_bundle(entries), len(entries)) == entries


@given(st.binary(max_size=200), st.integers(0, 20))
def test_any_bytes_read_as_a_bundle_in_one_way_at_most(data, count):
    with suppress(InvalidInput):
        assert encode_bundle(parse_bundle(data, count)) == data

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import ED25519, MLDSA44, build_vkey
from node.errors import InvalidInput, Verification
from node.log.checkpoint import Checkpoint, sign_checkpoint
from node.log.proof import MAX_PROOF, TlogProof, encode_tlog_proof, parse_tlog_proof, verify_tlog_proof
from node.log.tree import build_inclusion_path
from tests.support.trees import grow, numbered_leaf

ORIGIN = "delta.example/91350100M000100Y43/records/0"
ED, ML = Ed25519Signer(b"e" * 32), MlDsa44Signer(b"m" * 32)
VKEYS = (build_vkey(ORIGIN, ED25519, ED.public), build_vkey(ORIGIN, MLDSA44, ML.public))
WRITER, TILES = grow(700)
NOTE = sign_checkpoint(Checkpoint(ORIGIN, 700, WRITER.root()), ED, ML, 1_790_000_000)
PROOF = TlogProof(500, tuple(build_inclusion_path(TILES, 500, 700)), NOTE)
TEXT = encode_tlog_proof(PROOF)


def test_a_proof_reads_as_it_was_written():
    assert TEXT.startswith("c2sp.org/tlog-proof@v1\nindex 500\n")
    assert TEXT.endswith("\n\n" + NOTE)
    assert parse_tlog_proof(TEXT) == PROOF
    extra = TlogProof(500, PROOF.path, NOTE, b"more")
    assert parse_tlog_proof(encode_tlog_proof(extra)) == extra


def test_a_proof_leads_to_its_checkpoint():
    verified = verify_tlog_proof(parse_tlog_proof(TEXT), numbered_leaf(500), VKEYS)
    assert verified.checkpoint == Checkpoint(ORIGIN, 700, WRITER.root())
    assert verified.algorithms == {"ed25519", "ml-dsa-44"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("index 500", "index 501"),
        ("index 500", "index 700"),
        ("\n700\n", "\n701\n"),
        (ORIGIN, ORIGIN[:-1] + "1"),
    ],
)
def test_a_changed_proof_does_not_verify(old, new):
    assert old in TEXT
    with pytest.raises(Verification):
        verify_tlog_proof(parse_tlog_proof(TEXT.replace(old, new)), numbered_leaf(500), VKEYS)


def test_another_leaf_does_not_verify():
    with pytest.raises(Verification) as caught:
        verify_tlog_proof(PROOF, numbered_leaf(501), VKEYS)
    assert caught.value.code == "inclusion-root"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c2sp.org/tlog-proof@v1\n", ""),
        ("@v1", "@v2"),
        ("@v1\n", "@v1\r\n"),
        ("@v1\n", "@v1\nextra \n"),
        ("@v1\n", "@v1\nextra AB==\n"),
        ("@v1\n", "@v1\nextra YQ==\nextra YQ==\n"),
        ("index 500\n", "index 500\nextra YQ==\n"),
        ("index 500\n", ""),
        ("index 500\n", "\nindex 500\n"),
        ("index 500", "index 0500"),
        ("index 500", "index  500"),
        ("index 500", "index 500 "),
        ("index 500", f"index {2**53}"),
        ("index 500", "Index 500"),
        ("index 500\n", "index 500\nindex 500\n"),
        ("index 500\n", "index 500\n" + "A" * 43 + "B\n"),
        ("index 500\n", "index 500\n " + "A" * 43 + "=\n"),
        ("index 500\n", "index 500\n" + ("A" * 43 + "=\n") * 63),
        ("\n\n" + NOTE, "\n\n"),
        ("\n\n" + NOTE, "\n\n\n"),
        ("\n\n" + NOTE, "\n\n" + NOTE.rstrip("\n")),
        ("\n\n" + NOTE, ""),
        ("\n\n" + NOTE, "\n\n" + NOTE + "A" * MAX_PROOF + "\n"),
    ],
)
def test_other_spellings_are_refused(old, new):
    assert old in TEXT
    with pytest.raises(InvalidInput):
        parse_tlog_proof(TEXT.replace(old, new, 1))


@pytest.mark.parametrize(
    ("index", "path", "note", "extra"),
    [
        (-1, (), "n\n", None),
        (2**53, (), "n\n", None),
        (0, (bytes(31),), "n\n", None),
        (0, (bytes(32),) * 64, "n\n", None),
        (0, (), "", None),
        (0, (), "n", None),
        (0, (), "n\n", b""),
    ],
)
def test_what_no_parser_would_take_is_not_built(index, path, note, extra):
    with pytest.raises(InvalidInput):
        TlogProof(index, path, note, extra)

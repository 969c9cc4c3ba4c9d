# SPDX-License-Identifier: Apache-2.0
"""Our checkpoint, proofs and tiles before golang.org/x/mod/sumdb, a verifier that we did not write."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest

from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import ED25519, build_vkey, encode_vkey
from node.log.checkpoint import Checkpoint, sign_checkpoint
from node.log.merkle import leaf_hash
from node.log.tiles import tile_path
from node.log.tree import TreeWriter, build_consistency_proof, build_inclusion_path, root_at
from tests.support.go_program import build_go
from tests.support.trees import MemoryTiles

ORIGIN = "delta.example/91350100M000100Y43/records/0"
ED, ML = Ed25519Signer(b"e" * 32), MlDsa44Signer(b"m" * 32)
SIZE, OLD_SIZE, INDEX = 70_000, 40_000, 33_333


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build_go(".", tmp_path_factory.mktemp("go") / "interop")


@pytest.fixture(scope="module")
def claim():
    """What a log hands out for one entry, as the program reads it."""
    writer, tiles = TreeWriter(), MemoryTiles()
    tiles.apply(writer.extend(b"".join(leaf_hash(b"entry %d" % number) for number in range(SIZE))))
    vkey = build_vkey(ORIGIN, ED25519, ED.public)
    return {
        "vkey": encode_vkey(vkey),
        "origin": ORIGIN,
        "note": sign_checkpoint(Checkpoint(ORIGIN, SIZE, writer.root()), ED, ML, 1_790_000_300),
        "old_note": sign_checkpoint(
            Checkpoint(ORIGIN, OLD_SIZE, root_at(tiles, OLD_SIZE)), ED, ML, 1_790_000_000
        ),
        "index": INDEX,
        "entry": _b64(b"entry %d" % INDEX),
        "inclusion": [_b64(item) for item in build_inclusion_path(tiles, INDEX, SIZE)],
        "consistency": [_b64(item) for item in build_consistency_proof(tiles, OLD_SIZE, SIZE)],
        "tiles": {
            tile_path(level, index, len(data) // 32): _b64(data)
            for (level, index), data in tiles.tiles.items()
        },
    }


def _b64(data):
    return base64.b64encode(data).decode()


def _flip(text):
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return _b64(bytes(data))


def _run(program, claim):
    done = subprocess.run(
        [str(program)], input=json.dumps(claim), capture_output=True, text=True, check=False, timeout=240
    )
    return done.returncode, done.stdout.strip()


def test_go_accepts_what_our_log_hands_out(program, claim):
    assert _run(program, claim) == (0, "ok")


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (lambda c: {"note": c["note"].replace(f"\n{SIZE}\n", f"\n{SIZE + 1}\n")}, "checkpoint"),
        (lambda c: {"note": c["note"].replace("records/0\n", "records/1\n")}, "checkpoint"),
        (
            lambda c: {"old_note": c["old_note"].replace(f"\n{OLD_SIZE}\n", f"\n{OLD_SIZE - 1}\n")},
            "older checkpoint",
        ),
        (
            lambda c: {"vkey": encode_vkey(build_vkey(ORIGIN, ED25519, Ed25519Signer(b"x" * 32).public))},
            "checkpoint",
        ),
        (lambda _: {"index": INDEX + 1}, "inclusion"),
        (lambda _: {"entry": _b64(b"entry 1")}, "inclusion"),
        (lambda c: {"inclusion": [_flip(c["inclusion"][0]), *c["inclusion"][1:]]}, "inclusion"),
        (lambda c: {"inclusion": c["inclusion"][:-1]}, "inclusion"),
        (lambda c: {"consistency": [*c["consistency"][:-1], _flip(c["consistency"][-1])]}, "consistency"),
        (lambda c: {"consistency": c["consistency"][1:]}, "consistency"),
        (lambda c: {"tiles": c["tiles"] | {"tile/0/130": _flip(c["tiles"]["tile/0/130"])}}, "tiles"),
        (lambda c: {"tiles": c["tiles"] | {"tile/1/000": _flip(c["tiles"]["tile/1/000"])}}, "tiles"),
    ],
)
def test_go_refuses_any_change(program, claim, change, step):
    changed = claim | change(claim)
    assert changed != claim
    code, said = _run(program, changed)
    assert code == 1
    assert said.startswith(f"{step}: ")

# SPDX-License-Identifier: Apache-2.0
"""Fork proofs: every form convicts the one who signed twice, and nothing convicts a log that only grew."""

from __future__ import annotations

import pytest

from node.core.canonical import encode_json, parse_json
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import ED25519, MLDSA44, build_vkey
from node.errors import InvalidInput, Verification
from node.log.checkpoint import Checkpoint, build_origin, sign_checkpoint
from node.log.fork import Form, build_fork, encode_fork, file_name, parse_fork, verify_fork
from node.log.tree import root_at
from tests.support.errors import raises_code
from tests.support.forks import ORIGIN, VKEYS, forked_tiles, note_of
from tests.support.trees import grow

_, TILES = grow(700)
_, OTHERS = forked_tiles(700, at=300)


def fork_of(size_a, size_b, *, leaves=False):
    """A fork between our tree of one size and the other tree of another size."""
    return build_fork(note_of(TILES, size_a), note_of(OTHERS, size_b), TILES if leaves else None, OTHERS)


def test_two_roots_at_one_size():
    proof = build_fork(note_of(TILES, 500), note_of(OTHERS, 500))
    assert proof.form is Form.ROOTS
    fork = verify_fork(parse_fork(encode_fork(proof)), VKEYS)
    assert (fork.a.size, fork.b.size) == (500, 500)
    assert fork.algorithms == {"ed25519", "ml-dsa-44"}


@pytest.mark.parametrize("sizes", [(301, 700), (512, 513), (400, 512), (699, 700), (256 + 64, 640)])
@pytest.mark.parametrize("leaves", [False, True])
def test_two_sizes(sizes, leaves):
    proof = fork_of(*sizes, leaves=leaves)
    assert proof.form is (Form.LEAVES if leaves else Form.PREFIX)
    assert (proof.index == 300) is leaves
    assert verify_fork(parse_fork(encode_fork(proof)), VKEYS).a.size == sizes[0]


def test_the_order_of_the_two_does_not_matter():
    small, large = note_of(OTHERS, 400), note_of(TILES, 600)
    assert build_fork(large, small, TILES, None) == build_fork(small, large, None, TILES)


@pytest.mark.parametrize("sizes", [(0, 700), (1, 300), (300, 700), (256, 512), (300, 300)])
def test_a_common_beginning_is_no_fork(sizes):
    assert fork_of(*sizes) is None
    assert build_fork(note_of(TILES, sizes[0]), note_of(TILES, sizes[1]), None, TILES) is None


def test_tiles_that_are_not_those_of_the_tree_convict_nobody():
    with raises_code(Verification, "fork-tiles"):
        build_fork(note_of(TILES, 400), note_of(TILES, 600), None, OTHERS)
    with raises_code(Verification, "fork-tiles"):
        build_fork(note_of(TILES, 400), note_of(TILES, 600))


def test_tiles_that_contradict_each_other_hide_no_fork():
    """Upper tiles of one tree above lower tiles of the other would give both roots to whoever does not check."""
    _, mixed = grow(700)
    mixed.tiles |= {place: data for place, data in OTHERS.tiles.items() if place in {(1, 0), (0, 2)}}
    a, b = note_of(TILES, 500), note_of(OTHERS, 700)
    assert (root_at(mixed, 500), root_at(mixed, 700)) == (root_at(TILES, 500), root_at(OTHERS, 700))
    with raises_code(Verification, "fork-tiles"):
        build_fork(a, b, None, mixed)


def test_tiles_of_another_tree_do_not_spoil_the_proof():
    assert build_fork(note_of(TILES, 400), note_of(OTHERS, 700), OTHERS, OTHERS).form is Form.PREFIX


def test_checkpoints_of_two_logs_contradict_nothing():
    other = build_origin("zj.example", ORIGIN.split("/")[1], "access", 1)
    with raises_code(Verification, "fork-origins"):
        build_fork(note_of(TILES, 400), note_of(OTHERS, 400, origin=other))
    proof = encode_fork(build_fork(note_of(TILES, 400), note_of(OTHERS, 400)))
    forged = parse_json(proof, max_bytes=100_000) | {"b": note_of(OTHERS, 400, origin=other)}
    keys = [build_vkey(other, key.algorithm, key.public) for key in VKEYS]
    with raises_code(Verification, "fork-origins"):
        verify_fork(parse_fork(encode_json(forged)), [*VKEYS, *keys])


def test_a_fork_that_another_key_signed_convicts_nobody():
    thief, thief_pq = Ed25519Signer(bytes([7] * 32)), MlDsa44Signer(bytes([7] * 32))
    tree = Checkpoint(ORIGIN, 400, root_at(OTHERS, 400))
    forged = sign_checkpoint(tree, thief, thief_pq, 1_800_000_000)
    proof = build_fork(note_of(TILES, 400), forged)
    with raises_code(Verification, "checkpoint-unsigned"):
        verify_fork(proof, VKEYS)
    assert verify_fork(
        build_fork(forged, forged_twin(thief, thief_pq)),
        [build_vkey(ORIGIN, ED25519, thief.public), build_vkey(ORIGIN, MLDSA44, thief_pq.public)],
    )


def forged_twin(signer, signer_pq):
    return sign_checkpoint(Checkpoint(ORIGIN, 400, root_at(TILES, 400)), signer, signer_pq, 1_800_000_000)


def changed(proof, **members):
    return parse_fork(encode_json(parse_json(encode_fork(proof), max_bytes=200_000) | members))


def test_proofs_of_nothing_are_refused():
    same = note_of(TILES, 400)
    for form in (build_fork(same, note_of(OTHERS, 400)), fork_of(400, 700), fork_of(400, 700, leaves=True)):
        with pytest.raises(Verification):
            verify_fork(changed(form, b=form.a), VKEYS)
    with raises_code(Verification, "fork-sizes"):
        verify_fork(changed(build_fork(same, note_of(OTHERS, 400)), b=note_of(OTHERS, 401)), VKEYS)
    with raises_code(Verification, "fork-sizes"):
        verify_fork(changed(fork_of(400, 700), a=note_of(TILES, 700)), VKEYS)
    with raises_code(Verification, "fork-sizes"):
        verify_fork(changed(fork_of(400, 700, leaves=True), b=note_of(OTHERS, 400)), VKEYS)
    leaves = parse_json(encode_fork(fork_of(400, 700, leaves=True)), max_bytes=200_000)
    with raises_code(Verification, "fork-agrees"):
        verify_fork(changed(fork_of(400, 700, leaves=True), leaf_b=leaves["leaf_a"]), VKEYS)
    with raises_code(Verification, "inclusion-root"):
        verify_fork(changed(fork_of(400, 700, leaves=True), index=301), VKEYS)


def test_an_honest_log_is_not_convicted_by_a_made_up_prefix():
    honest = [note_of(TILES, 400), note_of(TILES, 700)]
    forged = fork_of(400, 700)
    with pytest.raises(Verification):
        verify_fork(changed(forged, a=honest[0], b=honest[1]), VKEYS)


@pytest.mark.parametrize(
    "members",
    [
        {"v": 2},
        {"v": True},
        {"prefix": []},
        {"prefix": ["AA=="]},
        {"index": 3},
        {"leaf_a": "x"},
        {"a": "a.b.c"},
        {"b": "a.b.c"},
        {"a": None},
        {"more": 1},
    ],
)
def test_other_forms_are_not_read(members):
    with pytest.raises(InvalidInput):
        changed(fork_of(400, 700), **members)


def test_a_file_is_named_by_its_log_and_sizes():
    assert file_name(ORIGIN, 400, 700).endswith("-400-700.fork.json")

# SPDX-License-Identifier: Apache-2.0
"""Random forks are always proven, and no log that only grew is ever convicted, whatever tiles are served."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from node.errors import InvalidInput, Verification
from node.log.fork import ForkProof, Form, LeafProof, build_fork, encode_fork, parse_fork, verify_fork
from node.log.tree import build_consistency_proof, build_inclusion_path, root_at
from tests.support.forks import VKEYS, forked_leaf, forked_tiles, note_of
from tests.support.trees import MemoryTiles, grow, numbered_leaf

MOST = 1_200
_, OURS = grow(MOST)
sizes = st.integers(1, MOST)


@given(sizes, sizes, st.integers(0, MOST - 1), st.booleans())
def test_a_fork_is_proven_exactly_when_there_is_one(size_a, size_b, at, both):
    _, theirs = forked_tiles(max(size_b, 1), at=at)
    proof = build_fork(
        note_of(OURS, size_a), note_of(theirs, size_b), OURS if both or size_a > size_b else None, theirs
    )
    assert (proof is None) == (min(size_a, size_b) <= at)
    if proof is not None:
        fork = verify_fork(parse_fork(encode_fork(proof)), VKEYS)
        assert {fork.a.size, fork.b.size} == {size_a, size_b}


class _Lying(MemoryTiles):
    """Serves our tiles with some of them damaged."""

    def __init__(self, damage):
        super().__init__()
        self.tiles = dict(OURS.tiles)
        for (level, index), place in damage:
            if (level, index) in self.tiles:
                self.corrupt(level, index, place % (len(self.tiles[level, index]) // 32))


places = st.tuples(st.tuples(st.integers(0, 1), st.integers(0, 4)), st.integers(0, 255))


@given(sizes, sizes, st.lists(places, max_size=4))
def test_damaged_tiles_convict_no_honest_log(size_a, size_b, damage):
    tiles = _Lying(damage)
    with suppress(Verification):
        assert build_fork(note_of(OURS, size_a), note_of(OURS, size_b), tiles, tiles) is None


hashes = st.integers(0, MOST - 1).map(numbered_leaf) | st.integers(0, 9).map(
    lambda number: forked_leaf(number, 0)
)


@given(sizes, sizes, st.integers(0, MOST - 1), hashes, hashes, st.randoms(use_true_random=False))
def test_no_made_up_proof_convicts_an_honest_log(size_a, size_b, index, leaf_a, leaf_b, random):
    a, b = note_of(OURS, size_a), note_of(OURS, size_b)
    paths = [
        tuple(build_inclusion_path(OURS, index % size, size)) if random.random() < 0.8 else (leaf_b,)
        for size in (size_a, size_b)
    ]
    small, large = sorted((size_a, size_b))
    prefix = [leaf_a, *build_consistency_proof(OURS, small, large)]
    random.shuffle(prefix)
    sides = (LeafProof(leaf_a, paths[0]), LeafProof(leaf_b, paths[1]))
    for proof in (
        ForkProof(Form.ROOTS, a, b),
        ForkProof(Form.LEAVES, a, b, index, *sides),
        ForkProof(Form.PREFIX, a, b, prefix=tuple(prefix)),
        ForkProof(Form.PREFIX, a, b, prefix=(root_at(OURS, small), *prefix[1:])),
    ):
        try:
            verify_fork(parse_fork(encode_fork(proof)), VKEYS)
        except (Verification, InvalidInput):
            continue
        raise AssertionError(f"a proof in the form {proof.form} convicts a log that only grew")

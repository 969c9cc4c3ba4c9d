# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hashlib import sha256

import pytest

from node.errors import InvalidInput, Verification
from node.log.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    leaf_hash,
    node_hash,
    path_of,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.support.trees import naive_consistency, naive_path, naive_root, numbered_leaf

SIZES = range(1, 40)
LEAVES = [numbered_leaf(number) for number in range(max(SIZES))]


def _code(call, *arguments):
    with pytest.raises(Verification) as caught:
        call(*arguments)
    return caught.value.code


def test_hashes_are_separated_by_their_prefixes():
    assert EMPTY_ROOT.hex().startswith("e3b0c442")
    assert leaf_hash(b"entry") == sha256(b"\x00entry").digest()
    assert node_hash(b"l" * 32, b"r" * 32) == sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()


def test_node_hash_wants_two_hashes():
    with pytest.raises(InvalidInput):
        node_hash(b"l" * 31, b"r" * 33)


@pytest.mark.parametrize("size", SIZES)
def test_small_trees_agree_with_the_recursion(size):
    leaves = LEAVES[:size]
    root = root_of(leaves)
    assert root == naive_root(leaves)
    for index in range(size):
        path = path_of(leaves, index)
        assert path == naive_path(index, leaves)
        verify_inclusion(index, size, leaves[index], path, root)


def test_root_of_nothing_is_the_empty_root():
    assert root_of([]) == EMPTY_ROOT


def test_small_trees_refuse_entries_in_place_of_leaf_hashes():
    with pytest.raises(InvalidInput):
        root_of([b"an entry"])
    with pytest.raises(InvalidInput):
        path_of(LEAVES[:3], 3)


@pytest.mark.parametrize("new_size", SIZES)
def test_consistency_proofs_of_the_recursion_hold(new_size):
    leaves = LEAVES[:new_size]
    for old_size in range(1, new_size + 1):
        proof = naive_consistency(old_size, leaves)
        verify_consistency(old_size, new_size, naive_root(leaves[:old_size]), naive_root(leaves), proof)


def test_a_path_of_another_length_is_refused_before_hashing():
    root, path = naive_root(LEAVES), naive_path(5, LEAVES)
    for wrong in (path[:-1], [*path, path[0]], []):
        assert _code(verify_inclusion, 5, len(LEAVES), LEAVES[5], wrong, root) == "inclusion-length"


def test_a_path_for_another_index_of_the_same_tree_is_refused():
    root = naive_root(LEAVES)
    for index in range(len(LEAVES)):
        for other in range(len(LEAVES)):
            if other != index:
                path = naive_path(index, LEAVES)
                code = _code(verify_inclusion, other, len(LEAVES), LEAVES[index], path, root)
                assert code in {"inclusion-length", "inclusion-root"}


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3), (0, MAX_SIZE + 1), (2**64 - 1, 3)])
def test_an_index_outside_the_tree_is_refused(index, size):
    assert _code(verify_inclusion, index, size, LEAVES[0], [], naive_root(LEAVES[:1])) == "inclusion-index"


def test_hashes_of_another_length_are_refused():
    root, path = naive_root(LEAVES), naive_path(5, LEAVES)
    short = [path[0][:31], *path[1:]]
    assert _code(verify_inclusion, 5, len(LEAVES), LEAVES[5], short, root) == "inclusion-hash-length"
    assert _code(verify_inclusion, 0, 1, b"", [], b"") == "inclusion-hash-length"
    proof = naive_consistency(5, LEAVES)
    old = naive_root(LEAVES[:5])
    assert _code(verify_consistency, 5, 39, old, root, [*proof[:-1], b""]) == "consistency-hash-length"


@pytest.mark.parametrize(("old_size", "new_size"), [(0, 1), (0, 0), (2, 1), (1, MAX_SIZE + 1), (-1, 1)])
def test_consistency_is_refused_where_there_is_nothing_to_verify(old_size, new_size):
    assert _code(verify_consistency, old_size, new_size, LEAVES[0], LEAVES[0], []) == "consistency-size"


def test_consistency_names_the_root_that_disagrees():
    old, new, proof = naive_root(LEAVES[:7]), naive_root(LEAVES), naive_consistency(7, LEAVES)
    assert _code(verify_consistency, 7, 39, LEAVES[0], new, proof) == "consistency-old-root"
    assert _code(verify_consistency, 7, 39, old, LEAVES[0], proof) == "consistency-new-root"
    assert _code(verify_consistency, 7, 39, old, new, proof[:-1]) == "consistency-length"
    assert _code(verify_consistency, 39, 39, new, old, []) == "consistency-new-root"
    assert _code(verify_consistency, 39, 39, new, new, [new]) == "consistency-length"
    verify_consistency(39, 39, new, new, [])

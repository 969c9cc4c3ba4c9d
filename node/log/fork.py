# SPDX-License-Identifier: Apache-2.0
"""Fork proofs: two statements of one member that cannot both be true (protocol section 2, docs/protocol/proofs.md).

    {"v":1,"a":"<note>","b":"<note>"}                          one size, two roots
    {…,"index":i,"leaf_a":…,"path_a":[…],"leaf_b":…,"path_b":[…]}   two leaves at one index
    {…,"prefix":["<root>","<hash>",…]}                        b's own tree had another root at a's size
    {"v":1,"a":"<note>","b":"<receipt>","index":i,"leaf_a":…,"path_a":[…]}   another leaf where the receipt names one
    {"v":1,"a":"<receipt>","b":"<receipt>"}                    one index with two leaves, or one pair number twice

Hashes are standard base64. The form follows from the members and from what ``a`` and ``b`` are, and each form has one
spelling. Here the forms are read and written, and two notes are held against each other; what a receipt says is
judged in ``node.evidence.forks``.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from node.core.canonical import check_members, encode_json, parse_json
from node.core.encoding import encode_b64, parse_b64
from node.core.members import check_integer, check_list, check_text
from node.core.types import LeafHash, RootHash
from node.errors import InvalidInput, Verification
from node.log.checkpoint import MAX_CHECKPOINT, log_id, parse_signed_checkpoint, verify_checkpoint
from node.log.merkle import HASH_BYTES, MAX_SIZE, verify_consistency, verify_inclusion
from node.log.tree import TILE_WIDTH, build_consistency_proof, build_inclusion_path, root_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.crypto.note import VKey
    from node.log.checkpoint import Checkpoint
    from node.log.tree import TileReader

FILE_SUFFIX: Final = ".fork.json"
MAX_FORK_BYTES: Final = 3 * MAX_CHECKPOINT
"""Greatest length of a fork proof in bytes: two checkpoints and their paths."""

MAX_PATH: Final = 63
_LEAF_MEMBERS: Final = ("index", "leaf_a", "path_a", "leaf_b", "path_b")
_RECEIPT_MEMBERS: Final = _LEAF_MEMBERS[:3]


class Form(Enum):
    """What is held against what."""

    ROOTS = "roots"
    LEAVES = "leaves"
    PREFIX = "prefix"
    RECEIPT = "receipt"
    RECEIPTS = "receipts"


_FORMS: Final = {
    Form.ROOTS: ((), (False, False)),
    Form.LEAVES: (_LEAF_MEMBERS, (False, False)),
    Form.PREFIX: (("prefix",), (False, False)),
    Form.RECEIPT: (_RECEIPT_MEMBERS, (False, True)),
    Form.RECEIPTS: ((), (True, True)),
}
"""Of each form: the members beside v, a and b, and whether a and b are receipts."""


@dataclass(frozen=True, slots=True)
class LeafProof:
    """A leaf hash of 32 bytes and its inclusion path, leaf sibling first."""

    leaf: LeafHash
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ForkProof:
    """A parsed fork proof. Nothing in it has been verified.

    Attributes:
        form: What is held against what.
        a: A signed checkpoint; a receipt in the form ``RECEIPTS``.
        b: A signed checkpoint or a receipt.
        index: The entry on which the two disagree; None where none is named.
        side_a: What stands at the index by ``a``.
        side_b: What stands at the index by ``b``; a receipt says it itself.
        prefix: In the form ``PREFIX``: root of b's tree at a's size, then the consistency proof from there to b.
    """

    form: Form
    a: str
    b: str
    index: int | None = None
    side_a: LeafProof | None = None
    side_b: LeafProof | None = None
    prefix: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ProvenFork:
    """Two checkpoints of one log that contradict each other under its own signatures.

    Attributes:
        a: The checkpoint in ``a``.
        b: The checkpoint in ``b``.
        algorithms: What signed both: always ``ed25519``, and ``ml-dsa-44`` when both have that line.
    """

    a: Checkpoint
    b: Checkpoint
    algorithms: frozenset[str]


def is_receipt(text: str) -> bool:
    """Tell a receipt, which is a compact JWS in one line, from a note, which has several."""
    return "\n" not in text


def parse_fork(data: bytes) -> ForkProof:
    """Parse a fork proof.

    Args:
        data: The file, untrusted.

    Raises:
        InvalidInput: ``fork-form`` for members that make none of the forms, and ``json-…`` and ``base64…`` codes.
    """
    members = check_members(
        parse_json(data, max_bytes=MAX_FORK_BYTES, max_depth=4, what="fork proof"),
        "fork proof",
        required=("v", "a", "b"),
        optional=(*_LEAF_MEMBERS, "prefix"),
    )
    if members["v"] != 1 or type(members["v"]) is not int:
        raise InvalidInput("fork-form", "fork proof has a version that is not known here: want 1")
    a = check_text(members["a"], "a", max_chars=MAX_CHECKPOINT)
    b = check_text(members["b"], "b", max_chars=MAX_CHECKPOINT)
    form = _find_form(members.keys() - {"v", "a", "b"}, is_receipt(a), is_receipt(b))
    if form in (Form.LEAVES, Form.RECEIPT):
        index = check_integer(members["index"], "index", most=MAX_SIZE - 1)
        side_b = _parse_side(members, "b") if form is Form.LEAVES else None
        return ForkProof(form, a, b, index, _parse_side(members, "a"), side_b)
    if form is Form.PREFIX:
        prefix = _parse_hashes(members["prefix"], "prefix", MAX_PATH + 2)
        if not prefix:
            raise InvalidInput("fork-form", "prefix of a fork proof is empty: want a root and its proof")
        return ForkProof(form, a, b, prefix=prefix)
    return ForkProof(form, a, b)


def encode_fork(proof: ForkProof) -> bytes:
    """Encode a fork proof as canonical JSON."""
    members: dict[str, Any] = {"v": 1, "a": proof.a, "b": proof.b}
    if proof.index is not None:
        members["index"] = proof.index
    for name, side in (("a", proof.side_a), ("b", proof.side_b)):
        if side is not None:
            members[f"leaf_{name}"] = encode_b64(side.leaf)
            members[f"path_{name}"] = [encode_b64(item) for item in side.path]
    if proof.prefix:
        members["prefix"] = [encode_b64(item) for item in proof.prefix]
    return encode_json(members)


def file_name(origin: str, size_a: int, size_b: int) -> str:
    """Name the file of a fork proof: 16 hex digits of the log's id and the two sizes."""
    return f"{log_id(origin).hex()[:16]}-{size_a}-{size_b}{FILE_SUFFIX}"


def verify_fork(proof: ForkProof, vkeys: Sequence[VKey]) -> ProvenFork:
    """Verify that two checkpoints of one log contradict each other.

    Args:
        proof: A proof of two notes, untrusted.
        vkeys: Trusted log keys from the verifier's policy or from the chain.

    Returns:
        What was signed twice. The signer is whoever holds the key of that log.

    Raises:
        InvalidInput: A note is no checkpoint, or the proof is about a receipt.
        Verification: A signature does not hold; ``fork-origins`` for two logs; ``fork-agrees`` when the two do not
            contradict each other; ``fork-sizes`` when the form does not fit the two sizes; a path does not hold.
    """
    first, second = verify_checkpoint(proof.a, vkeys), verify_checkpoint(proof.b, vkeys)
    check_contradiction(proof, first.checkpoint, second.checkpoint)
    return ProvenFork(first.checkpoint, second.checkpoint, first.algorithms & second.algorithms)


def check_contradiction(proof: ForkProof, a: Checkpoint, b: Checkpoint) -> None:
    """Check that two checkpoints contradict each other in the way that a proof says.

    Args:
        proof: A proof of two notes.
        a: Its first checkpoint, signatures verified.
        b: Its second checkpoint, signatures verified.

    Raises:
        InvalidInput: ``fork-form`` for a proof about a receipt.
        Verification: As ``verify_fork``, signatures apart.
    """
    if a.origin != b.origin:
        raise Verification("fork-origins", "the two checkpoints are of two logs: want one origin")
    if proof.form is Form.ROOTS:
        _check_roots(a, b)
    elif proof.form is Form.LEAVES:
        _check_leaves(proof, a, b)
    elif proof.form is Form.PREFIX:
        _check_prefix(proof, a, b)
    else:
        raise InvalidInput("fork-form", "this fork proof is about a receipt, not about two checkpoints")


def build_fork(
    note_a: str, note_b: str, tiles_a: TileReader | None = None, tiles_b: TileReader | None = None
) -> ForkProof | None:
    """Build the proof that two checkpoints contradict each other, or find that they do not.

    At one size the notes alone decide. At two sizes the larger one's tiles do: they show which root that tree
    had at the smaller size. With the tiles of both, the first leaf on which they disagree is named instead.

    Args:
        note_a: Signed checkpoint, its signature verified.
        note_b: Signed checkpoint of the same log, its signature verified.
        tiles_a: The tiles of its tree, untrusted; None where they are not to be had.
        tiles_b: The same for ``note_b``.

    Returns:
        The proof; None when the smaller tree is a prefix of the larger one.

    Raises:
        Verification: ``fork-origins``; ``fork-tiles`` when the tiles do not give the root that was signed, so that
            neither is shown, or are not there for the larger of two sizes.
        Fatal, Unavailable: From reading tiles.
    """
    (a, _), (b, _) = parse_signed_checkpoint(note_a), parse_signed_checkpoint(note_b)
    if a.origin != b.origin:
        raise Verification("fork-origins", "the two checkpoints are of two logs: want one origin")
    if a.size > b.size:
        return build_fork(note_b, note_a, tiles_b, tiles_a)
    if a.size == b.size:
        return None if a.root == b.root else ForkProof(Form.ROOTS, note_a, note_b)
    if not a.size:
        return None
    if tiles_b is None:
        raise _no_tiles(b)
    # Tiles come from whoever is under suspicion: whatever they give, only a proof that holds is believed.
    path, other = build_consistency_proof(tiles_b, a.size, b.size), root_at(tiles_b, a.size)
    with suppress(Verification):
        verify_consistency(a.size, b.size, a.root, b.root, path)
        return None
    proof = ForkProof(Form.PREFIX, note_a, note_b, prefix=(other, *path))
    try:
        check_contradiction(proof, a, b)
    except Verification:
        raise _no_tiles(b) from None
    if tiles_a is not None:
        with suppress(Verification):
            leaves = _build_leaves(note_a, note_b, (tiles_a, a.size), (tiles_b, b.size))
            check_contradiction(leaves, a, b)
            return leaves
    return proof


def _no_tiles(tree: Checkpoint) -> Verification:
    return Verification("fork-tiles", f"no tiles show the tree of size {tree.size} that was signed")


def _build_leaves(
    note_a: str, note_b: str, tree_a: tuple[TileReader, int], tree_b: tuple[TileReader, int]
) -> ForkProof:
    (tiles_a, size_a), (tiles_b, size_b) = tree_a, tree_b
    index = _find_difference(tiles_a, tiles_b, size_a)
    side_a, side_b = (
        LeafProof(_leaf_of(tiles, index), tuple(build_inclusion_path(tiles, index, size)))
        for tiles, size in ((tiles_a, size_a), (tiles_b, size_b))
    )
    return ForkProof(Form.LEAVES, note_a, note_b, index, side_a, side_b)


def _find_difference(tiles_a: TileReader, tiles_b: TileReader, size: int) -> int:
    """Find the first leaf, below ``size``, that is another in two trees whose roots differ at that size."""
    for tile in range(-(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - tile * TILE_WIDTH) * HASH_BYTES
        one, two = tiles_a.read_tile(0, tile)[:width], tiles_b.read_tile(0, tile)[:width]
        if one != two:
            first = next(at for at in range(width) if one[at : at + 1] != two[at : at + 1])
            return tile * TILE_WIDTH + first // HASH_BYTES
    raise Verification("fork-tiles", f"the two trees have the same leaves up to size {size}")


def _leaf_of(tiles: TileReader, index: int) -> LeafHash:
    tile, place = divmod(index, TILE_WIDTH)
    return LeafHash(tiles.read_tile(0, tile)[place * HASH_BYTES : (place + 1) * HASH_BYTES])


def _find_form(members: set[str], a_is_receipt: bool, b_is_receipt: bool) -> Form:  # noqa: FBT001  two of a kind
    for form, (names, receipts) in _FORMS.items():
        if members == set(names) and (a_is_receipt, b_is_receipt) == receipts:
            return form
    raise InvalidInput(
        "fork-form", "members of the fork proof make none of its forms: want those of docs/protocol/proofs.md"
    )


def _parse_side(members: dict[str, Any], side: str) -> LeafProof:
    leaf = parse_b64(check_text(members[f"leaf_{side}"], f"leaf_{side}"), length=HASH_BYTES)
    return LeafProof(LeafHash(leaf), _parse_hashes(members[f"path_{side}"], f"path_{side}", MAX_PATH))


def _parse_hashes(value: Any, what: str, most: int) -> tuple[bytes, ...]:
    items = check_list(value, what, max_items=most)
    return tuple(parse_b64(check_text(item, what, max_chars=44), length=HASH_BYTES) for item in items)


def _check_roots(a: Checkpoint, b: Checkpoint) -> None:
    if a.size != b.size:
        raise Verification("fork-sizes", f"two roots at two sizes, {a.size} and {b.size}, contradict nothing")
    if a.root == b.root:
        raise Verification("fork-agrees", f"both checkpoints have one root at size {a.size}")


def _check_leaves(proof: ForkProof, a: Checkpoint, b: Checkpoint) -> None:
    assert proof.index is not None, "the form has an index"
    assert proof.side_a is not None, "the form has two sides"
    assert proof.side_b is not None, "the form has two sides"
    if a.size == b.size:
        raise Verification("fork-sizes", f"at one size, {a.size}, the two roots are proof enough")
    if proof.side_a.leaf == proof.side_b.leaf:
        raise Verification("fork-agrees", f"both trees have one leaf at index {proof.index}")
    for tree, side in ((a, proof.side_a), (b, proof.side_b)):
        verify_inclusion(proof.index, tree.size, side.leaf, side.path, tree.root)


def _check_prefix(proof: ForkProof, a: Checkpoint, b: Checkpoint) -> None:
    if a.size >= b.size:
        raise Verification("fork-sizes", f"a is not the smaller tree: got sizes {a.size} and {b.size}")
    other, *path = proof.prefix
    if other == a.root:
        raise Verification("fork-agrees", f"both trees have one root at size {a.size}")
    verify_consistency(a.size, b.size, RootHash(other), b.root, path)

# SPDX-License-Identifier: Apache-2.0
"""Logs and the access log: notes, keys, checkpoints, proofs, tiles, head files, events, openings, receipts."""

from __future__ import annotations

from functools import cache

from node.access.event import (
    SALTED_NAMES,
    Heartbeat,
    Pad,
    build_event,
    build_heartbeat,
    build_pad,
    event_salts,
    parse_entry,
    parse_event,
    verify_openings,
)
from node.access.opening import parse_opening
from node.access.receipt import TYP, build_receipt, parse_receipt, verify_receipt
from node.core.canonical import encode_json, parse_json
from node.core.encoding import encode_b64u, parse_b64u
from node.crypto.jws import sign_jws
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import ED25519, MLDSA44, build_vkey, encode_note, encode_vkey, parse_note, parse_vkey
from node.log.checkpoint import (
    Checkpoint,
    build_origin,
    encode_checkpoint,
    parse_checkpoint,
    parse_origin,
    parse_signed_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from node.log.head import Head, encode_head, parse_head
from node.log.merkle import EMPTY_ROOT, leaf_hash, path_of, root_of, verify_consistency, verify_inclusion
from node.log.proof import TlogProof, encode_tlog_proof, parse_tlog_proof, verify_tlog_proof
from node.log.tiles import TileName, encode_bundle, entries_path, parse_bundle, parse_tile_path, tile_path
from tests.fuzz.case import ONE, Target, as_text
from tests.support.records import IAT, MEMBER, OTHER_MEMBER, OTHER_SIGNER, SIGNER
from tests.support.trees import naive_consistency

ORIGIN = build_origin("zj.example", MEMBER, "access", 0)
SIGNER_PQ = MlDsa44Signer(bytes(range(32)))
VKEYS = (build_vkey(ORIGIN, ED25519, SIGNER.public), build_vkey(ORIGIN, MLDSA44, SIGNER_PQ.public))
ENTRIES = tuple(b"entry %d" % number for number in range(7))
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
ROOTS = [root_of(LEAVES[:size]) for size in range(len(LEAVES) + 1)]
_HASH = 32


def _note(data):
    note = parse_note(data)
    assert encode_note(note).encode() == data


def _vkey(data):
    text = as_text(data)
    assert encode_vkey(parse_vkey(text)) == text


def _origin(data):
    text = as_text(data)
    origin = parse_origin(text)
    assert build_origin(origin.domain, origin.member, origin.kind, origin.n) == text


def _checkpoint(data):
    text = as_text(data)
    assert encode_checkpoint(parse_checkpoint(text)) == text


def _signed_checkpoint(data):
    """Only the checkpoint that the keys signed verifies; other lines may stand beside theirs."""
    text = as_text(data)
    checkpoint, note = parse_signed_checkpoint(text)
    assert (encode_checkpoint(checkpoint), encode_note(note)) == (note.text, text)
    assert verify_checkpoint(text, VKEYS).checkpoint == Checkpoint(ORIGIN, 7, ROOTS[7])


def _tlog_proof(data):
    """Entry 3 has one proof; another index, path or checkpoint does not verify."""
    text = as_text(data)
    proof = parse_tlog_proof(text)
    assert encode_tlog_proof(proof) == text
    verify_tlog_proof(proof, LEAVES[3], VKEYS)
    assert (proof.index, list(proof.path)) == (3, path_of(LEAVES, 3))


def _tile_path(data):
    text = as_text(data)
    name = parse_tile_path(text)
    if isinstance(name, TileName):
        assert tile_path(name.level, name.index, name.width) == text
    else:
        assert entries_path(name.index, name.width) == text


def _bundle(data):
    """One byte of how many entries, then the bundle."""
    entries = parse_bundle(data[1:], data[0] if data else 0)
    assert encode_bundle(entries) == data[1:]


def _head(data):
    assert encode_head(parse_head(data)) == data


def _merkle(data):
    """Two bytes of sizes or index, then a path: a proof that holds for our tree is the proof that we would give."""
    kind, first, second = data[:1], *(data + b"\x00\x00\x00")[1:3]
    path = [data[at : at + _HASH] for at in range(3, len(data), _HASH)]
    size = min(second, len(LEAVES))
    if kind == b"i":
        verify_inclusion(first, size, LEAVES[first % 7], path, ROOTS[size])
        assert path == path_of(LEAVES[:size], first)
    else:
        verify_consistency(first, size, ROOTS[min(first, 7)], ROOTS[size], path)
        assert first in {0, size} or path == naive_consistency(first, LEAVES[:size])


def _access_entry(data):
    entry = parse_entry(data)
    if isinstance(entry, Heartbeat):
        assert build_heartbeat(entry.t_ms, rejects=entry.rejects, unwraps=entry.unwraps) == data
    elif isinstance(entry, Pad):
        assert build_pad(entry.x) == data
    else:
        assert encode_json(parse_json(data, max_bytes=len(data))) == data


def _opening(data):
    text = as_text(data)
    name, value = parse_opening(text)
    salt = parse_json(parse_b64u(text), max_bytes=1 << 20)[0]
    assert encode_b64u(encode_json([salt, name, value])) == text


def _openings(data):
    """An event and openings, a line each: what is opened is what stands in the event."""
    entry, *openings = data.split(b"\n")
    event = parse_event(entry)
    values = verify_openings(event, [as_text(opening) for opening in openings])
    assert values.keys() <= set(SALTED_NAMES)


def _receipt(data):
    """Only the receipt that was signed verifies."""
    token = as_text(data)
    parse_receipt(token)
    verify_receipt(
        token,
        public=SIGNER.public,
        entry=event_entry(),
        iss=MEMBER,
        aud=OTHER_MEMBER,
        log=ORIGIN,
        anchor_limit_seconds=3600,
    )
    assert data == receipt()


def _receipt_claims(data):
    """Claims, signed by a member that says what it likes."""
    claims = parse_json(data, max_bytes=8_192)
    if type(claims) is dict:
        token = sign_jws(TYP, claims, SIGNER)
        receipt = parse_receipt(token)
        assert receipt.anchor_by >= receipt.iat


@cache
def salted():
    digest = encode_b64u(bytes(range(32)))
    return {
        **dict.fromkeys(SALTED_NAMES),
        "subject": {"id": "91330106MA27Y8LH7C", "type": "uscc"},
        "officer": {"auth": None, "id": "li", "idp": None},
        "purpose": "licence",
        "items": [{"fields": ["CF_WSH"], "vct": "urn:ironcage:zj.example:penalty:2018"}],
        "rule": "law",
        "released": [[digest, [digest]]],
    }


@cache
def event(kind="read", **more):
    rid = bytes(range(16))
    req = bytes(32) if kind in {"grant", "deny", "receive"} else None
    return build_event(kind, IAT * 1000, rid, 1, req, salted(), event_salts(bytes(32)), **more)


def event_entry():
    return event().entry


@cache
def receipt():
    return build_receipt(
        iss=MEMBER,
        aud=OTHER_MEMBER,
        log=ORIGIN,
        idx=3,
        leaf=leaf_hash(event_entry()),
        rid=bytes(range(16)),
        pair=1,
        iat=IAT,
        anchor_limit_seconds=3600,
        signer=SIGNER,
    ).encode()


def _entries():
    sealed = {"box": bytes(32), "open_by": IAT, "warrant": bytes(32)}
    return [
        event_entry(),
        event("grant").entry,
        event("sealed", **sealed).entry,
        event("bulk", set_root=bytes(32)).entry,
        build_heartbeat(IAT * 1000, rejects=0, unwraps=None),
        build_heartbeat(IAT * 1000, rejects=2, unwraps=7),
        build_pad(bytes(16)),
    ]


@cache
def note():
    return sign_checkpoint(Checkpoint(ORIGIN, 7, ROOTS[7]), SIGNER, SIGNER_PQ, IAT)


def _ed25519_note():
    """The same checkpoint with its Ed25519 line alone, which is short enough to be changed in every place."""
    return "".join(note().splitlines(keepends=True)[:-1])


def _proofs():
    path = tuple(path_of(LEAVES, 3))
    return [
        encode_tlog_proof(TlogProof(3, path, _ed25519_note())).encode(),
        encode_tlog_proof(TlogProof(3, path, _ed25519_note(), b"extra")).encode(),
        encode_tlog_proof(TlogProof(0, (), "x\n")).encode(),
    ]


def _merkle_seeds():
    inclusion = [b"i" + bytes([index, 7]) + b"".join(path_of(LEAVES, index)) for index in (0, 3, 6)]
    return [
        *inclusion,
        *(b"c" + bytes([size, 7]) + b"".join(naive_consistency(size, LEAVES)) for size in (1, 4, 6)),
    ]


def _origins():
    return [ORIGIN.encode(), build_origin("a", OTHER_MEMBER, "records", 9007199254740991).encode()]


def _checkpoints():
    return [
        encode_checkpoint(Checkpoint(ORIGIN, 7, ROOTS[7])).encode(),
        encode_checkpoint(Checkpoint("example.com/log", 0, EMPTY_ROOT)).encode(),
    ]


def _vkeys():
    return [
        encode_vkey(VKEYS[0]).encode(),
        encode_vkey(VKEYS[1]).encode(),
        encode_vkey(build_vkey("k", ED25519, OTHER_SIGNER.public)).encode(),
    ]


TARGETS = (
    Target(
        "note",
        "node.crypto.note.parse_note",
        _note,
        lambda: [note().encode(), _ed25519_note().encode(), b"a\n\nb\n\n\xe2\x80\x94 k AAAAAAA=\n"],
        ONE,
    ),
    Target("vkey", "node.crypto.note.parse_vkey", _vkey, _vkeys, ONE),
    Target("origin", "node.log.checkpoint.parse_origin", _origin, _origins, ONE),
    Target("checkpoint", "node.log.checkpoint.parse_checkpoint", _checkpoint, _checkpoints, ONE),
    Target(
        "signed-checkpoint",
        "node.log.checkpoint.verify_checkpoint",
        _signed_checkpoint,
        lambda: [note().encode(), _ed25519_note().encode()],
        ONE + "; lines of other keys may be added by anybody",
    ),
    Target("tlog-proof", "node.log.proof.verify_tlog_proof", _tlog_proof, _proofs, ONE),
    Target(
        "tile-path",
        "node.log.tiles.parse_tile_path",
        _tile_path,
        lambda: [b"tile/0/000", b"tile/entries/x001/x234/067.p/8", b"tile/63/999.p/255", b"tile/entries/255"],
        ONE,
        words=(b"x000/", b".p/256", b".p/"),
    ),
    Target(
        "bundle",
        "node.log.tiles.parse_bundle",
        _bundle,
        lambda: [b"\x00", b"\x07" + encode_bundle(ENTRIES), b"\x02" + encode_bundle([b"", b"x" * 300])],
        ONE,
        binary=True,
    ),
    Target(
        "head",
        "node.log.head.parse_head",
        _head,
        lambda: [encode_head(Head(ORIGIN, 7, ROOTS[7])), encode_head(Head("example.com/log", 0, EMPTY_ROOT))],
        ONE,
    ),
    Target(
        "merkle",
        "node.log.merkle.verify_inclusion and verify_consistency",
        _merkle,
        _merkle_seeds,
        ONE,
        binary=True,
    ),
    Target("access-entry", "node.access.event.parse_entry", _access_entry, _entries, ONE),
    Target(
        "opening",
        "node.access.opening.parse_opening",
        _opening,
        lambda: [text.encode() for text in event().disclosures],
        ONE,
    ),
    Target(
        "openings",
        "node.access.event.verify_openings",
        _openings,
        lambda: [b"\n".join([event_entry(), *(text.encode() for text in event().disclosures)])],
        "in any order, each once",
    ),
    Target("receipt", "node.access.receipt.verify_receipt", _receipt, lambda: [receipt()], ONE),
    Target(
        "receipt-claims",
        "node.access.receipt.parse_receipt, signed",
        _receipt_claims,
        lambda: [parse_b64u(receipt().split(b".")[1].decode())],
        "see jws; no receipt is a log entry",
    ),
)

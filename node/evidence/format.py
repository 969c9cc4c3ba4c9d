# SPDX-License-Identifier: Apache-2.0
"""The evidence file: shape, spellings and sizes (protocol §5).

Parsing proves nothing. It makes sure that every later step works on values of the right type and a bounded
size, and that there is one way to read the file: no unknown, doubled or null member, one spelling for each value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from node.core.canonical import check_members, encode_json, parse_json
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64, encode_b64u, encode_hex, parse_b64, parse_b64u, parse_hex
from node.core.members import check_integer, check_list, check_text
from node.core.types import LogId, RootHash, TreeSize
from node.errors import InvalidInput
from node.evidence.policy import parse_address
from node.log.anchor import Anchor

if TYPE_CHECKING:
    from node.core.types import LeafHash

MAX_EVIDENCE_BYTES: Final = 2 * 1024 * 1024
MAX_RECORD_CHARS: Final = 256 * 1024
MAX_PROOF_CHARS: Final = 64 * 1024
MAX_TOKEN_CHARS: Final = 64 * 1024
MAX_HEAD_CHARS: Final = 8 * 1024
MAX_PATH_HASHES: Final = 63
FILE_SUFFIX: Final = ".evidence.json"

_MAX_TREE_SIZE: Final = 2**53 - 1
_MAX_RLP_BYTES: Final = 64 * 1024
_MAX_RLP_ITEMS: Final = 4_096
_MAX_CERTIFICATE_CHARS: Final = 4 * 1024
_MAX_SIGNERS_CHARS: Final = 1_024
_BLS_SIGNATURE_BYTES: Final = 96
_RLP = re.compile(r"0x(?:[0-9a-f]{2})+")


class AnchorReference(NamedTuple):
    """Where an anchor is said to stand on a chain. ``tx`` is a pointer for people; no proof rests on it."""

    chain_id: int
    contract: str
    log_id: LogId
    anchor: Anchor
    tx: bytes


@dataclass(frozen=True, slots=True)
class StatusPart:
    """A status list token, its place in a status head, and the head's place in a log."""

    token: str
    index: int
    path: tuple[bytes, ...]
    head: str
    inclusion: str
    anchor: AnchorReference


class SlotProof(NamedTuple):
    """A storage slot of the anchor contract and its trie nodes."""

    key: bytes
    nodes: tuple[bytes, ...]


class ChainProof(NamedTuple):
    """Block headers with seals, the account proof, and one slot proof for each anchor of the file."""

    headers: tuple[bytes, ...]
    account: tuple[bytes, ...]
    slots: tuple[SlotProof, ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """An epoch certificate and the anchored log's place in it (protocol §9)."""

    text: str
    index: int
    size: TreeSize
    path: tuple[bytes, ...]
    signers: str
    signature: bytes


class Evidence(NamedTuple):
    """A parsed evidence file. Nothing in it has been verified."""

    record: str
    inclusion: str
    anchor: AnchorReference | None = None
    status: StatusPart | None = None
    chain_proof: ChainProof | None = None
    certificate: Certificate | None = None


def parse_evidence(data: bytes) -> Evidence:
    """Parse an evidence file.

    Args:
        data: The file, untrusted, at most 2 MiB.

    Raises:
        InvalidInput: ``json-…``, ``hex``, ``base64…`` and ``evidence-…`` codes, one for each rule.
    """
    members = check_members(
        parse_json(data, max_bytes=MAX_EVIDENCE_BYTES, max_depth=8, what="evidence"),
        "evidence",
        required=("v", "record", "inclusion"),
        optional=("anchor", "status", "chain_proof", "certificate"),
    )
    if members["v"] != 1 or type(members["v"]) is not int:
        raise InvalidInput("evidence-version", "evidence has a version that is not known here: want 1")
    return Evidence(
        record=check_text(members["record"], "record", max_chars=MAX_RECORD_CHARS),
        inclusion=check_text(members["inclusion"], "inclusion", max_chars=MAX_PROOF_CHARS),
        anchor=parse_reference(members["anchor"], "anchor") if "anchor" in members else None,
        status=_parse_status(members["status"]) if "status" in members else None,
        chain_proof=_parse_chain_proof(members["chain_proof"]) if "chain_proof" in members else None,
        certificate=_parse_certificate(members["certificate"]) if "certificate" in members else None,
    )


def encode_evidence(evidence: Evidence) -> bytes:
    """Encode an evidence file as canonical JSON; absent parts are left out, never null."""
    members: dict[str, Any] = {"v": 1, "record": evidence.record, "inclusion": evidence.inclusion}
    if evidence.anchor is not None:
        members["anchor"] = encode_reference(evidence.anchor)
    if (status := evidence.status) is not None:
        members["status"] = {
            "list": status.token,
            "index": status.index,
            "path": [encode_b64(item) for item in status.path],
            "head": status.head,
            "inclusion": status.inclusion,
            "anchor": encode_reference(status.anchor),
        }
    if (proof := evidence.chain_proof) is not None:
        members["chain_proof"] = {
            "headers": [encode_hex(header) for header in proof.headers],
            "account": [encode_hex(item) for item in proof.account],
            "slots": [
                {"key": encode_hex(slot.key), "nodes": [encode_hex(item) for item in slot.nodes]}
                for slot in proof.slots
            ],
        }
    if (certificate := evidence.certificate) is not None:
        members["certificate"] = {
            "text": certificate.text,
            "index": certificate.index,
            "size": certificate.size,
            "path": [encode_b64(item) for item in certificate.path],
            "signers": certificate.signers,
            "signature": encode_b64u(certificate.signature),
        }
    return encode_json(members)


def file_name(leaf: LeafHash) -> str:
    """Name the evidence file of an entry: the first 16 hex digits of its leaf hash, which says nothing of it."""
    return leaf.hex()[:16] + FILE_SUFFIX


def parse_reference(value: Any, what: str) -> AnchorReference:
    """Parse where an anchor is said to stand, a member of this and other files.

    Raises:
        InvalidInput: ``json-…``, ``hex`` and ``anchor-form`` codes.
    """
    numbers = ("i", "prev_size", "prev_block", "prev_time", "size", "block", "time")
    members = check_members(value, what, required=("chain_id", "contract", "log_id", "root", "tx", *numbers))
    most = {"time": MAX_TIME, "prev_time": MAX_TIME, "size": _MAX_TREE_SIZE}
    number = {
        name: check_integer(members[name], f"{what}.{name}", **({"most": most[name]} if name in most else {}))
        for name in numbers
    }
    anchor = Anchor(
        i=number["i"],
        prev_size=TreeSize(number["prev_size"]),
        prev_block=number["prev_block"],
        prev_time=number["prev_time"],
        size=TreeSize(number["size"]),
        root=RootHash(parse_hex(check_text(members["root"], f"{what}.root"), length=32)),
        block=number["block"],
        time=number["time"],
    )
    return AnchorReference(
        chain_id=check_integer(members["chain_id"], f"{what}.chain_id", least=1),
        contract=parse_address(members["contract"]),
        log_id=LogId(parse_hex(check_text(members["log_id"], f"{what}.log_id"), length=32)),
        anchor=anchor,
        tx=parse_hex(check_text(members["tx"], f"{what}.tx"), length=32),
    )


def encode_reference(reference: AnchorReference) -> dict[str, Any]:
    """Build the JSON form of a reference to an anchor."""
    anchor = reference.anchor
    return {
        "chain_id": reference.chain_id,
        "contract": reference.contract,
        "log_id": encode_hex(reference.log_id),
        "i": anchor.i,
        "prev_size": anchor.prev_size,
        "prev_block": anchor.prev_block,
        "prev_time": anchor.prev_time,
        "size": anchor.size,
        "root": encode_hex(anchor.root),
        "block": anchor.block,
        "time": anchor.time,
        "tx": encode_hex(reference.tx),
    }


def _parse_status(value: Any) -> StatusPart:
    members = check_members(
        value, "status", required=("list", "index", "path", "head", "inclusion", "anchor")
    )
    return StatusPart(
        token=check_text(members["list"], "status.list", max_chars=MAX_TOKEN_CHARS),
        index=check_integer(members["index"], "status.index"),
        path=_parse_path(members["path"], "status.path"),
        head=check_text(members["head"], "status.head", max_chars=MAX_HEAD_CHARS),
        inclusion=check_text(members["inclusion"], "status.inclusion", max_chars=MAX_PROOF_CHARS),
        anchor=parse_reference(members["anchor"], "status.anchor"),
    )


def _parse_path(value: Any, what: str) -> tuple[bytes, ...]:
    items = check_list(value, what, max_items=MAX_PATH_HASHES)
    return tuple(parse_b64(check_text(item, what, max_chars=44), length=32) for item in items)


def _parse_chain_proof(value: Any) -> ChainProof:
    members = check_members(value, "chain_proof", required=("headers", "account", "slots"))
    slots = []
    for item in check_list(members["slots"], "chain_proof.slots", max_items=2):
        slot = check_members(item, "slot", required=("key", "nodes"))
        slots.append(
            SlotProof(
                parse_hex(check_text(slot["key"], "slot.key"), length=32),
                _parse_rlps(slot["nodes"], "slot.nodes"),
            )
        )
    return ChainProof(
        _parse_rlps(members["headers"], "chain_proof.headers"),
        _parse_rlps(members["account"], "chain_proof.account"),
        tuple(slots),
    )


def _parse_rlps(value: Any, what: str) -> tuple[bytes, ...]:
    items = []
    for item in check_list(value, what, max_items=_MAX_RLP_ITEMS):
        text = check_text(item, what, max_chars=2 + 2 * _MAX_RLP_BYTES)
        if not _RLP.fullmatch(text):
            raise InvalidInput("hex", f"an item of {what} is malformed: want 0x and lower-case hex bytes")
        items.append(bytes.fromhex(text[2:]))
    return tuple(items)


def _parse_certificate(value: Any) -> Certificate:
    members = check_members(
        value, "certificate", required=("text", "index", "size", "path", "signers", "signature")
    )
    signers = check_text(members["signers"], "certificate.signers", max_chars=_MAX_SIGNERS_CHARS)
    parse_b64u(signers)
    index = check_integer(members["index"], "certificate.index")
    return Certificate(
        text=check_text(members["text"], "certificate.text", max_chars=_MAX_CERTIFICATE_CHARS),
        index=index,
        size=TreeSize(check_integer(members["size"], "certificate.size", least=index + 1)),
        path=_parse_path(members["path"], "certificate.path"),
        signers=signers,
        signature=parse_b64u(
            check_text(members["signature"], "certificate.signature"), length=_BLS_SIGNATURE_BYTES
        ),
    )

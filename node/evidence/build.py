# SPDX-License-Identifier: Apache-2.0
"""Build an evidence file from the parts that a node holds.

Pure: whoever calls it has opened the record for a logged look and read proofs and anchors from the store. The file is
read again before it leaves, so that no node hands out one that every verifier would refuse for its form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from node.errors import Verification
from node.evidence.format import (
    AnchorReference,
    Evidence,
    StatusPart,
    encode_evidence,
    file_name,
    parse_evidence,
)
from node.log.checkpoint import log_id, parse_signed_checkpoint
from node.log.interval import check_first_cover
from node.log.merkle import leaf_hash
from node.log.proof import parse_tlog_proof
from node.records.record import parse_record

if TYPE_CHECKING:
    from node.log.anchor import Anchor


class BuiltEvidence(NamedTuple):
    """An evidence file and its customary name."""

    data: bytes
    name: str


def build_reference(
    anchor: Anchor, *, origin: str, chain_id: int, contract: str, tx: bytes
) -> AnchorReference:
    """Build the reference to an anchor of one of this node's logs.

    Args:
        anchor: As the chain accepted it.
        origin: The log's.
        chain_id: The chain's.
        contract: Address of the AnchorLog, in any case of letters.
        tx: Hash of the transaction that brought it, 32 bytes.
    """
    return AnchorReference(chain_id, contract.lower(), log_id(origin), anchor, tx)


def build_evidence(
    *,
    record: str,
    inclusion: str,
    anchor: AnchorReference | None = None,
    status: StatusPart | None = None,
) -> BuiltEvidence:
    """Build an evidence file.

    Args:
        record: Presentation of the record with the disclosures to show.
        inclusion: tlog-proof of its JWT, under the checkpoint of the first anchor that covers it when there is one.
        anchor: That anchor; None while the entry waits for one.
        status: Status list, head, and the head's inclusion and anchor; None when there is none yet.

    Raises:
        InvalidInput: A part is too large or malformed.
        Verification: ``evidence-parts`` or a code of ``check_first_cover``: proof and anchor do not belong together.
    """
    _check_parts(inclusion, anchor)
    if status is not None:
        _check_parts(status.inclusion, status.anchor)
    jwt = parse_record(record.partition("~")[0]).jwt
    data = encode_evidence(Evidence(record, inclusion, anchor, status))
    parse_evidence(data)
    return BuiltEvidence(data, file_name(leaf_hash(jwt)))


def _check_parts(inclusion: str, reference: AnchorReference | None) -> None:
    proof = parse_tlog_proof(inclusion)
    tree, _ = parse_signed_checkpoint(proof.checkpoint_note)
    if reference is None:
        return
    check_first_cover(reference.anchor, proof.index)
    if (log_id(tree.origin), tree.size, tree.root) != (
        reference.log_id,
        reference.anchor.size,
        reference.anchor.root,
    ):
        raise Verification(
            "evidence-parts",
            f"checkpoint of size {tree.size} and anchor of size {reference.anchor.size} are not of one state",
        )

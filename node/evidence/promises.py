# SPDX-License-Identifier: Apache-2.0
"""The file of a receipt, and what a verifier asks a chain about it (docs/protocol/proofs.md).

    {"v":1,"receipt":"<JWS>","event":"<bytes>","open":["<disclosure>"],"inclusion":"<tlog-proof>","anchor":{…}}

All but ``v`` and ``receipt`` may be absent. A bare JWS, as the node prints it, is read too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from node.access.receipt import MAX_RECEIPT_BYTES
from node.core.canonical import check_members, encode_json, parse_json
from node.core.members import check_list, check_text
from node.errors import InvalidInput
from node.evidence.chain import ChainReader
from node.evidence.format import MAX_PROOF_CHARS, encode_reference, parse_reference

if TYPE_CHECKING:
    from node.evidence.format import AnchorReference
    from node.log.anchor import Anchor

MAX_FILE_BYTES: Final = 512 * 1024
_MAX_ENTRY_CHARS: Final = 65_535
_MAX_OPENINGS: Final = 10
_MAX_OPENING_CHARS: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class ReceiptFile:
    """A parsed receipt file. Nothing in it has been verified.

    Attributes:
        receipt: The receipt itself, a compact JWS.
        event: The event's bytes; None when the file does not hold them.
        openings: Disclosures of its salted names, any of the ten.
        inclusion: tlog-proof of the event under a signed checkpoint.
        anchor: The anchor of that checkpoint.
    """

    receipt: str
    event: str | None = None
    openings: tuple[str, ...] = ()
    inclusion: str | None = None
    anchor: AnchorReference | None = None


class DemandState(IntEnum):
    """Where a demand stands (IAnchorLog.DemandState)."""

    NONE = 0
    OPEN = 1
    ANSWERED = 2
    DEFAULTED = 3


class DemandOnChain(NamedTuple):
    """A demand as the contract has it.

    Attributes:
        state: Where it stands.
        at: Chain time of the demand in seconds.
        leaf: The leaf that the answer pinned, 32 zero bytes while there is none.
        overdue_block: Block in which it was noted to be overdue, 0 before.
    """

    state: DemandState
    at: int
    leaf: bytes
    overdue_block: int = 0


class ReceiptChain(ChainReader, Protocol):
    """What is asked of a chain about a receipt. Every method raises ``Unavailable`` when it does not answer."""

    def block_time(self, number: int) -> int:
        """Return the time in seconds of a block that is not newer than ``head_block``."""

    def first_cover(self, contract: str, log_id: bytes, index: int) -> Anchor | None:
        """Return the anchor that is the first to cover an entry; None while none does, or without such a log."""

    def demand(self, contract: str, log_id: bytes, index: int) -> DemandOnChain:
        """Return where a demand for an entry stands."""

    def closes_at(self, contract: str, log_id: bytes) -> int | None:
        """Return the second at which a log was or will be closed; None while no end is known."""


def parse_receipt_file(data: bytes) -> ReceiptFile:
    """Parse a receipt file.

    Args:
        data: JSON, or the JWS alone with at most one line end behind it; untrusted.

    Raises:
        InvalidInput: ``json-…`` codes, and ``receipt-file`` for parts that do not go together.
    """
    if not data.startswith(b"{"):
        if len(data) > MAX_RECEIPT_BYTES + 1:
            raise InvalidInput(
                "receipt-file", f"receipt has {len(data)} bytes, want at most {MAX_RECEIPT_BYTES}"
            )
        try:
            return ReceiptFile(data.decode("ascii").removesuffix("\n"))
        except UnicodeDecodeError:
            raise InvalidInput("receipt-file", "receipt is neither a compact JWS nor JSON") from None
    members = check_members(
        parse_json(data, max_bytes=MAX_FILE_BYTES, max_depth=4, what="receipt file"),
        "receipt file",
        required=("v", "receipt"),
        optional=("event", "open", "inclusion", "anchor"),
    )
    if members["v"] != 1 or type(members["v"]) is not int:
        raise InvalidInput("receipt-file", "receipt file has a version that is not known here: want 1")
    if ("open" in members and "event" not in members) or ("anchor" in members and "inclusion" not in members):
        raise InvalidInput(
            "receipt-file", "receipt file has openings without event, or anchor without inclusion"
        )
    openings = check_list(members.get("open", []), "open", max_items=_MAX_OPENINGS)
    return ReceiptFile(
        check_text(members["receipt"], "receipt", max_chars=MAX_RECEIPT_BYTES),
        check_text(members["event"], "event", max_chars=_MAX_ENTRY_CHARS) if "event" in members else None,
        tuple(check_text(each, "open", max_chars=_MAX_OPENING_CHARS) for each in openings),
        check_text(members["inclusion"], "inclusion", max_chars=MAX_PROOF_CHARS)
        if "inclusion" in members
        else None,
        parse_reference(members["anchor"], "anchor") if "anchor" in members else None,
    )


def encode_receipt_file(file: ReceiptFile) -> bytes:
    """Encode a receipt file as canonical JSON; absent parts are left out."""
    members: dict[str, Any] = {"v": 1, "receipt": file.receipt}
    if file.event is not None:
        members["event"] = file.event
    if file.openings:
        members["open"] = list(file.openings)
    if file.inclusion is not None:
        members["inclusion"] = file.inclusion
    if file.anchor is not None:
        members["anchor"] = encode_reference(file.anchor)
    return encode_json(members)

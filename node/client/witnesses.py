# SPDX-License-Identifier: Apache-2.0
"""Asks other members' nodes what they hold of this one; implements ``node.ports.witnesses.Witnesses``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from node.access.box import PAD_BYTES, max_envelope_bytes
from node.core.canonical import check_members, parse_json
from node.core.members import check_list, check_text
from node.errors import NodeError
from node.log.checkpoint import MAX_CHECKPOINT
from node.ports import MemberStatus
from node.ports.peers import PeerAddress
from node.ports.witnesses import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.client.peers import PeerPost
    from node.core.types import MemberCode
    from node.ports import AnchorChain

MAX_ANSWER_BYTES: Final = 4 << 20
MOST_NOTES: Final = 256
_LOG = structlog.get_logger("ironcage")


class PeerWitnesses:
    """Asks every active member that says where it is reached, all at once, each as long as a message may take.

    Args:
        chain: Says who they are and where.
        post: Carries the questions.
    """

    def __init__(self, chain: AnchorChain, post: PeerPost) -> None:
        self._chain = chain
        self._post = post

    def ask(self, member: MemberCode) -> Sequence[Held]:
        """Ask for the signed checkpoints of a member's logs; who does not answer, or not so, is left out.

        Raises:
            Unavailable: The chain cannot be asked who the members are.
        """
        asked = []
        for other in self._chain.members():
            if other.code == member or other.status is not MemberStatus.ACTIVE:
                continue
            endpoint = self._chain.endpoint(other.code)
            if endpoint is not None:
                address = PeerAddress(other.code, endpoint.url, endpoint.tls_key)
                asked.append((other.code, self._post.get(address, f"/api/v1/held/{member}")))
        held = []
        for code, answer in asked:
            try:
                held.append(_parse(code, answer.result()))
            except NodeError as error:
                _LOG.info("a member did not say what it holds", member=code, code=error.code)
        return held


def _parse(code: MemberCode, data: bytes) -> Held:
    members = check_members(
        parse_json(data, max_bytes=MAX_ANSWER_BYTES, max_depth=3, what="answer"),
        "answer",
        required=("notes", "sealed"),
    )
    sealed = members["sealed"]
    if sealed is not None:
        sealed = check_text(sealed, "sealed", max_chars=max_envelope_bytes(PAD_BYTES))
    notes = check_list(members["notes"], "notes", max_items=MOST_NOTES)
    texts = tuple(check_text(note, "note", max_chars=MAX_CHECKPOINT) for note in notes)
    return Held(code, texts, sealed=sealed)

# SPDX-License-Identifier: Apache-2.0
"""Shared documents from other members' nodes (docs/protocol/documents.md).

Trust: nothing that a node sends; whoever asks compares the digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.errors import NotFound, Unavailable
from node.ports import MemberStatus
from node.ports.peers import PeerAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.client.peers import PeerPost
    from node.core.types import MemberCode
    from node.ports import AnchorChain


class MemberDocuments:
    """Fetches documents from the nodes that the registry names; implements ``node.ports.DocumentSource``.

    Args:
        chain: Says who is a member, and where its node is.
        post: Carries the question there and the answer back.
    """

    def __init__(self, chain: AnchorChain, post: PeerPost) -> None:
        self._chain = chain
        self._post = post

    def holders(self) -> Sequence[MemberCode]:
        """List the active members, in order of joining."""
        return [m.code for m in self._chain.members() if m.status is MemberStatus.ACTIVE]

    def fetch_document(self, member: MemberCode, digest: bytes, *, most_bytes: int) -> bytes:
        """Fetch the bytes that a member's node gives for a digest.

        Raises:
            NotFound: ``document-unknown``: it says nowhere where it is reached.
            NodeError: What ``PeerPost.get`` raises: it has none, is away, or shows another key than the chain names.
            Unavailable: ``peer-answer``: too many bytes.
        """
        endpoint = self._chain.endpoint(member)
        if endpoint is None:
            raise NotFound("document-unknown", f"{member} does not say where its node is reached")
        address = PeerAddress(member, endpoint.url, endpoint.tls_key)
        data = self._post.get(address, f"/documents/{digest.hex()}").result()
        if len(data) > most_bytes:
            raise Unavailable("peer-answer", f"{member} gives {len(data)} bytes, want at most {most_bytes}")
        return data

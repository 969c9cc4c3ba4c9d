# SPDX-License-Identifier: Apache-2.0
"""Requests that say something else of earlier answers than this node gave: signed by the asker, kept as they came, shown to auditors."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from node.access.box import MAX_REQUEST_BYTES, open_request, parse_envelope
from node.errors import Verification
from node.service.auditing import AUDIT
from node.service.drafting import EventDraft, Officer
from node.service.exchange.ends import KEPT_PROOFS
from node.service.exchange.ledger import list_proofs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.core.types import MemberCode
    from node.crypto.hpke import ExchangeKey
    from node.service.exchange.side import Side


class Contradictions:
    """Opens what is kept.

    Args:
        side: This node.
        keys: Its exchange keys by ``kid``.
    """

    def __init__(self, side: Side, keys: Mapping[str, ExchangeKey]) -> None:
        self._side = side
        self._keys = keys

    def open(self, member: MemberCode, officer: str) -> list[str]:
        """Log an ``audit``, then give the requests of a member that were refused for what they said was received.

        They name subjects, so that looking at them is a look.

        Args:
            member: The asker.
            officer: Account of the auditor.

        Returns:
            Request JWS, oldest first, at most ``KEPT_PROOFS``; ``req`` of the ``deny`` event is the SHA-256 of its text.

        Raises:
            NodeError: The log did not take the ``audit``; nothing is shown.
        """
        found = list_proofs(self._side.reads, member, limit=KEPT_PROOFS)
        if not found:
            return []
        self._side.access.log(EventDraft(kind=AUDIT, officer=Officer(officer), purpose=AUDIT, n=len(found)))
        shown = []
        for _, data in found:
            envelope = parse_envelope(data, max_plaintext_bytes=MAX_REQUEST_BYTES)
            key = self._keys.get(envelope.kid)
            # A key that is gone opens nothing any more.
            if key is not None:
                with suppress(Verification):
                    shown.append(open_request(envelope, key))
        return shown

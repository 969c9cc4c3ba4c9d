# SPDX-License-Identifier: Apache-2.0
"""Verify offline that what a regulator opened is what a member sealed into its log: ``ironcage sealed verify``.

1  the statement is by the regulator of the warrant in it, and so is the warrant
2  the event stands in the member's access log, under a checkpoint that the log's keys signed
3  the event names that box and that warrant, and the ten openings have the ten digests in it
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from node.access.event import parse_event
from node.access.unsealed import authenticate_opened, verify_opened
from node.errors import Verification
from node.log.checkpoint import parse_origin
from node.log.merkle import leaf_hash
from node.log.proof import parse_tlog_proof, verify_tlog_proof

if TYPE_CHECKING:
    from node.access.unsealed import OpenedBox
    from node.core.types import MemberCode
    from node.evidence.policy import Policy


def authenticate_under(token: str, policy: Policy) -> OpenedBox:
    """Verify a statement under the node keys that a policy has.

    Raises:
        InvalidInput: As ``parse_opened``.
        Verification: ``opened-key`` without such a key in the policy; the codes of signatures.
    """
    return authenticate_opened(token, partial(_find_key, policy))


def verify_unsealed(
    token: str, event: bytes, inclusion: str, policy: Policy
) -> tuple[OpenedBox, str, dict[str, Any]]:
    """Verify a statement against the event that it is about.

    Args:
        token: The statement, untrusted.
        event: The event's bytes, untrusted.
        inclusion: tlog-proof of the event, untrusted.
        policy: The verifier's own.

    Returns:
        The statement, the log that the event stands in, and the ten values by name.

    Raises:
        InvalidInput: A part is malformed.
        Verification: ``sealed-box``, ``opening-digest``; a signature or path that does not hold.
    """
    opened = authenticate_under(token, policy)
    vkeys = [key for log in policy.logs for key in (log.ed25519, log.ml_dsa_44)]
    verified = verify_tlog_proof(parse_tlog_proof(inclusion), leaf_hash(event), vkeys)
    origin = verified.checkpoint.origin
    return opened, origin, verify_opened(opened, parse_event(event), parse_origin(origin).member)


def _find_key(policy: Policy, member: MemberCode, kid: str) -> bytes:
    keys = policy.find_keys(member, "node", kid)
    if not keys:
        raise Verification("opened-key", f"the policy has no node key {kid} of {member}")
    return keys[0].public

# SPDX-License-Identifier: Apache-2.0
"""The compact tokens of the protocol: EdDSA, header and payload in RFC 8785 form, no second spelling."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from node.core.canonical import encode_json
from node.core.encoding import encode_b64u
from node.crypto.jws import build_jws, check_size, parse_jws
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.jws import Jws


def parse_token(token: str | bytes, *, typ: str | frozenset[str], max_bytes: int) -> Jws:
    """Parse a token that one of our signers wrote; its signature is checked by verify_jws.

    A second spelling of the same claims would be a second log entry, leaf hash and status digest of one
    statement, so every byte before the signature follows from the claims.

    Args:
        token: The token, untrusted.
        typ: The only ``typ`` accepted, or those that are.
        max_bytes: Greatest size of the token in bytes.

    Raises:
        InvalidInput: ``token-not-canonical``, or a code of parse_jws.
    """
    jws = parse_jws(token, typ=typ, max_bytes=max_bytes)
    # What is not known to be in that form says by its own fault what is wrong with it.
    if not jws.is_canonical and jws.signing_input != _build_signing_input(jws):
        raise InvalidInput(
            "token-not-canonical", "token is not in RFC 8785 form: header or payload differ from it"
        )
    return jws


def build_token(
    typ: str, payload: Mapping[str, Any], signer: Ed25519Signer, *, max_bytes: int
) -> tuple[str, Jws]:
    """Sign claims, and give with the token what ``parse_token`` would give.

    Args:
        typ: Kind of the token.
        payload: Claims of the canonical JSON profile, lists for arrays.
        signer: The key.
        max_bytes: As for ``parse_token``.

    Raises:
        InvalidInput: ``jws-size``, or a code of ``encode_json``.
    """
    token, jws = build_jws(typ, payload, signer)
    check_size(token, max_bytes)
    return token, jws


def _build_signing_input(jws: Jws) -> bytes:
    header, payload = (encode_b64u(encode_json(dict(part))) for part in (jws.header, jws.payload))
    return f"{header}.{payload}".encode("ascii")


def token_digest(token: str) -> bytes:
    """Compute the SHA-256 by which other tokens and events name a token, 32 bytes."""
    return sha256(token.encode("ascii")).digest()

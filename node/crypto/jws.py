# SPDX-License-Identifier: Apache-2.0
"""Compact JWS (RFC 7515) in the one form that the protocol uses: EdDSA, ``kid`` and ``typ``, nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from node.core.canonical import check_members, encode_json, read_json
from node.core.encoding import encode_b64u, parse_b64u
from node.crypto.ed25519 import SIGNATURE_BYTES, key_id16, verify_ed25519
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.crypto.ed25519 import Ed25519Signer

ALGORITHM = "EdDSA"
_KID = re.compile(r"[0-9a-f]{16}")
_MAX_HEADER_BYTES = 512


@dataclass(frozen=True, slots=True)
class Jws:
    """A parsed token whose signature has not been checked.

    Attributes:
        header: Exactly ``alg`` ("EdDSA"), ``kid`` and ``typ``.
        payload: The claims, unchecked.
        signing_input: The signed bytes as received.
        signature: 64 bytes.
        is_canonical: Whether header and payload are known to be in RFC 8785 form.
    """

    header: Mapping[str, str]
    payload: dict[str, Any]
    signing_input: bytes
    signature: bytes
    is_canonical: bool


def sign_jws(typ: str, payload: Mapping[str, Any], signer: Ed25519Signer) -> str:
    """Sign claims as a compact token with canonical header and payload.

    Args:
        typ: Media type that tells this kind of token from all others under the same key.
        payload: Claims of the canonical JSON profile.
        signer: Key of the kind that the protocol names for this ``typ``.
    """
    return build_jws(typ, payload, signer)[0]


def build_jws(typ: str, payload: Mapping[str, Any], signer: Ed25519Signer) -> tuple[str, Jws]:
    """Sign claims as ``sign_jws`` does, and give with the token what parsing it would give.

    Args:
        typ: As for ``sign_jws``.
        payload: Claims of the canonical JSON profile, lists for arrays; they become the token's own.
        signer: As for ``sign_jws``.
    """
    claims = dict(payload)
    header, encoded = _write_header(typ, signer.kid)
    signing_input = f"{encoded}.{encode_b64u(encode_json(claims))}"
    data = signing_input.encode("ascii")
    signature = signer.sign(data)
    return f"{signing_input}.{encode_b64u(signature)}", Jws(header, claims, data, signature, True)


@lru_cache(maxsize=64)
def _write_header(typ: str, kid: str) -> tuple[Mapping[str, str], str]:
    header = {"alg": ALGORITHM, "kid": kid, "typ": typ}
    return MappingProxyType(header), encode_b64u(encode_json(header))


def parse_jws(token: str | bytes, *, typ: str | frozenset[str] | None, max_bytes: int) -> Jws:
    """Parse a compact token; the signature is checked by :func:`verify_jws`.

    Args:
        token: The token, untrusted.
        typ: The only ``typ`` accepted, or those that are; any when None, and then the caller must decide on it.
        max_bytes: Greatest size of the token in bytes.

    Raises:
        InvalidInput: ``jws-size``, ``jws-form`` unless it is three base64url parts, ``jws-alg``, ``jws-kid``,
            ``jws-typ``, and the codes of the JSON and base64url parsers.
    """
    if not isinstance(token, str | bytes):
        raise InvalidInput("jws-form", f"token is not text: got {type(token).__name__}")
    check_size(token, max_bytes)
    try:
        text = token if isinstance(token, str) else token.decode("ascii")
        raw = text.encode("ascii")
    except UnicodeError:
        raise InvalidInput("jws-form", "token is not ASCII") from None
    parts = text.split(".")
    if len(parts) != 3:  # noqa: PLR2004  the compact serialisation has three parts (RFC 7515 §3.1)
        raise InvalidInput("jws-form", f"token is malformed: got {len(parts)} parts, want 3")
    header, is_known = _parse_header(parts[0], typ)
    payload, is_payload_known = read_json(parse_b64u(parts[1]), max_bytes=max_bytes, what="token payload")
    if type(payload) is not dict:
        raise InvalidInput("jws-form", "token payload is not an object")
    signature = parse_b64u(parts[2], length=SIGNATURE_BYTES)
    return Jws(header, payload, raw[: raw.rindex(b".")], signature, is_known and is_payload_known)


def check_size(token: str | bytes, max_bytes: int) -> None:
    """Refuse a token that is too large.

    Raises:
        InvalidInput: ``jws-size``.
    """
    if len(token) > max_bytes:
        raise InvalidInput(
            "jws-size", f"token is too large: got {len(token)} bytes, want at most {max_bytes}"
        )


@lru_cache(maxsize=128)
def _parse_header(text: str, typ: str | frozenset[str] | None) -> tuple[Mapping[str, str], bool]:
    """Parse a header: all tokens of one kind under one key have the same."""
    what = "token header"
    value, is_known = read_json(parse_b64u(text), max_bytes=_MAX_HEADER_BYTES, what=what)
    header = check_members(value, what, required=("alg", "kid", "typ"))
    if header["alg"] != ALGORITHM:
        raise InvalidInput("jws-alg", f"token has another algorithm: want {ALGORITHM}")
    if type(header["kid"]) is not str or not _KID.fullmatch(header["kid"]):
        raise InvalidInput("jws-kid", "token names no key: want 16 hex digits in kid")
    wanted = frozenset((typ,)) if isinstance(typ, str) else typ
    if type(header["typ"]) is not str or (wanted is not None and header["typ"] not in wanted):
        want = "as text" if wanted is None else " or ".join(sorted(wanted))
        raise InvalidInput("jws-typ", f"token is of another kind: want typ {want}")
    return MappingProxyType(header), is_known


def verify_jws(jws: Jws, public: bytes) -> None:
    """Verify a token under the key that the caller trusts for its ``typ``.

    Args:
        jws: A token from :func:`parse_jws`.
        public: 32 bytes, Ed25519.

    Raises:
        Verification: ``jws-key`` when the token names another key, ``ed25519-signature``.
        InvalidInput: as ``check_ed25519_key``.
    """
    if jws.header["kid"] != key_id16(public):
        raise Verification(
            "jws-key", f"token names another key: got {jws.header['kid']}, want {key_id16(public)}"
        )
    verify_ed25519(public, jws.signing_input, jws.signature)

# SPDX-License-Identifier: Apache-2.0
"""Who may call what: bearer tokens with a role. Only digests of tokens are stored.

    officer         look at records, export evidence
    operator        that, and import, withdraw, correct, anchor
    auditor         read the access log
    administrator   everything

A token is 32 random bytes as base64url behind ``ict_``. Comparing SHA-256 digests of it leaks nothing by time that
helps to guess one.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from node.core.canonical import check_members, encode_json, parse_json
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_integer, check_list, check_text
from node.errors import AccessDenied, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from node.core.clock import Clock

ROLES: Final = ("officer", "operator", "auditor", "administrator")
PREFIX: Final = "ict_"
MAX_TOKENS_BYTES: Final = 1 << 20
MAX_TOKENS: Final = 4_096
MAX_NAME_CHARS: Final = 200
_DIGEST_BYTES: Final = 32
_BEARER = HTTPBearer(auto_error=False, description="A token of this node, `ict_…`")


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A token as stored: name of the account, role, digest (b64u) and expiry in seconds, None for never."""

    name: str
    role: str
    digest: str
    expires: int | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: account and role."""

    name: str
    role: str


def new_token(
    name: str, role: str, expires: int | None, random: Callable[[int], bytes]
) -> tuple[str, TokenEntry]:
    """Make a token: its text, shown once, and its stored form."""
    if role not in ROLES:
        raise InvalidInput("token-role", f"role is unknown: want one of {', '.join(ROLES)}")
    text = PREFIX + encode_b64u(random(32))
    return text, TokenEntry(name, role, _digest(text), expires)


def encode_tokens(entries: Iterable[TokenEntry]) -> bytes:
    """Encode the token file."""
    tokens = [{"digest": e.digest, "expires": e.expires, "name": e.name, "role": e.role} for e in entries]
    return encode_json({"tokens": tokens, "v": 1})


def parse_tokens(data: bytes) -> list[TokenEntry]:
    """Parse the token file.

    Raises:
        InvalidInput: It is not one.
    """
    members = check_members(
        parse_json(data, max_bytes=MAX_TOKENS_BYTES, what="tokens"), "tokens", required=("v", "tokens")
    )
    check_integer(members["v"], "v", least=1, most=1)
    entries = []
    for item in check_list(members["tokens"], "tokens", max_items=MAX_TOKENS):
        token = check_members(item, "token", required=("digest", "expires", "name", "role"))
        entries.append(_parse_token(token))
    return entries


def _parse_token(token: dict[str, Any]) -> TokenEntry:
    role, expires = check_text(token["role"], "role"), token["expires"]
    if role not in ROLES:
        raise InvalidInput("token-role", f"role is unknown: want one of {', '.join(ROLES)}")
    parse_b64u(check_text(token["digest"], "digest"), length=_DIGEST_BYTES)
    if expires is not None:
        check_integer(expires, "expires")
    return TokenEntry(
        check_text(token["name"], "name", max_chars=MAX_NAME_CHARS), role, token["digest"], expires
    )


class TokenGate:
    """Checks tokens."""

    def __init__(self, entries: Sequence[TokenEntry], clock: Clock) -> None:
        self._entries = entries
        self._clock = clock

    def check(self, text: str | None, roles: Sequence[str]) -> Caller:
        """Let a caller in.

        Raises:
            AccessDenied: ``token-missing``, ``token-unknown``, ``token-expired`` or ``role-insufficient``.
        """
        if text is None:
            raise AccessDenied("token-missing", "this route needs a token: Authorization: Bearer ict_…")
        digest = _digest(text)
        found = [entry for entry in self._entries if hmac.compare_digest(entry.digest, digest)]
        if not found:
            raise AccessDenied("token-unknown", "this token is not one of this node's")
        entry = found[0]
        if entry.expires is not None and entry.expires <= self._clock.now_seconds():
            raise AccessDenied("token-expired", "this token has expired")
        if entry.role not in roles and entry.role != "administrator":
            raise AccessDenied(
                "role-insufficient", f"role {entry.role} may not do this: want {' or '.join(roles)}"
            )
        return Caller(entry.name, entry.role)


def _digest(text: str) -> str:
    return encode_b64u(hashlib.sha256(text.encode()).digest())


def require(*roles: str) -> Any:
    """Make the dependency that lets in callers with one of some roles."""

    def check(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
    ) -> Caller:
        gate: TokenGate = request.app.state.gate
        return gate.check(credentials.credentials if credentials else None, roles)

    return Depends(check)


def bearer_of(request: Request) -> str | None:
    """Read the bearer token of a request, where no dependency can: before its body."""
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    return token if scheme.lower() == "bearer" and token else None


OPERATORS: Final = ("operator",)
Officer = Annotated[Caller, require("officer", "operator")]
Operator = Annotated[Caller, require(*OPERATORS)]
Auditor = Annotated[Caller, require("auditor")]
Staff = Annotated[Caller, require("officer", "operator", "auditor")]

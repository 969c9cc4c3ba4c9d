# SPDX-License-Identifier: Apache-2.0
"""Bearer tokens of accounts: their roles, their file, and what happens to them. Only digests are stored.

    officer         look at records, export evidence
    operator        that, and import, withdraw, correct, anchor
    auditor         read the access log
    administrator   everything

A token is 32 random bytes as base64url behind ``ict_``. An account has one; while it is rotated it has two, the old one
with an end. Whoever holds the file learns names, roles and ends, and can call nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from node.core.canonical import check_members, encode_json, parse_json
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_integer, check_list, check_text
from node.errors import AccessDenied, Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ROLES: Final = ("officer", "operator", "auditor", "administrator")
PREFIX: Final = "ict_"
MAX_TOKENS_BYTES: Final = 1 << 20
MAX_TOKENS: Final = 4_096
MAX_NAME_CHARS: Final = 200
_SECRET_BYTES: Final = 32
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A token as stored: name of the account, role, digest (b64u) and expiry in seconds, None for never."""

    name: str
    role: str
    digest: str
    expires: int | None

    def has_ended(self, now_seconds: int) -> bool:
        """Whether it is over; a token ends on its second."""
        return self.expires is not None and self.expires <= now_seconds


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: account and role."""

    name: str
    role: str


def new_token(
    name: str, role: str, expires: int | None, random: Callable[[int], bytes]
) -> tuple[str, TokenEntry]:
    """Make a token: its text, shown once, and its stored form.

    Raises:
        InvalidInput: ``token-role``, ``token-name``.
    """
    if role not in ROLES:
        raise InvalidInput("token-role", f"role is unknown: want one of {', '.join(ROLES)}")
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        raise InvalidInput(
            "token-name", f"account name is none: want 1 to {MAX_NAME_CHARS} printable characters"
        )
    text = PREFIX + encode_b64u(random(_SECRET_BYTES))
    return text, TokenEntry(name, role, _digest(text), expires)


def add_token(entries: Sequence[TokenEntry], entry: TokenEntry, now_seconds: int) -> list[TokenEntry]:
    """Give an account its token.

    Raises:
        Conflict: ``token-exists``: it has one that is not over.
        InvalidInput: ``token-count``.
    """
    others = [each for each in entries if each.name != entry.name]
    if any(each.name == entry.name and not each.has_ended(now_seconds) for each in entries):
        raise Conflict("token-exists", "this account has a token: rotate it, or revoke it first")
    return _bounded([*others, entry])


def rotate_token(
    entries: Sequence[TokenEntry],
    name: str,
    *,
    expires: int | None,
    overlap_seconds: int,
    now_seconds: int,
    random: Callable[[int], bytes],
) -> tuple[str, list[TokenEntry]]:
    """Give an account a new token; what it had ends when the overlap is over, or earlier if it would have anyway.

    Returns:
        The new token's text, shown once, and all entries.

    Raises:
        NotFound: ``token-account``: there is no such account.
        InvalidInput: ``token-count``.
    """
    own = [entry for entry in entries if entry.name == name]
    if not own:
        raise NotFound("token-account", "no account of this name has a token")
    text, entry = new_token(name, own[-1].role, expires, random)
    end = now_seconds + overlap_seconds
    kept: list[TokenEntry] = []
    for each in entries:
        if each.name != name:
            kept.append(each)
        elif overlap_seconds and not each.has_ended(now_seconds):
            kept.append(replace(each, expires=end if each.expires is None else min(end, each.expires)))
    return text, _bounded([*kept, entry])


def revoke_token(entries: Sequence[TokenEntry], name: str) -> list[TokenEntry]:
    """Take away whatever tokens an account has.

    Raises:
        NotFound: ``token-account``.
    """
    kept = [entry for entry in entries if entry.name != name]
    if len(kept) == len(entries):
        raise NotFound("token-account", "no account of this name has a token")
    return kept


def check_token(
    entries: Iterable[TokenEntry], text: str | None, roles: Sequence[str], now_seconds: int
) -> Caller:
    """Let a caller in.

    All digests are compared, each in constant time; what the comparison of a digest tells helps nobody to guess a token.

    Args:
        entries: The tokens of this node.
        text: What the caller sent, untrusted; None for nothing.
        roles: Who may call, beside administrators.
        now_seconds: The time.

    Raises:
        AccessDenied: ``token-missing``, ``token-unknown``, ``token-expired`` or ``role-insufficient``.
    """
    if text is None:
        raise AccessDenied("token-missing", "this route needs a token: Authorization: Bearer ict_…")
    digest = _digest(text)
    found = [entry for entry in entries if hmac.compare_digest(entry.digest, digest)]
    if not found:
        raise AccessDenied("token-unknown", "this token is not one of this node's")
    entry = found[0]
    if entry.has_ended(now_seconds):
        raise AccessDenied("token-expired", "this token has expired")
    if entry.role not in roles and entry.role != "administrator":
        raise AccessDenied(
            "role-insufficient", f"role {entry.role} may not do this: want {' or '.join(roles)}"
        )
    return Caller(entry.name, entry.role)


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


def _bounded(entries: list[TokenEntry]) -> list[TokenEntry]:
    if len(entries) > MAX_TOKENS:
        raise InvalidInput(
            "token-count", f"this node has {MAX_TOKENS} tokens, which is the most: revoke some"
        )
    return entries


def _digest(text: str) -> str:
    # A header's bytes come as Latin-1, so that there are no surrogates; other callers' may not be encodable.
    return encode_b64u(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())

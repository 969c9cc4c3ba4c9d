# SPDX-License-Identifier: Apache-2.0
"""Selective disclosure for JWTs (RFC 9901): parse, verify and present, strictly.

The core knows no record: the expected ``typ``, the algorithms and the signature check are arguments, disclosures
may be nested and stand in arrays, a key binding may be demanded. Where the RFC leaves room the core refuses:
``_sd`` and ``...`` stand nowhere but where digests stand, digests are SHA-256, base64url has one spelling, and
JSON follows node.core.canonical (no member twice, integers only). Verification goes by the steps of section 7.1:

    1. separate the JWT and its disclosures
    2. check algorithm, type and signature of the JWT, and ``_sd_alg``
    3. put each disclosure where its digest stands, recursively (node.records.disclosure)
    4. refuse a digest that stands twice
    5. refuse a disclosure whose digest stands nowhere
    6. check ``exp``, ``nbf``, ``aud`` and the claims that must be there
    then, where demanded, the key binding (section 7.3)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.core.canonical import parse_json
from node.core.encoding import encode_b64u, parse_b64u
from node.errors import InvalidInput, Verification
from node.records.disclosure import check_sd_alg, open_disclosures

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

MAX_TOKEN_BYTES: Final = 1 << 20
"""Greatest size of a token with its disclosures, in bytes."""
MAX_JWT_PART_BYTES: Final = 1 << 16
_JWT_PARTS: Final = 3
_KEY_BINDING_TYP: Final = "kb+jwt"


@dataclass(frozen=True, slots=True)
class Jwt:
    """A compact JWS as received; nothing in it is verified."""

    text: str
    header: dict[str, Any]
    payload: dict[str, Any]
    signing_input: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SdJwt:
    """A token taken apart; nothing in it is verified."""

    jwt: Jwt
    disclosures: tuple[str, ...]
    key_binding: Jwt | None

    @property
    def signed_text(self) -> str:
        """The token without its key binding, which ``sd_hash`` covers: it ends with a tilde."""
        return "~".join((self.jwt.text, *self.disclosures, ""))


@dataclass(frozen=True, slots=True)
class KeyBinding:
    """What a verifier demands of the key binding (RFC 9901 section 7.3).

    Args:
        check_signature: Called with the holder's key (the ``cnf`` claim), the header, the signed bytes and the
            signature; raises when it does not hold.
        algorithms: Accepted ``alg`` values.
        audience: The verifier's own name.
        nonce: The nonce of this transaction.
        earliest_seconds: Least ``iat`` accepted.
        latest_seconds: Greatest ``iat`` accepted.
    """

    check_signature: Callable[[Any, Mapping[str, Any], bytes, bytes], None]
    algorithms: Collection[str]
    audience: str
    nonce: str
    earliest_seconds: int
    latest_seconds: int


@dataclass(frozen=True, slots=True)
class VerifiedSdJwt:
    """The processed payload of a verified token, and the digests that nothing opened."""

    claims: dict[str, Any]
    withheld: tuple[str, ...]


def parse_sd_jwt(token: str, *, key_binding: bool = False) -> SdJwt:
    """Take a token apart by the grammar of RFC 9901 section 4.

    Args:
        token: Compact serialisation, untrusted.
        key_binding: Whether the verifier expects a key binding; never decided by what the token holds.

    Raises:
        InvalidInput: ``sd-jwt-size``, ``sd-jwt-encoding``, ``sd-jwt-tilde`` (the last tilde is missing),
            ``sd-jwt-key-binding`` (one is there and not expected, or expected and not there),
            ``sd-jwt-empty-disclosure``, or a code of the JWT and JSON grammar.
    """
    issuer_jwt, disclosures, last = split_sd_jwt(token, key_binding=key_binding)
    return SdJwt(parse_jwt(issuer_jwt), disclosures, parse_jwt(last) if key_binding else None)


def split_sd_jwt(token: str, *, key_binding: bool = False) -> tuple[str, tuple[str, ...], str]:
    """Split a token at its tildes: issuer's JWT, disclosures, key binding (empty when none is expected).

    Raises:
        InvalidInput: As parse_sd_jwt, without the codes of the JWT and JSON grammar.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise InvalidInput(
            "sd-jwt-size", f"token has {len(token)} characters, want at most {MAX_TOKEN_BYTES}"
        )
    if not token.isascii():
        raise InvalidInput("sd-jwt-encoding", "token holds characters outside ASCII")
    issuer_jwt, *disclosures = token.split("~")
    if not disclosures:
        raise InvalidInput("sd-jwt-tilde", "token has no tilde: want one after the JWT and each disclosure")
    last = disclosures.pop()
    if key_binding and not last:
        raise InvalidInput("sd-jwt-key-binding", "token has no key binding: want one after the last tilde")
    if last and not key_binding:
        if "." in last:
            raise InvalidInput("sd-jwt-key-binding", "token has a key binding: want none")
        raise InvalidInput(
            "sd-jwt-tilde", "token does not end with a tilde: the last disclosure may be cut off"
        )
    if not all(disclosures):
        raise InvalidInput(
            "sd-jwt-empty-disclosure", "token has two tildes in a row: want a disclosure between them"
        )
    return issuer_jwt, tuple(disclosures), last


def parse_jwt(text: str) -> Jwt:
    """Take a compact JWS with a JSON object as payload apart (RFC 7515 section 3.1), of any algorithm.

    Raises:
        InvalidInput: ``jwt-parts`` unless there are three, or a code of the base64url and JSON grammar.
    """
    parts = text.split(".")
    if len(parts) != _JWT_PARTS:
        raise InvalidInput("jwt-parts", f"JWT has {len(parts)} parts, want {_JWT_PARTS}")
    header, payload, signature = (parse_b64u(part) for part in parts)
    return Jwt(
        text=text,
        header=_parse_object(header, "JWT header"),
        payload=_parse_object(payload, "JWT payload"),
        signing_input=text[: text.rindex(".")].encode("ascii"),
        signature=signature,
    )


def _parse_object(data: bytes, what: str) -> dict[str, Any]:
    value = parse_json(data, max_bytes=MAX_JWT_PART_BYTES, what=what)
    if type(value) is not dict:
        raise InvalidInput("json-object", f"{what} is not an object: got {type(value).__name__}")
    return value


def verify_sd_jwt(
    token: str,
    *,
    typ: str | None,
    algorithms: Collection[str],
    check_signature: Callable[[Mapping[str, Any], bytes, bytes], None],
    now_seconds: int,
    audience: str | None = None,
    required: Collection[str] = (),
    key_binding: KeyBinding | None = None,
) -> VerifiedSdJwt:
    """Verify a token and return its processed payload (RFC 9901 sections 7.1 and 7.3).

    Args:
        token: Compact serialisation, untrusted.
        typ: The only ``typ`` accepted; None means that the header must have none.
        algorithms: Accepted ``alg`` values; ``none`` is refused whatever stands here.
        check_signature: Called with header, signed bytes and signature; finds the issuer's key by the verifier's
            own trust and raises when the signature does not hold.
        now_seconds: The time against which ``exp`` and ``nbf`` are held.
        audience: The verifier's own name, held against ``aud``; None refuses a token that names an audience.
        required: Claims that must be in the processed payload (section 9.7).
        key_binding: What is demanded of the key binding; None demands that there is none.

    Raises:
        InvalidInput: The token is malformed (codes of parse_sd_jwt).
        Verification: ``jwt-alg``, ``jwt-typ``, ``jwt-crit``, ``sd-alg``, a code of open_disclosures,
            ``jwt-expired``, ``jwt-not-yet``, ``jwt-audience``, ``jwt-claim-missing``, ``key-binding``, or
            what ``check_signature`` raises.
    """
    # 1: separate
    parsed = parse_sd_jwt(token, key_binding=key_binding is not None)
    # 2: the issuer's JWT
    _check_header(parsed.jwt.header, typ, algorithms)
    check_signature(parsed.jwt.header, parsed.jwt.signing_input, parsed.jwt.signature)
    check_sd_alg(parsed.jwt.payload)
    # 3, 4, 5: disclosures
    opened = open_disclosures(parsed.jwt.payload, parsed.disclosures)
    # 6: validity
    _check_validity(opened.claims, now_seconds, audience, required)
    if key_binding is not None and parsed.key_binding is not None:
        _check_key_binding(parsed, parsed.key_binding, opened.claims, key_binding)
    return VerifiedSdJwt(opened.claims, opened.withheld)


def _check_header(header: Mapping[str, Any], typ: str | None, algorithms: Collection[str]) -> None:
    algorithm = header.get("alg")
    if type(algorithm) is not str or algorithm.casefold() == "none" or algorithm not in algorithms:
        raise Verification(
            "jwt-alg", f"algorithm of the JWT is not accepted: want {' or '.join(sorted(algorithms))}"
        )
    if ("typ" in header) is not (typ is not None) or header.get("typ") != typ:
        raise Verification("jwt-typ", f"type of the JWT is another: want {typ or 'none'}")
    if "crit" in header:
        raise Verification("jwt-crit", "JWT demands an extension of its header that is not understood")


def _check_validity(
    claims: Mapping[str, Any], now_seconds: int, audience: str | None, required: Collection[str]
) -> None:
    missing = sorted(name for name in required if name not in claims)
    if missing:
        raise Verification("jwt-claim-missing", f"JWT lacks claims: want {', '.join(missing)}")
    for name in ("exp", "nbf", "iat"):
        if name in claims and type(claims[name]) is not int:
            raise Verification("jwt-time", f"claim {name} is no number of seconds")
    if "exp" in claims and now_seconds >= claims["exp"]:
        raise Verification("jwt-expired", f"JWT has expired: exp {claims['exp']}, now {now_seconds}")
    if "nbf" in claims and now_seconds < claims["nbf"]:
        raise Verification("jwt-not-yet", f"JWT is not valid yet: nbf {claims['nbf']}, now {now_seconds}")
    if "aud" in claims:
        named = claims["aud"] if type(claims["aud"]) is list else [claims["aud"]]
        if audience is None or audience not in named:
            raise Verification("jwt-audience", "JWT is meant for another audience")


def _check_key_binding(parsed: SdJwt, binding: Jwt, claims: Mapping[str, Any], want: KeyBinding) -> None:
    if "cnf" not in claims:
        raise Verification("key-binding", "token names no holder key: want claim cnf")
    _check_header(binding.header, _KEY_BINDING_TYP, want.algorithms)
    want.check_signature(claims["cnf"], binding.header, binding.signing_input, binding.signature)
    payload = binding.payload
    signed_at = payload.get("iat")
    if type(signed_at) is not int or not want.earliest_seconds <= signed_at <= want.latest_seconds:
        raise Verification("key-binding", "key binding was not made in the accepted time")
    if payload.get("aud") != want.audience:
        raise Verification("key-binding", "key binding is meant for another audience")
    if payload.get("nonce") != want.nonce:
        raise Verification("key-binding", "key binding belongs to another transaction")
    if payload.get("sd_hash") != encode_b64u(hashlib.sha256(parsed.signed_text.encode("ascii")).digest()):
        raise Verification("key-binding", "key binding covers other disclosures")
    _check_validity(payload, want.latest_seconds, want.audience, ())


def present_sd_jwt(token: str, keep: Collection[str]) -> str:
    """Drop all disclosures but those to keep (RFC 9901 section 7.2).

    Args:
        token: A token without key binding, of the holder's own, verified when it was received.
        keep: The disclosures that stay, as they stand in the token; each must connect to the JWT, directly or
            through another that stays.

    Raises:
        InvalidInput: ``sd-jwt-no-disclosure`` for one that the token does not hold.
        Verification: ``disclosure-unreferenced`` for one whose parent does not stay, or the token is broken.
    """
    parsed = parse_sd_jwt(token)
    kept = tuple(text for text in parsed.disclosures if text in keep)
    if len(kept) != len(keep):
        raise InvalidInput(
            "sd-jwt-no-disclosure", f"token holds {len(kept)} of {len(keep)} disclosures to keep"
        )
    open_disclosures(parsed.jwt.payload, kept)
    return SdJwt(parsed.jwt, kept, None).signed_text

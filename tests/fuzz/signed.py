# SPDX-License-Identifier: Apache-2.0
"""Signed messages of members as targets take them apart and build them again."""

from __future__ import annotations

from node.core.canonical import parse_json
from node.core.encoding import parse_b64u
from node.crypto.jws import sign_jws
from tests.support.one_exchange import NODE_KEYS


def sign_claims(data, typ, member, *, max_bytes):
    """Sign what a mutation made of claims, as a member would who means harm."""
    claims = parse_json(data, max_bytes=max_bytes)
    return sign_jws(typ, claims if type(claims) is dict else {}, NODE_KEYS[member])


def claims_of(tokens):
    """The claims of signed messages, as they stand in them."""
    return [parse_b64u(token.split(b".")[1].decode()) for token in tokens]


def fields_of(parsed, *but):
    """What was read, for the function that builds it."""
    return {name: getattr(parsed, name) for name in parsed.__dataclass_fields__ if name not in but}

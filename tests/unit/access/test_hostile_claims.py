# SPDX-License-Identifier: Apache-2.0
"""Every value at every place of every signed message, replaced by what does not belong there, and signed again.

Mutations of bytes (tests/fuzz) seldom leave the JSON whole; these always do.
"""

from __future__ import annotations

import json
from copy import deepcopy

import pytest

from node.access.answer import build_answer, parse_answer
from node.access.consent import build_consent, parse_consent
from node.access.request import build_request, parse_request
from node.access.warrant import build_warrant, parse_warrant
from node.core.encoding import parse_b64u
from node.crypto.jws import sign_jws
from node.errors import InvalidInput
from tests.fuzz.case import check_error
from tests.support.one_exchange import (
    ASKER,
    NODE_KEYS,
    PROVIDER,
    REGULATOR,
    answer,
    consent,
    request_under_warrant,
    request_with_consent,
    warrant,
)

VALUES = (
    None,
    True,
    0,
    1,
    -1,
    2**53 - 1,
    "",
    "x",
    "\x00",
    "A" * 43,
    "é",
    [],
    [[]],
    [None],
    {},
    {"x": 1},
    ["x", "x"],
)

DERIVED = ("digest", "released")


def write_request(**fields):
    return build_request(**fields)[0]


MESSAGES = {
    "request": (request_with_consent, parse_request, write_request, ASKER),
    "sealed request": (request_under_warrant, parse_request, write_request, ASKER),
    "answer": (lambda: answer("partial"), parse_answer, build_answer, PROVIDER),
    "consent": (consent, parse_consent, build_consent, REGULATOR),
    "warrant": (warrant, parse_warrant, build_warrant, REGULATOR),
}


def places_in(value, path=()):
    """Paths of all values, objects and arrays themselves included."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places_in(value[key], (*path, key))


def replaced(claims, path, value):
    """The claims with another value at a place, or without it."""
    made = deepcopy(claims)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return made


@pytest.mark.parametrize("name", MESSAGES)
def test_what_does_not_belong_there_is_refused_or_read_as_it_stands(name):
    make, parse, build, member = MESSAGES[name]
    head, body, _ = make().split(".")
    typ, claims = json.loads(parse_b64u(head))["typ"], json.loads(parse_b64u(body))
    accepted = set()
    for path in places_in(claims):
        for value in (*VALUES, ...):
            if not path:
                continue
            token = sign_jws(typ, replaced(claims, path, value), NODE_KEYS[member])
            try:
                read = parse(token)
            except InvalidInput as error:
                check_error(error)
                continue
            fields = {key: getattr(read, key) for key in read.__dataclass_fields__ if key not in DERIVED}
            assert build(signer=NODE_KEYS[member], **fields) == token
            accepted.add(path[0])
    # Times, numbers and free texts may be others within their forms; who, to whom and under which proof may not.
    assert {"iss", "aud", "asker", "jti", "rid", "reply", "checkpoint", "as_of", "result"}.isdisjoint(
        accepted
    )

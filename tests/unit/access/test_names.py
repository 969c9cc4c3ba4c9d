# SPDX-License-Identifier: Apache-2.0
"""The shared document of members' names: one spelling, each member once."""

import pytest

from node.access.names import Name, encode_member_names, parse_member_names
from node.core.canonical import encode_json, parse_json
from node.errors import InvalidInput
from tests.support.errors import raises_code

CODES = ("11330100002489014L", "91350100M000100Y43")
NAMES = {
    CODES[0]: Name("杭州市发展和改革委员会", "Hangzhou Development and Reform Commission"),
    CODES[1]: Name("法院", "court"),
}
DATA = encode_member_names(NAMES)
MEMBER = {"code": CODES[0], "zh": "法院", "en": "court"}


def test_names_are_read_as_they_were_written():
    assert parse_member_names(DATA) == NAMES
    assert encode_member_names(dict(reversed(NAMES.items()))) == DATA
    assert parse_member_names(encode_json({"v": 1, "members": []})) == {}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"v": 2}, "document-version"),
        ({"v": True}, "document-version"),
        ({"more": 1}, "json-member-unknown"),
        ({"members": [MEMBER, MEMBER]}, "document-members"),
        ({"members": [MEMBER | {"code": CODES[1]}, MEMBER]}, "document-members"),
        ({"members": [MEMBER | {"code": CODES[0][:-1] + "A"}]}, "uscc-check-digit"),
        ({"members": [MEMBER | {"zh": " "}]}, "document-name"),
        ({"members": [MEMBER | {"en": None}]}, "json-text"),
        ({"members": [MEMBER | {"zh": "法\u202e院"}]}, "document-name"),
    ],
)
def test_what_is_wrong_is_refused(changes, code):
    document = parse_json(DATA, max_bytes=len(DATA))
    with raises_code(InvalidInput, code):
        parse_member_names(encode_json(document | changes))


def test_another_spelling_is_refused():
    with raises_code(InvalidInput, "document-canonical"):
        parse_member_names(DATA.replace(b'"v":1', b'"v": 1'))

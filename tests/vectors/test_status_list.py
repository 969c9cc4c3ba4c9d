# SPDX-License-Identifier: Apache-2.0
"""../shared/vectors/status-list: examples of draft-ietf-oauth-status-list (20), commit 2fb61cd5."""

from __future__ import annotations

import json
import re

import pytest

from node.errors import InvalidInput
from node.records.sdjwt import parse_jwt
from node.records.status import decompress_places, status_at, verify_status_token
from tests.support.errors import raises_code
from tests.support.records import find_key
from tests.support.shared import shared_path


def _read(name):
    return shared_path(f"vectors/status-list/{name}").read_text()


def _example(name):
    array, encoded = _read(name).split("encoded:")
    return bytes(int(byte, 16) for byte in re.findall(r"0x([0-9a-f]{2})", array)), json.loads(encoded)


# The statuses are those that section 4.1 of the draft prints for the two arrays.
@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("status_list_encoding_json.md", [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]),
        ("status_list_encoding2_json.md", [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]),
    ],
)
def test_encoded_lists(name, statuses):
    array, encoded = _example(name)
    assert decompress_places(encoded["lst"], max_bytes=len(array)) == array
    assert [status_at(array, encoded["bits"], index) for index in range(len(statuses))] == statuses
    with raises_code(InvalidInput, "status-size"):
        decompress_places(encoded["lst"], max_bytes=len(array) - 1)


def test_token_reads_by_the_common_grammar_and_is_none_of_ours():
    text = "".join(_read("status_list_jwt_raw.md").split())
    token = parse_jwt(text)
    assert token.header == {"alg": "ES256", "kid": "12", "typ": "statuslist+jwt"}
    places = decompress_places(token.payload["status_list"]["lst"], max_bytes=2)
    assert places == b"\xb9\xa3"
    with raises_code(InvalidInput, "jws-alg"):
        verify_status_token(text, find_key)


def test_every_file_is_used():
    names = {path.name for path in shared_path("vectors/status-list").glob("status_list_*")}
    assert names == {
        "status_list_encoding_json.md",
        "status_list_encoding2_json.md",
        "status_list_jwt_raw.md",
    }

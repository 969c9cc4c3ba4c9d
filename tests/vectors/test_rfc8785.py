# SPDX-License-Identifier: Apache-2.0
"""../shared/vectors/rfc8785 (cyberphone/json-canonicalization, Apache-2.0).

Two of the six cases lie inside our profile and must come out byte for byte; two hold numbers that are not
integers and two have member names outside ASCII, and these must be refused.
"""

from __future__ import annotations

import json

import pytest

from node.core.canonical import encode_json, parse_json
from node.errors import InvalidInput
from tests.support.errors import raises_code
from tests.support.shared import shared_path

LIMIT = 10_000


def _load(kind, name):
    return shared_path(f"vectors/rfc8785/testdata/{kind}/{name}.json").read_bytes()


def test_all_six_cases_are_covered():
    names = {path.stem for path in shared_path("vectors/rfc8785/testdata/input").glob("*.json")}
    assert names == {"arrays", "unicode", "french", "weird", "structures", "values"}


@pytest.mark.parametrize("name", ["arrays", "unicode"])
def test_inside_the_profile_is_byte_identical(name):
    want = _load("output", name)
    assert encode_json(parse_json(_load("input", name), max_bytes=LIMIT)) == want
    outhex = shared_path(f"vectors/rfc8785/testdata/outhex/{name}.txt").read_text()
    assert bytes.fromhex(outhex) == want


@pytest.mark.parametrize("name", ["structures", "values"])
def test_floats_are_refused(name):
    with raises_code(InvalidInput, "json-number"):
        parse_json(_load("input", name), max_bytes=LIMIT)
    with raises_code(InvalidInput, "json-value"):
        encode_json(json.loads(_load("input", name)))


@pytest.mark.parametrize("name", ["french", "weird"])
def test_member_names_outside_ascii_have_no_canonical_form(name):
    value = parse_json(_load("input", name), max_bytes=LIMIT)
    assert value == json.loads(_load("input", name))
    with raises_code(InvalidInput, "json-name"):
        encode_json(value)


def test_string_escapes_of_the_values_case_are_byte_identical():
    text = json.loads(_load("input", "values"))["string"]
    assert encode_json(text) in _load("output", "values")

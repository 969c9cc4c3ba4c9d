# SPDX-License-Identifier: Apache-2.0
"""A member's description as ``ironcage chain deploy`` reads it: whoever joins sends it, so that nothing of it is trusted."""

from __future__ import annotations

import json

import pytest

from cli.chain import load_founder
from node.errors import InvalidInput
from node.ports import Role
from tests.support.errors import raises_code
from tests.support.records import MEMBER

GOOD = {
    "code": MEMBER,
    "name": "市监局",
    "operator": "0x" + "01" * 20,
    "recovery": "0x" + "02" * 20,
    "roles": ["issuer", "consumer"],
    "v": 1,
}


@pytest.fixture
def load(tmp_path):
    def load(**changed):
        path = tmp_path / "member.json"
        path.write_text(json.dumps(GOOD | changed), encoding="utf-8")
        return load_founder(path, None)

    return load


def test_a_description_is_read(load):
    founder = load(roles=["issuer", "consumer", "issuer"])
    assert (founder.code, founder.name, founder.governing) == (MEMBER, "市监局", True)
    assert founder.roles == Role.ISSUER | Role.CONSUMER
    assert (founder.operator, founder.recovery) == (GOOD["operator"], GOOD["recovery"])


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"roles": 1}, "json-list"),
        ({"roles": None}, "json-list"),
        ({"roles": [1]}, "json-text"),
        ({"roles": ["ruler"]}, "role-unknown"),
        ({"code": 1}, "json-text"),
        ({"name": ["a"]}, "json-text"),
        ({"name": "a\n"}, "network-file"),
        ({"operator": 1}, "json-text"),
        ({"recovery": "0x01"}, "address"),
        ({"v": 2}, "json-range"),
        ({"more": 1}, "json-member-unknown"),
    ],
)
def test_what_is_none_is_refused_with_a_code(load, changed, code):
    with raises_code(InvalidInput, code):
        load(**changed)

# SPDX-License-Identifier: Apache-2.0
"""What decides questions: the shared documents, which come from other nodes, and counts as they are stored."""

from __future__ import annotations

from hashlib import sha256

from node.access.catalogue import ListedItem, encode_catalogue, parse_catalogue
from node.access.limits import DAY, HOUR, Tally, encode_tally, parse_tally
from node.access.names import Name, encode_member_names, parse_member_names
from node.access.purposes import canonical_purposes, load_sample_purposes, parse_purposes
from node.core.canonical import encode_json, parse_json
from tests.fuzz.case import ONE, Target

_NOW = 1_790_000_000
_OWNER = "11330100002489014L"


def _purposes(data):
    """Whatever is accepted is in its one spelling, and consistent where a decision relies on it."""
    rules = parse_purposes(data)
    assert canonical_purposes(data) == data
    assert rules.digest == sha256(data).digest()
    for code, purpose in rules.purposes.items():
        assert code == purpose.code
        assert purpose.without_consent <= purpose.bases <= rules.bases.keys()
        assert not ("consent" in purpose.needs and purpose.without_consent)
        assert 1 <= purpose.bulk_lines <= purpose.approved_lines <= purpose.rate.officer_hour


def _catalogue(data):
    catalogue = parse_catalogue(data)
    written = encode_catalogue(catalogue.domain, catalogue.zh, catalogue.en, list(catalogue.items.values()))
    assert written == data


def _member_names(data):
    assert encode_member_names(parse_member_names(data)) == data


def _tally(data):
    tally = parse_tally(data)
    assert parse_tally(encode_tally(tally)) == tally
    assert tally.count(DAY, _NOW) >= 0
    assert tally.add(_NOW, 1).count(HOUR, _NOW) >= 1


def _purposes_seeds():
    whole = parse_json(load_sample_purposes(), max_bytes=1 << 20)
    small = whole | {"bases": whole["bases"][:2], "purposes": whole["purposes"][:1]}
    sealed = whole | {"purposes": [each for each in whole["purposes"] if each["sealed"]]}
    return [encode_json(small), encode_json(sealed)]


def _catalogue_seeds():
    item = ListedItem("penalty:2018", bytes(range(32)), _OWNER, None)
    other = ListedItem("permit:2018", bytes(32), _OWNER, (_OWNER, "91350100M000100Y43"))
    return [
        encode_catalogue("zj.example", "交换目录", "exchange catalogue", items)
        for items in ([item], [item, other])
    ]


def _member_names_seeds():
    names = {_OWNER: Name("市监局", "market regulation"), "91350100M000100Y43": Name("法院", "court")}
    return [encode_member_names(names), encode_member_names({})]


TARGETS = (
    Target(
        "purposes",
        "node.access.purposes.parse_purposes",
        _purposes,
        _purposes_seeds,
        ONE,
        words=(b'"members":null', b'"sealed":true', b'"needs":["consent"]', b'"without_consent":[]'),
    ),
    Target("exchange-catalogue", "node.access.catalogue.parse_catalogue", _catalogue, _catalogue_seeds, ONE),
    Target("member-names", "node.access.names.parse_member_names", _member_names, _member_names_seeds, ONE),
    Target(
        "tally",
        "node.access.limits.parse_tally",
        _tally,
        lambda: [encode_tally(Tally()), encode_tally(Tally().add(_NOW - 7_200, 3).add(_NOW - 60, 40))],
        "msgpack has several spellings of one number; only this node writes it",
        binary=True,
    ),
)

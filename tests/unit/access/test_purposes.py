# SPDX-License-Identifier: Apache-2.0
"""The purposes document and the exchange catalogue: one spelling each, and every way in which one is refused."""

import copy
import json
from hashlib import sha256

import pytest

from node.access.catalogue import ListedItem, encode_catalogue, parse_catalogue
from node.access.purposes import canonical_purposes, load_sample_purposes, parse_purposes
from node.core.canonical import encode_json
from node.core.encoding import encode_b64u
from node.errors import InvalidInput, NotFound, Verification
from node.records.catalogue import load_builtin_items
from node.service.policy import load_classes
from tests.support.errors import raises_code
from tests.support.json_trees import changed_tree
from tests.support.project import ROOT

OWNER = "11330100002489014L"
ITEM_FILES = {
    f"{name}:2018": (ROOT / "node" / "records" / "items" / f"{name}-2018.json").read_bytes()
    for name in ("penalty", "permit")
}
DOCUMENT = {
    "v": 1,
    "title": {"zh": "查询用途清单", "en": "purposes"},
    "bases": [
        {"code": "law-1", "zh": "某法第一条", "en": "law, article 1"},
        {"code": "law-2", "zh": "某", "en": "b"},
    ],
    "purposes": [
        {
            "code": "tender-check",
            "zh": "招标核查",
            "en": "check before a tender",
            "bases": ["law-1"],
            "without_consent": [],
            "needs": ["basis", "case"],
            "subjects": ["uscc"],
            "roles": ["consumer"],
            "members": [OWNER],
            "items": [{"item": "penalty:2018", "fields": ["CF_WSH"]}],
            "rate": {"member_hour": 10, "member_day": 20, "officer_hour": 5, "officer_day": 9},
            "bulk": {"lines": 2, "approved": 4},
            "sealed": False,
        }
    ],
}
PURPOSE = ("purposes", 0)


def changed(path, value):
    return encode_json(changed_tree(DOCUMENT, path, value))


def test_a_document_is_named_by_the_digest_of_its_bytes():
    data = encode_json(DOCUMENT)
    rules = parse_purposes(data)
    assert rules.digest == sha256(data).digest()
    purpose = rules.purposes["tender-check"]
    assert (purpose.zh, purpose.members, purpose.sealed) == ("招标核查", frozenset({OWNER}), False)
    assert rules.bases["law-1"].en == "law, article 1"
    assert purpose.items == {"penalty:2018": frozenset({"CF_WSH"})}
    assert (purpose.rate.officer_day, purpose.bulk_lines, purpose.approved_lines) == (9, 2, 4)


def test_what_a_person_wrote_becomes_the_one_spelling():
    written = json.dumps(DOCUMENT, indent=2).encode()
    with raises_code(InvalidInput, "document-canonical"):
        parse_purposes(written)
    assert canonical_purposes(written) == encode_json(DOCUMENT)


REFUSED = [
    (("v",), 2, "document-version"),
    (("v",), True, "document-version"),
    (("title",), {"zh": " ", "en": "x"}, "document-name"),
    (("more",), 1, "json-member-unknown"),
    (("bases",), [], "purposes-code"),
    (("bases", 1, "code"), "law-1", "purposes-code"),
    (("bases", 1, "code"), "Law", "purposes-code"),
    (("bases", 1, "code"), "-law", "purposes-code"),
    (("bases", 1, "zh"), "", "document-name"),
    (("purposes",), [], "purposes-code"),
    (("purposes",), DOCUMENT["purposes"] * 2, "purposes-code"),
    ((*PURPOSE, "code"), "a" * 49, "purposes-code"),
    ((*PURPOSE, "bases"), [], "purposes-choice"),
    ((*PURPOSE, "bases"), ["law-3"], "purposes-choice"),
    ((*PURPOSE, "bases"), ["law-1", "law-1"], "purposes-choice"),
    ((*PURPOSE, "bases"), [["law-1"]], "purposes-choice"),
    ((*PURPOSE, "without_consent"), ["law-2"], "purposes-choice"),
    ((*PURPOSE, "needs"), ["reason"], "purposes-choice"),
    ((*PURPOSE, "subjects"), [], "purposes-choice"),
    ((*PURPOSE, "subjects"), ["person"], "purposes-choice"),
    ((*PURPOSE, "roles"), ["admin"], "purposes-choice"),
    ((*PURPOSE, "members"), [], "purposes-code"),
    ((*PURPOSE, "members"), [OWNER, OWNER], "purposes-code"),
    ((*PURPOSE, "members"), ["11330100002489014X"], "uscc-check-digit"),
    ((*PURPOSE, "items"), [], "purposes-code"),
    ((*PURPOSE, "items"), [{"item": "penalty:2018", "fields": []}] * 2, "purposes-code"),
    ((*PURPOSE, "items", 0, "item"), "penalty", "purposes-code"),
    ((*PURPOSE, "items", 0, "fields"), ["CF_WSH", "CF_WSH"], "purposes-code"),
    ((*PURPOSE, "items", 0, "fields"), ["subject"], "purposes-code"),
    ((*PURPOSE, "rate", "member_hour"), 0, "json-range"),
    ((*PURPOSE, "rate", "member_hour"), 21, "purposes-limits"),
    ((*PURPOSE, "rate", "officer_hour"), 10, "purposes-limits"),
    ((*PURPOSE, "rate", "officer_day"), 21, "purposes-limits"),
    ((*PURPOSE, "bulk"), {"lines": 0, "approved": 1}, "json-range"),
    ((*PURPOSE, "bulk"), {"lines": 3, "approved": 2}, "json-range"),
    ((*PURPOSE, "bulk"), {"lines": 3, "approved": 6}, "purposes-limits"),
    ((*PURPOSE, "sealed"), 1, "purposes-choice"),
]


@pytest.mark.parametrize(("path", "value", "code"), REFUSED)
def test_refused(path, value, code):
    with raises_code(InvalidInput, code):
        parse_purposes(changed(path, value))


def test_a_purpose_cannot_both_demand_and_lift_consent():
    document = copy.deepcopy(DOCUMENT)
    document["purposes"][0] |= {"needs": ["consent"], "without_consent": ["law-1"]}
    with raises_code(InvalidInput, "purposes-consent"):
        parse_purposes(encode_json(document))


@pytest.mark.parametrize("name", sorted(DOCUMENT["purposes"][0]))
def test_no_member_of_a_purpose_is_left_out(name):
    document = copy.deepcopy(DOCUMENT)
    del document["purposes"][0][name]
    with raises_code(InvalidInput, "json-member-missing"):
        parse_purposes(encode_json(document))


def test_the_sample_sees_only_fields_that_there_are():
    rules = parse_purposes(load_sample_purposes())
    items = load_builtin_items()
    assert len(rules.purposes) == 8
    for purpose in rules.purposes.values():
        for key, fields in purpose.items.items():
            assert fields <= set(items[key].field_codes), purpose.code
    assert {code for purpose in rules.purposes.values() for code in purpose.bases} == rules.bases.keys()


# ---- the exchange catalogue


def listed(key="penalty:2018", **changes):
    members = {"key": key, "schema": sha256(ITEM_FILES[key]).digest(), "owner": OWNER, "providers": None}
    return ListedItem(**(members | changes))


def test_a_catalogue_comes_back_as_it_was_written():
    items = [listed(), listed("permit:2018", providers=(OWNER, "91350100M000100Y43"))]
    data = encode_catalogue("zj.example", "交换目录", "exchange catalogue", items)
    catalogue = parse_catalogue(data)
    assert catalogue.digest == sha256(data).digest()
    assert list(catalogue.items.values()) == items
    assert (catalogue.domain, catalogue.zh, catalogue.en) == ("zj.example", "交换目录", "exchange catalogue")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"v": 2}, "document-version"),
        ({"domain": "ZJ"}, "domain"),
        ({"title": {"zh": "", "en": "x"}}, "document-name"),
        ({"items": []}, "catalogue-item"),
        ({"more": 1}, "json-member-unknown"),
        ({"item": {"item": "Penalty:2018"}}, "catalogue-item"),
        ({"item": {"schema": encode_b64u(bytes(31))}}, "base64-length"),
        ({"item": {"owner": "x"}}, "uscc-form"),
        ({"item": {"providers": []}}, "catalogue-provider"),
        ({"item": {"providers": [OWNER, OWNER]}}, "catalogue-provider"),
        ({"items": "twice"}, "catalogue-item"),
    ],
)
def test_a_catalogue_is_refused(change, code):
    document = json.loads(encode_catalogue("zj.example", "目录", "catalogue", [listed()]))
    if "item" in change:
        document["items"][0] |= change["item"]
    elif change.get("items") == "twice":
        document["items"] *= 2
    else:
        document |= change
    with raises_code(InvalidInput, code):
        parse_catalogue(encode_json(document))


def test_a_catalogue_has_one_spelling():
    data = encode_catalogue("zj.example", "目录", "catalogue", [listed()])
    with raises_code(InvalidInput, "document-canonical"):
        parse_catalogue(data + b"\n")


def test_classes_come_from_the_items_files_that_the_catalogue_names():
    catalogue = parse_catalogue(encode_catalogue("zj.example", "目录", "catalogue", [listed()]))
    good = ITEM_FILES["penalty:2018"]
    digest = sha256(good).digest()
    classes = load_classes(catalogue, {digest: good})["urn:ironcage:zj.example:penalty:2018"]
    assert (classes.key, classes.disclosure, classes.persons) == ("penalty:2018", "open", "authorised")
    assert classes.fields["CF_FRDB"] == "shared"
    assert classes.fields["CF_FR_ZJHM"] == "authorised"
    with raises_code(NotFound, "document-missing"):
        load_classes(catalogue, {})
    with raises_code(Verification, "document-digest"):
        load_classes(catalogue, {digest: good + b" "})
    renamed = [ListedItem("penalty:2015", digest, OWNER, None)]
    other = parse_catalogue(encode_catalogue("zj.example", "目录", "catalogue", renamed))
    with raises_code(Verification, "catalogue-other-item"):
        load_classes(other, {digest: good})

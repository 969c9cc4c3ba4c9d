# SPDX-License-Identifier: Apache-2.0
"""Catalogue items: the built-in ones against the standard's tables, and what a file may not say."""

import copy
import json
from pathlib import Path

import pytest

from node.core.canonical import encode_json
from node.crypto.ed25519 import Ed25519Signer
from node.errors import InvalidInput
from node.records.catalogue import MAX_FIELDS, load_builtin_items, load_item
from node.records.issue import Issuer
from node.records.names import Vct
from tests.support.errors import raises_code
from tests.support.json_trees import changed_tree
from tests.support.shared import shared_path

ITEMS = Path(load_item.__code__.co_filename).parent / "items"
TABLES = {"penalty:2018": "penalty_2018", "permit:2018": "permit_2018"}


@pytest.mark.parametrize(("key", "table"), TABLES.items())
def test_fields_are_those_of_the_standard(key, table):
    standard = json.loads(shared_path("reference/double-publicity-fields.json").read_text())[table]
    item = load_builtin_items()[key]
    assert [(field.code, field.zh) for field in item.fields] == [
        (row["code"], row["name"]) for row in standard
    ]
    for field, row in zip(item.fields, standard, strict=True):
        wanted = {"M": (True, False), "C": (False, True), "O": (False, False)}[row["required"]]
        assert (field.required, field.required_when is not None) == wanted, field.code
        if row["maxlen"]:
            assert field.max_length == row["maxlen"], field.code
        if row["type"] == "decimal(18,6)":
            assert (field.type, field.integer_digits, field.fraction_digits) == ("decimal", 12, 6)
        kinds = {"enum": {"enum"}, "enum*": {"enums"}, "date": {"date"}, "text": {"text"}}
        if row["type"] in kinds:
            assert field.type in kinds[row["type"]], field.code


@pytest.mark.parametrize(("key", "table"), [("penalty:2018", "penalty_v1"), ("permit:2018", "permit_v1")])
def test_names_of_2015_lead_to_the_fields_that_took_their_place(key, table):
    item = load_builtin_items()[key]
    old = json.loads(shared_path("reference/double-publicity-fields.json").read_text())[table]
    known = item.headers.own.keys() | item.headers.aliases.keys() | item.headers.class_names
    # What 2018 has no place for: names of a penalty, a second kind, state, severity, region and time stamp.
    gone = {"CF_CFMC", "CF_CFLB2", "CF_ZT", "DFBM", "SJC", "(code"}
    missing = {line.split()[0] for line in old if line.split()[0].replace("_", "") not in known}
    assert missing <= gone


def test_sensitive_and_personal_fields_are_never_open():
    for item in load_builtin_items().values():
        marked = {field.code[3:]: (field.sensitive, field.disclosure) for field in item.fields}
        assert marked["FR_ZJHM"] == marked["XDR_ZJHM"] == ("sensitive", "authorised")
        assert marked["FRDB"] == ("personal", "shared")
        assert item.subject.natural_persons.disclosure == "authorised"


def test_items_can_be_shared_documents():
    for path in ITEMS.glob("*.json"):
        assert (
            load_item(encode_json(json.loads(path.read_text()))).field_codes
            == load_item(path.read_bytes()).field_codes
        )


def test_key_titles_and_class():
    item = load_builtin_items()["penalty:2018"]
    assert (item.key, item.title_zh, item.title_en) == ("penalty:2018", "行政处罚", "administrative penalty")
    assert item.narrow_class("shared") == "shared"


SMALL = {
    "v": 1,
    "item": "pledge",
    "version": "1",
    "title": {"zh": "信用承诺", "en": "pledge"},
    "source": "test",
    "disclosure": {"class": "open"},
    "subject": {
        "name": "NAME",
        "codes": [{"type": "uscc", "field": "CODE"}, {"type": "rid", "field": "ID"}],
        "natural_persons": {"field": "KIND", "values": ["person"], "disclosure": "authorised"},
    },
    "identity": {"number": "NUMBER", "date": "DAY"},
    "order": [["DAY", "END"]],
    "not_future": ["DAY"],
    "fields": [
        {"code": "NAME", "zh": "名称", "en": "name", "type": "string", "required": True},
        {"code": "KIND", "zh": "类别", "en": "kind", "type": "enum", "values": [["person"], ["firm"]]},
        {"code": "CODE", "zh": "代码", "en": "code", "type": "uscc"},
        {"code": "IDKIND", "zh": "证件类型", "en": "id kind", "type": "enum", "values": [["rid"]]},
        {
            "code": "ID",
            "zh": "证件号码",
            "en": "id",
            "type": "document",
            "kind_field": "IDKIND",
            "resident_kinds": ["rid"],
            "sensitive": "sensitive",
            "disclosure": "authorised",
        },
        {"code": "NUMBER", "zh": "文号", "en": "number", "type": "string"},
        {"code": "DAY", "zh": "日期", "en": "day", "type": "date"},
        {
            "code": "END",
            "zh": "截止",
            "en": "end",
            "type": "date",
            "blank": {"field": "KIND", "in": ["firm"]},
        },
    ],
}


def changed(path, value):
    return json.dumps(changed_tree(SMALL, path, ... if value is None else value)).encode()


def test_a_small_item_loads():
    item = load_item(json.dumps(SMALL).encode())
    assert item.key == "pledge:1"
    assert item.empty == {""}
    assert item.class_values == {}


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("v",), 2, "item-version"),
        (("item",), "Pledge", "item-name"),
        (("version",), "1.0", "item-name"),
        (("title",), None, "json-member-missing"),
        (("owner",), "x", "json-member-unknown"),
        (("disclosure", "class"), "secret", "item-field"),
        (("disclosure", "values"), [["public", "0"]], "item-field"),
        (("subject", "name"), "DAY", "item-reference"),
        (("subject", "codes"), [{"type": "uscc", "field": "NAME"}], "item-reference"),
        (("subject", "codes"), [{"type": "tax", "field": "CODE"}], "item-field"),
        (
            ("subject", "codes"),
            [{"type": "rid", "field": "ID"}, {"type": "uscc", "field": "CODE"}],
            "item-field",
        ),
        (("subject", "natural_persons", "disclosure"), "open", "item-natural-person"),
        (("subject", "natural_persons"), None, "json-member-missing"),
        (("identity", "number"), "DAY", "item-reference"),
        (("identity", "date"), "NAME", "item-reference"),
        (("order",), [["DAY"]], "item-field"),
        (("order",), [["DAY", "NAME"]], "item-reference"),
        (("not_future",), ["GONE"], "item-reference"),
        (("fields",), [], "item-field"),
        (("fields", 0, "code"), "name", "item-field"),
        (("fields", 0, "type"), "number", "item-field"),
        (("fields", 0, "values"), [["a"]], "item-field"),
        (("fields", 0, "required"), {"field": "KIND"}, "item-field"),
        (("fields", 0, "required"), {"field": "NAME", "in": ["x"]}, "item-reference"),
        (("fields", 0, "required"), {"field": "KIND", "contains": ["x"]}, "item-reference"),
        (("fields", 0, "blank"), {"field": "KIND", "in": ["firm"]}, "item-field"),
        (("fields", 0, "refuse"), [{"rule": "foreign-value"}], "item-field"),
        (("fields", 0, "refuse"), [{"ends": ["x"], "rule": "other"}], "item-field"),
        (("fields", 0, "refuse"), [{"like": "number", "rule": "foreign-value"}], "item-field"),
        (("fields", 0, "sensitive"), "personal", "item-field"),
        (("fields", 0, "max_length"), 0, "json-range"),
        (("fields", 1, "values"), [], "item-field"),
        (("fields", 1, "values"), [["a", "x"], ["b", "x"]], "item-field"),
        (("fields", 1, "values"), [[]], "item-field"),
        (("fields", 2, "code"), "NAME", "item-field"),
        (("fields", 2, "zh"), "（名称）", "item-header"),
        (("fields", 2, "headers"), ["名 称"], "item-header"),
        (("fields", 2, "headers"), ["——"], "item-header"),
        (("fields", 4, "kind_field"), None, "item-field"),
        (("fields", 4, "kind_field"), "NAME", "item-reference"),
        (("fields", 4, "disclosure"), "shared", "item-field"),
        (("ignored_headers",), ["名称"], "item-header"),
    ],
)
def test_what_an_item_may_not_say(path, value, code):
    with raises_code(InvalidInput, code):
        load_item(changed(path, value))


def test_an_item_that_refuses_natural_persons_has_no_resident_ids():
    item = copy.deepcopy(SMALL)
    item["subject"]["natural_persons"] = None
    with raises_code(InvalidInput, "item-natural-person"):
        load_item(json.dumps(item).encode())
    item["subject"]["codes"].pop()
    assert load_item(json.dumps(item).encode()).subject.natural_persons is None


def test_a_field_is_not_wider_than_its_item():
    item = copy.deepcopy(SMALL)
    item["disclosure"]["class"] = "shared"
    item["fields"][0]["disclosure"] = "open"
    with raises_code(InvalidInput, "item-field"):
        load_item(json.dumps(item).encode())


def test_an_item_has_at_most_247_fields():
    item = copy.deepcopy(SMALL)
    item["fields"] += [
        {"code": f"F{number}", "zh": f"项{number}", "en": "x", "type": "text"}
        for number in range(MAX_FIELDS - 8)
    ]
    assert len(load_item(json.dumps(item).encode()).fields) == MAX_FIELDS == 247
    item["fields"].append({"code": "MORE", "zh": "更多", "en": "x", "type": "text"})
    with raises_code(InvalidInput, "json-list"):
        load_item(json.dumps(item).encode())


def test_an_item_of_the_most_fields_can_be_issued():
    """The bound of the catalogue and the bound of a record are one."""
    codes = [f"F{number}" for number in range(MAX_FIELDS)]
    vct = Vct("zj.example", "most", "1")
    assert Issuer("91520100MA0000170J", vct, codes, Ed25519Signer(bytes(32)))
    with pytest.raises(InvalidInput, match="at most 247"):
        Issuer("91520100MA0000170J", vct, [*codes, "ONE_MORE"], Ed25519Signer(bytes(32)))

# SPDX-License-Identifier: Apache-2.0
"""The sample files: an import finds exactly what the generator says, and every kind of mess is in them."""

from __future__ import annotations

from collections import Counter
from datetime import date
from functools import partial

import pytest

from consortium.samples.codes import (
    break_check_digit,
    break_inner_check,
    build_registration_number,
    build_resident_id,
    build_uscc,
)
from consortium.samples.files import store_samples
from consortium.samples.records import Unit
from node.core.uscc import contains_resident_id, parse_registration_number, parse_uscc
from node.errors import InvalidInput
from node.readers.opening import open_table
from node.records.catalogue import load_builtin_items
from node.records.chunks import parse_chunk
from node.records.headers import find_header, map_headers
from node.records.rows import RowValidator
from tests.support.errors import raises_code

TODAY = date(2026, 6, 1)
MARKET = Unit(build_uscc("11", "999900", "00000001"), "云州市市场监督管理局", "云市监")
TRANSPORT = Unit(build_uscc("11", "999900", "00000002"), "云州市交通运输局", "云交运")


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return store_samples(tmp_path_factory.mktemp("samples"), MARKET, TRANSPORT, today=TODAY)


def import_rows(sample, seen):
    """Return what a node would do with each row of a file: number to ``accepted``, ``duplicate`` or a rule."""
    item = load_builtin_items()[sample.item]
    outcome = {}
    with open_table(sample.path, find_header=partial(find_header, item)) as table:
        header_map = map_headers(item, table.header)
        validator = RowValidator(item, header_map, issuer=sample.issuer, today=TODAY.isoformat())
        for chunk in map(parse_chunk, table.chunks):
            for number, row in enumerate(chunk.rows, chunk.first_row):
                result = validator.check(row, number)
                if isinstance(result, list):
                    assert len(result) == 1, result
                    outcome[number] = result[0].rule
                elif result.identity not in seen:
                    outcome[number] = "accepted"
                    seen[result.identity] = result.content
                else:
                    same = seen[result.identity] == result.content
                    outcome[number] = "duplicate" if same else "record-changed"
    return table, header_map, outcome


def test_an_import_finds_what_the_generator_says(samples):
    seen = {}
    for sample in samples:
        _, _, outcome = import_rows(sample, seen)
        counts = Counter(outcome.values())
        refused = {row: rule for row, rule in outcome.items() if rule not in {"accepted", "duplicate"}}
        assert refused == sample.refused
        assert (counts["accepted"], counts["duplicate"]) == (sample.accepted, sample.duplicates)
        assert sum(sample.refused_by_rule.values()) == len(sample.refused)


def test_each_issuer_has_two_thousand_rows_and_every_kind_of_mess(samples):
    assert [(sample.path.name, sample.item, sample.rows) for sample in samples] == [
        ("penalties-gbk.csv", "penalty:2018", 2_000),
        ("penalties.xlsx", "penalty:2018", 400),
        ("permits-utf8-bom.csv", "permit:2018", 2_000),
        ("permits.xlsx", "permit:2018", 400),
    ]
    wanted = {
        "agency-code", "columns-shifted", "date-in-future", "date-order", "date-range", "enum-value", "field-required",
        "number-precision-lost", "record-changed", "resident-id-misplaced", "row-quote", "uscc-check-digit", "uscc-form",
        "uscc-look-alike", "uscc-organisation-code",
    }  # fmt: skip
    assert samples[0].refused_by_rule.keys() == wanted | {"decimal-unit"}
    assert samples[2].refused_by_rule.keys() == wanted
    assert all(sample.duplicates for sample in samples)


def test_files_are_in_the_encodings_and_forms_they_promise(samples):
    table, header_map, _ = import_rows(samples[0], {})
    assert (table.encoding, table.header_row) == ("gb18030", 2)
    assert [warning.header for warning in header_map.warnings] == ["录入时间"]
    assert samples[0].path.read_bytes().decode("gbk")
    assert samples[2].path.read_bytes().startswith(b"\xef\xbb\xbf")
    text = samples[2].path.read_text("utf-8-sig")
    for mark in ("〔", "[2", "（2", "【", "［", "２０２", ",460", "91999900MA"):
        assert mark in text
    assert import_rows(samples[1], {})[0].header_row == 1


def test_the_same_seed_gives_the_same_bytes(samples, tmp_path):
    again = store_samples(tmp_path, MARKET, TRANSPORT, today=TODAY)
    assert [sample.path.read_bytes() for sample in again] == [sample.path.read_bytes() for sample in samples]
    assert [sample.refused for sample in again] == [sample.refused for sample in samples]
    (tmp_path / "other").mkdir()
    other = store_samples(tmp_path / "other", MARKET, TRANSPORT, today=TODAY, seed="other")
    assert other[0].path.read_bytes() != samples[0].path.read_bytes()


@pytest.mark.parametrize("number", range(0, 300, 7))
def test_invented_codes_have_right_check_digits(number):
    code = build_uscc("91", "999900", f"MA{number:06d}")
    parse_uscc(code)
    with raises_code(InvalidInput, "uscc-check-digit"):
        parse_uscc(break_check_digit(code))
    with raises_code(InvalidInput, "uscc-organisation-code"):
        parse_uscc(break_inner_check(code))
    parse_registration_number(build_registration_number(number))
    assert contains_resident_id(build_resident_id(number))

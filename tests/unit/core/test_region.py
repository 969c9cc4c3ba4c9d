# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv

import pytest

from node.core.region import NATIONAL, PREFECTURES, PROVINCES, parse_region, region_name
from node.errors import InvalidInput
from tests.support.errors import raises_code
from tests.support.shared import shared_path


def _rows(name):
    with shared_path(f"data/regions/{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("330000", "浙江省"),
        ("330100", "浙江省杭州市"),
        ("330104", "浙江省杭州市"),  # 江干, abolished, still in codes
        ("520115", "贵州省贵阳市"),
        ("320281", "江苏省无锡市"),
        ("341402", "安徽省巢湖市"),
        ("522401", "贵州省毕节地区"),
        ("110101", "北京市"),
        ("500241", "重庆市"),
        ("429004", "湖北省"),
        ("659001", "新疆维吾尔自治区"),
        ("710000", "台湾省"),
        ("810001", "香港特别行政区"),
        (NATIONAL, "中华人民共和国"),
    ],
)
def test_names(code, name):
    assert parse_region(code) == code
    assert region_name(code) == name


@pytest.mark.parametrize(
    "code", ["", "3301", "3301001", "33010a", "３３0100", "330100\n", "330001", "710001", "٣٣0100"]
)
def test_malformed_codes(code):
    with raises_code(InvalidInput, "region-form"):
        parse_region(code)
    assert region_name(code) is None


@pytest.mark.parametrize("code", ["000000", "990000", "160101", "331200", "339901", "310401", "711001"])
def test_unknown_provinces_and_prefectures(code):
    with raises_code(InvalidInput, "region-unknown"):
        parse_region(code)
    assert region_name(code) is None


def test_table_agrees_with_the_statistics_offices_list_of_2023():
    provinces = {row["code"]: row["name"] for row in _rows("provinces")}
    assert provinces | {"71": "台湾省", "81": "香港特别行政区", "82": "澳门特别行政区"} == PROVINCES
    for row in _rows("cities"):
        if row["name"] not in {"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"}:
            assert PREFECTURES[row["code"]] == row["name"]


def test_every_county_of_the_list_is_accepted():
    rows = _rows("areas")
    assert len(rows) > 2900
    for row in rows:
        assert parse_region(row["code"])
        assert region_name(row["code"]).startswith(PROVINCES[row["provinceCode"]])

# SPDX-License-Identifier: Apache-2.0
"""Region codes, GB/T 2260: six digits, two each for province, prefecture and county.

Provinces and prefectures are checked against a table; counties, which change every year, by structure.
"""

from __future__ import annotations

import re

from node.core.encoding import require_text
from node.core.region_table import TABLE
from node.errors import InvalidInput

NATIONAL = "100000"
"""Code of bodies of the whole state."""

_FORM = re.compile(r"[0-9]{6}")
_MUNICIPALITIES = frozenset({"11", "12", "31", "50"})
_SPECIAL = frozenset({"81", "82"})
# Prefecture places that name no prefecture: districts and counties of municipalities, counties right under a province.
_MUNICIPAL_PLACES = frozenset({"01", "02", "03"})
_DIRECT_PLACE = "90"


def _read_table() -> tuple[dict[str, str], dict[str, str]]:
    provinces: dict[str, str] = {}
    prefectures: dict[str, str] = {}
    province = ""
    for line in TABLE.splitlines():
        words = line.split()
        if not line.startswith(" "):
            province = words[0][:2]
            provinces[province] = words.pop(0)[2:]
        prefectures.update((province + word[:2], word[2:]) for word in words)
    return provinces, prefectures


PROVINCES, PREFECTURES = _read_table()


def parse_region(code: str) -> str:
    """Parse a region code.

    Args:
        code: Six digits, untrusted.

    Raises:
        InvalidInput: ``region-form`` unless it is six digits in a possible combination, ``region-unknown`` for
            a province or prefecture that is not in the table.
    """
    require_text(code, "region-form")
    if not _FORM.fullmatch(code):
        raise InvalidInput(
            "region-form", f"region code is malformed: got {len(code)} characters, want 6 digits"
        )
    province, place, county = code[:2], code[2:4], code[4:]
    if code == NATIONAL:
        return code
    if province not in PROVINCES:
        raise InvalidInput("region-unknown", f"region code {code} lies in no province")
    if place == "00":
        if county != "00" and province not in _SPECIAL:
            raise InvalidInput("region-form", f"region code {code} names a county without a prefecture")
    elif province + place not in PREFECTURES and not _is_direct(province, place):
        raise InvalidInput("region-unknown", f"region code {code} lies in no prefecture")
    return code


def _is_direct(province: str, place: str) -> bool:
    """Tell whether counties at this place lie right under their province."""
    return place == _DIRECT_PLACE or (province in _MUNICIPALITIES and place in _MUNICIPAL_PLACES)


def region_name(code: str) -> str | None:
    """Return the names of the province and, if it lies in one, the prefecture of a code: ``浙江省杭州市``.

    None when :func:`parse_region` refuses the code.
    """
    try:
        parse_region(code)
    except InvalidInput:
        return None
    if code == NATIONAL:
        return "中华人民共和国"
    return PROVINCES[code[:2]] + PREFECTURES.get(code[:4], "")

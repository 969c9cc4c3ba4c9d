# SPDX-License-Identifier: Apache-2.0
"""The mess of real files, put onto clean rows.

Harmless mess changes how a row is written, not what it says: such a row is accepted. Harmful mess makes a row that
an import refuses, each by one rule, which is named here.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, TypeAlias

from consortium.samples.codes import break_check_digit, break_inner_check, build_resident_id, widen

if TYPE_CHECKING:
    from collections.abc import Callable

    from consortium.samples.records import Record

Damage: TypeAlias = "Callable[[Record, str, date], None]"


_KIND_NUMBERS = {"自然人": "01", "法人及非法人组织": "02", "个体工商户": "04"}


def write_loosely(record: Record, prefix: str, number: int) -> None:
    """Write some values the way people do: full width, code numbers for words, spaces, units."""
    uscc = str(record[f"{prefix}_XDR_SHXYM"])
    fine = str(record.get("CF_NR_FK", ""))
    styles: tuple[dict[str, str], ...] = (
        {},
        {f"{prefix}_XDR_SHXYM": widen(uscc)},
        {f"{prefix}_XDR_SHXYM": uscc.lower()},
        {f"{prefix}_XDR_MC": f"　{record[f'{prefix}_XDR_MC']} "},
        {f"{prefix}_XDR_LB": _KIND_NUMBERS[str(record[f"{prefix}_XDR_LB"])]},
        {"CF_NR_FK": f"{widen(fine)}万元"} if fine else {},
        {"BZ": "无"},
    )
    # Every other row is written as it should be.
    if number % 2:
        record.update(styles[number // 2 % len(styles)])


def write_date(day: date, number: int) -> str:
    """Write a date in one of the forms of real files, an Excel serial number among them."""
    forms = (
        f"{day.year}/{day.month}/{day.day}",
        day.isoformat(),
        f"{day.year}.{day.month}.{day.day}",
        f"{day.year}年{day.month}月{day.day}日",
        str((day - date(1899, 12, 30)).days),
        f"{day.isoformat()} 00:00:00",
        widen(f"{day.year}-{day.month:02d}-{day.day:02d}"),
    )
    return forms[number % len(forms)]


def _wrong_check(record: Record, prefix: str, _today: date) -> None:
    record[f"{prefix}_XDR_SHXYM"] = break_check_digit(str(record[f"{prefix}_XDR_SHXYM"]))


def _wrong_inner_check(record: Record, prefix: str, _today: date) -> None:
    record[f"{prefix}_XDR_SHXYM"] = break_inner_check(str(record[f"{prefix}_XDR_SHXYM"]))


def _look_alike(record: Record, prefix: str, _today: date) -> None:
    record[f"{prefix}_XDR_SHXYM"] = str(record[f"{prefix}_XDR_SHXYM"]).replace("1", "I", 1)


def _missing_code(record: Record, prefix: str, _today: date) -> None:
    record[f"{prefix}_XDR_SHXYM"] = ""


def _short_code(record: Record, prefix: str, _today: date) -> None:
    record[f"{prefix}_XDR_SHXYM"] = str(record[f"{prefix}_XDR_SHXYM"])[:15]


def _rounded_code(record: Record, prefix: str, _today: date) -> None:
    record[f"{prefix}_XDR_SHXYM"] = "9.19999E+17"


def _agency_is_company(record: Record, prefix: str, _today: date) -> None:
    code = "CF_CFJGDM" if prefix == "CF" else "XK_XKJGDM"
    record[code] = record[f"{prefix}_XDR_SHXYM"]


def _resident_id(record: Record, _prefix: str, _today: date) -> None:
    record["BZ"] = f"联系人证件{build_resident_id(1)}"


def _future(record: Record, prefix: str, today: date) -> None:
    record[f"{prefix}_JDRQ"] = today + timedelta(days=30)
    if prefix == "CF":
        record["CF_YXQ"] = today + timedelta(days=395)


def _no_such_day(record: Record, prefix: str, _today: date) -> None:
    record[f"{prefix}_JDRQ"] = "2025-02-30"


def _end_before_start(record: Record, prefix: str, _today: date) -> None:
    start = record[f"{prefix}_JDRQ"]
    assert isinstance(start, date), "clean records hold dates as dates"
    record["CF_YXQ" if prefix == "CF" else "XK_YXQZI"] = start - timedelta(days=1)


def _unknown_kind(record: Record, prefix: str, _today: date) -> None:
    record["CF_CFLB" if prefix == "CF" else "XK_XKLB"] = "批评教育"


def _missing_number(record: Record, prefix: str, _today: date) -> None:
    record[f"{prefix}_WSH"] = ""


def _missing_fine(record: Record, _prefix: str, _today: date) -> None:
    record["CF_CFLB"] = "罚款"
    record["CF_NR_FK"] = ""
    record["CF_NR_WFFF"] = ""


def _other_unit(record: Record, _prefix: str, _today: date) -> None:
    record["CF_CFLB"] = "罚款"
    record["CF_NR_FK"] = "5000元"
    record["CF_NR_WFFF"] = ""


DAMAGES: tuple[tuple[str, Damage], ...] = (
    ("uscc-check-digit", _wrong_check),
    ("uscc-organisation-code", _wrong_inner_check),
    ("uscc-look-alike", _look_alike),
    ("field-required", _missing_code),
    ("uscc-form", _short_code),
    ("number-precision-lost", _rounded_code),
    ("agency-code", _agency_is_company),
    ("resident-id-misplaced", _resident_id),
    ("date-in-future", _future),
    ("date-range", _no_such_day),
    ("date-order", _end_before_start),
    ("enum-value", _unknown_kind),
    ("field-required", _missing_number),
)
"""Ways to spoil a row of either kind about a company, with the rule that refuses it."""

PENALTY_DAMAGES: tuple[tuple[str, Damage], ...] = (
    ("field-required", _missing_fine),
    ("decimal-unit", _other_unit),
)
"""More ways, for penalties."""

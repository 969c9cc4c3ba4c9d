# SPDX-License-Identifier: Apache-2.0
"""Rules by which rows are refused, their texts, and how a refused value is described without repeating it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from node.records.values import Cell

RULES: dict[str, tuple[str, str]] = {
    # rows as the reader found them
    "row-encoding": (
        "该行含有无法解码的字节",
        "the row holds bytes that are not text in the file's encoding",
    ),
    "row-quote": ("引号不成对", "a quotation mark is not closed, or text follows a closed one"),
    "row-cut": ("文件在该行中断", "the file ends in the middle of this row"),
    "row-json": ("不是有效的 JSON 对象", "the line is not a JSON object, or has a member twice"),
    "row-json-nested": ("JSON 对象含有嵌套值", "a member of the JSON object is an array or object"),
    "row-too-few-cells": ("单元格少于必填列", "the row ends before the last mandatory column"),
    "cell-without-column": ("单元格不属于任何列", "a filled cell stands under no column name"),
    "columns-shifted": ("列错位", "several cells stand in a neighbouring column: the row is shifted"),
    # any field
    "field-required": ("必填项为空", "the field is mandatory and empty"),
    "field-must-be-blank": ("该项应为空", "the field must be empty for a row of this kind"),
    "text-too-long": ("超过最大长度", "the text is longer than the field allows"),
    "text-too-short": ("短于最小长度", "the text is shorter than the field allows"),
    "text-control-character": (
        "含有控制字符或不可见字符",
        "the text holds a control or invisible character",
    ),
    "text-replacement-character": (
        "含有替换字符，原文已丢失",
        "the text holds the mark of characters lost in an earlier conversion",
    ),
    "number-precision-lost": (
        "长数字已被表格软件改写",
        "a long number was rounded or rewritten by the spreadsheet: format the column as text",
    ),
    "foreign-value": ("该值应属于其他列", "the value belongs into another column"),
    "several-subjects": ("一行包含多个当事人", "the row names several parties: one record each is wanted"),
    "resident-id-misplaced": (
        "非证件号码列中出现居民身份证号",
        "a resident id stands in a field that is not meant for it",
    ),
    # codes
    "uscc-form": ("统一社会信用代码格式错误", "not 18 characters of the credit code's alphabet"),
    "uscc-look-alike": (
        "统一社会信用代码含有形近字符",
        "the credit code holds look-alike characters, such as O for 0",
    ),
    "uscc-check-digit": ("统一社会信用代码校验位错误", "the credit code's check character is wrong"),
    "uscc-organisation-code": (
        "统一社会信用代码中的组织机构代码校验位错误",
        "the organisation code inside the credit code has a wrong check character",
    ),
    "uscc-placeholder": ("机关代码不能为占位码", "an agency's code must not be the placeholder for none"),
    "agency-code": ("代码不属于行政机关", "the code is of a market entity, not of an agency"),
    "organisation-code-form": ("组织机构代码格式错误", "not 8 characters and a check character"),
    "organisation-code-check-digit": (
        "组织机构代码校验位错误",
        "the organisation code's check character is wrong",
    ),
    "registration-number-check-digit": (
        "工商注册号校验位错误",
        "the registration number's check digit is wrong",
    ),
    "resident-id": ("居民身份证号错误", "not a resident id: form, birth date or check digit is wrong"),
    # dates, amounts, enumerations
    "date-format": (
        "日期格式错误，请写成如 2026-03-09",
        "not a date in a known form: write it like 2026-03-09",
    ),
    "date-range": ("日期不存在或超出范围", "no such day, or outside 1949 to 2199"),
    "date-in-future": ("日期晚于导入日", "the date is later than the day of import"),
    "date-order": ("日期先后颠倒", "the date is earlier than the one it must follow"),
    "decimal-format": (
        "金额格式错误，请只写数字，如 0.5",
        "not a plain amount: write digits alone, like 0.5",
    ),
    "decimal-negative": ("金额为负", "the amount is negative"),
    "decimal-unit": ("金额单位不符", "the amount carries a unit other than the field's"),
    "decimal-digits": ("金额位数过多", "the amount has too many digits before or after the point"),
    "enum-value": ("不在取值范围内", "not one of the listed values"),
    "enum-other-unnamed": ("其他类别未注明名称", "the kind 其他 is not named"),
    # subject and record
    "natural-person-refused": ("该目录不接受自然人", "the item takes no natural persons"),
    "record-form": (
        "该行无法制成记录（如总长超限）",
        "the row makes no record: together its values are too long, or one of them has no valid form",
    ),
    "record-changed": (
        "同一记录内容已变，须作为更正报送",
        "the record is there with other content: send it as a correction",
    ),
}
"""Rule code to its meaning in Chinese and English."""

WARNINGS: dict[str, tuple[str, str]] = {
    "sheet-taken": (
        "仅导入此工作表，其余工作表（含隐藏的）未导入",
        "this sheet alone is imported; the others, hidden or without a table, are not",
    ),
    "column-unknown": (
        "该列不在目录中，未导入",
        "the column is not in the catalogue item and is not imported",
    ),
    "column-second-name": (
        "该列与另一列含义相同，未导入",
        "the column is another name of a column that is there, and is not imported",
    ),
    "record-without-number": (
        "无文书号，按内容识别",
        "the row has no document number and is identified by content",
    ),
}
"""Warning code to its meaning in Chinese and English; a warning refuses nothing."""

_NOTHING = ("empty", "空")
_DATE_LIKE = ("date-like", "类似日期")
_KINDS = (
    ("digits", "数字"),
    ("letters", "字母"),
    ("Chinese characters", "汉字"),
    ("other characters", "其他字符"),
)


class Refusal(NamedTuple):
    """Why a row was refused, without any of its values.

    Args:
        row: Number of the row as Excel shows it, from 1.
        column: Code of the field, None when it is the row as a whole.
        rule: A key of :data:`RULES`.
        value_class: Length and kind of the value in English, such as ``18 characters: digits and letters``.
    """

    row: int
    column: str | None
    rule: str
    value_class: str


def describe_value(cell: Cell) -> str:
    """Describe a value by its class: what kind of characters and how many, never which."""
    if cell is None or cell == "":
        return _NOTHING[0]
    if isinstance(cell, int | float):
        return "number"
    text = cell.strip()
    if not text:
        return _NOTHING[0]
    if looks_like_date(text):
        return _DATE_LIKE[0]
    digits = any(c.isdecimal() for c in text)
    letters = any(c.isascii() and c.isalpha() for c in text)
    chinese = any("\u3400" <= c <= "\u9fff" for c in text)
    other = any(
        not (c.isdecimal() or (c.isascii() and c.isalpha()) or "\u3400" <= c <= "\u9fff") for c in text
    )
    names = [
        name for (name, _), present in zip(_KINDS, (digits, letters, chinese, other), strict=True) if present
    ]
    return f"{len(text)} characters: {' and '.join(names)}"


def looks_like_date(text: str) -> bool:
    """Tell whether a text as a whole is written like a date with a four-digit year."""
    digits = "".join("0" if c.isdecimal() else c for c in text)
    for mark in ("年", "月", "-", "/", "."):
        digits = digits.replace(mark, "-")
    return digits.rstrip("日号") in _DATE_SHAPES


_DATE_SHAPES = frozenset(f"0000-{month}-{day}" for month in ("0", "00") for day in ("0", "00"))


def translate_value_class(value_class: str) -> str:
    """Translate a description by :func:`describe_value` into Chinese."""
    count, separator, names = value_class.partition(" characters: ")
    if separator:
        table = dict(_KINDS)
        return f"{count} 个字符：{'、'.join(table.get(name, name) for name in names.split(' and '))}"
    fixed = dict((_NOTHING, _DATE_LIKE, ("number", "数值")))
    return fixed.get(value_class, value_class)


def render_refusal(refusal: Refusal, language: str) -> str:
    """Render one refusal for a person.

    Args:
        refusal: The refusal.
        language: ``zh`` or ``en``.
    """
    zh, en = RULES[refusal.rule]
    if language == "zh":
        place = f"第 {refusal.row} 行" + (f" {refusal.column}" if refusal.column else "")
        detail = f"（{translate_value_class(refusal.value_class)}）" if refusal.value_class else ""
        return f"{place}：{zh}{detail}"
    place = f"row {refusal.row}" + (f", {refusal.column}" if refusal.column else "")
    detail = f" ({refusal.value_class})" if refusal.value_class else ""
    return f"{place}: {en}{detail}"

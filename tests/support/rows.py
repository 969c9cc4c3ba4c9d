# SPDX-License-Identifier: Apache-2.0
"""A clean penalty row, a clean permit row, and validators for them."""

from __future__ import annotations

from node.records.catalogue import load_builtin_items
from node.records.headers import map_headers
from node.records.rows import RowValidator

ISSUER = "11520100000000019P"
COMPANY = "91520100MA00000156"
RESIDENT_ID = "199999190001010016"
TODAY = "2026-06-01"
PENALTY = load_builtin_items()["penalty:2018"]
PERMIT = load_builtin_items()["permit:2018"]

PENALTY_ROW = {
    "CF_XDR_MC": "云州恒泰商贸有限公司",
    "CF_XDR_LB": "法人及非法人组织",
    "CF_XDR_SHXYM": COMPANY,
    "CF_FRDB": "赵样本",
    "CF_WSH": "云市监罚〔2026〕12号",
    "CF_WFXW": "未按规定明码标价",
    "CF_SY": "当事人经营的商品未标明价格。",
    "CF_YJ": "《中华人民共和国价格法》第四十二条",
    "CF_CFLB": "罚款",
    "CF_NR": "罚款0.5万元",
    "CF_NR_FK": "0.5",
    "CF_JDRQ": "2026-03-02",
    "CF_YXQ": "2027-03-02",
    "CF_CFJG": "云州市市场监督管理局",
    "CF_CFJGDM": ISSUER,
    "CF_SJLY": "云州市市场监督管理局",
    "CF_SJLYDM": ISSUER,
}
PERMIT_ROW = {
    "XK_XDR_MC": "云州恒泰物流有限公司",
    "XK_XDR_LB": "法人及非法人组织",
    "XK_XDR_SHXYM": COMPANY,
    "XK_FRDB": "钱样本",
    "XK_XKWS": "道路货物运输经营许可决定书",
    "XK_WSH": "云交运许〔2026〕7号",
    "XK_XKLB": "普通",
    "XK_NR": "道路普通货物运输",
    "XK_JDRQ": "2026-03-02",
    "XK_YXQZ": "2026-03-02",
    "XK_YXQZI": "2030-03-01",
    "XK_XKJG": "云州市交通运输局",
    "XK_XKJGDM": ISSUER,
    "XK_ZT": "1",
    "XK_LYDW": "云州市交通运输局",
    "XK_LYDWDM": ISSUER,
}
PERSON = {
    "CF_XDR_MC": "孙样本",
    "CF_XDR_LB": "自然人",
    "CF_XDR_SHXYM": "",
    "CF_FRDB": "",
    "CF_XDR_ZJLX": "身份证",
    "CF_XDR_ZJHM": RESIDENT_ID,
}


def build_validator(item=PENALTY, header=None, **options):
    """Return a validator for files whose header is the item's codes, or the one given."""
    header_map = map_headers(item, list(item.field_codes) if header is None else header)
    return RowValidator(item, header_map, issuer=ISSUER, today=TODAY, **options)


def build_row(changes=(), item=PENALTY):
    """Return the cells of the clean row of an item with some changed."""
    values = (PENALTY_ROW if item is PENALTY else PERMIT_ROW) | dict(changes)
    return [values.get(code, "") for code in item.field_codes]


def values_of(result, item=PENALTY):
    """Return the present values of a valid row by code."""
    return {
        code: value for code, value in zip(item.field_codes, result.values, strict=True) if value is not None
    }

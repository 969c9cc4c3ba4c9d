# SPDX-License-Identifier: Apache-2.0
"""Clean rows of penalties and permits, by field code; the mess is put on afterwards."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from consortium.samples import words
from consortium.samples.parties import build_party

if TYPE_CHECKING:
    from consortium.samples.stream import SeededStream

Record = dict[str, "str | date"]
"""Values by field code; dates as dates, so that each file may write them its own way."""

_BRACKETS = ("〔{}〕", "[{}]", "（{}）", "【{}】", "({})", "［{}］")
_DAYS_BACK = 300
_LONG_TERM = date(2099, 12, 31)


class Unit(NamedTuple):
    """An issuer as the rows name it.

    Args:
        code: USCC.
        name: Name of the unit.
        sign: The unit's sign in document numbers (机关代字).
    """

    code: str
    name: str
    sign: str


def build_penalty(number: int, unit: Unit, today: date, stream: SeededStream) -> Record:
    """Build one penalty with a document number of its own.

    Args:
        number: Number of the row, unique within all files of a run.
        unit: The deciding agency.
        today: Decisions lie within the 300 days before.
        stream: Source of choices.
    """
    party = build_party(number, stream)
    violation, facts, basis = stream.choose(words.VIOLATIONS)
    amount = str(100 + stream.below(90_000))
    decided = today - timedelta(days=1 + stream.below(_DAYS_BACK))
    kinds, fine, seized = _choose_penalty(stream)
    parts = [f"罚款{fine}万元"] if fine else []
    parts += [f"没收违法所得{seized}万元"] if seized else []
    return _party_values("CF", party) | {
        "CF_WSH": _document_number(f"{unit.sign}罚", decided, number, stream),
        "CF_WFXW": violation,
        "CF_SY": facts.format(n=2 + stream.below(30), amount=amount),
        "CF_YJ": basis,
        "CF_CFLB": kinds,
        "CF_NR": "；".join(parts) or "警告",
        "CF_NR_FK": fine,
        "CF_NR_WFFF": seized,
        "CF_JDRQ": decided,
        "CF_YXQ": decided + timedelta(days=365),
        "CF_CFJG": unit.name,
        "CF_CFJGDM": unit.code,
        "CF_SJLY": unit.name,
        "CF_SJLYDM": unit.code,
    }


def _choose_penalty(stream: SeededStream) -> tuple[str, str, str]:
    fine = f"{1 + stream.below(50)}.{stream.below(100):02d}"
    seized = f"0.{1 + stream.below(9_998):04d}"
    return stream.choose(
        (
            ("警告", "", ""),
            ("罚款", fine, ""),
            ("警告;罚款", fine, ""),
            ("罚款;没收违法所得", fine, seized),
        )
    )


def build_permit(number: int, unit: Unit, today: date, stream: SeededStream) -> Record:
    """Build one permit with a document number of its own; arguments as in :func:`build_penalty`."""
    party = build_party(number, stream)
    paper, content, certificate = stream.choose(words.PERMITS)
    decided = today - timedelta(days=1 + stream.below(_DAYS_BACK))
    until = _LONG_TERM if stream.below(6) == 0 else decided + timedelta(days=365 * (1 + stream.below(4)))
    return _party_values("XK", party) | {
        "XK_XKWS": paper,
        "XK_WSH": _document_number(f"{unit.sign}许", decided, number, stream),
        "XK_XKLB": stream.choose(("普通", "登记", "核准", "其他-补办")),
        "XK_XKZS": certificate,
        "XK_XKBH": f"样{number:08d}号",
        "XK_NR": content.format(n=2 + stream.below(40)),
        "XK_JDRQ": decided,
        "XK_YXQZ": decided,
        "XK_YXQZI": until,
        "XK_XKJG": unit.name,
        "XK_XKJGDM": unit.code,
        "XK_ZT": "1",
        "XK_LYDW": unit.name,
        "XK_LYDWDM": unit.code,
    }


def _party_values(prefix: str, party: object) -> Record:
    names = {
        "XDR_MC": "name",
        "XDR_LB": "kind",
        "XDR_SHXYM": "uscc",
        "XDR_GSZC": "registration",
        "FRDB": "representative",
        "XDR_ZJLX": "document_kind",
        "XDR_ZJHM": "document",
    }
    return {f"{prefix}_{code}": getattr(party, attribute) for code, attribute in names.items()}


def _document_number(sign: str, decided: date, number: int, stream: SeededStream) -> str:
    """Write a document number with one of the brackets that offices use."""
    return f"{sign}{stream.choose(_BRACKETS).format(decided.year)}{number}号"

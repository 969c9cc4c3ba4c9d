# SPDX-License-Identifier: Apache-2.0
"""Invented parties of penalties and permits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from consortium.samples import words
from consortium.samples.codes import build_registration_number, build_resident_id, build_uscc
from node.core.uscc import PLACEHOLDER_USCC

if TYPE_CHECKING:
    from consortium.samples.stream import SeededStream

_INVENTED_REGION = "999900"
_SHOP_EVERY = 7
_PERSON_EVERY = 23
_WITHOUT_CODE_EVERY = 29


@dataclass(frozen=True, slots=True)
class Party:
    """A party as its columns say it: kind, codes, representative, document."""

    name: str
    kind: str
    uscc: str = ""
    registration: str = ""
    representative: str = ""
    document_kind: str = ""
    document: str = ""


def build_party(number: int, stream: SeededStream) -> Party:
    """Build the party of one row: mostly companies, some shops, some persons, some without a code yet.

    Args:
        number: Number of the row, unique within all files of a run.
        stream: Source of choices.
    """
    person = stream.choose(words.SURNAMES) + stream.choose(words.GIVEN_NAMES)
    if number % _PERSON_EVERY == 0:
        return Party(person, "自然人", document_kind="身份证", document=build_resident_id(number))
    place = stream.choose(words.COMPANY_PLACES)
    style = stream.choose(words.COMPANY_NAMES_1) + stream.choose(words.COMPANY_NAMES_2)
    if number % _SHOP_EVERY == 0:
        name = f"{place}{style}{stream.choose(words.SHOP_TRADES)}"
        return Party(name, "个体工商户", build_uscc("92", _INVENTED_REGION, f"MB{number:06d}"), "", person)
    name = f"{place}{style}{stream.choose(words.COMPANY_TRADES)}{stream.choose(words.COMPANY_FORMS)}"
    if number % _WITHOUT_CODE_EVERY == 0:
        return Party(name, "法人及非法人组织", PLACEHOLDER_USCC, build_registration_number(number), person)
    return Party(name, "法人及非法人组织", build_uscc("91", _INVENTED_REGION, f"MA{number:06d}"), "", person)

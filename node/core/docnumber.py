# SPDX-License-Identifier: Apache-2.0
"""Document numbers of official papers: 机关代字 + 罚/许 + 〔year〕 + n + 号."""

from __future__ import annotations

import re

from node.core.width import fold_width

_INVISIBLE = re.compile(r"[\s\ufeff\u200b-\u200f\u2060]+")
_YEAR = re.compile(r"[(\[【〔﹝]([12][0-9]{3})[)\]】〕﹞]")


def normalise_document_number(text: str) -> str:
    """Bring a document number to the form by which numbers are matched; the original is kept elsewhere.

    Full-width characters become ASCII, white space goes, and the brackets around a year become 〔〕, which
    offices write in six ways. Nothing else changes: letters, leading zeros and other brackets may tell two
    documents apart.

    Args:
        text: The number as printed.
    """
    return _YEAR.sub(_bracket, _INVISIBLE.sub("", fold_width(text)))


def _bracket(year: re.Match[str]) -> str:
    return f"〔{year[1]}〕"

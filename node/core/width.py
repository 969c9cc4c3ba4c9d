# SPDX-License-Identifier: Apache-2.0
"""Folding of full-width characters, as Chinese input methods type them, to ASCII."""

from __future__ import annotations

import re

_FULL_WIDTH_OFFSET = 0xFEE0
_FOLD = {code + _FULL_WIDTH_OFFSET: code for code in range(0x21, 0x7F)} | {0x3000: 0x20}
_FOLDABLE = re.compile("[\u3000\uff01-\uff5e]")


def fold_width(text: str) -> str:
    """Replace full-width ASCII (U+FF01 to U+FF5E) and the ideographic space by their ASCII forms."""
    # Looking first is cheap; translating a text that has no such character is not.
    return text if text.isascii() or _FOLDABLE.search(text) is None else text.translate(_FOLD)

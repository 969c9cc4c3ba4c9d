# SPDX-License-Identifier: Apache-2.0
"""Folding of full-width characters, as Chinese input methods type them, to ASCII."""

from __future__ import annotations

_FULL_WIDTH_OFFSET = 0xFEE0
_FOLD = {code + _FULL_WIDTH_OFFSET: code for code in range(0x21, 0x7F)} | {0x3000: 0x20}


def fold_width(text: str) -> str:
    """Replace full-width ASCII (U+FF01 to U+FF5E) and the ideographic space by their ASCII forms."""
    return text if text.isascii() else text.translate(_FOLD)

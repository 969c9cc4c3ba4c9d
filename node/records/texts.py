# SPDX-License-Identifier: Apache-2.0
"""What no text of a row may hold: another Unicode form, control characters, resident ids.

The ordinary row is cleared by looking at all of its texts together, which costs a few microseconds; the texts
are looked at one by one only when something stands out.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from node.core.uscc import contains_resident_id
from node.records.conditions import build_picker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.records.catalogue import CatalogueItem
    from node.records.conditions import Faults

_TEXT_TYPES = frozenset({"string", "text", "code", "registration-number", "enum", "enums", "document"})
_PERSON_TYPES = frozenset({"document"})
_JOINT = "|"

# A resident id has 17 digits in a row, spaces and hyphens of either width aside. Masking the UTF-8 bytes and looking for that run is
# five times faster than a pattern over the text; full-width digits are looked for by themselves.
_DIGIT_MASK = bytes(b"0"[0] if byte in b"0123456789" else b"."[0] for byte in range(256))
_MARKS = b" -"
_WIDE_MARKS = ("\u3000".encode(), "\uff0d".encode())
_ID_RUN = b"0" * 17
_WIDE_DIGIT = re.compile(rb"\xef\xbc[\x90-\x99]")
_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
_REPLACEMENT = "\ufffd"
_INVISIBLE_ENDS = " \t\r\n\xa0\u3000\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"


class Texts:
    """The checks of an item's text fields, compiled."""

    def __init__(self, item: CatalogueItem) -> None:
        self._fields = item.fields
        self._places = tuple(place for place, field in enumerate(item.fields) if field.type in _TEXT_TYPES)
        self._impersonal = tuple(
            place for place in self._places if item.fields[place].type not in _PERSON_TYPES
        )
        self._pick = build_picker(self._places)
        self._pick_impersonal = build_picker(self._impersonal)

    def check(self, values: list[str | None], faults: Faults) -> None:
        """Bring the texts of a row to NFC and refuse what no text may hold.

        Args:
            values: Values in the order of the item; texts are replaced by their normal form.
            faults: Gets the rule of each field that breaks one.
        """
        joined = _JOINT.join(filter(None, self._pick(values)))
        if not _is_plain(joined):
            for place in self._places:
                text = values[place]
                if text is not None:
                    self._clean(place, text, values, faults)
        if _may_hold_id(joined):
            for place in self._impersonal:
                text = values[place]
                if text is not None and contains_resident_id(text):
                    faults.setdefault(place, "resident-id-misplaced")

    def find_marked(self, columns: Sequence[Sequence[str | None]], marked: set[int]) -> None:
        """Mark the rows whose texts ``check`` would change or refuse.

        Args:
            columns: Values of many rows by place in the item.
            marked: Gets the places of the rows.
        """
        for place in self._places:
            texts = set(filter(None, columns[place]))
            joined = _JOINT.join(texts)
            bad = set() if _is_plain(joined) else {text for text in texts if not _is_plain(text)}
            if place in self._impersonal and _may_hold_id(joined):
                bad.update(filter(contains_resident_id, texts))
            if bad:
                marked.update(row for row, text in enumerate(columns[place]) if text in bad)

    def _clean(self, place: int, text: str, values: list[str | None], faults: Faults) -> None:
        field = self._fields[place]
        clean = unicodedata.normalize("NFC", text).strip(_INVISIBLE_ENDS)
        clean = clean.replace("\r\n", "\n").replace("\r", "\n") if field.type == "text" else _one_line(clean)
        if _REPLACEMENT in clean:
            faults.setdefault(place, "text-replacement-character")
        elif _CONTROL.search(clean) is not None:
            faults.setdefault(place, "text-control-character")
        elif len(clean) > field.max_length:
            faults.setdefault(place, "text-too-long")
        elif len(clean) < field.min_length:
            faults.setdefault(place, "text-too-short")
        values[place] = clean or None


def _is_plain(joined: str) -> bool:
    """Tell whether nothing in one or more texts is to be cleaned or refused."""
    return joined.isprintable() and _REPLACEMENT not in joined and unicodedata.is_normalized("NFC", joined)


def _may_hold_id(joined: str) -> bool:
    """Tell whether one of several texts may hold a resident id; a quick look that is never wrong when it says no."""
    encoded = joined.encode("utf-8", "replace")
    for mark in _WIDE_MARKS:
        encoded = encoded.replace(mark, b"")
    return _ID_RUN in encoded.translate(_DIGIT_MASK, _MARKS) or _WIDE_DIGIT.search(encoded) is not None


def _one_line(text: str) -> str:
    return " ".join(part.strip() for part in text.splitlines()) if "\n" in text or "\r" in text else text

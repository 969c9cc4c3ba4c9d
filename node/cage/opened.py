# SPDX-License-Identifier: Apache-2.0
"""What the openings of an event say, as far as two sides must agree on it; no value leaves this module in the clear.

An opening is base64url of [salt, name, value] in canonical form. The salt has 24 characters, so name and value begin at
byte 27, which is character 36: what stands behind is compared by its digest and never taken apart.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import pybase64

from node.access.event import SALTED_NAMES
from node.core.canonical import encode_json
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Sequence

AGREED: Final = ("subject", "purpose", "basis", "case", "items", "consent")
"""What ask, answer and receipt of an answer say in common."""

MARK_BYTES: Final = 8
NO_MARK: Final = bytes(MARK_BYTES)
_TAIL: Final = 36
_MOST_MARKS: Final = 16_384
_marks: Final[dict[bytes, bytes]] = {}
"""Marks of what was opened last: purposes and items are few, and each request says the same three times."""
_decode: Final = pybase64.b64decode
_DIGEST_CHARS: Final = 43
_URLSAFE: Final = b"-_"
_NULLS: Final = {b',"%b",null]' % name.encode(): name for name in SALTED_NAMES}
_HEADS: Final = {name: b',"%b",' % name.encode() for name in SALTED_NAMES}
_NAMES: Final = {head: name for name, head in _HEADS.items()}
_UNATTESTED: Final = b'{"auth":null,'
_SECOND: Final = b',"second":{'
"""Within a text a quotation mark would be escaped, so this is the member and nothing that somebody is called."""
_PADDING: Final = (b"", b"===", b"==", b"=")
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


class Opened(NamedTuple):
    """What an event's openings say.

    Attributes:
        peer: USCC of the other side; empty where absent or not opened.
        marks: Of each of ``AGREED``, 8 bytes of its digest; zeros where absent or not opened.
        released: The same of ``released``.
        attested: False for an officer whose sign-in nobody else attests; None where no officer is named.
        complete: Whether all ten names were opened.
        seconded: Whether a second officer is named beside the first.
    """

    peer: str = ""
    marks: tuple[bytes, ...] = (NO_MARK,) * len(AGREED)
    released: bytes = NO_MARK
    attested: bool | None = None
    complete: bool = False
    seconded: bool = False


NOTHING: Final = Opened()


def read_openings(digests: Sequence[bytes], texts: Sequence[str]) -> Opened:
    """Check openings against the digests of their event, and read what must agree.

    Args:
        digests: The event's, 43 base64url characters each, from an entry whose place in the log is proven.
        texts: Openings, untrusted.

    Raises:
        InvalidInput: ``opening-…``: one is malformed.
        Verification: ``opening-digest`` for one that is not of this event, ``opening-twice``.
    """
    spaced = " ".join(texts).encode("utf-8", "replace")
    # A zero byte behind each digest makes all of them one piece of base64, 44 characters each.
    joined = b"\0".join([sha256(data).digest() for data in spaced.split(b" ")]) + b"\0"
    encoded = pybase64.b64encode(joined, altchars=_URLSAFE)
    for at in range(0, len(encoded), _DIGEST_CHARS + 1):
        if encoded[at : at + _DIGEST_CHARS] not in digests:
            raise Verification("opening-digest", "an opening matches no digest of the event")
    tails: dict[str, bytes] = {}
    count = 0
    # The hot loop of an audit with openings: what could be a function of its own stands here.
    for text in spaced.translate(_TO_STANDARD).split(b" "):
        count += 1
        try:
            tail = _decode(text[_TAIL:] + _PADDING[len(text) & 3])
        except ValueError:
            raise InvalidInput("base64url", "an opening is not base64url") from None
        name = _NULLS.get(tail)
        if name is not None:
            tails[name] = b""
            continue
        head = tail[: tail.find(b'",', 2) + 2]
        name = _NAMES.get(head)
        if name is None or tail[-1:] != b"]":
            raise InvalidInput("opening-shape", "opening is not a canonical array of salt, name and value")
        tails[name] = tail[len(head) : -1]
    if len(tails) != count:
        raise Verification("opening-twice", "a name is opened twice")
    officer = tails.get("officer", b"")
    return Opened(
        tails.get("peer", b"")[1:-1].decode("ascii", "replace"),
        tuple([_mark(tails.get(name, b"")) for name in AGREED]),
        _mark(tails.get("released", b"")),
        not officer.startswith(_UNATTESTED) if officer else None,
        len(tails) == len(SALTED_NAMES),
        _SECOND in officer,
    )


def mark_set(root: bytes) -> bytes:
    """Give the mark that ``released`` has in the ``receive`` of who was given the lines under this root.

    Args:
        root: ``set`` of a provider's bulk event, 43 base64url characters.
    """
    return _mark(b'[["%b",[]]]' % root)


def mark_text(text: str) -> bytes:
    """Give the mark that a text has as the value of a name."""
    return _mark(encode_json(text))


def _mark(value: bytes) -> bytes:
    if not value:
        return NO_MARK
    mark = _marks.get(value)
    if mark is None:
        if len(_marks) >= _MOST_MARKS:
            _marks.clear()
        mark = _marks[value] = sha256(value).digest()[:MARK_BYTES]
    return mark

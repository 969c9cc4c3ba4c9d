# SPDX-License-Identifier: Apache-2.0
"""Disclosures of RFC 9901: make one, read one, and put each where its digest stands.

Section 7.1, steps 3 to 5, over a payload of any shape. A payload that bends the reserved names ``_sd``, ``...``
and ``_sd_alg`` is refused rather than passed on (section 4.1 rule 7, 4.1.1, 4.2.4).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.core.canonical import encode_json, read_json
from node.core.encoding import encode_b64u, parse_b64u
from node.errors import Verification

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_DISCLOSURE_BYTES: Final = 1 << 18
"""Greatest size of the JSON of one disclosure, in bytes."""
MAX_NESTING: Final = 32
"""Greatest number of objects and arrays inside each other once all disclosures are in place."""

SD: Final = "_sd"
SD_ALG: Final = "_sd_alg"
ELEMENT: Final = "..."
HASH_NAME: Final = "sha-256"

_PROPERTY_ITEMS: Final = 3
_ELEMENT_ITEMS: Final = 2
# 32 bytes leave two spare bits in the last of 43 characters; both are zero in the only spelling accepted.
_DIGEST: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


@dataclass(frozen=True, slots=True)
class Opened:
    """A payload with its disclosures in place.

    Attributes:
        claims: The payload.
        withheld: The digests that nothing opened, decoys among them.
        read: Each disclosure as it reads, and whether that is known to be its canonical form.
    """

    claims: dict[str, Any]
    withheld: tuple[str, ...]
    read: Mapping[str, tuple[list[Any], bool]]


def build_disclosure(salt: str, name: str, value: Any) -> str:
    """Build the disclosure of an object property: base64url of the canonical JSON of [salt, name, value]."""
    return encode_b64u(encode_json([salt, name, value]))


def digest_of(disclosure: str) -> str:
    """Compute the digest under which a disclosure stands in the payload (RFC 9901 section 4.2.3)."""
    return encode_b64u(hashlib.sha256(disclosure.encode("ascii")).digest())


def parse_disclosure(text: str) -> list[Any]:
    """Read a disclosure: [salt, name, value] of an object property or [salt, value] of an array element.

    Raises:
        InvalidInput: It is not base64url of JSON.
        Verification: ``disclosure-shape`` for anything but such an array with a text as salt.
    """
    return read_disclosure(text)[0]


def read_disclosure(text: str) -> tuple[list[Any], bool]:
    """Read a disclosure, and say whether its JSON is known to be what ``build_disclosure`` writes.

    Raises:
        InvalidInput, Verification: As ``parse_disclosure``.
    """
    items, is_canonical = read_json(
        parse_b64u(text), max_bytes=MAX_DISCLOSURE_BYTES, max_depth=MAX_NESTING, what="disclosure"
    )
    if type(items) is not list or len(items) not in (_PROPERTY_ITEMS, _ELEMENT_ITEMS):
        raise Verification("disclosure-shape", "disclosure is no array of two or three items")
    if type(items[0]) is not str:
        raise Verification("disclosure-shape", "salt of a disclosure is no text")
    return items, is_canonical


def check_sd_alg(payload: Mapping[str, Any]) -> None:
    """Refuse any hash but SHA-256, which is also the default (RFC 9901 sections 4.1.1 and 7.1 step 2).

    Raises:
        Verification: ``sd-alg`` when ``_sd_alg`` names another.
    """
    if payload.get(SD_ALG, HASH_NAME) != HASH_NAME:
        raise Verification("sd-alg", f"digests are made with a hash that is not accepted: want {HASH_NAME}")


def open_disclosures(payload: Mapping[str, Any], disclosures: Iterable[str]) -> Opened:
    """Put every disclosure where its digest stands in the payload or in another disclosure.

    Args:
        payload: Payload of a JWT, untrusted in shape; left as it is.
        disclosures: The disclosures that came with it, untrusted.

    Raises:
        InvalidInput: A disclosure is not base64url of JSON.
        Verification: ``sd-list`` (``_sd`` is no list of digests), ``sd-element`` (``...`` where no digest of an
            array element can stand), ``sd-alg-nested``, ``sd-digest-twice``, ``disclosure-twice``,
            ``disclosure-shape``, ``disclosure-name``, ``disclosure-claim-exists``, ``disclosure-unreferenced``,
            ``sd-nesting``.
    """
    opening = _Opening(disclosures)
    claims = opening.open_object(dict(payload), MAX_NESTING, top=True)
    if opening.unused:
        raise Verification(
            "disclosure-unreferenced",
            f"{len(opening.unused)} of the disclosed fields match no signed digest: changed, or of another record",
        )
    return Opened(claims, tuple(opening.withheld), opening.read)


class _Opening:
    """One pass over a payload; it holds which digests were met and which disclosures are still unused."""

    def __init__(self, disclosures: Iterable[str]) -> None:
        self.unused: dict[str, str] = {}
        self.withheld: list[str] = []
        self.read: dict[str, tuple[list[Any], bool]] = {}
        self._met: set[str] = set()
        for text in disclosures:
            digest = digest_of(text)
            if digest in self.unused:
                raise Verification("disclosure-twice", "a disclosure stands twice")
            self.unused[digest] = text

    def open_object(self, source: dict[str, Any], levels: int, *, top: bool = False) -> dict[str, Any]:
        """Process one object: its own claims first, then those that its digests disclose."""
        if ELEMENT in source:
            raise Verification("sd-element", "a claim is named with three dots outside an array")
        if SD_ALG in source and not top:
            raise Verification("sd-alg-nested", "the hash of the digests is named below the top level")
        result = {
            name: self._open_value(value, levels - 1)
            for name, value in source.items()
            if name not in (SD, SD_ALG)
        }
        for digest in self._digests(source):
            items = self._take(digest, _PROPERTY_ITEMS)
            if items is None:
                continue
            _, name, value = items
            _check_name(name)
            if name in result:
                raise Verification(
                    "disclosure-claim-exists", "a disclosure names a claim that is already there"
                )
            result[name] = self._open_value(value, levels - 1)
        return result

    def _open_value(self, value: Any, levels: int) -> Any:
        if not isinstance(value, dict | list):
            return value
        if levels <= 0:
            raise Verification("sd-nesting", f"claims are nested too deep: want at most {MAX_NESTING} levels")
        if isinstance(value, dict):
            return self.open_object(value, levels)
        return self._open_array(value, levels)

    def _open_array(self, source: list[Any], levels: int) -> list[Any]:
        result = []
        for element in source:
            if type(element) is not dict or ELEMENT not in element:
                result.append(self._open_value(element, levels - 1))
                continue
            if len(element) != 1:
                raise Verification("sd-element", "the digest of an array element has other members beside it")
            items = self._take(element[ELEMENT], _ELEMENT_ITEMS)
            if items is not None:
                result.append(self._open_value(items[1], levels - 1))
        return result

    def _digests(self, source: dict[str, Any]) -> list[Any]:
        digests = source.get(SD, [])
        if type(digests) is not list:
            raise Verification("sd-list", f"_sd is no list of digests: got {type(digests).__name__}")
        return digests

    def _take(self, digest: Any, items: int) -> list[Any] | None:
        """Find the disclosure of a digest that stands in the payload, or None when it is withheld."""
        if type(digest) is not str or not _DIGEST.fullmatch(digest):
            raise Verification("sd-list", "a digest is not 32 bytes in base64url")
        if digest in self._met:
            raise Verification("sd-digest-twice", "a digest stands twice")
        self._met.add(digest)
        text = self.unused.pop(digest, None)
        if text is None:
            self.withheld.append(digest)
            return None
        found, _ = self.read[text] = read_disclosure(text)
        if len(found) != items:
            raise Verification("disclosure-shape", f"disclosure has {len(found)} items where {items} belong")
        return found


def _check_name(name: Any) -> None:
    if type(name) is not str:
        raise Verification(
            "disclosure-name", f"claim name of a disclosure is no text: got {type(name).__name__}"
        )
    if name in (SD, ELEMENT, SD_ALG):
        raise Verification("disclosure-name", "a disclosure names a claim with a reserved name")

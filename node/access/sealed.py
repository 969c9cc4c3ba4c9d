# SPDX-License-Identifier: Apache-2.0
"""What a sealed event is about, encrypted to the regulator who issued the warrant (protocol §6, §8).

The event holds the SHA-256 of the box and the ten digests; the box holds the ten disclosures. The regulator can open it
at once and anybody can check on the day it is opened that it is what was sealed then.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from node.access.box import PAD_BYTES, pad, sealed_info, unpad
from node.access.event import SALTED_NAMES, verify_openings
from node.access.opening import parse_opening
from node.core.canonical import encode_json, parse_json
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_list, check_text
from node.crypto.ed25519 import key_id16
from node.crypto.hpke import OVERHEAD_BYTES, seal
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.access.event import ParsedEvent
    from node.crypto.hpke import ExchangeKey

MAX_SEALED_BYTES: Final = 1 << 20
"""Greatest size of the openings of one sealed event before they are sealed, padding included."""


def seal_openings(openings: Sequence[str], *, public: bytes, from_: str, to: str) -> bytes:
    """Seal the ten openings of an event to the regulator; the event's ``box`` is the SHA-256 of what comes out.

    Args:
        openings: Disclosures in the order of ``SALTED_NAMES``.
        public: The regulator's exchange key, 1,216 bytes, from the registry.
        from_: The member whose event it is.
        to: The regulator, ``iss`` of the warrant.

    Raises:
        InvalidInput: ``sealed-openings``, ``box-size``, ``exchange-key``.
    """
    _check_names(openings)
    plaintext = pad(encode_b64u(encode_json(list(openings))), MAX_SEALED_BYTES)
    return seal(public, sealed_info(from_, to, key_id16(public)), plaintext)


def open_sealed(box: bytes, key: ExchangeKey, *, from_: str, to: str) -> tuple[str, ...]:
    """Open a box and return the ten openings in it; that they are the event's shows ``verify_sealed``.

    Args:
        box: enc ‖ ciphertext ‖ tag, untrusted.
        key: The regulator's exchange key.
        from_: The member that says it is its event.
        to: The regulator.

    Raises:
        InvalidInput: ``box-size``, ``box-padding``, ``sealed-openings``, and the codes of base64, JSON and openings.
        Verification: ``box-open``.
    """
    if not PAD_BYTES <= len(box) - OVERHEAD_BYTES <= MAX_SEALED_BYTES:
        raise InvalidInput("box-size", f"sealed box has {len(box)} bytes, want at most {MAX_SEALED_BYTES}")
    data = parse_b64u(unpad(key.open(sealed_info(from_, to, key.kid), box)))
    value = parse_json(data, max_bytes=MAX_SEALED_BYTES, max_depth=1, what="sealed openings")
    openings = tuple(
        check_text(text, "opening", max_chars=MAX_SEALED_BYTES)
        for text in check_list(value, "sealed openings", max_items=len(SALTED_NAMES))
    )
    if encode_json(list(openings)) != data:
        raise InvalidInput("sealed-openings", "content of a sealed box is not canonical JSON")
    _check_names(openings)
    return openings


def verify_sealed(event: ParsedEvent, box: bytes, openings: Sequence[str]) -> dict[str, Any]:
    """Verify that openings are those that were sealed with an event, and return the ten values by name.

    Args:
        event: A sealed event whose leaf is known to be in the log.
        box: The box as the regulator kept it.
        openings: From ``open_sealed``.

    Raises:
        InvalidInput: ``sealed-openings``, ``opening-…``.
        Verification: ``sealed-box`` when the event was logged with another box, or is not sealed;
            ``opening-digest``.
    """
    if event.box != sha256(box).digest():
        raise Verification("sealed-box", f"event of kind {event.kind} was not logged with this box")
    _check_names(openings)
    return verify_openings(event, openings)


def _check_names(openings: Sequence[str]) -> None:
    names = tuple(parse_opening(text)[0] for text in openings)
    if names != SALTED_NAMES:
        raise InvalidInput(
            "sealed-openings", "a sealed box does not hold the ten openings of an event, in their order"
        )

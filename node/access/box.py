# SPDX-License-Identifier: Apache-2.0
"""Envelopes: how a request and its answer travel, signed first, then padded, then sealed (protocol §8).

    {"box":"<b64u>","from":"<USCC>","kid":"<16 hex>|reply","to":"<USCC>","v":1}      canonical JSON, both directions

An envelope is signed by nobody. What it says of itself is bound by ``info``: a box that was put into another envelope
does not open. The plaintext is a compact JWS followed by spaces up to a multiple of 4,096 bytes, so that a length
tells little.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.core.canonical import check_members, encode_json, read_json
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_text
from node.core.uscc import parse_member
from node.crypto.ed25519 import key_id16
from node.crypto.hpke import OVERHEAD_BYTES, seal
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from node.core.types import MemberCode
    from node.crypto.hpke import ExchangeKey

PAD_BYTES: Final = 4_096
MAX_REQUEST_BYTES: Final = 1 << 18
"""Greatest size of a request before it is sealed, padding included: 256 KiB."""
MAX_ANSWER_BYTES: Final = 1 << 23
"""Greatest size of an answer before it is sealed, padding included: 8 MiB. What does not fit is withheld."""
REPLY: Final = "reply"
"""``kid`` of an answer: it is sealed to the reply key of the request."""

_KID: Final = re.compile(r"[0-9a-f]{16}|reply")
_REQUEST: Final = "request"
_ANSWER: Final = "answer"
_SEALED: Final = "sealed"
_HELD: Final = "held"
_DEPOSIT: Final = "deposit"
_DEPOSITED: Final = "deposited"
_REVOCATION: Final = "revocation"
_REVOKED: Final = "revoked"
_NAMES: Final = ("v", "from", "to", "kid", "box")


def max_envelope_bytes(max_plaintext_bytes: int) -> int:
    """Compute the greatest size of an envelope around so many bytes of plaintext."""
    return 256 + (max_plaintext_bytes + OVERHEAD_BYTES) * 4 // 3


@dataclass(frozen=True, slots=True)
class Envelope:
    """A sealed message on its way; nothing of it is verified until the box opens.

    Attributes:
        from_: The member that says it sent it.
        to: The member it is for.
        kid: Names the exchange key it is sealed to; ``reply`` for an answer.
        box: enc ‖ ciphertext ‖ tag.
    """

    from_: MemberCode
    to: MemberCode
    kid: str
    box: bytes


def encode_envelope(envelope: Envelope) -> bytes:
    """Encode an envelope as canonical JSON: the body of a POST, or of its answer."""
    return encode_json(
        {
            "v": 1,
            "from": envelope.from_,
            "to": envelope.to,
            "kid": envelope.kid,
            "box": encode_b64u(envelope.box),
        }
    )


def parse_envelope(data: bytes, *, max_plaintext_bytes: int) -> Envelope:
    """Parse an envelope in its one spelling; nothing is opened.

    Args:
        data: Body of an HTTP message, untrusted.
        max_plaintext_bytes: ``MAX_REQUEST_BYTES`` or ``MAX_ANSWER_BYTES``.

    Raises:
        InvalidInput: ``envelope-canonical``, ``envelope-version``, ``envelope-kid``, ``envelope-box`` for a box that
            no plaintext of full blocks gives, and ``json-…``, ``base64…`` and ``uscc-…`` codes.
    """
    value, is_canonical = read_json(
        data, max_bytes=max_envelope_bytes(max_plaintext_bytes), max_depth=1, what="envelope"
    )
    members = check_members(value, "envelope", required=_NAMES)
    if not is_canonical and encode_json(members) != data:
        raise InvalidInput("envelope-canonical", "envelope is not canonical JSON")
    if type(members["v"]) is not int or members["v"] != 1:
        raise InvalidInput("envelope-version", "envelope has a version that is not known here: want 1")
    kid = check_text(members["kid"], "kid")
    if not _KID.fullmatch(kid):
        raise InvalidInput("envelope-kid", f"envelope names no key: want 16 hex digits or {REPLY}")
    box = parse_b64u(check_text(members["box"], "box", max_chars=len(data)))
    plaintext_bytes = len(box) - OVERHEAD_BYTES
    if not PAD_BYTES <= plaintext_bytes <= max_plaintext_bytes or plaintext_bytes % PAD_BYTES:
        raise InvalidInput(
            "envelope-box",
            f"box holds {plaintext_bytes} bytes, want a multiple of {PAD_BYTES} up to {max_plaintext_bytes}",
        )
    return Envelope(
        from_=parse_member(check_text(members["from"], "from")),
        to=parse_member(check_text(members["to"], "to")),
        kid=kid,
        box=box,
    )


def seal_request(jws: str, *, public: bytes, from_: MemberCode, to: MemberCode) -> Envelope:
    """Seal a signed request to the provider.

    Args:
        jws: The request, signed.
        public: The provider's exchange key, 1,216 bytes, from the registry.
        from_: The asker.
        to: The provider.

    Raises:
        InvalidInput: ``exchange-key``, ``box-size``.
    """
    kid = key_id16(public)
    box = seal(public, request_info(from_, to, kid), pad(jws, MAX_REQUEST_BYTES))
    return Envelope(from_, to, kid, box)


def open_request(envelope: Envelope, key: ExchangeKey) -> str:
    """Open the envelope of a request and return its JWS, of which nothing is verified.

    Args:
        envelope: As received.
        key: The provider's exchange key of the envelope's ``kid``.

    Raises:
        InvalidInput: ``box-padding``.
        Verification: ``box-kid`` when it is sealed to another key, ``box-open``.
    """
    return open_box(envelope, key, key.kid, request_info(envelope.from_, envelope.to, envelope.kid))


def seal_answer(jws: str, *, reply: bytes, req: bytes, from_: MemberCode, to: MemberCode) -> Envelope:
    """Seal a signed answer to the request's one-time reply key.

    Args:
        jws: The answer, signed.
        reply: Reply key of the request, 1,216 bytes.
        req: SHA-256 of the request JWS, 32 bytes.
        from_: The provider.
        to: The asker.

    Raises:
        InvalidInput: ``exchange-key``, ``box-size``.
    """
    box = seal(reply, answer_info(from_, to, req), pad(jws, MAX_ANSWER_BYTES))
    return Envelope(from_, to, REPLY, box)


def open_answer(envelope: Envelope, key: ExchangeKey, *, req: bytes) -> str:
    """Open the envelope of an answer and return its JWS, of which nothing is verified.

    Args:
        envelope: As received.
        key: The one-time reply key.
        req: SHA-256 of the request JWS that it answers.

    Raises:
        InvalidInput: ``box-padding``.
        Verification: ``box-kid`` for an envelope that is no answer's, ``box-open``.
    """
    return open_box(envelope, key, REPLY, answer_info(envelope.from_, envelope.to, req))


def seal_held(receipt: str, *, public: bytes, from_: MemberCode, to: MemberCode) -> Envelope:
    """Seal a receipt to the member that signed it, so that an open route tells nobody else of whom it is.

    Args:
        receipt: The receipt.
        public: Exchange key of its signer, 1,216 bytes, from the registry.
        from_: Who holds it.
        to: Who signed it.

    Raises:
        InvalidInput: ``exchange-key``, ``box-size``.
    """
    kid = key_id16(public)
    return Envelope(from_, to, kid, seal(public, _info(_HELD, from_, to, kid), pad(receipt, PAD_BYTES)))


def open_held(envelope: Envelope, key: ExchangeKey) -> str:
    """Open what ``seal_held`` sealed and return the receipt, of which nothing is verified.

    Raises:
        InvalidInput: ``box-padding``.
        Verification: ``box-kid`` when it is sealed to another key, ``box-open``.
    """
    return open_box(envelope, key, key.kid, _info(_HELD, envelope.from_, envelope.to, envelope.kid))


def open_box(envelope: Envelope, key: ExchangeKey, kid: str, info: bytes) -> str:
    """Open an envelope and return the text in it, of which nothing is verified.

    Args:
        envelope: As received.
        key: Opens it.
        kid: What the envelope must name: the key's own, or ``reply``.
        info: Of its kind of message.

    Raises:
        InvalidInput: ``box-padding``.
        Verification: ``box-kid`` when it is sealed to another key, ``box-open``.
    """
    if envelope.kid != kid:
        raise Verification("box-kid", f"box is for another key: got {envelope.kid}, want {kid}")
    return unpad(key.open(info, envelope.box))


def request_info(from_: str, to: str, kid: str) -> bytes:
    """Build the HPKE ``info`` of a request."""
    return _info(_REQUEST, from_, to, kid)


def answer_info(from_: str, to: str, req: bytes) -> bytes:
    """Build the HPKE ``info`` of an answer to the request with this SHA-256."""
    return _info(_ANSWER, from_, to, encode_b64u(req))


def sealed_info(from_: str, to: str, kid: str) -> bytes:
    """Build the HPKE ``info`` of the openings of a sealed event, from a member to the regulator."""
    return _info(_SEALED, from_, to, kid)


def deposit_info(from_: str, to: str, kid: str) -> bytes:
    """Build the HPKE ``info`` of a deposit, from a member to the regulator."""
    return _info(_DEPOSIT, from_, to, kid)


def deposited_info(from_: str, to: str, req: bytes) -> bytes:
    """Build the HPKE ``info`` of the answer to the deposit with this SHA-256."""
    return _info(_DEPOSITED, from_, to, encode_b64u(req))


def revocation_info(from_: str, to: str, kid: str) -> bytes:
    """Build the HPKE ``info`` of a revocation, from the window of a consent to its provider."""
    return _info(_REVOCATION, from_, to, kid)


def revoked_info(from_: str, to: str, req: bytes) -> bytes:
    """Build the HPKE ``info`` of the answer to the revocation with this SHA-256."""
    return _info(_REVOKED, from_, to, encode_b64u(req))


def pad(jws: str, max_bytes: int) -> bytes:
    """Pad a token with spaces to the next multiple of 4,096 bytes; one that fills its last block gets none.

    Raises:
        InvalidInput: ``box-size`` when that is more than ``max_bytes``.
    """
    size = -(-len(jws) // PAD_BYTES) * PAD_BYTES
    if not 0 < size <= max_bytes:
        raise InvalidInput("box-size", f"message has {len(jws)} bytes, want 1 to {max_bytes}")
    return jws.encode("ascii").ljust(size, b" ")


def unpad(plaintext: bytes) -> str:
    """Take the padding off, in its one spelling, and return the token.

    Raises:
        InvalidInput: ``box-padding``.
    """
    token = plaintext.rstrip(b" ")
    if not token or not token.isascii() or -(-len(token) // PAD_BYTES) * PAD_BYTES != len(plaintext):
        raise InvalidInput(
            "box-padding",
            f"content of a box is not a token with spaces up to the next multiple of {PAD_BYTES} bytes",
        )
    return token.decode("ascii")


def _info(message: str, from_: str, to: str, key: str) -> bytes:
    return f"ironcage/v1/{message}\n{from_}\n{to}\n{key}\n".encode("ascii")

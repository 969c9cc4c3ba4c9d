# SPDX-License-Identifier: Apache-2.0
"""Builds SD-JWTs of any shape, well-formed or not, signed with a fixed key."""

from __future__ import annotations

import base64
import hashlib
import json

from node.crypto.ed25519 import Ed25519Signer, verify_ed25519
from node.records.sdjwt import verify_sd_jwt

ISSUER = Ed25519Signer(bytes(range(40, 72)))
HOLDER = Ed25519Signer(bytes(range(80, 112)))
NOW = 1_700_000_000


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def disclose(*items):
    """A disclosure of these items: [salt, name, value], [salt, value], or what RFC 9901 forbids."""
    return b64u(json.dumps(items, ensure_ascii=False).encode())


def digest(disclosure):
    return b64u(hashlib.sha256(disclosure.encode()).digest())


def sign(payload, header=None, signer=ISSUER):
    """A JWT over a payload given as a value or as raw JSON text."""
    head = (
        header
        if isinstance(header, str)
        else json.dumps({"alg": "EdDSA", "typ": "test+sd-jwt", **(header or {})})
    )
    body = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    signed = f"{b64u(head.encode())}.{b64u(body.encode())}"
    return f"{signed}.{b64u(signer.sign(signed.encode()))}"


def token(payload, *disclosures, header=None):
    return "~".join((sign(payload, header), *disclosures, ""))


def check_issuer(_header, signed, signature):
    verify_ed25519(ISSUER.public, signed, signature)


def verify(text, **changes):
    """Verify with the expectations of this module, changed where a test wants it."""
    expected = {
        "typ": "test+sd-jwt",
        "algorithms": {"EdDSA"},
        "check_signature": check_issuer,
        "now_seconds": NOW,
    }
    return verify_sd_jwt(text, **{**expected, **changes})


class Discloser:
    """Replaces chosen claims of a value by digests, recursively, and remembers each disclosure with its parent."""

    def __init__(self):
        self.disclosures = []
        self.parents = {}

    def hide(self, value, choose, path=()):
        """Return the value with each claim or element for which ``choose(path)`` holds replaced by its digest."""
        if isinstance(value, dict):
            result, digests = {}, []
            for name, member in value.items():
                place = (*path, name)
                inner = self.hide(member, choose, place)
                if choose(place):
                    digests.append(self._add([name, inner], place))
                else:
                    result[name] = inner
            if digests:
                result["_sd"] = sorted(digests)
            return result
        if isinstance(value, list):
            return [self._element(member, choose, (*path, index)) for index, member in enumerate(value)]
        return value

    def _element(self, member, choose, place):
        inner = self.hide(member, choose, place)
        return {"...": self._add([inner], place)} if choose(place) else inner

    def _add(self, items, place):
        salt = b64u(hashlib.sha256(repr(place).encode()).digest()[:16])
        text = disclose(salt, *items)
        self.disclosures.append(text)
        self.parents[text] = place
        return digest(text)

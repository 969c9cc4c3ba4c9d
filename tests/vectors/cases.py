# SPDX-License-Identifier: Apache-2.0
"""How a signed message, and one that must be refused, stand in the files of vectors."""

from __future__ import annotations

import json

from node.core.encoding import encode_b64u, parse_b64u
from node.crypto.token import token_digest


def signed_case(name, token):
    """A good message."""
    return {
        "name": name,
        "jws": token,
        "claims": json.loads(parse_b64u(token.split(".")[1])),
        "digest": encode_b64u(token_digest(token)),
    }


def edited_case(base, name, code, /, **claims):
    """A good message with other claims, signed again by its own signer."""
    return {"base": base, "name": name, "code": code, "set": claims}

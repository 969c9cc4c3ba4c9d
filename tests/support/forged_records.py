# SPDX-License-Identifier: Apache-2.0
"""Records by an issuer that does not keep to the profile, and the check that they are refused."""

from __future__ import annotations

import base64
import json

from node.core.canonical import encode_json
from node.errors import InvalidInput
from node.records.record import (
    present_record,
    verify_record,
)
from tests.support.errors import raises_code
from tests.support.records import (
    FIELD_CODES,
    SECRET,
    SIGNER,
    SUBJECT,
    VALUES,
    b64u,
    find_key,
    issue_record,
)

NAMES = ("subject", *FIELD_CODES)
PRESENT = {name: value for name, value in zip(FIELD_CODES, VALUES, strict=True) if value is not None}


def present(disclose=NAMES, **changes):
    arguments = {"jwt": issue_record().jwt, "secret": SECRET, "subject": SUBJECT, "values": VALUES, **changes}
    return present_record(**arguments, field_codes=FIELD_CODES, disclose=disclose)


def record_claims(**changes):
    """The claims of the fixed record; a change to None leaves the claim out."""
    part = issue_record().jwt.split(b".")[1]
    claims = json.loads(parse_b64u_part(part)) | changes
    return {name: value for name, value in claims.items() if value is not None}


def parse_b64u_part(part):
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def sign_claims(payload, header=None, signer=SIGNER):
    """Sign like an issuer that does not know the profile; raw bytes stay as they are."""
    head = (
        header
        if isinstance(header, bytes)
        else encode_json({"alg": "EdDSA", "kid": signer.kid, "typ": "credit-record+sd-jwt"} | (header or {}))
    )
    body = payload if isinstance(payload, bytes) else encode_json(payload)
    signed = f"{b64u(head)}.{b64u(body)}"
    return f"{signed}.{b64u(signer.sign(signed.encode()))}"


def check_refused(code, text, error=InvalidInput):
    with raises_code(error, code):
        verify_record(text, find_key)

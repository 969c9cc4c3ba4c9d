# SPDX-License-Identifier: Apache-2.0
"""Fixed members, keys and records, and a readable twin of the issuer that follows the protocol's definitions."""

from __future__ import annotations

import base64
import hashlib

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.crypto.ed25519 import Ed25519Signer
from node.errors import NotFound
from node.records.issue import Issuer
from node.records.names import StatusUri, Vct, encode_status_uri
from node.records.record import Subject

MEMBER = "11330100002489014L"
OTHER_MEMBER = "113301060024960114"
DOMAIN = "zj.example"
VCT = Vct(DOMAIN, "penalty", "2018")
FIELD_CODES = ("CF_WSH", "CF_WFXW", "CF_CFLB", "CF_NR", "CF_NR_FK", "CF_JDRQ", "CF_CFJG", "BZ")
SEED = bytes(range(32))
SIGNER = Ed25519Signer(SEED)
OTHER_SIGNER = Ed25519Signer(bytes(range(1, 33)))
SECRET = hashlib.sha256(b"record secret").digest()
JTI = "019a1b2c-3d4e-7f60-8a1b-2c3d4e5f6071"
IAT = 1_790_000_000
STATUS_URI = encode_status_uri(StatusUri(DOMAIN, MEMBER, 0))
SUBJECT = Subject("uscc", "91330106MA27Y8LH7C")
VALUES = (
    "杭市监罚〔2026〕17号",
    "未按规定公示年度报告",
    "罚款",
    '罚款人民币"伍仟"元整',
    "0.500000",
    "2026-03-02",
    "杭州市市场监督管理局",
    None,
)


def find_key(kid, member):
    """The verifier's own trust: one key of one member."""
    if (kid, member) != (SIGNER.kid, MEMBER):
        raise NotFound("key-unknown", f"no record key {kid} of {member}")
    return SIGNER.public


def build_issuer(field_codes=FIELD_CODES, vct=VCT):
    return Issuer(MEMBER, vct, field_codes, SIGNER)


def issue_record(**changes):
    """Issue the fixed record, with changed arguments where a test wants them."""
    arguments = {
        "subject": SUBJECT,
        "values": VALUES,
        "jti": JTI,
        "status_uri": STATUS_URI,
        "status_idx": 3,
        "iat": IAT,
        "secret": SECRET,
        "supersedes": None,
    }
    return build_issuer().issue(**{**arguments, **changes})


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def reference_derive(label, secret, length):
    return hashlib.shake_256(label.encode() + b"\x00" + secret).digest(length)


def reference_disclosures(names, subject, values, secret):
    """Disclosures of subject and values by name, None where a field is empty."""
    salts = reference_derive("ironcage/v1/salts", secret, 18 * len(names))
    items = [{"type": subject.type, "id": subject.id}, *values]
    return {
        name: None if item is None else b64u(rfc8785.dumps([b64u(salts[18 * k : 18 * k + 18]), name, item]))
        for k, (name, item) in enumerate(zip(names, items, strict=True))
    }


def reference_issue(
    seed, member, vct, field_codes, *, subject, values, jti, status_uri, status_idx, iat, secret, supersedes
):
    """Issue a record slowly and by the words of protocol section 1a: (jwt, positions)."""
    disclosures = reference_disclosures(("subject", *field_codes), subject, values, secret)
    digest_of = {
        name: b64u(hashlib.sha256(text.encode("ascii")).digest())
        for name, text in disclosures.items()
        if text
    }
    digests = list(digest_of.values())
    decoy_bytes = reference_derive("ironcage/v1/decoys", secret, 32 * 8)
    decoys = [b64u(decoy_bytes[32 * k : 32 * k + 32]) for k in range(8)]
    while len(digests) % 8:
        digests.append(decoys.pop(0))
    digests.sort()
    payload = {
        "iss": member,
        "iat": iat,
        "jti": jti,
        "vct": vct,
        "status": {"status_list": {"idx": status_idx, "uri": status_uri}},
        "_sd": digests,
        "_sd_alg": "sha-256",
    }
    if supersedes is not None:
        payload["supersedes"] = b64u(supersedes)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    kid = hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]
    header = {"alg": "EdDSA", "typ": "credit-record+sd-jwt", "kid": kid}
    signed = b64u(rfc8785.dumps(header)) + "." + b64u(rfc8785.dumps(payload))
    jwt = signed + "." + b64u(key.sign(signed.encode("ascii")))
    positions = [digests.index(digest_of[name]) if name in digest_of else 255 for name in disclosures]
    return jwt.encode("ascii"), bytes(positions)

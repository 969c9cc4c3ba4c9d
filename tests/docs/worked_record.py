# SPDX-License-Identifier: Apache-2.0
"""Builds docs/protocol/worked-record.md: one record with fixed keys and a fixed secret, every byte shown.

Write the page with ``python -m tests.docs.write``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgpack

from node.core.canonical import encode_json
from node.core.encoding import encode_b64u, parse_b64u
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.wrap import wrap_secret
from node.log.merkle import leaf_hash
from node.records.catalogue import load_builtin_items
from node.records.disclosure import build_disclosure, digest_of
from node.records.issue import Issuer
from node.records.names import StatusUri, Vct, encode_status_uri, encode_vct
from node.records.record import (
    Subject,
    parse_record,
    present_record,
    released_digests,
    seal_values,
    verify_record,
)
from node.records.secret import decoys, derive, salts, values_key

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol" / "worked-record.md"

DOMAIN = "zj.example"
MEMBER = "11330100002489014L"
SEED = hashlib.sha256(b"ironcage worked record: record key").digest()
SECRET = hashlib.sha256(b"ironcage worked record: record secret").digest()
WRAPPING_KEY = hashlib.sha256(b"ironcage worked record: wrapping key").digest()
WRAPPING_NONCE = hashlib.sha256(b"ironcage worked record: wrapping nonce").digest()[:12]
JTI = "019a1b2c-3d4e-7f60-8a1b-2c3d4e5f6071"
IAT = 1_790_000_000
STATUS_IDX = 70_001
ITEM = load_builtin_items()["penalty:2018"]
ROW = {
    "CF_XDR_MC": "杭州西湖示例茶叶有限公司",
    "CF_XDR_LB": "法人及非法人组织",
    "CF_XDR_SHXYM": "91330106MA27Y8LH7C",
    "CF_FRDB": "张三",
    "CF_WSH": "杭市监罚〔2026〕17号",
    "CF_WFXW": "未按规定公示年度报告",
    "CF_SY": '当事人逾期未公示2025年度报告,经"双随机"检查发现后仍未改正。',
    "CF_YJ": "《企业信息公示暂行条例》第十七条",
    "CF_CFLB": "警告;罚款",
    "CF_NR": "1.警告;\n2.罚款人民币伍仟元整。",
    "CF_NR_FK": "0.5",
    "CF_JDRQ": "2026-03-02",
    "CF_YXQ": "2099-12-31",
    "CF_GSJZQ": "2029-03-02",
    "CF_CFJG": "杭州市示例市场监督管理局",
    "CF_CFJGDM": MEMBER,
    "CF_SJLY": "杭州市示例市场监督管理局",
    "CF_SJLYDM": MEMBER,
}
VALUES = [ROW.get(code) for code in ITEM.field_codes]
SUBJECT = Subject("uscc", "91330106MA27Y8LH7C")
DISCLOSE = ("subject", "CF_WSH", "CF_CFLB", "CF_JDRQ")

NAMES = ("subject", *ITEM.field_codes)
VCT = Vct(DOMAIN, ITEM.name, ITEM.version)
STATUS_URI = encode_status_uri(StatusUri(DOMAIN, MEMBER, 0))

HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Written by `python -m tests.docs.write` from tests/docs/worked_record.py; a test compares. -->
# A worked record

One penalty of the catalogue item `penalty:2018`, from its inputs to the log entry, what the node stores, and a
presentation of four fields. Keys, secret and row are made up and fixed, so every byte follows; whoever writes
another implementation can hold it against this page. The rules are in the protocol, sections 1 and 1a: SD-JWT is
RFC 9901, canonical JSON RFC 8785, `b64u` base64url without padding, ‖ joins bytes.
"""


def _code(*lines: str) -> str:
    return "\n".join(("```", *lines, "```"))


def _inputs(signer: Ed25519Signer) -> str:
    rows = [
        f"| {k} | `{name}` | {'' if value is None else '`' + value.replace(chr(10), '⏎') + '`'} |"
        for k, (name, value) in enumerate(zip(ITEM.field_codes, VALUES, strict=True), 1)
    ]
    return "\n".join(
        (
            "## 1 Inputs",
            "",
            _code(
                f"member          {MEMBER}",
                f"vct             {encode_vct(VCT)}",
                f"record key seed {SEED.hex()}",
                f"public key      {signer.public.hex()}",
                f"kid             {signer.kid}    first 16 hex digits of SHA-256(public key)",
                f"record secret   {SECRET.hex()}",
                f"jti             {JTI}",
                f"iat             {IAT}",
                f"status list     {STATUS_URI}, place {STATUS_IDX}",
                f"subject         type {SUBJECT.type}, id {SUBJECT.id}",
            ),
            "",
            "The values, in the order of the item's fields; an empty field has none (⏎ is a line feed, U+000A):",
            "",
            "| k | field | value |",
            "|---|---|---|",
            *rows,
            "",
        )
    )


def _secrets(shown: int) -> str:
    count = len(NAMES)
    return "\n".join(
        (
            "## 2 What the secret gives",
            "",
            "`derive(label, n)` = SHAKE-256(label ‖ 0x00 ‖ secret, n bytes).",
            "",
            f"Salts: {count} possible disclosures (subject and {count - 1} fields), 18 bytes each, present or not:",
            "",
            _code(
                f'derive("ironcage/v1/salts", {18 * count})',
                derive("ironcage/v1/salts", SECRET, 18 * count).hex(),
            ),
            "",
            f"Decoys: {shown} disclosures are {-shown % 8} short of a multiple of 8:",
            "",
            _code(
                f'derive("ironcage/v1/decoys", {32 * (-shown % 8)})',
                derive("ironcage/v1/decoys", SECRET, 32 * (-shown % 8)).hex(),
            ),
            "",
            "Key of the stored values:",
            "",
            _code('derive("ironcage/v1/values", 32)', values_key(SECRET).hex()),
            "",
        )
    )


def _disclosures(made: dict[str, str]) -> str:
    parts = [
        "## 3 Disclosures",
        "",
        "The canonical JSON of [salt, name, value] in UTF-8, its b64u, and SHA-256 of that text as b64u. An empty",
        "field has a salt and no disclosure.",
        "",
    ]
    for k, name in enumerate(NAMES):
        if name in made:
            text = made[name]
            parts += [f"{k}. `{name}`", "", _code(parse_b64u(text).decode(), text, digest_of(text)), ""]
    return "\n".join(parts)


def _digests(jwt: bytes, positions: bytes, made: dict[str, str]) -> str:
    owner = {digest_of(text): name for name, text in made.items()}
    width = max(map(len, owner.values()))
    lines = [
        f"{place:>2}  {digest}  {owner.get(digest, 'decoy'):<{width}}".rstrip()
        for place, digest in enumerate(parse_record(jwt).digests)
    ]
    return "\n".join(
        (
            "## 4 `_sd`",
            "",
            "Digests of disclosures and decoys together, sorted as text:",
            "",
            _code(*lines),
            "",
            "The node keeps, beside the record, the place of each possible disclosure in `_sd` as one byte (255 for",
            "none), so that it can name what a look releases before anything is decrypted:",
            "",
            _code(positions.hex()),
            "",
        )
    )


def _token(jwt: bytes) -> str:
    header, payload, signature = jwt.decode("ascii").split(".")
    return "\n".join(
        (
            "## 5 The JWT",
            "",
            "Header and payload, canonical JSON:",
            "",
            _code(parse_b64u(header).decode()),
            "",
            _code(parse_b64u(payload).decode()),
            "",
            "The Ed25519 signature over b64u(header) ‖ `.` ‖ b64u(payload):",
            "",
            _code(parse_b64u(signature).hex()),
            "",
            f"The issuer-signed JWT is the log entry, {len(jwt)} bytes:",
            "",
            _code(jwt.decode("ascii")),
            "",
            "Its leaf hash, SHA-256(0x00 ‖ entry); as hex, and as b64u as a correction would name it in `supersedes`:",
            "",
            _code(leaf_hash(jwt).hex(), encode_b64u(leaf_hash(jwt))),
            "",
        )
    )


def _stored() -> str:
    plain = msgpack.packb([*SUBJECT, *VALUES])
    return "\n".join(
        (
            "## 6 What the node stores",
            "",
            "The values: msgpack of [subject type, subject id, value of each field or null]:",
            "",
            _code(plain.hex()),
            "",
            "sealed with AES-256-GCM under the values key of section 2, nonce 12 zero bytes, additional data the jti in",
            "ASCII (ciphertext ‖ tag):",
            "",
            _code(seal_values(SECRET, JTI, SUBJECT, VALUES).hex()),
            "",
            "The record secret, wrapped with AES-256-GCM-SIV under the node's wrapping key with additional data the jti",
            "(nonce ‖ ciphertext ‖ tag):",
            "",
            _code(
                f"wrapping key   {WRAPPING_KEY.hex()}",
                f"nonce          {WRAPPING_NONCE.hex()}",
                f"wrapped secret {wrap_secret(WRAPPING_KEY, SECRET, JTI, WRAPPING_NONCE).hex()}",
            ),
            "",
            "Erasing the wrapped secret erases the salts with it: the entry stays in the log and opens nothing.",
            "",
        )
    )


def _presentation(jwt: bytes, positions: bytes, public: bytes) -> str:
    text = present_record(jwt, SECRET, SUBJECT, VALUES, ITEM.field_codes, disclose=DISCLOSE)
    verified = verify_record(text, lambda _kid, _member: public)
    released = released_digests(jwt, positions, ITEM.field_codes, DISCLOSE)
    fields = ", ".join(f"`{name}`" for name in DISCLOSE[1:])
    return "\n".join(
        (
            "## 7 A presentation",
            "",
            f"Subject, {fields}: the JWT, then the disclosures, each followed by a tilde:",
            "",
            _code(text),
            "",
            "The access log names this release by SHA-256 of the JWT and the digests it opens:",
            "",
            _code(encode_b64u(hashlib.sha256(jwt).digest()), *released),
            "",
            "Verified with the public key of section 1 it discloses what follows;",
            f"{verified.withheld_count} digests, some of them decoys, stay withheld:",
            "",
            _code(encode_json(verified.disclosed).decode()),
            "",
        )
    )


def build() -> str:
    """Return the page."""
    signer = Ed25519Signer(SEED)
    jwt, positions = Issuer(MEMBER, VCT, ITEM.field_codes, signer).issue(
        subject=SUBJECT,
        values=VALUES,
        jti=JTI,
        status_uri=STATUS_URI,
        status_idx=STATUS_IDX,
        iat=IAT,
        secret=SECRET,
    )
    items = (SUBJECT._asdict(), *VALUES)
    salt_of = zip(NAMES, salts(SECRET, len(NAMES)), items, strict=True)
    made = {name: build_disclosure(salt, name, item) for name, salt, item in salt_of if item is not None}
    expected = sorted([*map(digest_of, made.values()), *decoys(SECRET, -len(made) % 8)])
    if list(parse_record(jwt).digests) != expected:
        raise AssertionError("the record does not hold the digests that this page explains")
    sections = (
        HEAD,
        _inputs(signer),
        _secrets(len(made)),
        _disclosures(made),
        _digests(jwt, positions, made),
        _token(jwt),
        _stored(),
        _presentation(jwt, positions, signer.public),
    )
    return "\n".join(sections)

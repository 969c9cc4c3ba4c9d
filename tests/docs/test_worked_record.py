# SPDX-License-Identifier: Apache-2.0
"""docs/protocol/worked-record.md against the generator, and against a reader that knows only the page."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV

from node.records.headers import map_headers
from node.records.rows import RowValidator, ValidRow
from tests.docs import worked_record
from tests.support.records import b64u, reference_derive, reference_disclosures, reference_issue


@pytest.fixture(scope="module")
def blocks():
    """The code blocks of the page by section number, each as its lines."""
    sections = re.split(r"^## ", worked_record.PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {
        section[0]: [
            block.split("\n") for block in re.findall(r"^```\n(.*?)\n```$", section, re.MULTILINE | re.DOTALL)
        ]
        for section in sections
    }
    assert list(found) == list("1234567")
    return found


@pytest.fixture(scope="module")
def inputs(blocks):
    return {line[:15].strip(): line[16:].split("    ")[0] for line in blocks["1"][0]}


def test_page_is_as_generated():
    assert worked_record.PAGE.read_text(encoding="utf-8") == worked_record.build()


def test_row_is_one_that_an_import_accepts():
    header = [field.zh for field in worked_record.ITEM.fields]
    validator = RowValidator(
        worked_record.ITEM,
        map_headers(worked_record.ITEM, header),
        issuer=worked_record.MEMBER,
        today="2026-09-21",
    )
    row = validator.check(worked_record.VALUES, 2)
    assert type(row) is ValidRow
    assert (row.subject_type, row.subject_id) == worked_record.SUBJECT
    assert row.values == worked_record.VALUES


def test_record_follows_from_the_inputs(blocks, inputs):
    uri, place = inputs["status list"].split(", place ")
    jwt, positions = reference_issue(
        bytes.fromhex(inputs["record key seed"]),
        inputs["member"],
        inputs["vct"],
        worked_record.ITEM.field_codes,
        subject=worked_record.SUBJECT,
        values=worked_record.VALUES,
        jti=inputs["jti"],
        status_uri=uri,
        status_idx=int(place),
        iat=int(inputs["iat"]),
        secret=bytes.fromhex(inputs["record secret"]),
        supersedes=None,
    )
    assert blocks["5"][3] == [jwt.decode()]
    assert blocks["4"][1] == [positions.hex()]
    assert hashlib.sha256(bytes.fromhex(inputs["public key"])).hexdigest()[:16] == inputs["kid"]


def test_derived_bytes(blocks, inputs):
    secret = bytes.fromhex(inputs["record secret"])
    for call, value in blocks["2"]:
        label, length = re.fullmatch(r'derive\("(.*)", (\d+)\)', call).groups()
        assert reference_derive(label, secret, int(length)).hex() == value


def test_disclosures_and_digests(blocks, inputs):
    secret = bytes.fromhex(inputs["record secret"])
    names = ("subject", *worked_record.ITEM.field_codes)
    made = reference_disclosures(names, worked_record.SUBJECT, worked_record.VALUES, secret)
    assert [text for _, text, _ in blocks["3"]] == [text for text in made.values() if text]
    for raw, text, digest in blocks["3"]:
        assert b64u(raw.encode()) == text
        assert b64u(hashlib.sha256(text.encode()).digest()) == digest
    listed = {line.split()[1]: line.split()[2] for line in blocks["4"][0]}
    assert list(listed) == json.loads(blocks["5"][1][0])["_sd"]
    assert {digest: listed[digest] for _, _, digest in blocks["3"]} == {
        digest: json.loads(raw)[1] for raw, _, digest in blocks["3"]
    }
    assert list(listed.values()).count("decoy") == len(listed) - len(blocks["3"])


def test_token_and_leaf(blocks, inputs):
    (header,), (payload,), (signature,), (jwt,), leaf = blocks["5"]
    signed = f"{b64u(header.encode())}.{b64u(payload.encode())}"
    assert f"{signed}.{b64u(bytes.fromhex(signature))}" == jwt
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(inputs["public key"]))
    key.verify(bytes.fromhex(signature), signed.encode())
    digest = hashlib.sha256(b"\x00" + jwt.encode()).digest()
    assert leaf == [digest.hex(), b64u(digest)]


def test_stored_bytes_open(blocks, inputs):
    (plain,), (sealed,), wrapped = blocks["6"]
    values_key = bytes.fromhex(blocks["2"][2][1])
    aad = inputs["jti"].encode()
    assert AESGCM(values_key).decrypt(bytes(12), bytes.fromhex(sealed), aad).hex() == plain
    key, nonce, whole = (bytes.fromhex(line.split()[-1]) for line in wrapped)
    assert whole[:12] == nonce
    assert AESGCMSIV(key).decrypt(nonce, whole[12:], aad).hex() == inputs["record secret"]


def test_presentation(blocks):
    (text,), (jwt_digest, *released), (disclosed,) = blocks["7"]
    jwt, *disclosures, end = text.split("~")
    assert [jwt] == blocks["5"][3]
    assert end == ""
    assert jwt_digest == b64u(hashlib.sha256(jwt.encode()).digest())
    assert released == [b64u(hashlib.sha256(shown.encode()).digest()) for shown in disclosures]
    contents = {text: json.loads(raw) for raw, text, _ in blocks["3"]}
    assert {contents[shown][1]: contents[shown][2] for shown in disclosures} == json.loads(disclosed)

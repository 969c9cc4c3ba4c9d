# SPDX-License-Identifier: Apache-2.0
"""Records: SD-JWT, presentations, disclosures, status, catalogue items, stored values, chunks of rows."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import msgpack
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.core.canonical import encode_json, parse_json
from node.core.encoding import encode_b64u, parse_b64u
from node.core.ids import check_uuid7
from node.crypto.jws import sign_jws
from node.crypto.token import parse_token
from node.errors import InvalidInput
from node.records.catalogue import load_item
from node.records.chunks import PlainLines, encode_chunk, parse_chunk
from node.records.disclosure import open_disclosures, parse_disclosure, read_disclosure
from node.records.names import StatusUri, encode_status_uri, encode_vct, parse_status_uri, parse_vct
from node.records.record import RECORD_TYP, parse_record, present_record, verify_record
from node.records.sdjwt import parse_sd_jwt, present_sd_jwt
from node.records.sealed import open_values, seal_values
from node.records.secret import values_key
from node.records.status import (
    BITS,
    LIST_BYTES,
    STATUS_HEAD_TYP,
    STATUS_LIST_TYP,
    StatusList,
    build_status_head,
    compress_places,
    decompress_places,
    encode_status_token,
    status_at,
    verify_status_head,
    verify_status_token,
)
from tests.fuzz.case import ONE, Target, as_text, check_strict
from tests.support import sdjwt
from tests.support.records import (
    DOMAIN,
    FIELD_CODES,
    IAT,
    JTI,
    MEMBER,
    OTHER_MEMBER,
    SECRET,
    SIGNER,
    STATUS_URI,
    SUBJECT,
    VALUES,
    VCT,
    find_key,
    issue_record,
)

JSON_UNDER_SIGNATURE = (
    "JSON under its issuer's signature, spelt as the issuer did; the text of the token is one"
)
_SIZE = 16_384


def _sd_jwt(data):
    token = as_text(data)
    for key_binding in (False, True):
        try:
            parsed = parse_sd_jwt(token, key_binding=key_binding)
        except InvalidInput:
            if key_binding:
                raise
            continue
        last = parsed.key_binding.text if parsed.key_binding else ""
        assert parsed.signed_text + last == token
        return


def _sd_jwt_payload(data):
    """An object with ``payload`` and ``disclosures``, items or texts: issued as it says, opened, presented again."""
    wanted = parse_json(data, max_bytes=_SIZE)
    if type(wanted) is not dict or type(wanted.get("payload")) is not dict:
        return
    texts = (
        [_disclosure_of(item) for item in wanted.get("disclosures") or ()]
        if type(wanted.get("disclosures")) is list
        else []
    )
    payload = _refer(wanted["payload"], texts)
    opened = open_disclosures(payload, texts)
    assert not {"_sd", "...", "_sd_alg"} & opened.claims.keys()
    token = sdjwt.token(payload, *texts)
    sdjwt.verify(token)
    assert present_sd_jwt(token, texts) == token


def _disclosure_of(item):
    return (
        item
        if type(item) is str and item.isascii()
        else sdjwt.disclose(*(item if type(item) is list else [item]))
    )


def _refer(value, texts):
    """Put digests in the place of the names $0, $1, … of disclosures."""
    if type(value) is dict:
        return {name: _refer(member, texts) for name, member in value.items()}
    if type(value) is list:
        return [_refer(member, texts) for member in value]
    if type(value) is str and value[:1] == "$" and value[1:] in {str(number) for number in range(len(texts))}:
        return sdjwt.digest(texts[int(value[1:])])
    return value


def _presentation(data):
    """Only what was issued verifies, whatever the presentation shows of it."""
    verified = verify_record(as_text(data), find_key)
    shown = dict(zip(FIELD_CODES, VALUES, strict=True)) | {
        "subject": {"id": SUBJECT.id, "type": SUBJECT.type}
    }
    assert verified.jwt == issue_record().jwt
    assert verified.disclosed.items() <= shown.items() or all(
        shown[name] == value for name, value in verified.disclosed.items()
    )


def _record(data):
    assert parse_record(data).jwt == data


def _signed_claims(typ, verify):
    """Claims that a member signs although no honest node would."""

    def run(data):
        claims = parse_json(data, max_bytes=_SIZE)
        if type(claims) is dict:
            verify(sign_jws(typ, claims, SIGNER))

    return run


def _status_token_signed(token):
    """Only zlib may say the same list in another way."""
    status, claims = verify_status_token(token, find_key), parse_json(_payload_of(token), max_bytes=_SIZE)
    packed = claims["status_list"]["lst"]
    assert decompress_places(packed, max_bytes=LIST_BYTES) == status.places.to_bytes()
    said = {"bits": BITS, "lst": packed}
    uri = encode_status_uri(status.uri)
    assert claims == {"iat": status.iat, "iss": status.uri.member, "status_list": said, "sub": uri}


def _status_head_signed(token):
    head = verify_status_head(token, find_key)
    said = {
        "iat": head.iat,
        "iss": head.iss,
        "lists": head.lists,
        "root": encode_b64u(head.root),
        "seq": head.seq,
    }
    assert sign_jws(STATUS_HEAD_TYP, said, SIGNER) == token


def _token(data):
    """A token's every byte before the signature follows from its claims."""
    jws = parse_token(data, typ=RECORD_TYP, max_bytes=_SIZE)
    assert (
        jws.signing_input
        == sign_jws(RECORD_TYP, jws.payload, _Named(jws.header["kid"])).rpartition(".")[0].encode()
    )


class _Named:
    """Stands for a signer of that name; its signatures are not looked at."""

    def __init__(self, kid):
        self.kid = kid

    def sign(self, _message):
        return bytes(64)


def _record_claims_signed(token):
    record = verify_record(token + "~", find_key)
    assert parse_record(record.jwt).claims == record.claims


def _status_list(data):
    places = decompress_places(as_text(data), max_bytes=LIST_BYTES)
    assert len(places) <= LIST_BYTES
    assert decompress_places(compress_places(places), max_bytes=LIST_BYTES) == places
    for index in (0, len(places) * 4 - 1):
        assert 0 <= status_at(places, 2, index) < 4


def _disclosure(data):
    """What is said to be canonical is; for all else its issuer's spelling counts."""
    items, is_canonical = read_disclosure(as_text(data))
    assert parse_disclosure(as_text(data)) == items
    assert len(items) in {2, 3}
    if is_canonical:
        assert encode_b64u(encode_json(items)).encode() == data


def _catalogue_item(data):
    """No encoder writes one again, so that each object of it is asked whether a member more would be seen."""
    item = load_item(data)
    check_strict(data, load_item)
    codes = set(item.field_codes)
    assert {item.subject.name, *item.not_future} <= codes
    assert item.subject.natural_persons is None or item.subject.natural_persons.disclosure != "open"


def _vct(data):
    text = as_text(data)
    assert encode_vct(parse_vct(text)) == text


def _status_uri(data):
    text = as_text(data)
    assert encode_status_uri(parse_status_uri(text)) == text


def _sealed(data):
    """What stands under the seal, sealed by a store that somebody wrote to who has the secret."""
    plain = AESGCM(values_key(SECRET)).encrypt(bytes(12), data, JTI.encode())
    subject, values = open_values(SECRET, JTI, plain)
    assert all(value is None or type(value) is str for value in (*subject, *values))
    check_uuid7(JTI)


def _sealed_bytes(data):
    open_values(SECRET, JTI, data)
    assert data == seal_values(SECRET, JTI, SUBJECT, VALUES)


def _chunk(data):
    """A chunk from a reader whose process a workbook has taken over."""
    chunk = parse_chunk(data)
    assert type(chunk.first_row) is int
    for row in chunk.rows:
        assert type(row) in {list, str}
        assert type(row) is str or all(type(cell) in {str, int, float, type(None)} for cell in row)


@cache
def presentation():
    return present_record(
        issue_record().jwt, SECRET, SUBJECT, VALUES, FIELD_CODES, disclose={"subject", "CF_WSH", "CF_NR"}
    )


def _record_seeds():
    return [issue_record().jwt, issue_record(supersedes=bytes(32), values=(*VALUES[:2], *(None,) * 6)).jwt]


def _record_claims():
    return [parse_b64u(jwt.split(b".")[1].decode()) for jwt in _record_seeds()]


def _places():
    places = StatusList()
    for index in range(0, 4_000, 7):
        places.set(index, index % 4)
    return places


def _status_token(places):
    return encode_status_token(places, StatusUri(DOMAIN, MEMBER, 0), IAT, SIGNER)


def _status_head():
    return build_status_head(MEMBER, IAT, 1, [bytes(32), bytes(range(32))], SIGNER)


def _payload_of(token):
    return parse_b64u(token.split(".")[1])


def _catalogue_seeds():
    items = [
        path.read_bytes()
        for path in sorted(files("node.records").joinpath("items").iterdir(), key=lambda path: path.name)
        if path.name.endswith(".json")
    ]
    small = json.loads(items[0])
    used = {"CF_XDR_MC", "CF_XDR_LB"}
    # A small one is changed in a place that matters more often.
    texts = {"code": "A", "zh": "名称", "en": "name", "type": "string"}
    date = {"code": "D", "zh": "日期", "en": "date", "type": "date", "required": {"field": "K", "in": ["a"]}}
    kind = {"code": "K", "zh": "类别", "en": "kind", "type": "enum", "values": [["a", "甲"], ["b"]]}
    paper = {
        "code": "P",
        "zh": "证件",
        "en": "paper",
        "type": "document",
        "kind_field": "K",
        "resident_kinds": ["a"],
        "sensitive": "sensitive",
        "disclosure": "authorised",
        "refuse": [
            {"rule": "foreign-value", "like": "date"},
            {"rule": "several-subjects", "contains": [";"]},
        ],
    }
    code = {"code": "U", "zh": "代码", "en": "code", "type": "uscc", "headers": ["信用代码"]}
    item = {
        "v": 1,
        "item": "small",
        "version": "1",
        "title": {"zh": "小", "en": "small"},
        "source": "ours",
        "disclosure": {"class": "open", "headers": ["公示"], "values": [["open", "公开"], ["shared"]]},
        "subject": {
            "name": "A",
            "codes": [{"type": "uscc", "field": "U"}, {"type": "rid", "field": "P"}],
            "natural_persons": {"field": "K", "values": ["b"], "disclosure": "authorised"},
        },
        "identity": {"number": "A", "date": "D"},
        "order": [["D", "D"]],
        "not_future": ["D"],
        "empty": ["无"],
        "ignored_headers": ["序号"],
        "fields": [texts, date, kind, paper, code],
    }
    del small, used
    return [*items, encode_json(item)]


def _chunk_seeds():
    lines = PlainLines(",", "utf-8", [b"a,b,1\n", b",,\n", b"c,d,2\r\n"])
    return [
        encode_chunk(2, [["a", 1, 1.5, None], [], "row-encoding"]),
        encode_chunk(2, [lines, ["x"]]),
        encode_chunk(1, []),
    ]


def _sd_jwt_seeds():
    disclosures = [sdjwt.disclose("salt", "given_name", "li"), sdjwt.disclose("salt2", "element")]
    claims = {
        "iss": MEMBER,
        "_sd": [sdjwt.digest(disclosures[0])],
        "a": [{"...": sdjwt.digest(disclosures[1])}],
        "_sd_alg": "sha-256",
    }
    token = sdjwt.token(claims, *disclosures)
    return [
        token.encode(),
        presentation().encode(),
        (token + sdjwt.sign({"nonce": "n"}, {"typ": "kb+jwt"}, sdjwt.HOLDER)).encode(),
    ]


def _sd_jwt_payload_seeds():
    nested = {
        "payload": {
            "a": {"_sd": ["$1"], "b": [{"...": "$2"}, 1]},
            "_sd": ["$0", "A" * 43],
            "_sd_alg": "sha-256",
            "exp": sdjwt.NOW + 1,
        },
        "disclosures": [["s", "x", {"_sd": ["$1"]}], ["t", "y", [1]], ["u", {"z": None}]],
    }
    plain = {"payload": {"_sd": ["$0"]}, "disclosures": [["s", "x", "y"]]}
    return [encode_json(plain), encode_json(nested)]


TARGETS = (
    Target("sd-jwt", "node.records.sdjwt.parse_sd_jwt", _sd_jwt, _sd_jwt_seeds, JSON_UNDER_SIGNATURE),
    Target(
        "sd-jwt-payload",
        "node.records.disclosure.open_disclosures, verify_sd_jwt, present_sd_jwt",
        _sd_jwt_payload,
        _sd_jwt_payload_seeds,
        JSON_UNDER_SIGNATURE,
        words=(b'"_sd":["$0"]', b'{"...":"$1"}', b'"$0"', b"_sd_alg"),
    ),
    Target(
        "disclosure",
        "node.records.disclosure.parse_disclosure",
        _disclosure,
        lambda: [text.encode() for text in presentation().split("~")[1:-1]],
        JSON_UNDER_SIGNATURE + "; a record's disclosures are RFC 8785",
    ),
    Target(
        "presentation",
        "node.records.record.verify_record",
        _presentation,
        lambda: [presentation().encode(), issue_record().jwt + b"~"],
        "the JWT is one; disclosures in any order, each once, RFC 8785",
    ),
    Target("record", "node.records.record.parse_record", _record, _record_seeds, ONE),
    Target(
        "record-claims",
        "node.records.record.verify_record, claims signed by a dishonest issuer",
        _signed_claims(RECORD_TYP, _record_claims_signed),
        _record_claims,
        ONE,
    ),
    Target("token", "node.crypto.token.parse_token", _token, _record_seeds, ONE),
    Target(
        "status-list",
        "node.records.status.decompress_places",
        _status_list,
        lambda: [
            compress_places(bytes(LIST_BYTES)).encode(),
            compress_places(_places().to_bytes()).encode(),
            compress_places(b"").encode(),
        ],
        "zlib may say the same places in several ways (Token Status List); the head commits to the token's bytes",
    ),
    Target(
        "status-token",
        "node.records.status.verify_status_token, claims signed by a dishonest issuer",
        _signed_claims(STATUS_LIST_TYP, _status_token_signed),
        lambda: [_payload_of(_status_token(_places())), _payload_of(_status_token(StatusList()))],
        ONE,
    ),
    Target(
        "status-head",
        "node.records.status.verify_status_head, claims signed by a dishonest issuer",
        _signed_claims(STATUS_HEAD_TYP, _status_head_signed),
        lambda: [_payload_of(_status_head())],
        ONE,
    ),
    Target(
        "catalogue-item",
        "node.records.catalogue.load_item",
        _catalogue_item,
        _catalogue_seeds,
        "as json; no signature covers it",
        largest=16_384,
    ),
    Target("vct", "node.records.names.parse_vct", _vct, lambda: [encode_vct(VCT).encode()], ONE),
    Target(
        "status-uri",
        "node.records.names.parse_status_uri",
        _status_uri,
        lambda: [STATUS_URI.encode(), encode_status_uri(StatusUri("a", OTHER_MEMBER, 7)).encode()],
        ONE,
    ),
    Target(
        "sealed-values",
        "node.records.sealed.open_values, under the seal",
        _sealed,
        lambda: [msgpack.packb([*SUBJECT, *VALUES]), msgpack.packb(["name", "x", None])],
        "msgpack; sealed by this node alone",
        binary=True,
    ),
    Target(
        "sealed-bytes",
        "node.records.sealed.open_values",
        _sealed_bytes,
        lambda: [seal_values(SECRET, JTI, SUBJECT, VALUES)],
        ONE,
        binary=True,
    ),
    Target(
        "row-chunk",
        "node.records.chunks.parse_chunk",
        _chunk,
        _chunk_seeds,
        "msgpack between two processes of a node",
        binary=True,
    ),
)

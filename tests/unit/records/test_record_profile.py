# SPDX-License-Identifier: Apache-2.0
"""Nothing beside the record profile verifies, even where the issuer has signed it."""

from __future__ import annotations

import json

import pytest

from node.core.canonical import encode_json
from node.errors import InvalidInput, NodeError, NotFound, Verification
from node.records.names import StatusUri, encode_status_uri
from node.records.record import (
    parse_record,
    verify_record,
)
from tests.support.errors import raises_code
from tests.support.forged_records import (
    check_refused,
    present,
    record_claims,
    sign_claims,
)
from tests.support.records import (
    DOMAIN,
    IAT,
    MEMBER,
    OTHER_MEMBER,
    OTHER_SIGNER,
    SIGNER,
    STATUS_URI,
    b64u,
    find_key,
    issue_record,
)
from tests.support.sdjwt import digest


class TestOpenClaims:
    """Properly signed by the issuer, and still not of the profile."""

    @pytest.mark.parametrize("name", ["_sd", "_sd_alg", "iat", "iss", "jti", "status", "vct"])
    def test_claim_missing(self, name):
        check_refused("json-member-missing", sign_claims(record_claims(**{name: None})) + "~")

    @pytest.mark.parametrize("name", ["exp", "nbf", "aud", "sub", "cnf", "CF_WSH", "subject", "x"])
    def test_claim_too_many(self, name):
        check_refused("json-member-unknown", sign_claims(record_claims(**{name: IAT})) + "~")

    @pytest.mark.parametrize(
        ("code", "changes"),
        [
            ("record-sd-alg", {"_sd_alg": "sha-384"}),
            ("record-sd-alg", {"_sd_alg": "SHA-256"}),
            ("json-range", {"iat": "1790000000"}),
            ("json-range", {"iat": True}),
            ("json-text", {"iss": 5}),
            ("uscc-check-digit", {"iss": MEMBER[:-1] + "0"}),
            ("uscc-form", {"iss": MEMBER.lower()}),
            ("uscc-placeholder", {"iss": "0" * 17 + "X"}),
            ("uuid7", {"jti": "019A1B2C-3D4E-7F60-8A1B-2C3D4E5F6071"}),
            ("json-text", {"jti": 7}),
            ("vct", {"vct": "urn:ironcage:zj.example:penalty"}),
            ("vct", {"vct": "urn:ironcage:zj.example:Penalty:2018"}),
            ("vct", {"vct": "https://example.com/penalty"}),
            ("domain", {"vct": "urn:ironcage::penalty:2018"}),
            ("record-status", {"vct": "urn:ironcage:other:penalty:2018"}),
            ("json-member-missing", {"status": {}}),
            ("json-member-unknown", {"status": {"status_list": {"idx": 0, "uri": STATUS_URI}, "other": 1}}),
            ("json-object", {"status": {"status_list": [0]}}),
            ("json-member-unknown", {"status": {"status_list": {"idx": 0, "uri": STATUS_URI, "x": 1}}}),
            ("json-range", {"status": {"status_list": {"idx": 131_072, "uri": STATUS_URI}}}),
            ("json-range", {"status": {"status_list": {"idx": "0", "uri": STATUS_URI}}}),
            ("status-uri", {"status": {"status_list": {"idx": 0, "uri": "https://example.com/0"}}}),
            ("decimal", {"status": {"status_list": {"idx": 0, "uri": STATUS_URI + "0"}}}),
            ("base64-length", {"supersedes": b64u(bytes(31))}),
            ("base64url", {"supersedes": b64u(bytes(32)) + "="}),
            ("json-text", {"supersedes": 0}),
        ],
    )
    def test_claim_that_is_not_as_it_must_be(self, code, changes):
        check_refused(code, sign_claims(record_claims(**changes)) + "~")

    def test_supersedes_is_never_null(self):
        check_refused("json-text", sign_claims(encode_json(record_claims() | {"supersedes": None})) + "~")

    def test_status_list_of_another_member(self):
        uri = encode_status_uri(StatusUri(DOMAIN, OTHER_MEMBER, 0))
        check_refused(
            "record-status", sign_claims(record_claims(status={"status_list": {"idx": 0, "uri": uri}})) + "~"
        )

    @pytest.mark.parametrize(
        ("code", "change"),
        [
            ("record-digests", lambda sd: sd[:-1]),
            ("record-digests", lambda sd: []),
            ("record-digests", lambda sd: list(reversed(sd))),
            ("record-digests", lambda sd: [sd[0], *sd[:-1]]),
            ("json-list", lambda sd: {"a": 1}),
            ("json-list", lambda sd: [b64u(k.to_bytes(32, "big")) for k in range(256)]),
            ("json-text", lambda sd: [1, *sd[1:]]),
            ("base64-length", lambda sd: ["AAAA", *sd[1:]]),
            ("base64url", lambda sd: [*sd[:-1], sd[-1] + "="]),
        ],
    )
    def test_digests_that_are_not_as_they_must_be(self, code, change):
        check_refused(code, sign_claims(record_claims(_sd=change(record_claims()["_sd"]))) + "~")

    def test_digests_up_to_the_largest_number(self):
        digests = sorted(b64u(k.to_bytes(32, "big")) for k in range(248))
        assert verify_record(sign_claims(record_claims(_sd=digests)) + "~", find_key).withheld_count == 248


class TestSpelling:
    """A second spelling of the same claims would be a second leaf of one record."""

    @pytest.mark.parametrize(
        "respell",
        [
            lambda body: json.dumps(json.loads(body)).encode(),
            lambda body: body.replace(b'{"_sd"', b'{ "_sd"', 1),
            lambda body: body + b"\n",
            lambda body: json.dumps(dict(reversed(json.loads(body).items())), separators=(",", ":")).encode(),
            lambda body: body.replace(b"urn:iron", b"urn:\\u0069ron", 1),
            lambda body: body.replace(b'"/', b'"\\/', 1).replace(b"sha-256", b"sha\\u002d256", 1),
        ],
    )
    def test_another_spelling_is_refused(self, respell):
        body = encode_json(record_claims())
        assert respell(body) != body
        check_refused("token-not-canonical", sign_claims(respell(body)) + "~")

    def test_header(self):
        head = json.dumps({"alg": "EdDSA", "kid": SIGNER.kid, "typ": "credit-record+sd-jwt"}).encode()
        check_refused("token-not-canonical", sign_claims(record_claims(), head) + "~")

    def test_member_twice(self):
        body = encode_json(record_claims()).replace(b'"iat":', b'"iat":5,"iat":', 1)
        check_refused("json-duplicate", sign_claims(body) + "~")

    def test_base64_of_the_jwt(self):
        jwt = issue_record().jwt.decode()
        with raises_code(InvalidInput, "base64url"):
            parse_record(jwt + "=")

    def test_bytes_outside_ascii(self):
        with pytest.raises(InvalidInput):
            parse_record(issue_record().jwt + b"\xff")

    def test_a_presentation_is_no_log_entry(self):
        with pytest.raises(InvalidInput):
            parse_record(present(()))

    def test_size(self):
        with raises_code(InvalidInput, "jws-size"):
            parse_record(b"A" * 65_536)


class TestHeaderAndKey:
    @pytest.mark.parametrize(
        ("code", "header"),
        [
            ("jws-alg", {"alg": "none"}),
            ("jws-alg", {"alg": "ES256"}),
            ("jws-alg", {"alg": "HS256"}),
            ("jws-typ", {"typ": "dc+sd-jwt"}),
            ("jws-typ", {"typ": "status-head+jwt"}),
            ("jws-typ", {"typ": "Credit-Record+SD-JWT"}),
            ("jws-kid", {"kid": "x"}),
            ("json-member-unknown", {"crit": ["exp"]}),
            ("json-member-unknown", {"jwk": {}}),
        ],
    )
    def test_header(self, code, header):
        check_refused(code, sign_claims(record_claims(), header) + "~")

    def test_key_that_the_verifier_does_not_trust(self):
        check_refused("key-unknown", sign_claims(record_claims(), signer=OTHER_SIGNER) + "~", NotFound)

    def test_key_of_another_member(self):
        uri = encode_status_uri(StatusUri(DOMAIN, OTHER_MEMBER, 0))
        payload = record_claims(iss=OTHER_MEMBER, status={"status_list": {"idx": 0, "uri": uri}})
        check_refused("key-unknown", sign_claims(payload) + "~", NotFound)

    def test_key_found_under_another_name(self):
        with raises_code(Verification, "jws-key"):
            verify_record(present(), lambda _kid, _member: OTHER_SIGNER.public)

    def test_signature_by_another_key_under_the_trusted_name(self):
        check_refused(
            "ed25519-signature",
            sign_claims(record_claims(), {"kid": SIGNER.kid}, signer=OTHER_SIGNER) + "~",
            Verification,
        )


def _with_disclosure(text):
    """A properly signed record whose first digest is that of this disclosure."""
    rest = [b64u(k.to_bytes(32, "big")) for k in range(7)]
    return "~".join((sign_claims(record_claims(_sd=sorted([digest(text), *rest]))), text, ""))


SALT = "A" * 24


def _canonical(*items):
    return b64u(encode_json(list(items)))


class TestDisclosures:
    def test_the_forms_that_are_accepted(self):
        assert verify_record(_with_disclosure(_canonical(SALT, "BZ", "x")), find_key).disclosed == {"BZ": "x"}

    @pytest.mark.parametrize(
        ("kind", "identifier"),
        [
            ("uscc", "91330106MA27Y8LH7C"),
            ("org", "MA27Y8LH7"),
            ("org", "MA27Y8LHX"),
            ("reg", "330106000012345"),
            ("reg", "企合浙总字第001号"),
            ("rid", "33010619900101123X"),
            ("name", "张三"),
        ],
    )
    def test_the_kinds_of_subject(self, kind, identifier):
        subject = {"id": identifier, "type": kind}
        text = _with_disclosure(_canonical(SALT, "subject", subject))
        assert verify_record(text, find_key).disclosed == {"subject": subject}

    @pytest.mark.parametrize(
        ("code", "items"),
        [
            ("record-disclosure", ("A" * 22, "BZ", "x")),
            ("record-disclosure", ("A" * 23 + "+", "BZ", "x")),
            ("record-disclosure", ("", "BZ", "x")),
            ("field-code", (SALT, "b z", "x")),
            ("field-code", (SALT, "", "x")),
            ("field-code", (SALT, "exp", "x")),
            ("field-code", (SALT, "sub", "x")),
            ("json-text", (SALT, "BZ", 5)),
            ("json-text", (SALT, "BZ", None)),
            ("json-text", (SALT, "BZ", True)),
            ("json-text", (SALT, "BZ", ["x"])),
            ("json-text", (SALT, "BZ", {"a": "x"})),
            ("record-value", (SALT, "BZ", "")),
            ("record-value", (SALT, "BZ", "e\u0301")),
            ("record-value", (SALT, "BZ", "x" * 32_768)),
            ("json-object", (SALT, "subject", "91330106MA27Y8LH7C")),
            ("json-member-missing", (SALT, "subject", {"id": "x"})),
            ("json-member-unknown", (SALT, "subject", {"id": "x", "name": "y", "type": "name"})),
            ("json-text", (SALT, "subject", {"id": 5, "type": "name"})),
            ("record-subject", (SALT, "subject", {"id": "x", "type": "passport"})),
            ("record-subject", (SALT, "subject", {"id": "0" * 17 + "X", "type": "uscc"})),
            ("record-subject", (SALT, "subject", {"id": "91330106ma27y8lh7c", "type": "uscc"})),
            ("record-subject", (SALT, "subject", {"id": "1" * 65, "type": "reg"})),
            ("record-subject", (SALT, "subject", {"id": "1" * 17, "type": "rid"})),
            ("record-subject", (SALT, "subject", {"id": "", "type": "name"})),
            ("record-value", (SALT, "subject", {"id": "e\u0301", "type": "name"})),
        ],
    )
    def test_the_forms_that_arecheck_refused(self, code, items):
        check_refused(code, _with_disclosure(_canonical(*items)))

    @pytest.mark.parametrize(
        "raw",
        [
            f'["{SALT}", "BZ", "x"]',
            f'["{SALT}","BZ","\\u0078"]',
            f'["{SALT}","BZ","x"]\n',
            f'["{SALT}","subject",{{"type":"name","id":"x"}}]',
        ],
    )
    def test_second_spelling(self, raw):
        check_refused("record-disclosure", _with_disclosure(b64u(raw.encode())))

    def test_member_twice(self):
        raw = f'["{SALT}","subject",{{"id":"x","id":"y","type":"name"}}]'
        check_refused("json-duplicate", _with_disclosure(b64u(raw.encode())))

    def test_array_element(self):
        check_refused("disclosure-shape", _with_disclosure(_canonical(SALT, "x")), Verification)

    def test_nested_digests(self):
        value = {"_sd": [b64u(bytes([9]) * 32)]}
        with pytest.raises(NodeError):
            verify_record(_with_disclosure(_canonical(SALT, "BZ", value)), find_key)

    @pytest.mark.parametrize("name", ["_sd", "..."])
    def test_reserved_name(self, name):
        check_refused("disclosure-name", _with_disclosure(_canonical(SALT, name, "x")), Verification)

    def test_name_of_an_open_claim(self):
        check_refused(
            "disclosure-claim-exists", _with_disclosure(_canonical(SALT, "iss", MEMBER)), Verification
        )

    def test_unreferenced(self):
        text = present(()) + _canonical(SALT, "BZ", "x") + "~"
        check_refused("disclosure-unreferenced", text, Verification)

    def test_twice(self):
        text = present({"CF_WSH"})
        check_refused("disclosure-twice", text + text.split("~")[1] + "~", Verification)

    def test_two_values_for_one_field(self):
        one, two = _canonical(SALT, "BZ", "x"), _canonical(SALT, "BZ", "y")
        rest = [b64u(k.to_bytes(32, "big")) for k in range(6)]
        jwt = sign_claims(record_claims(_sd=sorted([digest(one), digest(two), *rest])))
        check_refused("disclosure-claim-exists", f"{jwt}~{one}~{two}~", Verification)

    def test_key_binding(self):
        check_refused("sd-jwt-key-binding", present() + sign_claims({}, {"typ": "kb+jwt"}))

    def test_missing_tilde(self):
        check_refused("sd-jwt-tilde", present()[:-1])

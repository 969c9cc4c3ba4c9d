# SPDX-License-Identifier: Apache-2.0
"""The record profile: what is issued verifies, and nothing beside the profile does."""

from __future__ import annotations

import base64
import json

import pytest

from node.core.canonical import encode_json
from node.errors import InvalidInput, NodeError, NotFound, Verification
from node.log.merkle import leaf_hash
from node.records.names import StatusUri, Vct, encode_status_uri, encode_vct, parse_status_uri, parse_vct
from node.records.record import (
    Issuer,
    Subject,
    parse_record,
    present_record,
    released_digests,
    verify_record,
)
from tests.support.errors import raises_code
from tests.support.records import (
    DOMAIN,
    FIELD_CODES,
    IAT,
    JTI,
    MEMBER,
    OTHER_MEMBER,
    OTHER_SIGNER,
    SECRET,
    SIGNER,
    STATUS_URI,
    SUBJECT,
    VALUES,
    VCT,
    b64u,
    build_issuer,
    find_key,
    issue_record,
    reference_disclosures,
)
from tests.support.sdjwt import digest

NAMES = ("subject", *FIELD_CODES)
PRESENT = {name: value for name, value in zip(FIELD_CODES, VALUES, strict=True) if value is not None}


def _present(disclose=NAMES, **changes):
    arguments = {"jwt": issue_record().jwt, "secret": SECRET, "subject": SUBJECT, "values": VALUES, **changes}
    return present_record(**arguments, field_codes=FIELD_CODES, disclose=disclose)


def _payload(**changes):
    """The claims of the fixed record; a change to None leaves the claim out."""
    part = issue_record().jwt.split(b".")[1]
    claims = json.loads(_unb64u(part)) | changes
    return {name: value for name, value in claims.items() if value is not None}


def _unb64u(part):
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def _sign(payload, header=None, signer=SIGNER):
    """Sign like an issuer that does not know the profile; raw bytes stay as they are."""
    head = (
        header
        if isinstance(header, bytes)
        else encode_json({"alg": "EdDSA", "kid": signer.kid, "typ": "credit-record+sd-jwt"} | (header or {}))
    )
    body = payload if isinstance(payload, bytes) else encode_json(payload)
    signed = f"{b64u(head)}.{b64u(body)}"
    return f"{signed}.{b64u(signer.sign(signed.encode()))}"


def _refused(code, text, error=InvalidInput):
    with raises_code(error, code):
        verify_record(text, find_key)


class TestIssue:
    def test_everything_disclosed_verifies(self):
        issued = issue_record()
        verified = verify_record(_present(), find_key)
        assert verified.jwt == issued.jwt
        assert verified.leaf == leaf_hash(issued.jwt)
        assert verified.disclosed == {"subject": {"type": SUBJECT.type, "id": SUBJECT.id}, **PRESENT}
        assert verified.withheld_count == 0
        claims = verified.claims
        assert (claims.iss, claims.iat, claims.jti, claims.vct) == (
            MEMBER,
            IAT,
            JTI,
            "urn:ironcage:zj.example:penalty:2018",
        )
        assert claims.item == VCT
        assert (claims.status_uri, claims.status_idx, claims.supersedes) == (STATUS_URI, 3, None)

    def test_nothing_disclosed_verifies(self):
        verified = verify_record(_present(()), find_key)
        assert verified.disclosed == {}
        assert verified.withheld_count == 8

    def test_disclosures_in_any_order(self):
        jwt, *disclosures, _ = _present().split("~")
        text = "~".join((jwt, *reversed(disclosures), ""))
        assert verify_record(text, find_key).disclosed == verify_record(_present(), find_key).disclosed

    @pytest.mark.parametrize("count", range(1, 20))
    def test_digests_come_in_multiples_of_eight(self, count):
        codes = [f"F{k}" for k in range(count)]
        issuer = build_issuer(codes)
        for empty in range(count):
            values = [None] * empty + ["x"] * (count - empty)
            issued = issuer.issue(
                subject=SUBJECT,
                values=values,
                jti=JTI,
                status_uri=STATUS_URI,
                status_idx=0,
                iat=IAT,
                secret=SECRET,
            )
            shown = 1 + count - empty
            assert len(parse_record(issued.jwt).digests) == -(-shown // 8) * 8

    def test_supersedes(self):
        leaf = bytes(range(32))
        assert parse_record(issue_record(supersedes=leaf).jwt).claims.supersedes == leaf

    def test_positions_name_the_digests(self):
        issued = issue_record()
        digests = parse_record(issued.jwt).digests
        for name, place in zip(NAMES, issued.positions, strict=True):
            text = reference_disclosures(NAMES, SUBJECT, VALUES, SECRET)[name]
            assert (text is None) == (place == 255)
            assert text is None or digests[place] == digest(text)

    def test_other_secret_other_digests(self):
        one, two = issue_record(), issue_record(secret=bytes(32))
        assert not set(parse_record(one.jwt).digests) & set(parse_record(two.jwt).digests)

    def test_largest_item(self):
        codes = [f"F{k}" for k in range(247)]
        issued = build_issuer(codes).issue(
            subject=SUBJECT,
            values=["x"] * 247,
            jti=JTI,
            status_uri=STATUS_URI,
            status_idx=0,
            iat=IAT,
            secret=SECRET,
        )
        assert sorted(issued.positions) == list(range(248))
        text = present_record(issued.jwt, SECRET, SUBJECT, ["x"] * 247, codes, disclose=codes)
        assert len(verify_record(text, find_key).disclosed) == 247

    def test_longest_value_verifies(self):
        values = ("\x01" * 32_767, *VALUES[1:])
        text = _present(jwt=issue_record(values=values).jwt, values=values)
        assert verify_record(text, find_key).disclosed["CF_WSH"] == values[0]

    @pytest.mark.parametrize(
        ("code", "changes"),
        [
            ("record-values", {"values": VALUES[:-1]}),
            ("record-values", {"values": (*VALUES, "x")}),
            ("record-value", {"values": ("", *VALUES[1:])}),
            ("record-value", {"values": (1, *VALUES[1:])}),
            ("record-value", {"values": ("e\u0301", *VALUES[1:])}),
            ("record-value", {"values": ("x" * 32_768, *VALUES[1:])}),
            ("record-value", {"values": ("\ud800", *VALUES[1:])}),
            ("record-values", {"values": ("\x01" * 32_767,) * 8}),
            ("record-subject", {"subject": Subject("vat", "x")}),
            ("record-subject", {"subject": Subject("uscc", "0" * 17 + "X")}),
            ("record-subject", {"subject": Subject("uscc", "913301")}),
            ("record-subject", {"subject": Subject("name", "")}),
            ("record-subject", {"subject": Subject("name", "x" * 1001)}),
            ("record-value", {"subject": Subject("name", "e\u0301")}),
            ("uuid7", {"jti": "019a1b2c-3d4e-4f60-8a1b-2c3d4e5f6071"}),
            ("uuid7", {"jti": JTI.upper()}),
            ("status-uri", {"status_uri": "https://example.com/1"}),
            ("record-claim", {"status_uri": encode_status_uri(StatusUri(DOMAIN, OTHER_MEMBER, 0))}),
            ("record-claim", {"status_uri": encode_status_uri(StatusUri("other", MEMBER, 0))}),
            ("record-claim", {"status_idx": -1}),
            ("record-claim", {"status_idx": 131_072}),
            ("record-claim", {"status_idx": True}),
            ("record-claim", {"iat": -1}),
            ("record-claim", {"iat": 1.5}),
            ("record-claim", {"supersedes": bytes(31)}),
            ("record-secret", {"secret": bytes(31)}),
        ],
    )
    def test_refuses_what_no_record_may_carry(self, code, changes):
        with raises_code(InvalidInput, code):
            issue_record(**changes)

    @pytest.mark.parametrize(
        ("code", "codes"),
        [
            ("field-code", ["iss"]),
            ("field-code", ["subject"]),
            ("field-code", ["exp"]),
            ("field-code", ["_sd"]),
            ("field-code", ["..."]),
            ("field-code", ['A"B']),
            ("field-code", ["字段"]),
            ("field-code", [""]),
            ("field-code", ["A" * 65]),
            ("field-count", ["A", "A"]),
            ("field-count", [f"F{k}" for k in range(248)]),
        ],
    )
    def test_refuses_items_that_no_record_may_have(self, code, codes):
        with raises_code(InvalidInput, code):
            build_issuer(codes)

    def test_refuses_a_member_that_is_none(self):
        with raises_code(InvalidInput, "uscc-placeholder"):
            Issuer("0" * 17 + "X", VCT, FIELD_CODES, SIGNER)


class TestPresent:
    def test_discloses_exactly_what_was_asked(self):
        verified = verify_record(_present({"CF_WSH", "subject"}), find_key)
        assert verified.disclosed.keys() == {"subject", "CF_WSH"}
        assert verified.withheld_count == 6

    def test_an_empty_field_adds_nothing(self):
        assert _present({"BZ"}) == _present(())

    def test_name_that_the_item_has_not(self):
        with raises_code(InvalidInput, "disclose-unknown"):
            _present({"CF_WSH", "XK_WSH"})

    @pytest.mark.parametrize(
        "changes",
        [
            {"secret": bytes(32)},
            {"values": ("other", *VALUES[1:])},
            {"subject": Subject("name", "someone else")},
        ],
    )
    def test_what_is_stored_is_not_what_was_signed(self, changes):
        with raises_code(Verification, "record-values-differ"):
            _present(**changes)

    @pytest.mark.parametrize(
        ("code", "changes"),
        [
            ("record-values", {"values": VALUES[:-1]}),
            ("record-value", {"values": ("", *VALUES[1:])}),
            ("record-subject", {"subject": Subject("name", "")}),
            ("record-secret", {"secret": bytes(31)}),
        ],
    )
    def test_what_no_record_may_carry(self, code, changes):
        with raises_code(InvalidInput, code):
            _present(**changes)

    @pytest.mark.parametrize("disclose", [(), ("subject",), ("CF_WSH", "BZ", "CF_NR"), NAMES])
    def test_released_digests_are_those_of_the_presentation(self, disclose):
        issued = issue_record()
        shown = _present(disclose).split("~")[1:-1]
        assert released_digests(issued.jwt, issued.positions, FIELD_CODES, disclose) == [
            digest(text) for text in shown
        ]

    def test_released_digests_of_a_name_that_the_item_has_not(self):
        issued = issue_record()
        with raises_code(InvalidInput, "disclose-unknown"):
            released_digests(issued.jwt, issued.positions, FIELD_CODES, ["XK_WSH"])

    @pytest.mark.parametrize("positions", [b"", bytes(8), bytes(10), bytes([200] * 9)])
    def test_positions_that_do_not_fit(self, positions):
        with raises_code(InvalidInput, "record-positions"):
            released_digests(issue_record().jwt, positions, FIELD_CODES, NAMES)


class TestOpenClaims:
    """Properly signed by the issuer, and still not of the profile."""

    @pytest.mark.parametrize("name", ["_sd", "_sd_alg", "iat", "iss", "jti", "status", "vct"])
    def test_claim_missing(self, name):
        _refused("json-member-missing", _sign(_payload(**{name: None})) + "~")

    @pytest.mark.parametrize("name", ["exp", "nbf", "aud", "sub", "cnf", "CF_WSH", "subject", "x"])
    def test_claim_too_many(self, name):
        _refused("json-member-unknown", _sign(_payload(**{name: IAT})) + "~")

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
        _refused(code, _sign(_payload(**changes)) + "~")

    def test_supersedes_is_never_null(self):
        _refused("json-text", _sign(encode_json(_payload() | {"supersedes": None})) + "~")

    def test_status_list_of_another_member(self):
        uri = encode_status_uri(StatusUri(DOMAIN, OTHER_MEMBER, 0))
        _refused("record-status", _sign(_payload(status={"status_list": {"idx": 0, "uri": uri}})) + "~")

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
        _refused(code, _sign(_payload(_sd=change(_payload()["_sd"]))) + "~")

    def test_digests_up_to_the_largest_number(self):
        digests = sorted(b64u(k.to_bytes(32, "big")) for k in range(248))
        assert verify_record(_sign(_payload(_sd=digests)) + "~", find_key).withheld_count == 248


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
    def test_payload(self, respell):
        body = encode_json(_payload())
        assert respell(body) != body
        _refused("token-not-canonical", _sign(respell(body)) + "~")

    def test_header(self):
        head = json.dumps({"alg": "EdDSA", "kid": SIGNER.kid, "typ": "credit-record+sd-jwt"}).encode()
        _refused("token-not-canonical", _sign(_payload(), head) + "~")

    def test_member_twice(self):
        body = encode_json(_payload()).replace(b'"iat":', b'"iat":5,"iat":', 1)
        _refused("json-duplicate", _sign(body) + "~")

    def test_base64_of_the_jwt(self):
        jwt = issue_record().jwt.decode()
        with raises_code(InvalidInput, "base64url"):
            parse_record(jwt + "=")

    def test_bytes_outside_ascii(self):
        with pytest.raises(InvalidInput):
            parse_record(issue_record().jwt + b"\xff")

    def test_a_presentation_is_no_log_entry(self):
        with pytest.raises(InvalidInput):
            parse_record(_present(()))

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
        _refused(code, _sign(_payload(), header) + "~")

    def test_key_that_the_verifier_does_not_trust(self):
        _refused("key-unknown", _sign(_payload(), signer=OTHER_SIGNER) + "~", NotFound)

    def test_key_of_another_member(self):
        uri = encode_status_uri(StatusUri(DOMAIN, OTHER_MEMBER, 0))
        payload = _payload(iss=OTHER_MEMBER, status={"status_list": {"idx": 0, "uri": uri}})
        _refused("key-unknown", _sign(payload) + "~", NotFound)

    def test_key_found_under_another_name(self):
        with raises_code(Verification, "jws-key"):
            verify_record(_present(), lambda _kid, _member: OTHER_SIGNER.public)

    def test_signature_by_another_key_under_the_trusted_name(self):
        _refused(
            "ed25519-signature",
            _sign(_payload(), {"kid": SIGNER.kid}, signer=OTHER_SIGNER) + "~",
            Verification,
        )


def _with_disclosure(text):
    """A properly signed record whose first digest is that of this disclosure."""
    rest = [b64u(k.to_bytes(32, "big")) for k in range(7)]
    return "~".join((_sign(_payload(_sd=sorted([digest(text), *rest]))), text, ""))


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
    def test_the_forms_that_are_refused(self, code, items):
        _refused(code, _with_disclosure(_canonical(*items)))

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
        _refused("record-disclosure", _with_disclosure(b64u(raw.encode())))

    def test_member_twice(self):
        raw = f'["{SALT}","subject",{{"id":"x","id":"y","type":"name"}}]'
        _refused("json-duplicate", _with_disclosure(b64u(raw.encode())))

    def test_array_element(self):
        _refused("disclosure-shape", _with_disclosure(_canonical(SALT, "x")), Verification)

    def test_nested_digests(self):
        value = {"_sd": [b64u(bytes([9]) * 32)]}
        with pytest.raises(NodeError):
            verify_record(_with_disclosure(_canonical(SALT, "BZ", value)), find_key)

    @pytest.mark.parametrize("name", ["_sd", "..."])
    def test_reserved_name(self, name):
        _refused("disclosure-name", _with_disclosure(_canonical(SALT, name, "x")), Verification)

    def test_name_of_an_open_claim(self):
        _refused("disclosure-claim-exists", _with_disclosure(_canonical(SALT, "iss", MEMBER)), Verification)

    def test_unreferenced(self):
        text = _present(()) + _canonical(SALT, "BZ", "x") + "~"
        _refused("disclosure-unreferenced", text, Verification)

    def test_twice(self):
        text = _present({"CF_WSH"})
        _refused("disclosure-twice", text + text.split("~")[1] + "~", Verification)

    def test_two_values_for_one_field(self):
        one, two = _canonical(SALT, "BZ", "x"), _canonical(SALT, "BZ", "y")
        rest = [b64u(k.to_bytes(32, "big")) for k in range(6)]
        jwt = _sign(_payload(_sd=sorted([digest(one), digest(two), *rest])))
        _refused("disclosure-claim-exists", f"{jwt}~{one}~{two}~", Verification)

    def test_key_binding(self):
        _refused("sd-jwt-key-binding", _present() + _sign({}, {"typ": "kb+jwt"}))

    def test_missing_tilde(self):
        _refused("sd-jwt-tilde", _present()[:-1])


class TestNames:
    @pytest.mark.parametrize("domain", ["a", "zj.example", "a" * 63, "-.-", "0"])
    def test_round_trip(self, domain):
        vct = Vct(domain, "penalty", "2018")
        assert parse_vct(encode_vct(vct)) == vct
        uri = StatusUri(domain, MEMBER, 12)
        assert parse_status_uri(encode_status_uri(uri)) == uri

    @pytest.mark.parametrize("domain", ["", "A", "a b", "a" * 64, "a/b", "é", "a:b", "a\n"])
    def test_domain(self, domain):
        for refused in (
            lambda: encode_vct(Vct(domain, "penalty", "2018")),
            lambda: encode_status_uri(StatusUri(domain, MEMBER, 0)),
        ):
            with raises_code(InvalidInput, "domain"):
                refused()

    @pytest.mark.parametrize("part", ["", "A", "a.b", "a" * 33, "a_b"])
    def test_item_and_version(self, part):
        for vct in (Vct(DOMAIN, part, "2018"), Vct(DOMAIN, "penalty", part)):
            with raises_code(InvalidInput, "vct"):
                encode_vct(vct)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "urn:ironcage:status:",
            f"urn:ironcage:status:{DOMAIN}:{MEMBER}",
            f"status:{DOMAIN}:{MEMBER}:0",
            f"{STATUS_URI}:1",
        ],
    )
    def test_status_uri_form(self, text):
        with raises_code(InvalidInput, "status-uri"):
            parse_status_uri(text)

    @pytest.mark.parametrize("k", ["", "01", "-1", "+1", "１", "1_0"])
    def test_status_uri_number(self, k):
        with raises_code(InvalidInput, "decimal"):
            parse_status_uri(f"urn:ironcage:status:{DOMAIN}:{MEMBER}:{k}")

    def test_status_uri_of_no_member(self):
        with raises_code(InvalidInput, "uscc-form"):
            encode_status_uri(StatusUri(DOMAIN, "court", 0))

    def test_status_uri_negative(self):
        with raises_code(InvalidInput, "status-uri"):
            encode_status_uri(StatusUri(DOMAIN, MEMBER, -1))

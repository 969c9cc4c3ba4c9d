# SPDX-License-Identifier: Apache-2.0
"""Every input that RFC 9901 says must be rejected, named by its section, and what must be accepted beside it."""

from __future__ import annotations

import json

import pytest

from node.errors import InvalidInput, NodeError, Verification
from node.records.disclosure import MAX_NESTING
from node.records.sdjwt import MAX_TOKEN_BYTES, parse_sd_jwt, present_sd_jwt
from tests.support.errors import raises_code
from tests.support.sdjwt import HOLDER, NOW, b64u, digest, disclose, sign, token, verify

NAME = disclose("salt-1", "family_name", "Möbius")
CITY = disclose("salt-2", "city", "杭州")
ELEMENT = disclose("salt-3", "DE")
ZERO = b64u(bytes(32))


def _refused(error, code, text, **changes):
    with raises_code(error, code):
        verify(text, **changes)


def _nested(levels):
    value = "deep"
    for _ in range(levels):
        value = [value]
    return value


class TestAccepted:
    def test_digest_of_a_disclosure_is_over_its_base64url_text(self):
        rfc = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
        assert disclose("_26bc4LT-ac6q2KI6cBW5es", "family_name", "Möbius") == rfc
        assert digest(rfc) == "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"
        assert verify(token({"_sd": [digest(rfc)]}, rfc)).claims == {"family_name": "Möbius"}

    def test_other_spellings_of_a_disclosure_are_the_issuers_choice(self):
        spelling = b64u(b'[\n"salt" ,\n"family_name","M\\u00f6bius"]')
        assert verify(token({"_sd": [digest(spelling)]}, spelling)).claims == {"family_name": "Möbius"}

    def test_reserved_names_leave_the_processed_payload(self):
        payload = {"_sd": [digest(NAME), ZERO], "_sd_alg": "sha-256", "iss": "x"}
        verified = verify(token(payload, NAME))
        assert verified.claims == {"iss": "x", "family_name": "Möbius"}
        assert verified.withheld == (ZERO,)

    def test_withheld_elements_leave_the_array_and_disclosed_ones_keep_their_place(self):
        payload = {"countries": ["FR", {"...": digest(ELEMENT)}, {"...": ZERO}, "US"]}
        assert verify(token(payload, ELEMENT)).claims == {"countries": ["FR", "DE", "US"]}

    def test_an_object_without_disclosed_claims_becomes_empty(self):
        assert verify(token({"address": {"_sd": [ZERO]}})).claims == {"address": {}}

    def test_disclosures_inside_disclosures_are_processed(self):
        street = disclose("s", "street", "Main")
        address = disclose("s", "address", {"_sd": [digest(street)], "list": [{"...": digest(ELEMENT)}]})
        text = token({"_sd": [digest(address)]}, ELEMENT, address, street)
        assert verify(text).claims == {"address": {"street": "Main", "list": ["DE"]}}

    def test_no_disclosures_and_an_empty_list_of_digests(self):
        assert verify(token({"_sd": [], "iss": "x"})).claims == {"iss": "x"}

    def test_the_payload_that_was_parsed_stays_as_it_was(self):
        text = token({"_sd": [digest(NAME)], "a": {"_sd": [ZERO]}}, NAME)
        before = parse_sd_jwt(text).jwt.payload
        verify(text)
        assert parse_sd_jwt(text).jwt.payload == before

    def test_typ_none_wants_a_header_without_typ(self):
        text = sign({}, header='{"alg":"EdDSA"}') + "~"
        assert verify(text, typ=None).claims == {}

    def test_audience_in_a_list(self):
        assert verify(token({"aud": ["a", "b"]}), audience="b").claims == {"aud": ["a", "b"]}


class TestSection4Format:
    def test_missing_last_tilde(self):
        _refused(InvalidInput, "sd-jwt-tilde", token({"_sd": [digest(NAME)]}, NAME)[:-1])

    def test_missing_only_tilde(self):
        _refused(InvalidInput, "sd-jwt-tilde", sign({}))

    def test_key_binding_where_none_is_expected(self):
        _refused(InvalidInput, "sd-jwt-key-binding", token({}) + sign({}, {"typ": "kb+jwt"}))

    def test_two_tildes_in_a_row(self):
        _refused(InvalidInput, "sd-jwt-empty-disclosure", token({}, "", NAME))

    @pytest.mark.parametrize("text", ["~", "a~", "a.b~", "a.b.c.d~"])
    def test_jwt_without_three_parts(self, text):
        _refused(InvalidInput, "jwt-parts", text)

    @pytest.mark.parametrize("part", [0, 1, 2])
    @pytest.mark.parametrize("damage", ["=", "+", " ", "\n", "A"])
    def test_jwt_part_in_a_second_spelling(self, part, damage):
        parts = sign({"a": "bc"}).split(".")
        parts[part] += damage
        with pytest.raises(NodeError):
            verify(".".join(parts) + "~")

    def test_disclosure_with_padding(self):
        text = disclose("salt", "n", "x") + "="
        _refused(InvalidInput, "base64url", token({"_sd": [digest(text)]}, text))

    def test_disclosure_with_stray_bits(self):
        plain = b64u(b'["s","nn",1]\n')
        assert plain[-1] == "g"
        stray = plain[:-1] + "h"
        _refused(InvalidInput, "base64url", token({"_sd": [digest(stray)]}, stray))

    def test_characters_outside_ascii(self):
        _refused(InvalidInput, "sd-jwt-encoding", token({}) + "é~")

    def test_oversize(self):
        _refused(InvalidInput, "sd-jwt-size", token({}) + "A" * MAX_TOKEN_BYTES)

    def test_oversize_disclosure(self):
        big = disclose("salt", "n", "x" * (1 << 18))
        _refused(InvalidInput, "json-size", token({"_sd": [digest(big)]}, big))

    def test_empty_text(self):
        _refused(InvalidInput, "sd-jwt-tilde", "")


class TestSection41Payload:
    """The JWT: RFC 7515 and 7519 below it, reserved names, ``_sd_alg``."""

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
    def test_algorithm_none(self, algorithm):
        text = sign({}, {"alg": algorithm}) + "~"
        _refused(Verification, "jwt-alg", text, algorithms={"EdDSA", algorithm})

    @pytest.mark.parametrize("algorithm", ["HS256", "ES256", "eddsa", 1, None, ["EdDSA"]])
    def test_algorithm_that_is_not_accepted(self, algorithm):
        _refused(Verification, "jwt-alg", sign({}, {"alg": algorithm}) + "~")

    def test_algorithm_missing(self):
        _refused(Verification, "jwt-alg", sign({}, '{"typ":"test+sd-jwt"}') + "~")

    @pytest.mark.parametrize("typ", ["jwt", "TEST+SD-JWT", "application/test+sd-jwt", None, 7])
    def test_other_typ(self, typ):
        _refused(Verification, "jwt-typ", token({}, header={"typ": typ}))

    def test_typ_missing(self):
        _refused(Verification, "jwt-typ", sign({}, '{"alg":"EdDSA"}') + "~")

    @pytest.mark.parametrize("typ", ["test+sd-jwt", None])
    def test_typ_where_none_is_expected(self, typ):
        _refused(Verification, "jwt-typ", token({}, header={"typ": typ}), typ=None)

    def test_critical_extension_of_the_header(self):
        _refused(Verification, "jwt-crit", token({}, header={"crit": ["exp"], "exp": 1}))

    def test_signature_of_another_key(self):
        _refused(Verification, "ed25519-signature", sign({}, signer=HOLDER) + "~")

    def test_changed_payload(self):
        head, _, signature = sign({"iss": "a"}).split(".")
        _refused(
            Verification,
            "ed25519-signature",
            f"{head}.{b64u(json.dumps({'iss': 'b'}).encode())}.{signature}~",
        )

    @pytest.mark.parametrize("payload", ["[]", '"x"', "1", "null"])
    def test_payload_that_is_no_object(self, payload):
        _refused(InvalidInput, "json-object", sign(payload) + "~")

    def test_member_twice_in_the_payload(self):
        _refused(InvalidInput, "json-duplicate", sign('{"iss":"a","iss":"b"}') + "~")

    def test_member_twice_in_the_header(self):
        _refused(
            InvalidInput, "json-duplicate", sign({}, '{"alg":"none","alg":"EdDSA","typ":"test+sd-jwt"}') + "~"
        )

    @pytest.mark.parametrize(
        "payload", ['{"a":1.5}', '{"a":NaN}', '{"a":1e3}', '{"a":-0}', '{"a":9007199254740992}']
    )
    def test_numbers_that_readers_read_differently(self, payload):
        with pytest.raises(InvalidInput):
            verify(sign(payload) + "~")

    def test_payload_nested_too_deep(self):
        _refused(InvalidInput, "json-depth", token({"a": _nested(MAX_NESTING)}))

    @pytest.mark.parametrize("value", ["x", {"a": 1}, None, 3, True, {}])
    def test_sd_that_is_no_list(self, value):
        _refused(Verification, "sd-list", token({"_sd": value}))

    @pytest.mark.parametrize(
        "value", [1, None, [], {}, "", "short", ZERO + "=", ZERO[:-1] + "B", " " + ZERO[1:]]
    )
    def test_sd_with_something_that_is_no_digest(self, value):
        _refused(Verification, "sd-list", token({"_sd": [value]}))

    def test_sd_that_is_no_list_below_the_top(self):
        _refused(Verification, "sd-list", token({"a": [{"_sd": "x"}]}))

    @pytest.mark.parametrize("place", [lambda x: x, lambda x: {"a": x}, lambda x: {"a": [{"b": x}]}])
    def test_three_dots_outside_an_array(self, place):
        _refused(Verification, "sd-element", token(place({"...": ZERO})))

    def test_element_digest_with_other_members(self):
        _refused(Verification, "sd-element", token({"a": [{"...": ZERO, "b": 1}]}))

    @pytest.mark.parametrize("value", [1, None, [], "x"])
    def test_element_digest_that_is_no_digest(self, value):
        _refused(Verification, "sd-list", token({"a": [{"...": value}]}))

    @pytest.mark.parametrize("name", ["sha-384", "SHA-256", "md5", "", None, 256, ["sha-256"]])
    def test_unknown_sd_alg(self, name):
        _refused(Verification, "sd-alg", token({"_sd_alg": name}))

    def test_sd_alg_below_the_top(self):
        _refused(Verification, "sd-alg-nested", token({"a": {"_sd_alg": "sha-256"}}))

    def test_sd_alg_in_a_disclosed_value(self):
        text = disclose("salt", "a", {"_sd_alg": "sha-256"})
        _refused(Verification, "sd-alg-nested", token({"_sd": [digest(text)]}, text))


class TestSection42Disclosures:
    @pytest.mark.parametrize("name", ["_sd", "...", "_sd_alg"])
    def test_reserved_claim_name(self, name):
        text = disclose("salt", name, "x")
        _refused(Verification, "disclosure-name", token({"_sd": [digest(text)]}, text))

    @pytest.mark.parametrize("name", [1, None, True, ["a"], {"a": 1}])
    def test_claim_name_that_is_no_text(self, name):
        text = disclose("salt", name, "x")
        _refused(Verification, "disclosure-name", token({"_sd": [digest(text)]}, text))

    @pytest.mark.parametrize("salt", [1, None, ["a"], {}])
    def test_salt_that_is_no_text(self, salt):
        text = disclose(salt, "name", "x")
        _refused(Verification, "disclosure-shape", token({"_sd": [digest(text)]}, text))

    @pytest.mark.parametrize("items", [[], ["s"], ["s", "n", "v", "more"]])
    def test_wrong_number_of_items(self, items):
        text = disclose(*items)
        _refused(Verification, "disclosure-shape", token({"_sd": [digest(text)]}, text))

    @pytest.mark.parametrize("raw", [b'{"0":"s","1":"n","2":"v"}', b'"abc"', b"null", b"3"])
    def test_disclosure_that_is_no_array(self, raw):
        text = b64u(raw)
        _refused(Verification, "disclosure-shape", token({"_sd": [digest(text)]}, text))

    @pytest.mark.parametrize(
        "raw", [b"", b"[", b'["s","n","v"] x', b"\xff\xfe", b'\xef\xbb\xbf["s","n","v"]']
    )
    def test_disclosure_that_is_no_json(self, raw):
        text = b64u(raw) or "AA"
        with pytest.raises(InvalidInput):
            verify(token({"_sd": [digest(text)]}, text))

    def test_member_twice_in_a_disclosed_value(self):
        text = b64u(b'["s","n",{"a":1,"a":2}]')
        _refused(InvalidInput, "json-duplicate", token({"_sd": [digest(text)]}, text))

    def test_lone_surrogate(self):
        text = b64u(b'["s","n","\\ud800"]')
        _refused(InvalidInput, "json-surrogate", token({"_sd": [digest(text)]}, text))


class TestSection71Processing:
    def test_step_3_property_digest_with_an_element_disclosure(self):
        _refused(Verification, "disclosure-shape", token({"_sd": [digest(ELEMENT)]}, ELEMENT))

    def test_step_3_element_digest_with_a_property_disclosure(self):
        _refused(Verification, "disclosure-shape", token({"a": [{"...": digest(NAME)}]}, NAME))

    def test_step_3_claim_already_there(self):
        _refused(
            Verification,
            "disclosure-claim-exists",
            token({"_sd": [digest(NAME)], "family_name": "Meier"}, NAME),
        )

    def test_step_3_claim_already_there_below_the_top(self):
        payload = {"a": {"b": {"_sd": [digest(NAME)], "family_name": None}}}
        _refused(Verification, "disclosure-claim-exists", token(payload, NAME))

    def test_step_3_two_disclosures_of_one_claim(self):
        other = disclose("salt-9", "family_name", "Meier")
        text = token({"_sd": [digest(NAME), digest(other)]}, NAME, other)
        _refused(Verification, "disclosure-claim-exists", text)

    def test_step_3_same_name_at_another_level_is_another_claim(self):
        text = token({"family_name": "Meier", "a": {"_sd": [digest(NAME)]}}, NAME)
        assert verify(text).claims == {"family_name": "Meier", "a": {"family_name": "Möbius"}}

    @pytest.mark.parametrize(
        "payload",
        [
            {"_sd": [ZERO, ZERO]},
            {"_sd": [ZERO], "a": {"_sd": [ZERO]}},
            {"_sd": [ZERO], "a": [{"...": ZERO}]},
            {"a": [{"...": ZERO}, {"...": ZERO}]},
        ],
    )
    def test_step_4_digest_twice(self, payload):
        _refused(Verification, "sd-digest-twice", token(payload))

    def test_step_4_opened_digest_twice(self):
        text = token({"_sd": [digest(NAME)], "a": {"_sd": [digest(NAME)]}}, NAME)
        _refused(Verification, "sd-digest-twice", text)

    def test_step_4_digest_twice_through_a_disclosure(self):
        parent = disclose("s", "a", {"_sd": [ZERO]})
        _refused(Verification, "sd-digest-twice", token({"_sd": [ZERO, digest(parent)]}, parent))

    def test_step_5_unreferenced_disclosure(self):
        _refused(Verification, "disclosure-unreferenced", token({"_sd": [digest(NAME)]}, NAME, CITY))

    def test_step_5_unreferenced_disclosure_without_any_digest(self):
        _refused(Verification, "disclosure-unreferenced", token({"iss": "x"}, NAME))

    def test_step_5_child_without_its_parent(self):
        parent = disclose("s", "a", {"_sd": [digest(NAME)]})
        _refused(Verification, "disclosure-unreferenced", token({"_sd": [digest(parent)]}, NAME))

    def test_step_5_disclosure_twice(self):
        _refused(Verification, "disclosure-twice", token({"_sd": [digest(NAME)]}, NAME, NAME))

    def test_step_5_other_spelling_of_a_disclosure(self):
        other = b64u(b'["salt-1","family_name","M\xc3\xb6bius"]')
        assert other != NAME
        _refused(Verification, "disclosure-unreferenced", token({"_sd": [digest(NAME)]}, other))

    def test_step_6_expired(self):
        _refused(Verification, "jwt-expired", token({"exp": NOW - 1}))

    def test_step_6_expires_now(self):
        _refused(Verification, "jwt-expired", token({"exp": NOW}))
        assert verify(token({"exp": NOW + 1})).claims == {"exp": NOW + 1}

    def test_step_6_not_valid_yet(self):
        _refused(Verification, "jwt-not-yet", token({"nbf": NOW + 1}))
        assert verify(token({"nbf": NOW})).claims == {"nbf": NOW}

    @pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
    @pytest.mark.parametrize("value", ["1800000000", None, True, []])
    def test_step_6_time_that_is_no_number(self, name, value):
        _refused(Verification, "jwt-time", token({name: value}))

    @pytest.mark.parametrize("audience", [None, "other"])
    @pytest.mark.parametrize("claim", ["me", ["me", "you"], [], 3])
    def test_step_6_other_audience(self, audience, claim):
        _refused(Verification, "jwt-audience", token({"aud": claim}), audience=audience)

    def test_step_6_disclosed_expiry_counts(self):
        text = disclose("s", "exp", NOW - 5)
        _refused(Verification, "jwt-expired", token({"_sd": [digest(text)]}, text))

    def test_step_6_withheld_claim_that_is_required(self):
        text = disclose("s", "exp", NOW + 5)
        payload = {"_sd": [digest(text)]}
        _refused(Verification, "jwt-claim-missing", token(payload), required={"exp"})
        assert verify(token(payload, text), required={"exp"}).claims == {"exp": NOW + 5}

    def test_disclosures_nested_into_each_other_too_deep(self):
        text = disclose("s", "end", 1)
        disclosures = [text]
        for _ in range(MAX_NESTING):
            text = disclose("s", "next", {"_sd": [digest(text)]})
            disclosures.append(text)
        _refused(Verification, "sd-nesting", token({"_sd": [digest(text)]}, *disclosures))
        within = disclosures[: MAX_NESTING - 1]
        assert "next" in verify(token({"_sd": [digest(within[-1])]}, *within)).claims


class TestSection72Presentation:
    PARENT = disclose("s", "address", {"_sd": [digest(CITY)]})

    def _issued(self):
        return token({"_sd": sorted([digest(NAME), digest(self.PARENT)])}, NAME, self.PARENT, CITY)

    def test_keeps_what_was_chosen(self):
        text = present_sd_jwt(self._issued(), {NAME})
        assert verify(text).claims == {"family_name": "Möbius"}

    def test_keeps_a_child_with_its_parent(self):
        text = present_sd_jwt(self._issued(), {CITY, self.PARENT})
        assert verify(text).claims == {"address": {"city": "杭州"}}

    def test_refuses_a_child_without_its_parent(self):
        with raises_code(Verification, "disclosure-unreferenced"):
            present_sd_jwt(self._issued(), {CITY})

    def test_refuses_a_disclosure_that_was_not_issued(self):
        with raises_code(InvalidInput, "sd-jwt-no-disclosure"):
            present_sd_jwt(self._issued(), {ELEMENT})

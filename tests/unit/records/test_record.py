# SPDX-License-Identifier: Apache-2.0
"""Issuing and presenting: what is issued verifies, and what is presented is what was asked for."""

from __future__ import annotations

import pytest

from node.errors import InvalidInput, Verification
from node.log.merkle import leaf_hash
from node.records.issue import Issuer
from node.records.names import StatusUri, encode_status_uri
from node.records.record import (
    Subject,
    parse_record,
    present_record,
    released_digests,
    verify_record,
)
from tests.support.errors import raises_code
from tests.support.forged_records import (
    NAMES,
    PRESENT,
    present,
)
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
    build_issuer,
    find_key,
    issue_record,
    reference_disclosures,
)
from tests.support.sdjwt import digest


class TestIssue:
    def test_everything_disclosed_verifies(self):
        issued = issue_record()
        verified = verify_record(present(), find_key)
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
        verified = verify_record(present(()), find_key)
        assert verified.disclosed == {}
        assert verified.withheld_count == 8

    def test_disclosures_in_any_order(self):
        jwt, *disclosures, _ = present().split("~")
        text = "~".join((jwt, *reversed(disclosures), ""))
        assert verify_record(text, find_key).disclosed == verify_record(present(), find_key).disclosed

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
        text = present(jwt=issue_record(values=values).jwt, values=values)
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
        verified = verify_record(present({"CF_WSH", "subject"}), find_key)
        assert verified.disclosed.keys() == {"subject", "CF_WSH"}
        assert verified.withheld_count == 6

    def test_an_empty_field_adds_nothing(self):
        assert present({"BZ"}) == present(())

    def test_name_that_the_item_has_not(self):
        with raises_code(InvalidInput, "disclose-unknown"):
            present({"CF_WSH", "XK_WSH"})

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
            present(**changes)

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
            present(**changes)

    @pytest.mark.parametrize("disclose", [(), ("subject",), ("CF_WSH", "BZ", "CF_NR"), NAMES])
    def test_released_digests_are_those_of_the_presentation(self, disclose):
        issued = issue_record()
        shown = present(disclose).split("~")[1:-1]
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

# SPDX-License-Identifier: Apache-2.0
"""Names of kinds of record and of status lists."""

from __future__ import annotations

import pytest

from node.errors import InvalidInput
from node.records.names import StatusUri, Vct, encode_status_uri, encode_vct, parse_status_uri, parse_vct
from tests.support.errors import raises_code
from tests.support.records import (
    DOMAIN,
    MEMBER,
    STATUS_URI,
)


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

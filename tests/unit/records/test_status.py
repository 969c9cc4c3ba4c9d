# SPDX-License-Identifier: Apache-2.0
"""Status lists, their tokens and the head that commits to them."""

from __future__ import annotations

import json
import zlib

import pytest

from node.core.canonical import encode_json
from node.crypto.jws import sign_jws
from node.crypto.token import token_digest
from node.errors import InvalidInput, NotFound, Verification
from node.log.merkle import EMPTY_ROOT, leaf_hash, node_hash
from node.records.names import StatusUri
from node.records.status import (
    INVALID,
    LIST_BYTES,
    LIST_SIZE,
    MAX_STATUS_TOKEN_BYTES,
    REPAIRED,
    SUSPENDED,
    VALID,
    StatusList,
    build_status_head,
    compress_places,
    decompress_places,
    encode_status_token,
    status_at,
    status_path,
    status_uri,
    verify_status_head,
    verify_status_path,
    verify_status_token,
)
from tests.support.errors import raises_code
from tests.support.records import DOMAIN, IAT, MEMBER, OTHER_MEMBER, OTHER_SIGNER, SIGNER, b64u, find_key
from tests.support.sdjwt import sign

URI = StatusUri(DOMAIN, MEMBER, 0)


def _token(places=None, uri=URI, signer=SIGNER):
    return encode_status_token(places or StatusList(), uri, IAT, signer)


def _payload(**changes):
    payload = {
        "iat": IAT,
        "iss": MEMBER,
        "status_list": {"bits": 2, "lst": compress_places(bytes(LIST_BYTES))},
        "sub": status_uri(DOMAIN, MEMBER, 0),
    }
    return {name: value for name, value in {**payload, **changes}.items() if value is not None}


def _head_payload(**changes):
    payload = {"iat": IAT, "iss": MEMBER, "lists": 1, "root": b64u(bytes(32)), "seq": 0}
    return {name: value for name, value in {**payload, **changes}.items() if value is not None}


class TestList:
    def test_all_valid_at_first(self):
        places = StatusList()
        assert places.to_bytes() == bytes(32_768)
        assert {places.get(index) for index in (0, 1, LIST_SIZE - 1)} == {VALID}

    def test_lowest_bits_first(self):
        places = StatusList()
        for index, status in enumerate((INVALID, SUSPENDED, VALID, REPAIRED)):
            places.set(index, status)
        places.set(7, INVALID)
        assert places.to_bytes()[:2] == bytes([0b11_00_10_01, 0b01_00_00_00])

    def test_a_place_can_be_set_again_and_back(self):
        places = StatusList()
        for status in (REPAIRED, INVALID, SUSPENDED, VALID):
            places.set(LIST_SIZE - 1, status)
            assert places.get(LIST_SIZE - 1) == status
        assert places == StatusList()

    @pytest.mark.parametrize("index", [-1, LIST_SIZE])
    def test_place_outside(self, index):
        with raises_code(InvalidInput, "status-index"):
            StatusList().get(index)
        with raises_code(InvalidInput, "status-index"):
            StatusList().set(index, INVALID)

    @pytest.mark.parametrize("status", [-1, 4, True, "1", None, 1.0])
    def test_status_outside(self, status):
        with raises_code(InvalidInput, "status-value"):
            StatusList().set(0, status)

    @pytest.mark.parametrize("length", [0, LIST_BYTES - 1, LIST_BYTES + 1])
    def test_other_length(self, length):
        with raises_code(InvalidInput, "status-size"):
            StatusList(bytes(length))

    def test_copies_what_it_starts_from(self):
        start = bytearray(LIST_BYTES)
        places = StatusList(start)
        start[0] = 255
        assert places.get(0) == VALID


class TestCompression:
    @pytest.mark.parametrize(
        "damage", [lambda raw: raw[:-1], lambda raw: raw + b"x", lambda raw: raw[2:], lambda _: b""]
    )
    def test_anything_but_one_whole_stream(self, damage):
        with raises_code(InvalidInput, "status-zlib"):
            decompress_places(b64u(damage(zlib.compress(b"abc"))), max_bytes=3)

    def test_gzip_and_raw_deflate(self):
        for width in (31, -15):
            stream = zlib.compressobj(wbits=width)
            with raises_code(InvalidInput, "status-zlib"):
                decompress_places(b64u(stream.compress(b"abc") + stream.flush()), max_bytes=3)

    def test_bound_holds_before_all_is_unpacked(self):
        bomb = b64u(zlib.compress(bytes(50_000_000), 9))
        assert len(bomb) < 70_000
        with raises_code(InvalidInput, "status-size"):
            decompress_places(bomb, max_bytes=LIST_BYTES)

    @pytest.mark.parametrize("bits", [0, 3, 16, -1])
    def test_width(self, bits):
        with raises_code(InvalidInput, "status-bits"):
            status_at(b"x", bits, 0)


class TestToken:
    def test_round_trip(self):
        places = StatusList()
        places.set(7, REPAIRED)
        token = _token(places)
        verified = verify_status_token(token, find_key)
        assert (verified.uri, verified.iat, verified.places) == (URI, IAT, places)
        assert verified.digest == token_digest(token)

    def test_a_list_that_does_not_compress_fits(self):
        noise = b"".join(token_digest(str(k)) for k in range(LIST_BYTES // 32))
        token = _token(StatusList(noise), StatusUri("d" * 63, MEMBER, 2**53 - 1))
        assert 58_000 < len(token) < MAX_STATUS_TOKEN_BYTES
        assert verify_status_token(token, find_key).places.to_bytes() == noise

    def test_signature_and_trust(self):
        with raises_code(NotFound, "key-unknown"):
            verify_status_token(_token(signer=OTHER_SIGNER), find_key)
        head, body, signature = _token().split(".")
        other = b64u(encode_json(_payload(iat=IAT + 1)))
        with raises_code(Verification, "ed25519-signature"):
            verify_status_token(f"{head}.{other}.{signature}", find_key)
        assert body != other

    @pytest.mark.parametrize(
        ("code", "changes"),
        [
            ("json-member-missing", {"iss": None}),
            ("json-member-missing", {"iat": None}),
            ("json-member-missing", {"sub": None}),
            ("json-member-missing", {"status_list": None}),
            ("json-member-unknown", {"exp": IAT}),
            ("json-member-unknown", {"ttl": 5}),
            ("json-range", {"iat": "1"}),
            ("status-uri", {"sub": "https://example.com/0"}),
            ("status-owner", {"sub": status_uri(DOMAIN, OTHER_MEMBER, 0)}),
            ("json-object", {"status_list": "x"}),
            ("json-member-unknown", {"status_list": {"bits": 2, "lst": "", "aggregation_uri": ""}}),
            ("status-bits", {"status_list": {"bits": 1, "lst": compress_places(bytes(LIST_BYTES))}}),
            ("status-bits", {"status_list": {"bits": "2", "lst": compress_places(bytes(LIST_BYTES))}}),
            ("status-size", {"status_list": {"bits": 2, "lst": compress_places(bytes(LIST_BYTES - 1))}}),
            ("status-size", {"status_list": {"bits": 2, "lst": compress_places(bytes(LIST_BYTES + 1))}}),
            ("status-zlib", {"status_list": {"bits": 2, "lst": "AAAA"}}),
            ("base64url", {"status_list": {"bits": 2, "lst": "A"}}),
            ("json-text", {"status_list": {"bits": 2, "lst": 5}}),
        ],
    )
    def test_not_of_the_profile(self, code, changes):
        with raises_code(InvalidInput, code):
            verify_status_token(sign_jws("statuslist+jwt", _payload(**changes), SIGNER), find_key)

    def test_other_typ(self):
        with raises_code(InvalidInput, "jws-typ"):
            verify_status_token(sign_jws("status-head+jwt", _payload(), SIGNER), find_key)

    def test_second_spelling(self):
        header = json.dumps(
            {"alg": "EdDSA", "kid": SIGNER.kid, "typ": "statuslist+jwt"}, separators=(",", ":")
        )
        with raises_code(InvalidInput, "token-not-canonical"):
            verify_status_token(sign(json.dumps(_payload()), header, SIGNER), find_key)

    def test_size(self):
        with raises_code(InvalidInput, "jws-size"):
            verify_status_token("A" * (MAX_STATUS_TOKEN_BYTES + 1), find_key)


class TestHead:
    TOKENS = tuple(_token(uri=StatusUri(DOMAIN, MEMBER, k)) for k in range(3))
    DIGESTS = tuple(map(token_digest, TOKENS))

    def _head(self, digests=DIGESTS):
        return verify_status_head(build_status_head(MEMBER, IAT, 7, digests, SIGNER), find_key)

    def test_commits_to_all_lists(self):
        one, two, three = map(leaf_hash, self.DIGESTS)
        head = self._head()
        assert (head.iss, head.iat, head.seq, head.lists) == (MEMBER, IAT, 7, 3)
        assert head.root == node_hash(node_hash(one, two), three)

    def test_no_lists_yet(self):
        head = self._head(())
        assert (head.lists, head.root) == (0, EMPTY_ROOT)

    @pytest.mark.parametrize("k", [0, 1, 2])
    def test_path_of_each_list(self, k):
        token = verify_status_token(self.TOKENS[k], find_key)
        verify_status_path(self._head(), token, status_path(self.DIGESTS, k))

    def test_path_of_another_list(self):
        token = verify_status_token(self.TOKENS[0], find_key)
        with raises_code(Verification, "inclusion-root"):
            verify_status_path(self._head(), token, status_path(self.DIGESTS, 1))

    def test_token_that_the_head_does_not_commit_to(self):
        places = StatusList()
        places.set(0, INVALID)
        token = verify_status_token(_token(places), find_key)
        with raises_code(Verification, "inclusion-root"):
            verify_status_path(self._head(), token, status_path(self.DIGESTS, 0))

    def test_list_younger_than_the_head(self):
        token = verify_status_token(self.TOKENS[2], find_key)
        with raises_code(Verification, "inclusion-index"):
            verify_status_path(self._head(self.DIGESTS[:2]), token, [])

    def test_head_of_another_member(self):
        head = verify_status_head(
            build_status_head(OTHER_MEMBER, IAT, 7, self.DIGESTS, OTHER_SIGNER),
            lambda _kid, _iss: OTHER_SIGNER.public,
        )
        token = verify_status_token(self.TOKENS[0], find_key)
        with raises_code(InvalidInput, "status-owner"):
            verify_status_path(head, token, status_path(self.DIGESTS, 0))

    def test_digest_of_another_length(self):
        with raises_code(InvalidInput, "status-digest"):
            build_status_head(MEMBER, IAT, 0, [bytes(31)], SIGNER)
        with raises_code(InvalidInput, "status-digest"):
            status_path([bytes(33)], 0)

    @pytest.mark.parametrize(
        ("code", "changes"),
        [
            ("json-member-missing", {"seq": None}),
            ("json-member-missing", {"root": None}),
            ("json-member-missing", {"lists": None}),
            ("json-member-unknown", {"exp": 1}),
            ("json-range", {"seq": -1}),
            ("json-range", {"seq": "0"}),
            ("json-range", {"lists": -1}),
            ("json-range", {"lists": 1 << 25}),
            ("json-range", {"iat": True}),
            ("uscc-form", {"iss": "x"}),
            ("base64-length", {"root": b64u(bytes(31))}),
            ("base64url", {"root": b64u(bytes(32)) + "="}),
        ],
    )
    def test_not_of_the_profile(self, code, changes):
        with raises_code(InvalidInput, code):
            verify_status_head(sign_jws("status-head+jwt", _head_payload(**changes), SIGNER), find_key)

    def test_other_typ_and_other_key(self):
        with raises_code(InvalidInput, "jws-typ"):
            verify_status_head(sign_jws("statuslist+jwt", _head_payload(), SIGNER), find_key)
        with raises_code(NotFound, "key-unknown"):
            verify_status_head(sign_jws("status-head+jwt", _head_payload(), OTHER_SIGNER), find_key)

    def test_signed_over_other_claims(self):
        head, _, signature = sign_jws("status-head+jwt", _head_payload(), SIGNER).split(".")
        text = f"{head}.{b64u(encode_json(_head_payload(seq=1)))}.{signature}"
        with raises_code(Verification, "ed25519-signature"):
            verify_status_head(text, find_key)

    def test_second_spelling(self):
        header = json.dumps(
            {"alg": "EdDSA", "kid": SIGNER.kid, "typ": "status-head+jwt"}, separators=(",", ":")
        )
        with raises_code(InvalidInput, "token-not-canonical"):
            verify_status_head(sign(json.dumps(_head_payload()), header, SIGNER), find_key)

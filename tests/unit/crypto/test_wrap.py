# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from node.crypto.wrap import unwrap_secret, wrap_secret
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code

KEY, SECRET, NONCE, JTI = b"k" * 32, b"s" * 32, b"n" * 12, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_form_is_nonce_ciphertext_tag_bound_to_the_jti():
    wrapped = wrap_secret(KEY, SECRET, JTI, NONCE)
    assert len(wrapped) == 60
    assert wrapped == NONCE + AESGCMSIV(KEY).encrypt(NONCE, SECRET, JTI.encode("ascii"))
    assert unwrap_secret(KEY, wrapped, JTI) == SECRET


def test_rfc_8452_vector():
    # RFC 8452, appendix C.2: 256-bit key, 32-byte plaintext, no associated data.
    key, nonce = bytes.fromhex("01" + "00" * 31), bytes.fromhex("03" + "00" * 11)
    plain = bytes.fromhex("01" + "00" * 15 + "02" + "00" * 15)
    want = "4a6a9db4c8c6549201b9edb53006cba821ec9cf850948a7c86c68ac7539d027fe819e63abcd020b006a976397632eb5d"
    assert wrap_secret(key, plain, "", nonce) == nonce + bytes.fromhex(want)


def test_nothing_else_opens_it():
    wrapped = wrap_secret(KEY, SECRET, JTI, NONCE)
    changed = [wrapped[:i] + bytes([wrapped[i] ^ 1]) + wrapped[i + 1 :] for i in range(60)]
    for key, blob, jti in [
        (b"x" * 32, wrapped, JTI),
        (KEY, wrapped, "other"),
        *((KEY, each, JTI) for each in changed),
    ]:
        with raises_code(Verification, "wrap-tag"):
            unwrap_secret(key, blob, jti)


@pytest.mark.parametrize(
    ("key", "secret", "nonce"),
    [(b"k" * 16, SECRET, NONCE), (KEY, b"s" * 31, NONCE), (KEY, SECRET, b"n" * 11)],
)
def test_lengths(key, secret, nonce):
    with raises_code(InvalidInput, "wrap-length"):
        wrap_secret(key, secret, JTI, nonce)


def test_lengths_of_wrapped_secrets_and_ascii():
    for blob in (b"", bytes(59), bytes(61)):
        with raises_code(InvalidInput, "wrap-length"):
            unwrap_secret(KEY, blob, JTI)
    with raises_code(InvalidInput, "wrap-jti"):
        wrap_secret(KEY, SECRET, "é", NONCE)

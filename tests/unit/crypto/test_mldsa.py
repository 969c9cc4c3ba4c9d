# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from node.crypto.mldsa import MlDsa44Signer, verify_mldsa44
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code


def test_signature_holds_with_empty_context_only():
    seed = b"\x05" * 32
    signer = MlDsa44Signer(seed)
    signature = signer.sign(b"m")
    assert (len(signer.public), len(signature)) == (1312, 2420)
    verify_mldsa44(signer.public, b"m", signature)
    with_context = MLDSA44PrivateKey.from_seed_bytes(seed).sign(b"m", b"context")
    for message, bad in (
        (b"n", signature),
        (b"m", with_context),
        (b"m", signature[:-1]),
        (b"m", signature + b"\0"),
        (b"m", b""),
        (b"m", bytes([signature[0] ^ 1]) + signature[1:]),
    ):
        with raises_code(Verification, "ml-dsa-44-signature"):
            verify_mldsa44(signer.public, message, bad)
    with raises_code(Verification, "ml-dsa-44-signature"):
        verify_mldsa44(MlDsa44Signer(bytes(32)).public, b"m", signature)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_lengths(length):
    with raises_code(InvalidInput, "ml-dsa-44-seed-length"):
        MlDsa44Signer(bytes(length))
    with raises_code(InvalidInput, "ml-dsa-44-key-length"):
        verify_mldsa44(bytes(1312 + length - 32), b"m", bytes(2420))

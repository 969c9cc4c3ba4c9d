# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from node.crypto.ed25519 import Ed25519Signer, check_ed25519_key, key_id16, verify_ed25519
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)


def _add(a, b):
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P,
    )


def _times(n, point):
    result = (0, 1)
    while n:
        if n & 1:
            result = _add(result, point)
        point = _add(point, point)
        n >>= 1
    return result


def _decode(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if x * x % P != x2:
        x = x * SQRT_MINUS_1 % P
    if x * x % P != x2:
        return None
    return (x if x & 1 == sign else P - x), y


def _encode(y, sign=0):
    return (y | sign << 255).to_bytes(32, "little")


def _small_order_points():
    # L times any point lies in the subgroup of eight; a few points meet all of it.
    found = set()
    for y in range(2, 200):
        point = _decode(y, 0)
        if point is not None:
            found.add(_times(L, point))
            if len(found) == 8:
                break
    return found


def test_rfc_8032_test_2():
    signer = Ed25519Signer(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    assert signer.public.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signature = signer.sign(b"\x72")
    assert signature.hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    verify_ed25519(signer.public, b"\x72", signature)
    assert signer.kid == key_id16(signer.public) == hashlib.sha256(signer.public).hexdigest()[:16]


def test_all_eight_points_of_small_order_are_refused_in_both_signs():
    points = _small_order_points()
    assert len(points) == 8
    for _, y in points:
        for sign in (0, 1):
            with raises_code(InvalidInput, "ed25519-key-small-order"):
                check_ed25519_key(_encode(y, sign))


def test_a_small_order_key_cannot_vouch_for_any_message():
    # Under the neutral point, R = S = 0·B verifies for every message in the backend.
    forged = _encode(1) + bytes(32)
    with raises_code(InvalidInput, "ed25519-key-small-order"):
        verify_ed25519(_encode(1), b"anything", forged)


@pytest.mark.parametrize("y", [P, P + 1, P + 2, P + 18, 2**255 - 1])
@pytest.mark.parametrize("sign", [0, 1])
def test_second_spellings_are_refused(y, sign):
    with raises_code(InvalidInput, "ed25519-key-non-canonical"):
        check_ed25519_key(_encode(y, sign))


def test_keys_off_the_curve_are_refused_and_all_others_accepted():
    seen = set()
    for y in range(2, 60):
        on_curve = _decode(y, 0) is not None
        seen.add(on_curve)
        for sign in (0, 1):
            if on_curve:
                check_ed25519_key(_encode(y, sign))
            else:
                with raises_code(InvalidInput, "ed25519-key-off-curve"):
                    check_ed25519_key(_encode(y, sign))
    assert seen == {True, False}


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_lengths_of_keys_and_seeds(length):
    with raises_code(InvalidInput, "ed25519-key-length"):
        check_ed25519_key(bytes(length))
    with raises_code(InvalidInput, "ed25519-seed-length"):
        Ed25519Signer(bytes(length))


def test_signatures_that_do_not_hold():
    signer, other = Ed25519Signer(bytes(32)), Ed25519Signer(b"\1" * 32)
    good = signer.sign(b"m")
    s = int.from_bytes(good[32:], "little")
    malleated = good[:32] + (s + L).to_bytes(32, "little")
    for public, message, signature in (
        (signer.public, b"n", good),
        (other.public, b"m", good),
        (signer.public, b"m", malleated),
        (signer.public, b"m", good[:-1]),
        (signer.public, b"m", good + b"\0"),
        (signer.public, b"m", b""),
        (signer.public, b"m", bytes([good[0] ^ 1]) + good[1:]),
    ):
        with raises_code(Verification, "ed25519-signature"):
            verify_ed25519(public, message, signature)
    verify_ed25519(signer.public, b"m", good)


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=3_000))
def test_signatures_are_those_of_another_library(seed, message):
    other = Ed25519PrivateKey.from_private_bytes(seed)
    signer = Ed25519Signer(seed)
    assert signer.public == other.public_key().public_bytes_raw()
    assert signer.sign(message) == other.sign(message)


def test_who_only_verifies_does_not_load_what_only_issuing_needs():
    program = "import sys, node.evidence.verify; sys.exit(any(name.startswith(('nacl', 'pybase64', 'stringzilla')) for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def _sign_with(nonce_point, nonce, scalar, public, message):
    """A signature over a chosen R, as only who knows the private scalar can make it."""
    first = _encode(nonce_point[1], nonce_point[0] & 1)
    k = int.from_bytes(hashlib.sha512(first + public + message).digest(), "little") % L
    return first + ((nonce + k * scalar) % L).to_bytes(32, "little")


def test_libsodium_accepts_nothing_that_the_backend_refuses():
    base = _decode(4 * pow(5, -1, P) % P, 0)
    scalar, nonce, message = 2**254 + 8 * 12_345, 987_654_321, b"m"
    point = _times(scalar, base)
    public = _encode(point[1], point[0] & 1)
    Ed25519Signer(bytes(32))  # has libsodium loaded
    verify_ed25519(public, message, _sign_with(_times(nonce, base), nonce, scalar, public, message))
    accepted = []
    for torsion in _small_order_points() - {(0, 1)}:
        # A check that multiplies by the cofactor accepts these.
        shifted = _add(_times(nonce, base), torsion)
        for first, number in ((shifted, nonce), (torsion, 0)):
            with raises_code(Verification, "ed25519-signature"):
                verify_ed25519(public, message, _sign_with(first, number, scalar, public, message))
        accepted.append(torsion)
    assert len(accepted) == 7
    # libsodium refuses any R of small order; the backend, which has the last word, accepts the neutral one.
    neutral = _sign_with((0, 1), 0, scalar, public, message)
    Ed25519PublicKey.from_public_bytes(public).verify(neutral, message)
    verify_ed25519(public, message, neutral)


def _accepts(public, message, signature):
    try:
        verify_ed25519(public, message, signature)
    except Verification:
        return False
    return True


def test_who_signs_accepts_what_an_offline_verifier_accepts(monkeypatch):
    """R and key with each part of small order, R in each spelling, S below L and not."""
    base = _decode(4 * pow(5, -1, P) % P, 0)
    scalar, nonce, message = 2**254 + 8 * 12_345, 987_654_321, b"m"
    large, small = _times(scalar, base), sorted(_small_order_points())
    cases = []
    for point in (_add(large, torsion) for torsion in small):
        public = _encode(point[1], point[0] & 1)
        for torsion in small:
            shifted = _add(_times(nonce, base), torsion)
            firsts = {(_encode(shifted[1], shifted[0] & 1), nonce)}
            spellings = [y for y in (torsion[1], torsion[1] + P) if y < 2**255]
            firsts |= {(_encode(y, sign), 0) for y in spellings for sign in (0, 1)}
            for first, number in sorted(firsts):
                k = int.from_bytes(hashlib.sha512(first + public + message).digest(), "little") % L
                s = (number + k * scalar) % L
                cases += [(public, message, first + value.to_bytes(32, "little")) for value in (s, s + L)]
    Ed25519Signer(bytes(32))  # has libsodium loaded
    signing = [_accepts(*case) for case in cases]
    monkeypatch.setattr("node.crypto.ed25519._holds", None)
    assert signing == [_accepts(*case) for case in cases]
    assert set(signing) == {True, False}


def test_a_libsodium_that_multiplies_by_the_cofactor_is_not_asked():
    """As the development branch of libsodium does: what a node accepts, a verifier elsewhere must accept, too."""
    program = """if True:
        from nacl import bindings
        bindings.crypto_sign_open = lambda signed, public: signed[64:]
        from node.crypto.ed25519 import Ed25519Signer, verify_ed25519
        from node.errors import Verification
        signer = Ed25519Signer(bytes(32))
        verify_ed25519(signer.public, b"m", signer.sign(b"m"))
        try:
            verify_ed25519(signer.public, b"n", signer.sign(b"m"))
        except Verification:
            raise SystemExit(0)
        raise SystemExit("accepted")
    """
    subprocess.run([sys.executable, "-c", program], check=True)


def test_who_only_verifies_does_not_load_libsodium():
    program = """if True:
        import sys
        from node.crypto.ed25519 import verify_ed25519
        verify_ed25519(*map(bytes.fromhex, sys.argv[1:]))
        assert not any(name.partition(".")[0] == "nacl" for name in sys.modules)
    """
    signer = Ed25519Signer(bytes(32))
    words = [part.hex() for part in (signer.public, b"m", signer.sign(b"m"))]
    subprocess.run([sys.executable, "-c", program, *words], check=True)

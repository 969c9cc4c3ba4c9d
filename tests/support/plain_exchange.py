# SPDX-License-Identifier: Apache-2.0
"""Protocol §6 to §8 once more, by the words of the protocol and with nothing of this project.

Only hashlib, hmac, json, base64 and the primitives of ``cryptography``: what another implementer would write. Checks
raise AssertionError.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NAMES = ("peer", "subject", "officer", "purpose", "basis", "case", "items", "consent", "rule", "released")
_SUITE = b"HPKE" + (0x647A).to_bytes(2, "big") + (1).to_bytes(2, "big") + (2).to_bytes(2, "big")
_X_WING_LABEL = bytes([0x5C, 0x2E, 0x2F, 0x2F, 0x5E, 0x5C])


def b64u(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64u(text):
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert b64u(data) == text, "not the one spelling"
    return data


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data):
    return hashlib.sha256(data).digest()


def kid(public):
    return sha256(public).hex()[:16]


def leaf_hash(entry):
    return sha256(b"\x00" + entry)


def tree_root(leaves):
    """RFC 6962 section 2.1, as it is written."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + tree_root(leaves[:k]) + tree_root(leaves[k:]))


def tree_path(leaves, m):
    """RFC 6962 section 2.1.1, as it is written."""
    if len(leaves) == 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if m < k:
        return [*tree_path(leaves[:k], m), tree_root(leaves[k:])]
    return [*tree_path(leaves[k:], m - k), tree_root(leaves[:k])]


def salts(label, secret, count):
    raw = hashlib.shake_256(label.encode() + b"\x00" + secret).digest(18 * count)
    return [b64u(raw[18 * k : 18 * k + 18]) for k in range(count)]


def disclosure(salt, name, value):
    return b64u(canonical([salt, name, value]))


def event(kind, t, n, rid, salted, secret, **more):
    """The entry of an event, and its ten disclosures."""
    texts = [
        disclosure(salt, name, salted[name])
        for salt, name in zip(salts("ironcage/v1/salts", secret, 10), NAMES, strict=True)
    ]
    digests = sorted(b64u(sha256(text.encode())) for text in texts)
    return canonical({"_sd": digests, "kind": kind, "n": n, "rid": rid, "t": t, "v": 1, **more}), texts


def open_event(entry, texts):
    """Values by name of an event's openings."""
    digests = json.loads(entry)["_sd"]
    values = {}
    for text in texts:
        assert b64u(sha256(text.encode())) in digests
        _, name, value = json.loads(unb64u(text))
        assert name not in values
        values[name] = value
    return values


def sign(seed, typ, claims):
    """A token in its one spelling."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    header = {"alg": "EdDSA", "kid": kid(key.public_key().public_bytes_raw()), "typ": typ}
    signed = f"{b64u(canonical(header))}.{b64u(canonical(claims))}"
    return f"{signed}.{b64u(key.sign(signed.encode()))}"


def verify(token, typ, public):
    """Claims of a token whose signature holds."""
    head, body, signature = token.split(".")
    header = json.loads(unb64u(head))
    assert header == {"alg": "EdDSA", "kid": kid(public), "typ": typ}
    Ed25519PublicKey.from_public_bytes(public).verify(unb64u(signature), f"{head}.{body}".encode())
    return json.loads(unb64u(body))


def released_of(records):
    released = []
    for text in records:
        jwt, *disclosures, last = text.split("~")
        assert last == ""
        released.append([b64u(sha256(jwt.encode())), sorted(b64u(sha256(d.encode())) for d in disclosures)])
    return released


def check_logged(shown, *, public, iss, aud, log):
    """Check event, openings and receipt of a message; return the event and its opened values."""
    promise = verify(shown["receipt"], "log-receipt+jwt", public)
    entry = shown["event"].encode()
    assert (promise["iss"], promise["aud"], promise["log"]) == (iss, aud, log)
    assert unb64u(promise["leaf"]) == leaf_hash(entry)
    event_ = json.loads(entry)
    assert canonical(event_) == entry
    assert promise["rid"] == event_["rid"]
    values = open_event(entry, shown["open"])
    assert set(values) == set(NAMES) - {"officer"}
    return event_, values


# --- HPKE, RFC 9180 base mode, with KEM 0x647a ------------------------------------------------------------------------


def exchange_keys(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    return MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(
        expanded[64:]
    )


def exchange_public(seed):
    ml_kem, x25519 = exchange_keys(seed)
    return ml_kem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()


def hpke_open(seed, info, box):
    ml_kem, x25519 = exchange_keys(seed)
    ct_m, ct_x, ciphertext = box[:1088], box[1088:1120], box[1120:]
    ss_m = ml_kem.decapsulate(ct_m)
    ss_x = x25519.exchange(X25519PublicKey.from_public_bytes(ct_x))
    key, nonce = _schedule(_combine(ss_m, ss_x, ct_x, x25519.public_key().public_bytes_raw()), info)
    return AESGCM(key).decrypt(nonce, ciphertext, b"")


def hpke_seal(public, info, plaintext, ephemeral):
    ss_m, ct_m = MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
    key_x = X25519PrivateKey.from_private_bytes(ephemeral)
    ct_x, pk_x = key_x.public_key().public_bytes_raw(), public[1184:]
    key, nonce = _schedule(
        _combine(ss_m, key_x.exchange(X25519PublicKey.from_public_bytes(pk_x)), ct_x, pk_x), info
    )
    return ct_m + ct_x + AESGCM(key).encrypt(nonce, plaintext, b"")


def _combine(ss_m, ss_x, ct_x, pk_x):
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + _X_WING_LABEL).digest()


def _schedule(secret, info):
    context = b"\x00" + _extract(b"", "psk_id_hash", b"") + _extract(b"", "info_hash", info)
    main = _extract(secret, "secret", b"")
    return _expand(main, "key", context, 32), _expand(main, "base_nonce", context, 12)


def _extract(salt, label, ikm):
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + _SUITE + label.encode() + ikm, "sha256")


def _expand(prk, label, info, length):
    labeled = length.to_bytes(2, "big") + b"HPKE-v1" + _SUITE + label.encode() + info
    return hmac.digest(prk, labeled + b"\x01", "sha256")[:length]

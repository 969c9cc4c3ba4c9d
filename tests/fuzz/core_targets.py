# SPDX-License-Identifier: Apache-2.0
"""Texts and numbers, identifiers, keys, key files: node.core and node.crypto."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache

import rfc8785
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CTR

from node.core.canonical import encode_json, parse_json
from node.core.docnumber import normalise_document_number
from node.core.encoding import (
    encode_b64,
    encode_b64u,
    encode_hex,
    parse_b64,
    parse_b64u,
    parse_decimal,
    parse_hex,
)
from node.core.ids import build_uuid7, parse_uuid7
from node.core.region import parse_region, region_name
from node.core.uscc import (
    contains_resident_id,
    fold_identifier,
    parse_organisation_code,
    parse_registration_number,
    parse_uscc,
)
from node.crypto.ed25519 import verify_ed25519
from node.crypto.jws import parse_jws, sign_jws
from node.crypto.keccak import keccak256
from node.crypto.keyfile import encode_private_key, parse_private_key
from node.crypto.keystore import parse_keystore
from node.crypto.rlp import encode_rlp
from node.crypto.secp256k1 import OperatorKey, encode_address, parse_address
from node.crypto.wrap import unwrap_secret, wrap_secret
from node.errors import InvalidInput
from tests.fuzz.case import ONE, Target, as_text
from tests.support.records import JTI, MEMBER, OTHER_MEMBER, SIGNER

PASSPHRASE = "fuzz"
MAX_JSON = 65_536
CHEAP_SCRYPT_N = 64


def _json(data):
    value = parse_json(data, max_bytes=MAX_JSON)
    assert value == json.loads(data), "another reader reads another value"
    if not _has_ascii_names(value):
        # Such member names are read, but never written.
        return
    again = encode_json(value)
    assert again == rfc8785.dumps(value), "this is not the RFC 8785 form"
    assert parse_json(again, max_bytes=6 * MAX_JSON) == value


def _has_ascii_names(value):
    if isinstance(value, list):
        return all(map(_has_ascii_names, value))
    return not isinstance(value, dict) or all(
        name.isascii() and _has_ascii_names(member) for name, member in value.items()
    )


def _json_text(data):
    text = as_text(data)
    assert parse_json(text, max_bytes=MAX_JSON) == json.loads(text)


def _one_spelling(parse, encode):
    def run(data):
        text = as_text(data)
        assert encode(parse(text)) == text, "a second spelling was accepted"

    return run


def _hex(data):
    text = as_text(data)
    assert encode_hex(parse_hex(text, length=max(0, len(text) - 2) // 2)) == text


def _itself(parse):
    def run(data):
        text = as_text(data)
        assert parse(text) == text, "a code came out as another"

    return run


def _organisation_code(data):
    text = as_text(data)
    code = parse_organisation_code(text)
    assert text in {code, f"{code[:8]}-{code[8:]}"}


def _uuid7(data):
    text = as_text(data)
    digits = parse_uuid7(text).hex()
    assert f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}" == text


def _folding(data):
    text = as_text(data)
    assert fold_identifier(fold_identifier(text)) == fold_identifier(text), "folding twice is another thing"
    number = normalise_document_number(text)
    assert normalise_document_number(number) == number, "a number in its form has another form"
    contains_resident_id(text)
    assert region_name(text) is None or parse_region(text) == text


def _jws(data):
    jws = parse_jws(data, typ=None, max_bytes=8_192)
    assert jws.signing_input + b"." + encode_b64u(jws.signature).encode() == data


def _ed25519(data):
    """32 bytes of key, 64 of signature, the message; a signature that holds must be the one we would make."""
    public, signature, message = data[:32], data[32:96], data[96:]
    verify_ed25519(public, message, signature)
    if public == SIGNER.public:
        assert SIGNER.sign(message) == signature, "a second signature of one message holds"


def _keystore(data):
    try:
        crypto = json.loads(data)["crypto"]["kdfparams"]
        costly = crypto["n"] > CHEAP_SCRYPT_N or crypto["r"] > 8 or crypto["p"] > 1
    except (ValueError, TypeError, LookupError, RecursionError):
        costly = False
    # What a file may cost is bounded (docs/fuzzing.md) but takes seconds.
    if not costly:
        parse_keystore(data, PASSPHRASE)


def _keyfile(data):
    try:
        parse_private_key("ed25519", data, PASSPHRASE)
    except InvalidInput as error:
        if error.code != "keyfile-kind":
            raise
        parse_private_key("ml-dsa-44", data, PASSPHRASE)


def _address(data):
    text = as_text(data)
    raw = parse_address(text)
    assert text.lower() == encode_address(raw).lower()


def _wrapped(data):
    assert wrap_secret(bytes(32), unwrap_secret(bytes(32), data, JTI), JTI, data[:12]) == data


def _rlp(data):
    """Encode what a JSON text says, and read it back by the words of the Yellow Paper."""
    try:
        item = _rlp_item(json.loads(data))
    except (ValueError, RecursionError):
        return
    encoded = encode_rlp(item)
    read, rest = _read_rlp(encoded)
    assert (read, rest) == (_as_bytes(item), b"")


def _rlp_item(value):
    if isinstance(value, list):
        return [_rlp_item(item) for item in value]
    if type(value) is int:
        return value
    return str(value).encode("utf-8", "surrogatepass")


def _as_bytes(item):
    if isinstance(item, list):
        return [_as_bytes(each) for each in item]
    return item.to_bytes((item.bit_length() + 7) // 8, "big") if type(item) is int else item


def _read_rlp(data):
    head = data[0]
    if head < 0x80:
        return data[:1], data[1:]
    base = 0x80 if head < 0xC0 else 0xC0
    start, length = 1, head - base
    if length > 55:
        start += length - 55
        length = int.from_bytes(data[1:start], "big")
    content, rest = data[start : start + length], data[start + length :]
    if base == 0x80:
        return content, rest
    items = []
    while content:
        item, content = _read_rlp(content)
        items.append(item)
    return items, rest


def _random(count):
    return bytes(range(count))


@cache
def _json_seeds():
    values = (
        {"a": [1, -2, 2**53 - 1], "b": {"c": None, "d": True}, "e": '罚款\n\u20ac\\"', "f": ""},
        [[[[]]], {}, "\U0001f600", 0, -1, False],
        "text",
        0,
        {"é": 1},
    )
    return [
        *(json.dumps(value, ensure_ascii=False).encode() for value in values),
        b'{"a":1,"a":1}',
        b'"\\ud83d\\ude00"',
    ]


def _sign_seeds():
    messages = (b"", b"message", bytes(100))
    return [SIGNER.public + SIGNER.sign(message) + message for message in messages]


def _jws_seeds():
    payloads = ({}, {"iss": MEMBER, "iat": 1, "list": ["a", None, {"b": True}]}, {"é": "x"})
    head = (
        base64.urlsafe_b64encode(b'{"alg":"EdDSA","kid":"%s","typ":"t"}' % SIGNER.kid.encode())
        .rstrip(b"=")
        .decode()
    )
    body = encode_b64u(json.dumps(payloads[2]).encode())
    loose = f"{head}.{body}.{encode_b64u(bytes(64))}"
    return [*(sign_jws("t", payload, SIGNER).encode() for payload in payloads[:2]), loose.encode()]


@cache
def _keystore_seed():
    # Ids, salts and initialisation vectors of keystores are random, so this one is put together by hand.
    salt, iv = b"\x2d" * 16, b"\x0f" * 16
    derived = hashlib.scrypt(PASSPHRASE.encode(), salt=salt, n=2, r=8, p=1, dklen=32)
    cipher = Cipher(AES128(derived[:16]), CTR(iv)).encryptor()
    private = bytes(range(1, 33))
    sealed = cipher.update(private) + cipher.finalize()
    return encode_json(
        {
            "address": OperatorKey(private).address[2:].lower(),
            "crypto": {
                "cipher": "aes-128-ctr",
                "cipherparams": {"iv": iv.hex()},
                "ciphertext": sealed.hex(),
                "kdf": "scrypt",
                "kdfparams": {"dklen": 32, "n": 2, "p": 1, "r": 8, "salt": salt.hex()},
                "mac": keccak256(derived[16:] + sealed).hex(),
            },
            "id": "5b3d1e52-6f5b-4d56-8e5b-0a1d0a1b2c3d",
            "version": 3,
        }
    )


@cache
def _key_file_seeds():
    kinds = ("ed25519", "ml-dsa-44")
    return [
        encode_private_key(kind, bytes(range(32)), PASSPHRASE, scrypt_n=2, random=bytes) for kind in kinds
    ]


CODES = ("91330106MA27Y8LH7C", MEMBER, OTHER_MEMBER, "00000000000000000X")
TARGETS = (
    Target(
        "json",
        "node.core.canonical.parse_json",
        _json,
        _json_seeds,
        "white space, escapes and order are free where nothing is signed; every signed text is compared with its canonical form by its own parser",
    ),
    Target("json-text", "node.core.canonical.parse_json of str", _json_text, _json_seeds, "as json"),
    Target(
        "base64",
        "node.core.encoding.parse_b64",
        _one_spelling(parse_b64, encode_b64),
        lambda: [b"", b"AA==", b"AAA=", b"AAAA", b"+/+/"],
        ONE,
    ),
    Target(
        "base64url",
        "node.core.encoding.parse_b64u",
        _one_spelling(parse_b64u, encode_b64u),
        lambda: [b"", b"AA", b"AAA", b"-_-_"],
        ONE,
    ),
    Target(
        "decimal",
        "node.core.encoding.parse_decimal",
        _one_spelling(parse_decimal, str),
        lambda: [b"0", b"7", b"9007199254740991"],
        ONE,
    ),
    Target("hex", "node.core.encoding.parse_hex", _hex, lambda: [b"0x", b"0x00ff", b"0x" + b"ab" * 32], ONE),
    Target(
        "uuid7",
        "node.core.ids.parse_uuid7",
        _uuid7,
        lambda: [JTI.encode(), build_uuid7(1, _random).encode()],
        ONE,
    ),
    Target(
        "credit-code",
        "node.core.uscc.parse_uscc",
        _itself(parse_uscc),
        lambda: [code.encode() for code in CODES],
        ONE,
    ),
    Target(
        "organisation-code",
        "node.core.uscc.parse_organisation_code",
        _organisation_code,
        lambda: [b"MA27Y8LH7", b"00248901-4", b"002489014"],
        "with and without its hyphen; stored without",
    ),
    Target(
        "registration-number",
        "node.core.uscc.parse_registration_number",
        _itself(parse_registration_number),
        lambda: [b"110108000000016", b"330106000012340"],
        ONE,
    ),
    Target(
        "region",
        "node.core.region.parse_region",
        _itself(parse_region),
        lambda: [b"330106", b"100000", b"110101", b"429004"],
        ONE,
    ),
    Target(
        "folding",
        "fold_identifier, normalise_document_number, contains_resident_id, region_name",
        _folding,
        lambda: [
            "杭市监罚〔2026〕17号".encode(),
            "（２０２６）１号".encode(),
            "\ufeff ９１330106ma27y8lh7c\u3000".encode(),
            b"11010519491231002X",
            b"110105 19491231 002X",
        ],
        "any text; the folded form is its own folded form",
    ),
    Target(
        "jws",
        "node.crypto.jws.parse_jws",
        _jws,
        _jws_seeds,
        "the bytes are one; the JSON inside may be spelt freely under its signature, and is compared with its canonical form where a token is a log entry (token)",
        words=(b'"crit"', b'"b64":false', b"EdDSA", b"none"),
    ),
    Target(
        "ed25519",
        "node.crypto.ed25519.verify_ed25519",
        _ed25519,
        _sign_seeds,
        "one signature a message and key",
        words=(bytes(32), b"\xed" + b"\xff" * 30 + b"\x7f"),
    ),
    Target(
        "keystore",
        "node.crypto.keystore.parse_keystore",
        _keystore,
        lambda: [_keystore_seed()],
        "own file; JSON and hex spelt freely",
    ),
    Target(
        "keyfile",
        "node.crypto.keyfile.parse_private_key",
        _keyfile,
        _key_file_seeds,
        "own file; what any tool writes as encrypted PKCS#8",
    ),
    Target(
        "address",
        "node.crypto.secp256k1.parse_address",
        _address,
        lambda: [b"0x" + b"ab" * 20, b"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"],
        "lower case, upper case, or the checksum of EIP-55",
    ),
    Target(
        "wrapped-secret",
        "node.crypto.wrap.unwrap_secret",
        _wrapped,
        lambda: [wrap_secret(bytes(32), bytes(range(32)), JTI, bytes(12))],
        ONE,
        binary=True,
    ),
    Target(
        "rlp",
        "node.crypto.rlp.encode_rlp",
        _rlp,
        lambda: [b"[]", b'["", "a", 0, 127, 128, 65536, [[], ["x"]]]', b'["' + b"x" * 60 + b'"]'],
        ONE,
    ),
)

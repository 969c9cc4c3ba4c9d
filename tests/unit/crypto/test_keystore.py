# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import hashlib
import json
import subprocess
import sys

import pytest
from eth_account import Account

from node.core.canonical import encode_json
from node.crypto import keystore as keystore_module
from node.crypto.keystore import encode_keystore, parse_keystore
from node.crypto.secp256k1 import OperatorKey
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code

SECRET = bytes(range(32))
PASSPHRASE = "密码 correct horse"
N = 2


@pytest.fixture(scope="module")
def keystore():
    return encode_keystore(SECRET, PASSPHRASE, n=N)


def test_round_trip_and_third_party_reader(keystore):
    assert parse_keystore(keystore, PASSPHRASE) == SECRET
    assert bytes(Account.decrypt(json.loads(keystore), PASSPHRASE)) == SECRET
    content = json.loads(keystore)
    assert (content["version"], content["crypto"]["kdf"], content["crypto"]["kdfparams"]["n"]) == (
        3,
        "scrypt",
        N,
    )
    assert "0x" + content["address"] == OperatorKey(SECRET).address
    assert SECRET.hex().encode() not in keystore


def test_published_scrypt_keystore_is_read():
    # Web3 Secret Storage definition, the scrypt test vector, in lower case.
    crypto = {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "p": 8,
            "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    }
    data = encode_json({"crypto": crypto, "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3})
    want = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
    assert parse_keystore(data, "testpassword").hex() == want


@pytest.mark.parametrize(("n", "r", "p"), [(2, 8, 1), (1024, 8, 16), (2**15, 1, 3), (2**14, 3, 2)])
def test_keys_are_derived_as_by_another_implementation(n, r, p):
    passphrase, salt = PASSPHRASE, bytes(range(16))
    found = keystore_module._derive_key(passphrase, {"salt": salt.hex(), "n": n, "r": r, "p": p})
    assert found == hashlib.scrypt(passphrase.encode(), salt=salt, n=n, r=r, p=p, maxmem=2**26, dklen=32)


def test_wrong_passphrase(keystore):
    for other in ("", "密码", PASSPHRASE + " "):
        with raises_code(Verification, "keystore-passphrase"):
            parse_keystore(keystore, other)


def test_a_changed_iv_gives_no_other_secret(keystore):
    """The format's MAC does not cover it; the address that the file repeats does."""
    content = json.loads(keystore)
    iv = bytes.fromhex(content["crypto"]["cipherparams"]["iv"])
    for place in (0, 8, 15):
        changed = copy.deepcopy(content)
        flipped = iv[:place] + bytes((iv[place] ^ 1,)) + iv[place + 1 :]
        changed["crypto"]["cipherparams"]["iv"] = flipped.hex()
        with raises_code(InvalidInput, "keystore-form"):
            parse_keystore(encode_json(changed), PASSPHRASE)


def test_what_is_encrypted_is_checked():
    for secret in (b"", bytes(31), b"\1" * 33, bytes(32), b"\xff" * 32):
        with raises_code(InvalidInput, "keystore-secret"):
            encode_keystore(secret, PASSPHRASE, n=N)
    with raises_code(InvalidInput, "keystore-passphrase"):
        encode_keystore(SECRET, "", n=N)
    for n in (0, 1, 3, 2**21, -2):
        with raises_code(InvalidInput, "keystore-form"):
            encode_keystore(SECRET, PASSPHRASE, n=n)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 4),
        (("crypto", "cipher"), "aes-256-ctr"),
        (("crypto", "kdf"), "pbkdf2"),
        (("crypto", "kdfparams", "dklen"), 16),
        (("crypto", "kdfparams", "n"), 2**21),
        (("crypto", "kdfparams", "n"), 3),
        (("crypto", "kdfparams", "n"), True),
        (("crypto", "kdfparams", "n"), "2"),
        (("crypto", "kdfparams", "r"), 9),
        (("crypto", "kdfparams", "r"), 0),
        (("crypto", "kdfparams", "p"), 17),
        (("crypto", "kdfparams", "salt"), "zz" * 16),
        (("crypto", "kdfparams", "salt"), None),
        (("crypto", "kdfparams", "salt"), "ab"),
        (("crypto", "cipherparams", "iv"), "00" * 15),
        (("crypto", "ciphertext"), "00" * 31),
        (("crypto", "mac"), 5),
    ],
)
def test_other_kinds_and_costs_are_refused(keystore, path, value):
    content = copy.deepcopy(json.loads(keystore))
    place = content
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with raises_code(InvalidInput, "keystore-form"):
        parse_keystore(encode_json(content), PASSPHRASE)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "json-syntax"),
        (b"[]", "json-object"),
        (b'{"version":3}', "json-member-missing"),
        (b'{"version":3,"crypto":{},"x":1}', "json-member-unknown"),
        (b'{"version":3,"crypto":[]}', "json-object"),
        (b" " * 5000, "json-size"),
    ],
)
def test_malformed_files(data, code):
    with raises_code(InvalidInput, code):
        parse_keystore(data, PASSPHRASE)


def test_a_changed_ciphertext_does_not_open(keystore):
    content = json.loads(keystore)
    first = content["crypto"]["ciphertext"][0]
    content["crypto"]["ciphertext"] = ("1" if first == "0" else "0") + content["crypto"]["ciphertext"][1:]
    with raises_code(Verification, "keystore-passphrase"):
        parse_keystore(encode_json(content), PASSPHRASE)


def test_importing_every_crypto_module_loads_no_heavy_library():
    program = (
        "import pkgutil, importlib, sys, node.core, node.crypto\n"
        "for package in (node.core, node.crypto):\n"
        "    for module in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "heavy = {'web3', 'fastapi', 'plyvel', 'pydantic_settings', 'structlog', 'httpx', 'py_ecc', 'eth_keyfile', 'socket'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

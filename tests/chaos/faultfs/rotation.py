# SPDX-License-Identifier: Apache-2.0
"""Every rotation of a key file, told call by call: which keys were acknowledged when.

Usage: ``python -m tests.chaos.faultfs.rotation ROOT``, with faultfs.c preloaded.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from hashlib import sha256
from itertools import count
from pathlib import Path

from node.crypto.ed25519 import Ed25519Signer
from node.crypto.keyfile import encode_private_key, parse_private_key
from node.crypto.keystore import encode_keystore, parse_keystore
from node.storage.keyfiles import (
    adopt_next_operator,
    create_next_operator,
    load_private,
    make_private_directory,
    replace_exchange_key,
    replace_signing_key,
    set_next_operator_aside,
    store_private,
)
from tests.chaos.faultfs.child import Faultfs

PASSPHRASE = "correct horse"
SCRYPT_N = 2


def first_keys(keys):
    """Make the files that rotations change, as ``init`` does."""
    make_private_directory(keys)
    store_private(keys / "record.pem", encode_private_key("ed25519", b"r" * 32, PASSPHRASE))
    for name in ("exchange", "operator"):
        store_private(keys / f"{name}.json", encode_keystore(name[:1].encode() * 32, PASSPHRASE, n=SCRYPT_N))


@lru_cache(maxsize=64)
def digest_of(name, data):
    """Tell the secret of a key file without showing it; cached, because opening one is made to take long."""
    if name.endswith(".pem"):
        return Ed25519Signer(parse_private_key("ed25519", data, PASSPHRASE)).kid
    return sha256(parse_keystore(data, PASSPHRASE)).hexdigest()


def held(keys):
    """Open every key file: digest by name. A file that was never one, ``….new``, is none."""
    files = sorted(path for path in keys.iterdir() if not path.name.endswith(".new"))
    return {path.name: digest_of(path.name, load_private(path)) for path in files}


def rotate_all(keys, random, note):
    """Rotate each key twice, the operator key once more without its taking over; note what is there after each."""

    def seed(length):
        return sha256(b"%d" % next(random)).digest()[:length]

    def tell():
        note(keys=held(keys))

    tell()
    for _ in range(2):
        replace_signing_key(keys, "record", PASSPHRASE, seed)
        tell()
        replace_exchange_key(keys, PASSPHRASE, seed, scrypt_n=SCRYPT_N)
        tell()
        create_next_operator(keys, PASSPHRASE, seed, scrypt_n=SCRYPT_N)
        tell()
        adopt_next_operator(keys)
        tell()
    create_next_operator(keys, PASSPHRASE, seed, scrypt_n=SCRYPT_N)
    tell()
    set_next_operator_aside(keys, "0xAB")
    tell()


def check_rotated(keys, told):
    """Check what a crash left: all of one moment, the acknowledged one or the one that was on its way.

    Args:
        keys: The directory.
        told: What was acknowledged, oldest first; at least one.
    """
    found, last = held(keys), told[-1]
    for name in ("record.pem", "exchange.json", "operator.json"):
        assert name in found, f"{name} is gone"
        before = {moment[name] for moment in told} - {last[name]}
        assert found[name] not in before, f"{name} is one whose rotation was acknowledged"
    # What was sealed to the newest key that anybody was told of still opens.
    assert last["exchange.json"] in (found["exchange.json"], found.get("exchange.before.json"))
    # The operator key that the chain may know by now is there, under one name or another.
    operators = {digest for name, digest in found.items() if name.startswith("operator")}
    assert {digest for name, digest in last.items() if name.startswith("operator")} <= operators | {
        last["operator.json"]
    }
    assert last.get("operator.next.json", last["operator.json"]) in operators
    changed = [name for name in found if found[name] != last.get(name)]
    assert len(changed) <= 2, changed
    for path in keys.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def main(root):
    faultfs = Faultfs()
    keys = Path(root) / "keys"
    first_keys(keys)
    rotate_all(keys, count(), faultfs.note)


if __name__ == "__main__":
    main(sys.argv[1])

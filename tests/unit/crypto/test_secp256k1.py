# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib

import pytest
from eth_account import Account

from node.crypto.secp256k1 import OperatorKey, encode_address, parse_address
from node.errors import InvalidInput
from tests.support.errors import raises_code

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def test_rfc_6979_signature_of_key_one():
    # Published in the test suites of bitcoin libraries: key 1, SHA-256 of "Satoshi Nakamoto".
    r, s, recovery = OperatorKey((1).to_bytes(32, "big")).sign_digest(
        hashlib.sha256(b"Satoshi Nakamoto").digest()
    )
    assert r == 0x934B1EA10A4B3C1757E2B0C017D0B6143CE3C9A7E6A4A49860D7A6AB210EE3D8
    assert s == 0x2442CE9D2B916064108014783E923EC36B49743E2FFA1C4496F01A512AAFD9E5
    assert recovery in {0, 1}


def test_signatures_agree_with_eth_account():
    for number in range(1, 21):
        secret = hashlib.sha256(bytes([number])).digest()
        digest = hashlib.sha256(secret).digest()
        key, account = OperatorKey(secret), Account.from_key(secret)
        assert key.address == account.address
        want = account.unsafe_sign_hash(digest)
        assert key.sign_digest(digest) == (want.r, want.s, want.v - 27)
        assert want.s <= ORDER // 2
        assert Account._recover_hash(digest, vrs=(want.v, want.r, want.s)) == key.address


@pytest.mark.parametrize("to", [None, "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"])
@pytest.mark.parametrize("data", [b"", b"\x01\x02" * 400])
@pytest.mark.parametrize("numbers", [(0, 0, 0, 1), (7, 10**9, 5, 1337), (2**40, 1, 10**20, 2**50)])
def test_legacy_transactions_agree_with_eth_account(to, data, numbers):
    nonce, gas_price, value, chain_id = numbers
    secret = b"\x0b" * 32
    fields = {"nonce": nonce, "gas": 3_000_000, "value": value, "data": data}
    raw = OperatorKey(secret).sign_legacy_transaction(**fields, gas_price=gas_price, to=to, chain_id=chain_id)
    want = Account.from_key(secret).sign_transaction(
        fields | {"gasPrice": gas_price, "chainId": chain_id} | ({} if to is None else {"to": to})
    )
    assert raw == bytes(want.raw_transaction)
    assert Account.recover_transaction(raw) == OperatorKey(secret).address


@pytest.mark.parametrize(
    "secret", [b"", b"\1" * 31, b"\1" * 33, bytes(32), ORDER.to_bytes(32, "big"), b"\xff" * 32]
)
def test_secrets_out_of_range(secret):
    with raises_code(InvalidInput, "secp256k1-secret"):
        OperatorKey(secret)
    assert OperatorKey((ORDER - 1).to_bytes(32, "big")).address.startswith("0x")


def test_digest_and_fields_are_checked():
    key = OperatorKey(b"\1" * 32)
    for length in (0, 31, 33):
        with raises_code(InvalidInput, "secp256k1-digest"):
            key.sign_digest(bytes(length))
    fields = {"nonce": 0, "gas_price": 0, "gas": 21000, "to": None, "value": 0, "data": b"", "chain_id": 1}
    with raises_code(InvalidInput, "rlp-integer"):
        key.sign_legacy_transaction(**fields | {"value": -1})
    with raises_code(InvalidInput, "address"):
        key.sign_legacy_transaction(**fields | {"to": "0x12"})


EIP_55 = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0xde709f2102306220921060314715629080e2fb77",
]


@pytest.mark.parametrize("address", EIP_55)
def test_addresses_of_eip_55(address):
    raw = parse_address(address)
    assert encode_address(raw) == address
    assert parse_address(address.lower()) == raw
    assert parse_address("0x" + address[2:].upper()) == raw


def test_other_addresses_are_refused():
    with raises_code(InvalidInput, "address-checksum"):
        parse_address(EIP_55[0].replace("aAeb", "aaeb"))
    for text in ("", EIP_55[0][2:], EIP_55[0] + "0", EIP_55[0][:-1], "0X" + EIP_55[0][2:], EIP_55[0] + "\n"):
        with raises_code(InvalidInput, "address"):
            parse_address(text)
    with raises_code(InvalidInput, "address"):
        encode_address(bytes(19))

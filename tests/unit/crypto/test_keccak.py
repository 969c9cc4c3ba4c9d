# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib

from node.crypto.keccak import keccak256


def test_digests_of_the_evm():
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    # The topic of ERC-20's Transfer event, printed in every explorer.
    assert keccak256(b"Transfer(address,address,uint256)").hex() == (
        "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    )
    assert keccak256(b"") != hashlib.sha3_256(b"").digest()

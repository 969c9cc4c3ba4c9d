# SPDX-License-Identifier: Apache-2.0
"""Which keys of the registry a policy trusts, and up to which block."""

import pytest

from cli.policy import read_trusted_keys
from node.core.types import MemberCode
from node.crypto.ed25519 import Ed25519Signer
from node.evidence.policy import TrustedKey
from node.ports import KeyKind, KeyPeriod
from tests.support.rows import ISSUER

OLD, NEW = (Ed25519Signer(bytes(31) + bytes([n])) for n in (1, 2))


class Registry:
    """The part of an ``AnchorChain`` that answers for keys: two record keys, one after the other."""

    def __init__(self, **compromised):
        self._compromised = {OLD.public: compromised.get("old"), NEW.public: compromised.get("new")}

    def keys(self, member, kind):
        assert member == ISSUER
        return [KeyPeriod(OLD.public, 10, 50), KeyPeriod(NEW.public, 50, None)] * (kind is KeyKind.RECORD)

    def compromised_from(self, member, kind, key):
        assert (member, kind) == (ISSUER, KeyKind.RECORD)
        return self._compromised[key]


@pytest.mark.parametrize(
    ("compromised", "ranges", "warned"),
    [
        ({}, [(OLD, 10, 50), (NEW, 50, None)], []),
        ({"new": 70}, [(OLD, 10, 50), (NEW, 50, 70)], [NEW]),
        ({"old": 30}, [(OLD, 10, 30), (NEW, 50, None)], [OLD]),
        ({"old": 10, "new": 51}, [(NEW, 50, 51)], [OLD, NEW]),
        ({"old": 50, "new": 0}, [(OLD, 10, 50)], [NEW]),
    ],
)
def test_a_compromised_key_is_trusted_no_longer_than_it_was_its_owners(capsys, compromised, ranges, warned):
    member = MemberCode(ISSUER)
    found = read_trusted_keys(Registry(**compromised), member)
    assert found == [TrustedKey(member, "record", key.public, start, end) for key, start, end in ranges]
    said = capsys.readouterr().err
    assert [key for key in (OLD, NEW) if key.kid in said] == warned

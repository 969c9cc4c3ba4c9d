# SPDX-License-Identifier: Apache-2.0
"""``policy show`` shows everything that its reader is told to check against another source."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest

from cli.policy import show
from node.core.encoding import encode_b64u, encode_hex
from node.evidence.policy import encode_policy
from tests.support.evidence_world import build_world


@pytest.fixture(scope="module")
def world():
    return build_world()


@pytest.fixture
def shown(tmp_path, capsys, monkeypatch):
    def run(policy):
        monkeypatch.setenv("COLUMNS", "80")
        (tmp_path / "policy.json").write_bytes(encode_policy(policy))
        show(tmp_path / "policy.json")
        return capsys.readouterr().out

    return run


def test_keys_block_and_limits_are_shown_whole(world, shown):
    policy = world.policy()
    text = shown(policy)
    for log in policy.logs:
        for key in (log.ed25519, log.ml_dsa_44):
            assert sha256(key.public).hexdigest() in text
    for key in policy.keys:
        assert encode_b64u(key.public) in text
    assert f"{policy.chain.block}  {encode_hex(policy.chain.hash)}" in text
    assert datetime.fromtimestamp(policy.chain.trusted_until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") in text
    assert f": {policy.demand.max_status_age} s" in text
    assert f": {policy.demand.max_interval} s" in text


def test_what_is_not_demanded_is_a_dash(world, shown):
    text = shown(world.offline_policy())
    assert "None" not in text
    assert "RPC —" in text
    assert text.count(": —") >= 3

# SPDX-License-Identifier: Apache-2.0
"""What the settings make a node say on the chain about where it is reached."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.bootstrap import load_endpoint
from node.chain.network import Network
from node.config import load_settings
from node.errors import Conflict, InvalidInput
from node.ports import Endpoint
from tests.support.certificates import Authority
from tests.support.errors import raises_code
from tests.support.peer_server import key_pin
from tests.support.rows import ISSUER

NETWORK = Network(
    domain="zj.example",
    chain_id=20260,
    engine="anvil",
    rpc=(),
    gas_price_wei=None,
    signers=None,
    depth_blocks=None,
    member_registry=b"\x01" * 20,
    anchor_log=b"\x02" * 20,
    deployed_block=3,
    deployed_block_hash=b"\x03" * 32,
    anchor_limit_seconds=14_400,
    members=(),
    document_registry=b"\x04" * 20,
)
URL = "https://node.market.example:8620"


@pytest.fixture
def load(tmp_path):
    """Load the endpoint of a home with these settings."""

    def load_with(network=NETWORK, **settings):
        lines = [f'member = "{ISSUER}"', 'name_zh = "市场监督管理局"']
        lines += [f'{name} = "{value}"' for name, value in settings.items()]
        (tmp_path / "config.toml").write_text("\n".join(lines))
        return load_endpoint(load_settings(tmp_path), network)

    return load_with


def test_a_node_without_the_setting_says_nothing(load):
    assert load() is None
    assert load(replace(NETWORK, document_registry=None)) is None


def test_the_key_is_that_of_the_servers_own_certificate(load, tmp_path):
    files = Authority(tmp_path).issue("server")
    assert load(public_url=URL, tls_certificate="server.pem") == Endpoint(URL, key_pin(files))


def test_behind_a_proxy_it_is_that_of_the_proxys_certificate(load, tmp_path):
    authority = Authority(tmp_path)
    proxy, _ = authority.issue("proxy"), authority.issue("server")
    found = load(public_url=URL, tls_certificate="server.pem", public_certificate="proxy.pem")
    assert found == Endpoint(URL, key_pin(proxy))


def test_a_certificate_that_is_not_there_is_named(load):
    for settings in ({}, {"public_certificate": "gone.pem"}):
        with raises_code(InvalidInput, "public-certificate"):
            load(public_url=URL, **settings)


def test_contracts_of_an_older_release_keep_no_addresses(load):
    with raises_code(Conflict, "contracts-older"):
        load(replace(NETWORK, document_registry=None), public_url="http://127.0.0.1:8620")

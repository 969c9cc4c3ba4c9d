# SPDX-License-Identifier: Apache-2.0
"""A node on HTTPS, used from its own account and from another, and tokens that change while it runs."""

import json

import pytest

from tests.support.certificates import Authority
from tests.support.real_node import ironcage, make_home, real_nodes


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def node(real_chain, authority, tmp_path_factory):
    files = authority.issue("node")
    config = f'tls_certificate = "{files.certificate}"\ntls_key = "{files.key}"\n'
    with real_nodes(real_chain.url, tmp_path_factory.mktemp("nodes"), config=config) as (made,):
        made.launch()
        yield made


@pytest.fixture(scope="module")
def url(node):
    from tests.support.real_node import wait_until

    def address():
        described = json.loads((node.home / "run" / "node.json").read_bytes())
        assert node.process.poll() is None, node.log.read_text()
        return described["url"] if node.run("node", "status").code == 0 else None

    return wait_until(address, "the node answers its own account")


def test_its_own_account_knows_the_certificate(node, url):
    assert url.startswith("https://127.0.0.1:")
    status = node.ask("node", "status")
    assert status["member"] == node.code


def test_another_account_names_address_authority_and_token(node, url, authority, tmp_path):
    """Nothing of the node's home is read."""
    token = tmp_path / "li.token"
    done = node.run("token", "create", "li", "--role", "officer", "--out", str(token))
    assert (done.code, token.stat().st_mode & 0o777) == (0, 0o600)
    assert "ict_" not in done.out + done.err
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {"IRONCAGE_TOKEN_FILE": str(token)}

    def run(*words, more=None):
        return ironcage(*words, cwd=elsewhere, environment=environment | (more or {}))

    named = ("--url", url, "--tls-ca", str(authority.ca))
    assert run("record", "list", *named).code == 0
    assert run(*named, "record", "list", "--json").json == []
    assert run("record", "list", more={"IRONCAGE_URL": url, "IRONCAGE_TLS_CA": str(authority.ca)}).code == 0
    refused = run("record", "list", "--url", url)
    assert (refused.code, "[node-certificate]" in refused.err) == (1, True)
    denied = run("import", str(token), "--item", "penalty:2018", *named)
    assert "[role-insufficient]" in denied.err
    without = ironcage("record", "list", *named, cwd=elsewhere)
    assert (without.code, "[token-file-needed]" in without.err) == (2, True)
    plain = run("record", "list", "--url", "http://192.0.2.1:8620")
    assert (plain.code, "[node-url-plain]" in plain.err) == (2, True)


def test_tokens_change_while_the_node_runs(node, url, tmp_path):
    def list_with(file):
        return node.run("record", "list", "--token-file", str(file))

    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    assert node.run("token", "create", "wang", "--role", "officer", "--out", str(first)).code == 0
    assert list_with(first).code == 0
    again = node.run("token", "create", "wang", "--role", "auditor")
    assert (again.code, "[token-exists]" in again.err, again.out) == (1, True, "")
    assert node.run("token", "rotate", "wang", "--out", str(second)).code == 0
    assert (list_with(first).code, list_with(second).code) == (0, 0)
    assert node.run("token", "rotate", "wang", "--overlap", "0", "--out", str(third)).code == 0
    for old in (first, second):
        assert "[token-unknown]" in list_with(old).err
    assert list_with(third).code == 0
    listed = node.run("token", "list", "--json").json
    assert [(t["role"], t["ended"]) for t in listed if t["name"] == "wang"] == [("officer", False)]
    assert node.run("token", "revoke", "wang").code == 0
    assert "[token-unknown]" in list_with(third).err
    # A file that is there is not overwritten, and the account keeps the token that it has.
    before = (node.home / "keys" / "tokens.json").read_bytes()
    taken = node.run("token", "create", "zhao", "--role", "officer", "--out", str(third))
    assert (taken.code, "[file-exists]" in taken.err) == (1, True)
    assert (node.home / "keys" / "tokens.json").read_bytes() == before


def test_what_no_node_starts_with(authority, tmp_path):
    """Each is refused at once, by its name; none of them needs a chain."""
    files = authority.issue("start")
    other = authority.issue("start-other")
    open_key = tmp_path / "open.key"
    open_key.write_bytes(files.key.read_bytes())
    open_key.chmod(0o644)
    home = make_home(tmp_path / "home", 9)

    def refuse(code, **settings):
        variables = {f"IRONCAGE_{name.upper()}": str(value) for name, value in settings.items()}
        done = ironcage("node", "run", home=home.home, environment=variables)
        assert f"[{code}]" in done.err, done
        assert done.code in {1, 2}
        assert not (home.home / "run").exists()

    refuse("listen-open", listen_host="0.0.0.0")
    refuse("listen-open", listen_host="192.0.2.1")
    refuse("listen-open", listen_host="::")
    refuse("config-tls", tls_certificate=files.certificate)
    refuse("config-tls", tls_key=files.key, listen_host="0.0.0.0")
    refuse("key-missing", tls_certificate=tmp_path / "none.pem", tls_key=files.key)
    refuse("key-missing", tls_certificate=files.certificate, tls_key=tmp_path / "none.key")
    refuse("key-readable", tls_certificate=files.certificate, tls_key=open_key)
    refuse("tls-certificate", tls_certificate=files.certificate, tls_key=other.key)
    # Nothing speaks against these; what is missing next is the consortium's file.
    refuse("network-missing", listen_host="0.0.0.0", behind_proxy="true", listen_port=0)
    refuse("network-missing", listen_host="127.0.0.1", tls_certificate=files.certificate, tls_key=files.key)
    (home.home / "keys" / "tokens.json").chmod(0o640)
    refuse("key-readable")

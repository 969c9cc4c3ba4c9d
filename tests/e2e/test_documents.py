# SPDX-License-Identifier: Apache-2.0
"""Two departments decide on a rule: one proposes it, the other gets it over TLS, reads it and votes, each with its own node."""

from __future__ import annotations

from functools import partial
from hashlib import sha256

import pytest

from node.access.purposes import load_sample_purposes
from tests.support.certificates import Authority
from tests.support.peer_server import key_pin
from tests.support.real_documents import admin, create_admin
from tests.support.real_node import RealNode, free_port, real_nodes

pytestmark = pytest.mark.slow
RULES = load_sample_purposes()
DIGEST = sha256(RULES).hexdigest()


@pytest.fixture
def nodes(real_chain, tmp_path):
    """Two nodes that speak TLS, each with its certificate in its home."""
    authority = Authority(tmp_path)
    with real_nodes(real_chain.url, tmp_path, 2) as (first, second):
        for number, node in enumerate((first, second)):
            node.client = partial(RealNode.client, node, tls_ca=authority.ca)
            show(node, authority.issue(f"node{number}"))
            node.start()
            create_admin(node)
        yield first, second, authority


def show(node, files):
    """Give a node a certificate and an address under which it is reached."""
    port = free_port()
    node.files = files
    node.settings = {
        "IRONCAGE_LISTEN_PORT": str(port),
        "IRONCAGE_PUBLIC_URL": f"https://127.0.0.1:{port}",
        "IRONCAGE_TLS_CERTIFICATE": str(files.certificate),
        "IRONCAGE_TLS_KEY": str(files.key),
    }


def document(node, *words, code=0):
    done = node.run("document", *words, "--token-file", str(admin(node)), "--json")
    assert done.code == code, done
    return done.json if code == 0 else done.out


def test_a_rule_is_proposed_read_and_decided(nodes, tmp_path):
    first, second, authority = nodes
    addresses = {member["code"]: member for member in first.ask("member", "list")}
    for node in (first, second):
        assert addresses[node.code]["address"] == node.settings["IRONCAGE_PUBLIC_URL"]
        assert addresses[node.code]["tls_key"] == key_pin(node.files).hex()

    path = tmp_path / "purposes.json"
    path.write_bytes(RULES)
    proposal = document(first, "propose", "purposes", "exchange", str(path))
    assert (proposal["votes"], proposal["needed"], proposal["executed"]) == (1, 2, False)
    number = str(proposal["id"])

    # The proposer moves to another key: until it has said so on the chain, nobody gets anything from it.
    first.stop()
    assert "document-unseen" in document(second, "vote", number, code=1)
    show(first, authority.issue("moved"))
    first.start()

    assert document(second, "refresh")["documents"] == []
    shown = second.run("document", "show", DIGEST)
    assert (shown.code, shown.out) == (0, RULES.decode())
    assert document(second, "vote", number)["executed"]

    for node in (first, second):
        (version,) = document(node, "refresh")["documents"]
        assert (version["version"], version["digest"], version["in_force"], version["held"]) == (
            1,
            DIGEST,
            True,
            True,
        )
    assert "transaction-reverted" in document(second, "vote", number, code=1)

    withdrawn = document(second, "propose", "purposes", "exchange", "--withdraw")
    assert document(first, "vote", str(withdrawn["id"]))["executed"]
    assert [v["in_force"] for v in document(second, "refresh")["documents"]] == [False, False]
    missing = second.run("document", "show", "purposes", "exchange")
    assert (missing.code, "document-unknown" in missing.err) == (1, True)

# SPDX-License-Identifier: Apache-2.0
"""Real nodes that reach each other, and the documents that their administrators put in force for an exchange."""

from __future__ import annotations

from hashlib import sha256
from importlib import resources

from node.access.catalogue import ListedItem, encode_catalogue
from node.access.purposes import load_sample_purposes
from tests.support.real_node import DOMAIN, free_port, wait_until

ITEM = "penalty:2018"


def start_reachable(node):
    """Start a node that says on the chain where others reach it, over plain HTTP, and give it an administrator."""
    port = free_port()
    node.settings = {
        "IRONCAGE_LISTEN_PORT": str(port),
        "IRONCAGE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "IRONCAGE_PLAIN_PEERS": "true",
    }
    node.start()
    create_admin(node)


def create_admin(node):
    """Give a node an administrator, whose token ``admin`` names."""
    made = node.run("token", "create", "chief", "--role", "administrator", "--out", str(admin(node)))
    assert made.code == 0, made


def admin(node):
    return node.home / "admin.token"


def as_admin(node, *words):
    """Run a command as the administrator and give what it printed."""
    return node.ask(*words, "--token-file", str(admin(node)))


def decide_documents(folder, nodes, purposes=None):
    """Put item, catalogue and purposes of questions about penalties in force.

    Args:
        folder: Keeps the files that are proposed.
        nodes: The first proposes and answers for the item; the others vote until it is in force.
        purposes: The document; None for the sample.
    """
    first, *others = nodes
    item = resources.files("node.records").joinpath("items", "penalty-2018.json").read_bytes()
    listed = [ListedItem(ITEM, sha256(item).digest(), first.code, None)]
    files = {
        ("item", ITEM): item,
        ("purposes", "exchange"): purposes or load_sample_purposes(),
        ("catalogue", "exchange"): encode_catalogue(DOMAIN, "目录", "catalogue", listed),
    }
    for (kind, name), data in files.items():
        path = folder / f"{kind}.json"
        path.write_bytes(data)
        proposal = as_admin(first, "document", "propose", kind, name, str(path))
        executed = proposal["executed"]
        for node in others:
            # A vote is for a document that the voter has.
            as_admin(node, "document", "add", str(path), "--kind", kind)
            if not executed:
                executed = as_admin(node, "document", "vote", str(proposal["id"]))["executed"]
        assert executed
    for node in nodes:
        wait_until(lambda node=node: as_admin(node, "document", "refresh") is not None, "documents are here")

# SPDX-License-Identifier: Apache-2.0
"""An auditor with a token of each of two nodes, from his own machine."""

import json

import pytest

from tests.support.real_node import ironcage, real_nodes


@pytest.fixture(scope="module")
def nodes(real_chain, tmp_path_factory):
    with real_nodes(real_chain.url, tmp_path_factory.mktemp("nodes"), count=2) as made:
        for node in made:
            node.start()
            node.anchor()
            node.anchor()
        yield made


@pytest.fixture(scope="module")
def audited(nodes, real_chain, tmp_path_factory):
    """Options of an audit of both nodes, and an empty folder to run it in."""
    folder = tmp_path_factory.mktemp("auditor")
    options = []
    urls = [json.loads((node.home / "run" / "node.json").read_bytes())["url"] for node in nodes]
    for number, (node, url) in enumerate(zip(nodes, urls, strict=True)):
        token = folder / f"{number}.token"
        done = node.run("token", "create", "zhao", "--role", "auditor", "--out", str(token))
        assert done.code == 0, done.err
        options += ["--node", url, "--token-file", str(token)]
    policy = folder / "policy.json"
    named = [word for url in urls for word in ("--node", url)]
    done = nodes[0].run("policy", "export", *named, "--rpc", real_chain.url, "--out", str(policy))
    assert done.code == 0, done.err
    return folder, [*options, "--policy", str(policy)]


def test_two_honest_nodes(audited):
    folder, options = audited
    done = ironcage("audit", *options, "--out", "clean", "--json", cwd=folder)
    assert done.code == 0, done
    report = done.json
    assert (report["findings"], report["partial"], report["away"]) == ([], False, [])
    assert [log["anchored"] for log in report["logs"]] == [32, 32]
    assert json.loads((folder / "clean" / "report.json").read_bytes())["logs"] == report["logs"]


def test_what_it_prints(audited):
    folder, options = audited
    for language, said in (("en", "nothing that does not fit was found"), ("zh", "没有发现不符之处")):
        done = ironcage("audit", *options, "--out", f"said-{language}", "--lang", language, cwd=folder)
        assert (done.code, said in done.out) == (0, True), done


def test_what_was_read_is_kept_and_read_again(audited):
    """Entries of full bundles lie in the folder; whatever somebody does to them is held against the chain."""
    folder, options = audited
    done = ironcage("audit", *options, "--out", "kept", "--keep", "entries", "--json", cwd=folder)
    assert done.code == 0, done
    assert not (folder / "entries").exists(), "no bundle of these logs is full yet"


def test_without_a_token_for_each_node(audited, tmp_path):
    folder, options = audited
    done = ironcage(
        "audit", *options, "--node", "http://127.0.0.1:9", "--out", str(tmp_path / "x"), cwd=folder
    )
    assert (done.code, "[audit-nodes]" in done.err) == (2, True)


def test_a_node_that_is_away_makes_it_partial(audited, tmp_path):
    folder, options = audited
    token = folder / "0.token"
    away = ["--node", "http://127.0.0.1:9", "--token-file", str(token)]
    done = ironcage("audit", *options, *away, "--out", "partial", "--json", cwd=folder)
    assert done.code == 3, done
    assert done.json["away"] == [{"code": "node-away", "node": "http://127.0.0.1:9"}]
    assert done.json["findings"] == []


def test_a_checkpoint_that_is_none_is_refused(audited):
    folder, options = audited
    note = folder / "foreign.note"
    note.write_text("no checkpoint\n")
    done = ironcage("audit", *options, "--checkpoint", str(note), "--out", "foreign", cwd=folder)
    assert done.code == 2, done

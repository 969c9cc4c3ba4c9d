# SPDX-License-Identifier: Apache-2.0
"""ARCHITECTURE.md, the import rules and the folders name the same layers."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def rules_of(name):
    """The layers of an import-linter contract: sets of (package, whether it may be absent)."""
    (contract,) = [c for c in CONTRACTS if c["type"] == "layers" and c["name"].startswith(name)]
    return [{(word.strip("() "), "(" in word) for word in layer.split("|")} for layer in contract["layers"]]


def layers_of_page():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.split("<!-- layers:", 1)[1].split("| layer,", 1)[1].split("\n\n", 1)[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    return [
        {(name, bool(planned)) for name, planned in re.findall(r"`(\w+)`( \(planned\))?", row)}
        for row in rows
    ]


def test_the_page_lists_the_layers_that_are_enforced():
    assert layers_of_page() == rules_of("inside node")


def test_the_layers_are_all_that_there_is_in_node():
    there = {
        path.stem for path in (ROOT / "node").iterdir() if path.name not in {"__init__.py", "__pycache__"}
    }
    listed = {name for layer in rules_of("inside node") for name, planned in layer}
    planned = {name for layer in rules_of("inside node") for name, may_be_absent in layer if may_be_absent}
    assert there <= listed
    assert listed - planned <= there


def test_the_page_names_the_top_packages_in_order():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    order = [name for layer in rules_of("top-level") for name, _ in layer]
    assert " > ".join(order) == "cli > consortium > node > contracts"
    places = [text.index(f"**`{name}`**") for name in order]
    assert places == sorted(places)


def test_every_layer_rule_is_exhaustive_about_adapters():
    """Each contract that forbids a library names every adapter but the one that may use it."""
    adapters = {
        name for layer in rules_of("inside node") if len(layer) > 3 for name, planned in layer if not planned
    }
    for contract in (c for c in CONTRACTS if c["type"] == "forbidden" and " only in " in c["name"]):
        allowed = set(re.findall(r"\w+", contract["name"].split(" only in ")[1])) - {"and"}
        sources = {name.removeprefix("node.") for name in contract["source_modules"]}
        assert adapters - allowed <= sources, contract["name"]
        assert not allowed & sources, contract["name"]


def test_the_modules_that_the_page_names_are_there():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    whole = re.findall(r"`((?:api|worker|service|evidence|access|client)(?:\.[a-z_]+)+)`", text)
    short = re.findall(r"`\.([a-z_]+)`", text)
    assert len(whole) > 20
    assert len(short) > 20
    for name in whole:
        assert (ROOT / "node" / f"{name.replace('.', '/')}.py").is_file(), name
    for name in short:
        assert list((ROOT / "node").glob(f"*/**/{name}.py")), name

# SPDX-License-Identifier: Apache-2.0
"""Every kind of key that the services write is one that ``log fsck`` reads: a new one fails here until a check knows it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import node.service
from node.service.fsck import boxes, exchanges, ledgers, looks
from node.service.fsck.indices import PREFIXES
from tests.support.project import ROOT

SERVICES = Path(node.service.__file__).parent
_FAMILY = re.compile(rb"[A-Z][a-z]")


def named_keys():
    """Prefixes of two letters that the modules of the services give names to: family and kind."""
    found = {}
    for path in SERVICES.rglob("*.py"):
        if path.parent.name == "fsck":
            continue
        for node_ in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node_, ast.AnnAssign) and isinstance(node_.value, ast.Constant):
                value = node_.value.value
                if isinstance(value, bytes) and _FAMILY.fullmatch(value):
                    found[value] = path.relative_to(SERVICES)
    return found


def test_each_prefix_that_a_service_names_is_known_to_a_check():
    found = named_keys()
    assert {b"Sd", b"Sh", b"Eg", b"Eo", b"Cu", b"Wd"} <= found.keys(), "the search finds what there is"
    unknown = {prefix: str(path) for prefix, path in found.items() if prefix not in PREFIXES}
    assert unknown == {}, "keys that no check of node.service.fsck reads"


def test_no_check_claims_a_prefix_that_nobody_writes():
    named = named_keys()
    claimed = [*boxes.CHECKED, *exchanges.CHECKED, *ledgers.CHECKED]
    assert [prefix for prefix in claimed if len(prefix) > 1 and prefix not in named] == []
    assert len(claimed) == len(set(claimed))


@pytest.mark.parametrize("part", [boxes, exchanges, ledgers, looks], ids=lambda part: part.__name__)
def test_a_check_reads_what_it_claims(part):
    """Each prefix stands in the source of its check besides in the list, as a constant or by its name."""
    source = Path(part.__file__).read_text(encoding="utf-8")
    for prefix in part.CHECKED:
        names = [name for name, value in vars(part).items() if value == prefix]
        spelled = (f'b"{prefix.decode()}"', *names, "layout.DOCUMENT_VERSION_PREFIX")
        assert any(source.count(name) > 1 or f"({name}," in source for name in spelled), prefix


def test_each_prefix_is_in_the_table_of_the_layout():
    """The table names each letter of what has one alone, and each family."""
    text = (ROOT / "node" / "service" / "layout.py").read_text(encoding="utf-8").partition('"""\n\nfrom')[0]
    for prefix in PREFIXES:
        assert re.search(rf"\b{prefix[:1].decode()}", text), prefix

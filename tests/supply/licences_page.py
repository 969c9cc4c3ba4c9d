# SPDX-License-Identifier: Apache-2.0
"""docs/licences.md: what a node is made of, under which licences."""

from __future__ import annotations

from tests.supply.components import list_components, load_licences

HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
# Licences of what we use 第三方许可证

Written by `make docs` from the lock files; `make sbom` writes the whole bill of materials (CycloneDX 1.6, with versions and hashes)
to `build/sbom.cdx.json`. A test refuses a package without a licence here, or with one that is not on our list.

Run in a node 节点运行所需：

"""
TAIL = """
Used to build and test only, and not handed on 仅用于构建和测试：

"""


def build():
    """Build the page."""
    licences = load_licences()
    parts = list_components()
    shipped = {part.purl for part in parts if part.shipped}
    others = {part.purl for part in parts} - shipped
    return HEAD + _table(shipped, licences) + TAIL + _table(others, licences)


def _table(purls, licences):
    rows = [f"| `{purl}` | {licences[purl]} |" for purl in sorted(purls)]
    return "\n".join(["| package | licence |", "|---|---|", *rows]) + "\n"

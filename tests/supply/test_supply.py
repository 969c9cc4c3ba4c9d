# SPDX-License-Identifier: Apache-2.0
"""What the project is made of: pinned by hash, under licences that we may use, listed in the bill of materials."""

import re
from importlib.metadata import PackageNotFoundError, metadata

import pytest

from tests.supply.__main__ import build_bill
from tests.supply.components import list_components, load_licences

COMPONENTS = list_components()
SHIPPED_MAY_BE = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0"}
SHIPPED_MAY_BE |= {"MPL-2.0", "PSF-2.0", "Unlicense", "LicenseRef-Public-Domain", "Zlib"}
TOOLS_MAY_BE = SHIPPED_MAY_BE | {"AGPL-3.0-only", "GPL-3.0-only"}
"""Programs that check ours and are neither linked nor handed on."""


def terms(expression):
    return set(re.findall(r"[\w.-]+", expression)) - {"AND", "OR", "WITH"}


@pytest.mark.parametrize("part", COMPONENTS, ids=lambda part: f"{part.purl}@{part.version}")
def test_each_package_is_pinned_by_hash_and_has_a_licence_that_we_may_use(part):
    assert part.hashes
    for algorithm, digest in part.hashes:
        assert algorithm in {"sha256", "sha512"}, part
        assert re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{128}", digest), part
    assert terms(load_licences()[part.purl]) <= (SHIPPED_MAY_BE if part.shipped else TOOLS_MAY_BE)


def test_the_list_of_licences_names_nothing_that_is_gone():
    assert set(load_licences()) == {part.purl for part in COMPONENTS}


def test_packages_that_name_their_licence_as_an_expression_name_the_one_that_we_list():
    licences = load_licences()
    compared = 0
    for part in COMPONENTS:
        if part.kind != "pypi" or part.lock != "uv.lock":
            continue
        try:
            said = metadata(part.name).get("License-Expression")
        except PackageNotFoundError:
            continue  # for another platform or Python
        if said:
            compared += 1
            assert licences[part.purl] == said, part.name
    assert compared > 30


def test_the_bill_names_each_package_once_and_marks_what_a_node_runs_with():
    bill = build_bill()
    references = [part["bom-ref"] for part in bill["components"]]
    assert len(references) == len(set(references)) == len({(p.purl, p.version) for p in COMPONENTS})
    scopes = {
        part["bom-ref"].rsplit("@", 1)[0]: part["scope"]
        for part in bill["components"]
        if part["scope"] == "required"
    }
    assert {"pkg:pypi/fastapi", "pkg:pypi/cryptography", "pkg:pypi/plyvel"} <= scopes.keys()
    tools = {part["name"] for part in bill["components"] if part["scope"] == "excluded"}
    assert {"pytest", "slither-analyzer", "solc", "golang.org/x/mod"} <= tools

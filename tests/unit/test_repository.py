# SPDX-License-Identifier: Apache-2.0
"""What holds for the tree as a whole."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib

import pytest

import cli
import consortium
import contracts
import node
from tests.support.project import ROOT, project_files

PACKAGES = (node, contracts, consortium, cli)
SPDX = "SPDX-License-Identifier: Apache-2.0"
MARKED = (".py", ".sol", ".sh", ".go", ".mjs", ".js", ".toml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAX_SOURCE_BYTES = 20 * 1024
# This file names what it forbids.
OTHERS = tuple(path for path in project_files() if path.name != "test_repository.py")
TEXTS = tuple(
    path
    for path in OTHERS
    if path.suffix not in {".xlsx", ".xls", ".lock"} and path.name != "package-lock.json"
)


def ours(*suffixes):
    return [path for path in project_files(*suffixes) if not path.is_relative_to(ROOT / "tests")]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_the_imported_packages_are_ours(package):
    assert [str(ROOT / package.__name__)] == list(package.__path__)


def test_no_other_distribution_brings_our_packages():
    owners = importlib.metadata.packages_distributions()
    names = {name for package in PACKAGES for name in owners.get(package.__name__, ["ironcage"])}
    assert names == {"ironcage"}
    assert not {"node", "cli", "contracts"} & {
        d.name.lower() for d in importlib.metadata.distributions() if d.name
    }


def test_folders_that_are_no_packages_cannot_be_imported_as_ours():
    """A folder without __init__.py would be a namespace package of that name for whoever runs here."""
    listed = set(PROJECT["tool"]["uv"]["build-backend"]["module-name"])
    assert listed == {package.__name__ for package in PACKAGES}
    assert all((ROOT / name / "__init__.py").is_file() for name in listed)


def test_files_name_their_licence():
    scripts = (ROOT / ".ci" / "run", ROOT / ".ci" / "setup", ROOT / "Makefile")
    unmarked = [
        str(path.relative_to(ROOT))
        for path in (*project_files(*MARKED), *scripts)
        if not any(SPDX in line for line in path.read_text(encoding="utf-8").splitlines()[:3])
    ]
    assert unmarked == []


def test_sources_stay_small():
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in project_files(".py", ".sol")}
    assert {name: size for name, size in sizes.items() if size > MAX_SOURCE_BYTES} == {}


def test_nothing_is_left_for_later():
    left = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError|pragma: no cover")
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in OTHERS
        if path.suffix in {".py", ".sol", ".sh", ".go", ".mjs", ".md", ".toml"}
        for match in left.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_no_path_of_a_machine_is_written_down():
    machine = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/\w|\b[A-Z]:\\Users")
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in TEXTS
        for match in machine.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_no_private_key_is_written_down():
    secret = re.compile(r"BEGIN (?:EC |RSA |ENCRYPTED )?PRIVATE KEY-----\n[A-Za-z0-9+/]{40}")
    assert [path for path in TEXTS if secret.search(path.read_text(encoding="utf-8", errors="replace"))] == []


def test_no_module_has_a_name_that_says_nothing():
    empty = {"utils", "util", "helpers", "helper", "common", "misc", "base"}
    assert [path for path in project_files(".py") if path.stem in empty or path.parent.name in empty] == []


def test_modules_say_what_they_are_for():
    silent = [
        str(path.relative_to(ROOT))
        for path in ours(".py")
        if (tree := ast.parse(path.read_text(encoding="utf-8"))).body and ast.get_docstring(tree) is None
    ]
    assert silent == []


def test_every_exception_from_the_rules_has_a_reason():
    """A rule that is switched off says why, at its line or in a comment right above."""
    bare = re.compile(r"#\s*(?:noqa(?:: [A-Z0-9, ]+)?|type: ignore(?:\[[\w, -]+\])?)\s*$")
    found = []
    for path in ours(".py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if bare.search(line) and "#" not in lines[number - 1]:
                found.append(f"{path.relative_to(ROOT)}:{number + 1}")
    assert found == []


def test_the_version_is_written_once():
    version = PROJECT["project"]["version"]
    assert importlib.metadata.version("ironcage") == version
    literal = re.compile(rf"""["']{re.escape(version)}["']""")
    assert [path for path in ours(".py") if literal.search(path.read_text(encoding="utf-8"))] == []


def test_the_lock_file_fits_the_project():
    """As uv compares them: same dependencies and same range of Python."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    (locked,) = (package for package in lock["package"] if package["name"] == "ironcage")
    required = {(entry["name"], entry.get("specifier", "")) for entry in locked["metadata"]["requires-dist"]}
    assert required == {split(text) for text in PROJECT["project"]["dependencies"]}
    development = locked["metadata"]["requires-dev"]["dev"]
    listed = [entry for entry in PROJECT["dependency-groups"]["dev"] if isinstance(entry, str)]
    listed += PROJECT["dependency-groups"]["node"]
    assert {(entry["name"], entry.get("specifier", "")) for entry in development} == {
        split(text) for text in listed
    }
    assert range_of(lock["requires-python"]) == range_of(PROJECT["project"]["requires-python"])
    registry = [package for package in lock["package"] if "registry" in package["source"]]
    files = [
        file
        for package in registry
        for file in [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
    ]
    assert len(files) > 100
    assert all(file["hash"].startswith("sha256:") for file in files)


def split(requirement):
    """Split ``name>=1,<2; marker`` into name and sorted specifier."""
    name, specifier = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[^]]+\])?([^;]*)(?:;.*)?", requirement).groups()
    return name, ",".join(specifier.strip().split(","))


def range_of(text):
    return {part.strip() for part in text.split(",")}


def test_npm_locks_pin_every_package_by_hash():
    locks = [path for path in project_files(".json") if path.name == "package-lock.json"]
    assert locks
    for path in locks:
        packages = json.loads(path.read_text(encoding="utf-8"))["packages"]
        assert all(
            entry.get("integrity", "").startswith("sha512-") for name, entry in packages.items() if name
        ), path
        named = json.loads(path.with_name("package.json").read_text(encoding="utf-8"))
        wanted = named.get("dependencies", {}) | named.get("devDependencies", {})
        assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values()), path
        assert wanted == packages[""].get("dependencies", {}) | packages[""].get("devDependencies", {}), path


def test_set_up_pins_its_own_tool_by_hash():
    lines = (ROOT / ".ci" / "uv.txt").read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"uv==\d+\.\d+\.\d+ \\", next(line for line in lines if not line.startswith("#")))
    assert sum("--hash=sha256:" in line for line in lines) > 10


def test_nothing_outside_the_node_opens_records():
    """Inside it there is one door, held by tests/unit/service/test_looking.py."""
    outside = [path for path in ours(".py") if path.relative_to(ROOT).parts[0] in {"cli", "consortium"}]
    assert outside
    for path in outside:
        assert not {"unwrap_secret", "open_values"} & names_used(path), path


def names_used(path):
    """The names that a module's code uses; what it only defines or imports does not count."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return {n.id for n in nodes if isinstance(n, ast.Name)} | {
        n.attr for n in nodes if isinstance(n, ast.Attribute)
    }


def test_verification_loads_no_server_no_store_and_no_chain_client():
    program = (
        "import sys, node.evidence.verify, node.evidence.build;"
        "heavy = {'web3', 'fastapi', 'uvicorn', 'plyvel', 'plyvel_next', 'pydantic', 'pydantic_settings', 'structlog', 'httpx',"
        " 'python_calamine', 'py_ecc', 'eth_keyfile', 'asyncio', 'http', 'ssl'};"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT)
    assert done.stdout.decode().strip() == "[]"

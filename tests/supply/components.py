# SPDX-License-Identifier: Apache-2.0
"""Everything that the lock files pin: Python, npm and Go packages with versions, hashes and licences."""

from __future__ import annotations

import base64
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LICENCES = Path(__file__).parent / "licences.json"
"""SPDX expression of every package by its purl without the version; read off the packages, kept by hand where they are vague."""
PROJECTS = {"uv.lock": "ironcage", "contracts/slither/uv.lock": "ironcage-slither"}
NPM_LOCKS = ("contracts/package-lock.json", "tests/interop/node/package-lock.json")
GO_SUMS = ("tests/interop/go/go.sum",)


@dataclass(frozen=True)
class Component:
    """One package of a lock file; ``shipped`` when a node runs with it."""

    kind: str
    name: str
    version: str
    hashes: tuple[tuple[str, str], ...]
    shipped: bool
    lock: str

    @property
    def purl(self):
        """Package URL without the version."""
        return f"pkg:{self.kind}/{self.name.replace('@', '%40')}"


def list_components():
    """List the components of all lock files, sorted."""
    found = [part for lock, project in PROJECTS.items() for part in _python(lock, project)]
    found += [part for lock in NPM_LOCKS for part in _npm(lock)]
    found += [part for lock in GO_SUMS for part in _go(lock)]
    return sorted(found, key=lambda part: (part.kind, part.name, part.version, part.lock))


def load_licences():
    """Load the licence of each package by purl."""
    return json.loads(LICENCES.read_text(encoding="utf-8"))


def _python(lock, project):
    packages = tomllib.loads((ROOT / lock).read_text(encoding="utf-8"))["package"]
    by_name = {}
    for package in packages:
        by_name.setdefault(package["name"], []).append(package)
    shipped = _reach(by_name, project) if lock == "uv.lock" else set()
    for package in packages:
        if package["name"] == project:
            continue
        assert "registry" in package["source"], f"{lock}: {package['name']} does not come from a registry"
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
        assert files, f"{lock}: {package['name']} has no file with a hash"
        hashes = tuple(sorted({tuple(file["hash"].split(":")) for file in files}))
        yield Component("pypi", package["name"], package["version"], hashes, package["name"] in shipped, lock)


def _reach(by_name, project):
    reached, waiting = set(), [project]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting += [need["name"] for package in by_name[name] for need in package.get("dependencies", ())]
    return reached


def _npm(lock):
    for place, package in json.loads((ROOT / lock).read_text(encoding="utf-8"))["packages"].items():
        if place:
            algorithm, _, digest = package["integrity"].partition("-")
            hashes = ((algorithm, base64.b64decode(digest, validate=True).hex()),)
            name = place.rpartition("node_modules/")[2]
            yield Component("npm", name, package["version"], hashes, shipped=False, lock=lock)


def _go(lock):
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        name, version, digest = line.split()
        assert re.fullmatch(r"h1:[A-Za-z0-9+/]{43}=", digest), f"{lock}: {line}"
        if not version.endswith("/go.mod"):
            hashes = (("sha256", base64.b64decode(digest[3:]).hex()),)
            yield Component("golang", name, version, hashes, shipped=False, lock=lock)

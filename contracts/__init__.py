# SPDX-License-Identifier: Apache-2.0
"""The contracts' ABI and bytecode, as they are deployed (DESIGN §5).

The files in ``artifacts/`` are written by ``python -m contracts.build`` and compared with a rebuild in CI.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import orjson

NAMES: Final = ("AnchorLog", "DocumentRegistry", "MemberRegistry")
"""The contracts that are deployed."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract.

    Args:
        name: Name of the contract.
        abi: JSON ABI, with the errors that the contract can revert with.
        bytecode: Creation code; constructor arguments are appended to it.
        deployed_bytecode: Code as it stands on the chain, zero where immutable values are put in.
        immutable_ranges: The (start, length) in bytes of those places.
        compiler: Version and settings of the compiler.
    """

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    deployed_bytecode: bytes
    immutable_ranges: tuple[tuple[int, int], ...]
    compiler: dict[str, Any]


def load_artifact(name: str) -> Artifact:
    """Load a compiled contract from the package.

    Args:
        name: One of :data:`NAMES`.

    Raises:
        KeyError: The package has no such contract.
    """
    if name not in NAMES:
        raise KeyError(name)
    content = orjson.loads(files(__package__).joinpath("artifacts", f"{name}.json").read_bytes())
    return Artifact(
        name=content["name"],
        abi=content["abi"],
        bytecode=bytes.fromhex(content["bytecode"].removeprefix("0x")),
        deployed_bytecode=bytes.fromhex(content["deployedBytecode"].removeprefix("0x")),
        immutable_ranges=tuple((start, length) for start, length in content["immutableRanges"]),
        compiler=content["compiler"],
    )

# SPDX-License-Identifier: Apache-2.0
"""Read and write network files; the format is ``node.chain.network``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node.chain.network import MAX_NETWORK_BYTES, encode_network, parse_network
from node.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from node.chain.network import Network

NETWORK_FILE_NAME: Final = "network.json"
_PUBLIC_MODE: Final = 0o644


def load_network(path: Path) -> Network:
    """Load a network file.

    Args:
        path: The file, or a directory that holds ``network.json``.

    Raises:
        NotFound: ``network-file-missing``.
        InvalidInput: ``network-file`` when it cannot be read, and the codes of ``parse_network``.
    """
    file = path / NETWORK_FILE_NAME if path.is_dir() else path
    try:
        with file.open("rb") as source:
            data = source.read(MAX_NETWORK_BYTES + 1)
    except FileNotFoundError:
        raise NotFound("network-file-missing", f"there is no network file at {file}") from None
    except OSError as error:
        raise InvalidInput("network-file", f"network file {file} cannot be read: {error.strerror}") from None
    return parse_network(data)


def store_network(path: Path, network: Network) -> None:
    """Store a network file, whole or not at all, in place of one that is there.

    Raises:
        InvalidInput: ``network-file`` when it cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as target:
            try:
                target.write(encode_network(network) + b"\n")
                target.flush()
                os.fsync(target.fileno())
                Path(target.name).chmod(_PUBLIC_MODE)
                Path(target.name).replace(path)
            except OSError:
                Path(target.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise InvalidInput(
            "network-file", f"network file {path} cannot be written: {error.strerror}"
        ) from None

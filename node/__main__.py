# SPDX-License-Identifier: Apache-2.0
"""Run a node: ``python -m node HOME`` (the same as ``ironcage node run --home HOME``)."""

from __future__ import annotations

import sys
from pathlib import Path

from node.errors import InvalidInput, NodeError, Unavailable


def main(arguments: list[str]) -> int:
    """Run from the command line; give the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m node HOME\n")
        return 2
    # Each worker process imports this module anew; it must not load a server and a chain client for that.
    from node.serving import run_node  # noqa: PLC0415

    try:
        run_node(Path(arguments[0]))
    except NodeError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
        return 3 if isinstance(error, Unavailable) else 2 if isinstance(error, InvalidInput) else 1
    except OSError as error:
        from node.storage.room import refuse_unwritten  # noqa: PLC0415 - the same

        refused = refuse_unwritten(error)
        sys.stderr.write(f"{refused.code}: {refused.message}\n")
        return 3 if isinstance(refused, Unavailable) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# SPDX-License-Identifier: Apache-2.0
"""Run a command that cannot reach the nodes.

It may open no file of the demonstration but those in the verifier's own folder, and connect to nothing but the
chain's RPC, when one is named.

``python -m cli.demo.confined FORBIDDEN ALLOWED RPC|- ironcage-arguments…``

A Python audit hook refuses; it cannot be taken off again. It stands in for the other machine on which a real
verifier would sit.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable


def build_hook(forbidden: Path, allowed: Path, rpc: str) -> Callable[[str, tuple[Any, ...]], None]:
    """Build the audit hook.

    Args:
        forbidden: Directory of which nothing may be opened …
        allowed: … but what is in this one.
        rpc: The only address to which a connection may be made, or ``-``.
    """
    target = urlsplit(rpc)
    place = (target.hostname, target.port)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"open", "os.listdir", "os.scandir"} and isinstance(
            arguments[0], str | bytes | os.PathLike
        ):
            path = Path(os.path.realpath(os.fsdecode(arguments[0])))
            if path.is_relative_to(forbidden) and not path.is_relative_to(allowed):
                raise PermissionError("the verifier may not read what belongs to a node")
        elif event == "socket.connect" and tuple(arguments[1][:2]) != place:
            raise PermissionError("the verifier may not connect there")
        elif event in {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "ctypes.dlopen"}:
            raise PermissionError("the verifier may not start programs")

    return hook


def main() -> None:
    """Put on the hook and run the command."""
    forbidden, allowed, rpc = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    sys.argv = ["ironcage", *sys.argv[4:]]
    from cli.main import run

    sys.addaudithook(build_hook(forbidden, allowed, rpc))
    run()


if __name__ == "__main__":
    main()

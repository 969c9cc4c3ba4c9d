# SPDX-License-Identifier: Apache-2.0
"""The home directory of a node, and the way to the node that runs in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from cli.address import ADDRESS
from cli.language import LANGUAGE, say
from node.core.canonical import check_members, parse_json
from node.core.encoding import parse_hex
from node.core.hosts import is_loopback
from node.errors import InvalidInput, NotFound, Unavailable

if TYPE_CHECKING:
    from node.client.api import NodeClient

MAX_RUN_FILE_BYTES: Final = 4096
TOKEN_FILE: Final = "operator.token"  # noqa: S105 - the name of a file

HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="IRONCAGE_HOME",
        help=say("节点主目录", "home directory of the node"),
        show_default=say("当前目录", "current directory"),
    ),
]
TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="IRONCAGE_TOKEN_FILE",
        help=say("你自己的访问令牌文件（0600）", "file with your own token, mode 0600"),
        show_default=say("节点的 operator.token", "the node's operator.token"),
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help=say("输出 JSON，供脚本使用", "print JSON, for scripts"))
]
DEFAULT_HOME: Final = Path()


def open_client(home: Path, token_file: Path | None = None) -> NodeClient:
    """Connect to the node that ``--url`` names, else to the one that runs in a home directory.

    Args:
        home: The directory.
        token_file: File with the caller's own token; None takes the home's, of role operator.

    Raises:
        Unavailable: No node runs there.
        NotFound: The token file is missing.
        InvalidInput: ``token-file-needed``, ``node-url-plain``: the token would cross a network in the clear.
        Fatal: Others can read the token file.
    """
    from node.client.api import NodeClient

    if ADDRESS.url is not None:
        if token_file is None:
            raise InvalidInput(
                "token-file-needed", "--url needs a token of your own: --token-file or IRONCAGE_TOKEN_FILE"
            )
        require_guarded_url(ADDRESS.url)
        return NodeClient(ADDRESS.url, load_token(token_file), language=LANGUAGE, tls_ca=ADDRESS.tls_ca)
    run_file = home / "run" / "node.json"
    advice = f"start it with `ironcage node run --home {home}`"
    if not run_file.is_file():
        raise Unavailable("node-not-running", f"no node runs in {home}: {advice}")
    data = parse_json(run_file.read_bytes(), max_bytes=MAX_RUN_FILE_BYTES, what="run/node.json")
    members = check_members(
        data, "run/node.json", required=("pid", "started", "url", "v"), optional=("certificate",)
    )
    from node.storage.processes import is_alive

    if not is_alive(members["pid"], members["started"]):
        # Another program may have its port by now, and must not be sent the token.
        raise Unavailable("node-not-running", f"the node of {home} was ended without notice: {advice}")
    token = load_token(token_file or home / "keys" / TOKEN_FILE)
    pin = parse_hex(str(members["certificate"]), length=32) if "certificate" in members else None
    return NodeClient(str(members["url"]), token, language=LANGUAGE, tls_pin=pin)


def require_guarded_url(url: str) -> None:
    """Refuse to send a token over a network in the clear.

    Raises:
        InvalidInput: ``node-url-plain``.
    """
    host = urlsplit(url).hostname or ""
    if url.startswith("http:") and not is_loopback(host):
        raise InvalidInput(
            "node-url-plain", "the token would cross the network in the clear: want an address with https"
        )


def load_token(path: Path) -> str:
    """Read a token from a file of its own.

    Raises:
        NotFound: The file is missing.
        Fatal: Others can read it.
    """
    from node.storage.keyfiles import load_private

    return load_private(path).decode("ascii", "replace").strip()


def parse_leaf(text: str) -> str:
    """Parse the leaf hash that names a record: 64 hex digits.

    Raises:
        InvalidInput: It is not one.
    """
    folded = text.strip().lower()
    if len(folded) != 64 or any(digit not in "0123456789abcdef" for digit in folded):  # noqa: PLR2004 - SHA-256 in hex
        raise InvalidInput(
            "leaf-form", f"record name has {len(text)} characters, want 64 hex digits (its leaf hash)"
        )
    return folded


def read_passphrase(path: Path) -> str:
    """Read a passphrase from a file of its own.

    Raises:
        NotFound: The file is missing.
        Fatal: Others can read it.
        InvalidInput: It is too short to protect anything.
    """
    from node.storage.keyfiles import load_private

    if not path.is_file():
        raise NotFound("passphrase-missing", f"no passphrase file {path}")
    passphrase = load_private(path).decode().rstrip("\n")
    if len(passphrase) < 12:  # noqa: PLR2004 - docs/configuration.md
        raise InvalidInput(
            "passphrase-short", f"passphrase has {len(passphrase)} characters, want at least 12"
        )
    return passphrase

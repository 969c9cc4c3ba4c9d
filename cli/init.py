# SPDX-License-Identifier: Apache-2.0
"""``ironcage init``: create the home directory of a node."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.home import DEFAULT_HOME, TOKEN_FILE, HomeOption, JsonOption, read_passphrase
from cli.language import say
from cli.output import print_json, print_line, reported, require_file
from node.core.canonical import encode_json
from node.core.uscc import parse_uscc
from node.errors import Conflict, InvalidInput

DEFAULT_SCRYPT_N: Final = 1 << 16
ROLES: Final = ("issuer", "consumer", "auditor", "regulator", "gateway")

_CONFIG: Final = """# Settings of this node; docs/configuration.md explains each. 本节点设置，说明见 docs/configuration.md。
member = {member}
name_zh = {name_zh}
name_en = {name_en}
listen_port = {port}
passphrase_file = {passphrase_file}
anchor_period_seconds = {period}
"""


def init(
    member: Annotated[
        str, typer.Option(help=say("部门统一社会信用代码（18 位）", "the department's USCC, 18 characters"))
    ],
    name_zh: Annotated[
        str, typer.Option("--name", help=say("部门名称（中文）", "name of the department, in Chinese"))
    ],
    name_en: Annotated[str, typer.Option(help=say("英文名称", "name in English"))] = "",
    roles: Annotated[
        str, typer.Option(help=say("角色，逗号分隔", "roles, comma-separated") + ": " + ", ".join(ROLES))
    ] = ("issuer,consumer"),
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            help=say(
                "口令文件；不给则自动生成一个", "file with the passphrase of the keys; made when not given"
            )
        ),
    ] = None,
    network: Annotated[
        Path | None, typer.Option(help=say("联盟的 network.json", "the consortium's network.json"))
    ] = None,
    port: Annotated[
        int, typer.Option(help=say("HTTP 端口，0 为任选", "HTTP port, 0 for any free one"))
    ] = 8620,
    anchor_period: Annotated[int, typer.Option(help=say("上链间隔（秒）", "seconds between anchors"))] = 300,
    home: HomeOption = DEFAULT_HOME,
    *,
    as_json: JsonOption = False,
) -> None:
    """Create keys, configuration and directories of a new node."""
    with reported(as_json=as_json):
        result = create_home(
            home,
            member=member,
            name_zh=name_zh,
            name_en=name_en,
            roles=[role.strip() for role in roles.split(",") if role.strip()],
            passphrase_file=passphrase_file,
            network=network,
            port=port,
            anchor_period_seconds=anchor_period,
        )
    if as_json:
        print_json(result)
        return
    print_line(say(f"节点主目录已建立：{home}", f"created the node's home: {home}"))
    print_line(say(f"操作员地址：{result['operator']}", f"operator address: {result['operator']}"))
    print_line(
        say(
            "member.json 交给联盟部署人；keys/recovery.json 移到离线处；口令另行保管。",
            "hand member.json to whoever deploys the consortium; move keys/recovery.json to a cold place; "
            "keep the passphrase elsewhere.",
        )
    )


def create_home(
    home: Path,
    *,
    member: str,
    name_zh: str,
    name_en: str,
    roles: list[str],
    passphrase_file: Path | None,
    network: Path | None,
    port: int,
    anchor_period_seconds: int,
    scrypt_n: int = DEFAULT_SCRYPT_N,
) -> dict[str, str]:
    """Create the home directory of a node.

    Returns:
        Addresses of the operator and recovery keys.

    Raises:
        Conflict: The directory is a node's home already, or holds keys.
        InvalidInput: The USCC, a role, a setting, the network file or the passphrase is not what it must be.
        NotFound: The network file or the passphrase file is not there.
        Fatal: Others can read the passphrase file.
    """
    from node.chain.network import MAX_NETWORK_BYTES, parse_network
    from node.config import parse_settings
    from node.crypto.keystore import parse_keystore
    from node.crypto.secp256k1 import OperatorKey
    from node.service.tokens import encode_tokens, new_token
    from node.storage.keyfiles import create_keys, load_private, require_no_keys, store_private
    from node.storage.tokenfile import TOKENS_FILE

    code = parse_uscc(member)
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles:
        raise InvalidInput("role-unknown", f"role is unknown: want some of {', '.join(ROLES)}")
    if (home / "config.toml").exists():
        raise Conflict("home-exists", f"{home} is a node's home already")
    keys = home / "keys"
    require_no_keys(keys)
    # All that can be refused is refused before a key is made: a home with keys and no settings is of no use.
    agreed = None if network is None else require_file(network, max_bytes=MAX_NETWORK_BYTES)
    if agreed is not None:
        parse_network(agreed)
    made = Path("keys") / "passphrase"
    config = _CONFIG.format(
        member=_toml(code),
        name_zh=_toml(name_zh),
        name_en=_toml(name_en),
        port=port,
        # As given it would be looked for in the home, not in the directory where the user stands.
        passphrase_file=_toml(str(passphrase_file.absolute() if passphrase_file else made)),
        period=anchor_period_seconds,
    ).encode()
    parse_settings(config)
    given = None if passphrase_file is None else read_passphrase(passphrase_file)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys.mkdir(mode=0o700, exist_ok=True)
    if given is None:
        store_private(home / made, secrets.token_urlsafe(24).encode() + b"\n")
    passphrase = given or read_passphrase(home / made)
    operator = create_keys(keys, passphrase, secrets.token_bytes, scrypt_n=scrypt_n)
    recovery = OperatorKey(parse_keystore(load_private(keys / "recovery.json"), passphrase)).address
    token, entry = new_token("operator", "operator", None, secrets.token_bytes)
    store_private(keys / TOKENS_FILE, encode_tokens([entry]))
    store_private(keys / TOKEN_FILE, token.encode() + b"\n")
    if agreed is not None:
        (home / "network.json").write_bytes(agreed)
    (home / "config.toml").write_bytes(config)
    described = {
        "code": code,
        "name": name_zh,
        "operator": operator,
        "recovery": recovery,
        "roles": roles,
        "v": 1,
    }
    (home / "member.json").write_bytes(encode_json(described) + b"\n")
    return {"home": str(home), "operator": operator, "recovery": recovery}


def _toml(text: str) -> str:
    # A JSON string is a TOML basic string.
    return encode_json(text).decode()

# SPDX-License-Identifier: Apache-2.0
"""``ironcage chain`` and ``ironcage member``: a development chain, deployment, the state of the chain, the members."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.home import DEFAULT_HOME, HomeOption, JsonOption
from cli.language import LANGUAGE, say
from cli.output import print_json, print_line, print_table, reported, require_file, require_writable
from node.core.canonical import check_members, parse_json
from node.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from consortium.deploy import ChainChoice, Founder
    from node.chain.network import Network
    from node.crypto.secp256k1 import OperatorKey

MAX_MEMBER_FILE_BYTES = 4096
MAX_KEYSTORE_BYTES = 4096
app = typer.Typer(no_args_is_help=True, help=say("链与合约", "chain and contracts"))
members = typer.Typer(no_args_is_help=True, help=say("联盟成员", "members of the consortium"))


@app.command(help=say("启动开发链（anvil），直到 Ctrl-C", "run a development chain (anvil) until Ctrl-C"))
def dev(
    directory: Annotated[
        Path, typer.Option("--dir", help=say("链状态目录", "directory of its state"))
    ] = Path("chain"),
    port: Annotated[int, typer.Option(help=say("端口，0 为任选", "port, 0 for any free one"))] = 0,
) -> None:
    """Run a development chain with its state kept in a directory."""
    from consortium.anvil import start_anvil

    # The chain is a process of its own: whoever ends this one, however politely, must not leave that one behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with reported():
        anvil = start_anvil(directory, port=port or None)
    with anvil:
        print_line(say(f"链在 {anvil.url}，Ctrl-C 结束。", f"chain at {anvil.url}; Ctrl-C ends it."))
        try:
            while anvil.is_running():
                time.sleep(0.5)
        except KeyboardInterrupt:
            print_line()


@app.command(help=say("部署合约并写出 network.json", "deploy the contracts and write network.json"))
def deploy(
    rpc: Annotated[str, typer.Option(help=say("链节点地址", "address of a chain node"))],
    domain: Annotated[str, typer.Option(help=say("交换域", "exchange domain"))],
    founder: Annotated[
        list[Path],
        typer.Option(help=say("成员的 member.json，可多次", "a member's member.json; may be repeated")),
    ],
    key: Annotated[
        Path,
        typer.Option(help=say("部署账户密钥（keystore v3）", "key of the deploying account, keystore v3")),
    ],
    passphrase_file: Annotated[Path, typer.Option(help=say("其口令文件", "file with its passphrase"))],
    out: Annotated[Path, typer.Option("--out", "-o", help=say("输出文件", "file to write"))] = Path(
        "network.json"
    ),
    engine: Annotated[str, typer.Option(help="anvil, qbft, clique, …")] = "anvil",
    chain_id: Annotated[int, typer.Option(help=say("链号", "chain id"))] = 20260,
    signers: Annotated[
        int | None, typer.Option(help=say("Clique 签名者数", "number of Clique signers"))
    ] = None,
    gas_price: Annotated[int | None, typer.Option(help=say("燃料价（wei）", "gas price, wei"))] = None,
    depth: Annotated[
        int | None, typer.Option(help=say("其他引擎的确认深度", "blocks on top, for other engines"))
    ] = None,
    governing: Annotated[
        list[str] | None,
        typer.Option(
            help=say("有表决权的成员代码；不给则全部", "codes of members with a vote; all when not given")
        ),
    ] = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help=say("覆盖已有的输出文件", "overwrite a file that is there"))
    ] = False,
) -> None:
    """Deploy the contracts with their founders."""
    from cli.home import read_passphrase
    from consortium.deploy import ChainChoice
    from consortium.network import store_network
    from node.crypto.keystore import parse_keystore
    from node.crypto.secp256k1 import OperatorKey

    with reported():
        # Asked first: a consortium whose network file cannot be written is deployed for nothing.
        if out.is_dir() or (out.exists() and not force):
            raise Conflict("output-exists", f"{out} is there already; a file is overwritten with --force")
        require_writable(out)
        deployer = OperatorKey(
            parse_keystore(require_file(key, max_bytes=MAX_KEYSTORE_BYTES), read_passphrase(passphrase_file))
        )
        founders = [load_founder(path, governing) for path in founder]
        choice = ChainChoice(
            chain_id, engine, rpc=(rpc,), gas_price_wei=gas_price, signers=signers, depth_blocks=depth
        )
        network = deploy_consortium(choice, deployer, founders, domain=domain)
        store_network(out, network)
    print_line(say(f"已部署，网络文件 {out}", f"deployed; network file {out}"))


def deploy_consortium(
    choice: ChainChoice, deployer: OperatorKey, founders: list[Founder], *, domain: str
) -> Network:
    """Deploy the contracts through the chain node that the choice names, and give the network file's content."""
    from consortium.deploy import deploy_network
    from node.chain.rpc import Rpc
    from node.chain.transport import HttpTransport
    from node.core.clock import SystemClock

    rpc = Rpc(HttpTransport(choice.rpc[0]))
    try:
        return deploy_network(
            rpc,
            choice,
            deployer,
            domain=domain,
            founders=founders,
            clock=SystemClock(),
            sleep=time.sleep,
        )
    finally:
        rpc.close()


def load_founder(path: Path, governing: list[str] | None) -> Founder:
    """Load a member's own description, as ``ironcage init`` wrote it.

    Raises:
        NotFound: The file is missing.
        InvalidInput: It is not one.
    """
    from consortium.deploy import Founder
    from node.chain.network import build_network_member
    from node.core.members import check_integer, check_list, check_text
    from node.crypto.secp256k1 import encode_address, parse_address
    from node.ports import Role

    data = parse_json(
        require_file(path, max_bytes=MAX_MEMBER_FILE_BYTES),
        max_bytes=MAX_MEMBER_FILE_BYTES,
        what="member file",
    )
    fields = check_members(
        data, "member file", required=("code", "name", "operator", "recovery", "roles", "v")
    )
    check_integer(fields["v"], "v", least=1, most=1)
    words = [
        check_text(word, "role").lower()
        for word in check_list(fields["roles"], "roles", max_items=MAX_MEMBER_FILE_BYTES)
    ]
    if not {word.upper() for word in words} <= Role.__members__.keys():
        raise InvalidInput("role-unknown", f"{path.name} names an unknown role")
    operator, recovery = (parse_address(check_text(fields[name], name)) for name in ("operator", "recovery"))
    # As it will stand in the network file: what that refuses must not be on the chain already.
    member = build_network_member(
        check_text(fields["code"], "code"), check_text(fields["name"], "name"), operator, sorted(set(words))
    )
    votes = governing is None or member.code in governing
    return Founder(
        member.code, member.name, encode_address(operator), encode_address(recovery), member.roles, votes
    )


@app.command(help=say("链的状态", "state of the chain"))
def status(home: HomeOption = DEFAULT_HOME, *, as_json: JsonOption = False) -> None:
    """Say how the chain of a home directory's network stands."""
    from node.bootstrap import load_network, open_chain
    from node.config import load_settings

    with reported(as_json=as_json):
        settings = load_settings(home)
        with open_chain(settings, load_network(settings)) as chain:
            found = chain.probe()
            offers = None if found.state == "away" else chain.capabilities()
    shown = {
        "state": found.state,
        "chain_id": found.chain_id,
        "block": found.block,
        "block_time": found.block_time,
        "detail": found.detail,
        "client": offers.client if offers else None,
        "optional": [name for name, answers in offers.optional if answers] if offers else [],
    }
    if as_json:
        print_json(shown)
    else:
        _print_status(shown)
    if found.state != "ready":
        raise SystemExit(3)


def _print_status(shown: dict[str, Any]) -> None:
    """Print what is known of the chain, a line each, and what to do where that is known."""
    from cli.advice import ADVICE
    from cli.words import time_text

    state, block_time = shown["state"], shown["block_time"]
    values = shown | {
        "state": say(_STATES.get(state, state), state),
        "block_time": None if block_time is None else time_text(block_time * 1_000),
        "optional": ", ".join(shown["optional"]),
    }
    for name, value in values.items():
        if value not in {None, ""}:
            print_line(f"{say(_NAMES[name], name)}: {value}")
    if LANGUAGE == "zh" and f"chain-{state}" in ADVICE:
        print_line(f"处理办法：{ADVICE[f'chain-{state}']}")


_STANDING: Final = {"active": "在册", "suspended": "已暂停", "removed": "已移除"}
_ROLES: Final = {
    "issuer": "签发",
    "consumer": "查询",
    "auditor": "审计",
    "regulator": "监管",
    "gateway": "网关",
}
_NAMES: Final = {
    "state": "状态",
    "chain_id": "链编号",
    "block": "最新区块",
    "block_time": "区块时间",
    "detail": "说明",
    "client": "链节点程序",
    "optional": "可选功能",
}
_STATES: Final = {
    "ready": "正常",
    "away": "无应答",
    "empty": "空链（没有本网络的历史）",
    "behind": "落后",
    "wrong-chain": "另一条链",
}


@members.command("list", help=say("列出联盟成员", "list the members"))
def list_members(home: HomeOption = DEFAULT_HOME, *, as_json: JsonOption = False) -> None:
    """List all that ever joined, from the registry on the chain."""
    from node.bootstrap import load_network, open_chain
    from node.config import load_settings

    with reported(as_json=as_json):
        settings = load_settings(home)
        network = load_network(settings)
        with open_chain(settings, network) as chain:
            found = chain.members()
            endpoints = {m.code: chain.endpoint(m.code) for m in found}
    names = {member.code: member.name for member in network.members}
    rows: list[dict[str, Any]] = [
        {
            "code": m.code,
            "name": names.get(m.code, ""),
            "status": m.status.name.lower(),
            "roles": [str(role.name).lower() for role in m.roles],
            "governing": m.governing,
            "operator": m.operator,
            "address": None if (endpoint := endpoints[m.code]) is None else endpoint.url,
            "tls_key": None if endpoint is None or endpoint.tls_key is None else endpoint.tls_key.hex(),
        }
        for m in found
    ]
    if as_json:
        print_json(rows)
        return
    columns = (
        say("代码", "code"),
        say("名称", "name"),
        say("状态", "status"),
        say("角色", "roles"),
        say("表决", "votes"),
        say("地址", "address"),
    )
    print_table(
        columns,
        [
            (
                r["code"],
                r["name"],
                say(_STANDING.get(r["status"], r["status"]), r["status"]),
                say("、".join(_ROLES.get(role, role) for role in r["roles"]), ",".join(r["roles"])),
                "✓" if r["governing"] else "",
                r["address"] or "",
            )
            for r in rows
        ],
    )

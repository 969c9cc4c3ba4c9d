# SPDX-License-Identifier: Apache-2.0
"""``ironcage record erase`` and ``erased``: erase records, and show what was erased."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client, parse_leaf
from cli.language import say
from cli.output import print_json, print_line, print_table, reported
from node.core.clock import china_date
from node.errors import InvalidInput
from node.records.tombstone import GROUNDS, check_ground

if TYPE_CHECKING:
    from node.client.api import NodeClient

PAGE: Final = 1000
_GROUND_HELP: Final = "; ".join(f"{code}: {say(zh, en)}" for code, (zh, en) in GROUNDS.items())


def register(app: typer.Typer) -> None:
    """Add the commands to ``ironcage record``."""
    app.command(
        help=say(
            "彻底删除一条记录（不可恢复），须管理员令牌",
            "erase a record for good, with an administrator's token",
        )
    )(erase)
    app.command(help=say("列出已删除的记录，或查看一条", "list erased records, or show one"))(erased)


def erase(
    leaf: Annotated[
        str,
        typer.Argument(help=say("记录的叶哈希（64 位十六进制）", "leaf hash of the record, 64 hex digits")),
    ],
    ground: Annotated[str, typer.Option(help=_GROUND_HELP)],
    basis: Annotated[
        str | None, typer.Option(help=say("法律依据，留存于访问日志", "legal basis; kept in the access log"))
    ] = None,
    case: Annotated[str | None, typer.Option(help=say("文号或案号", "number of the order or case"))] = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    with_versions: Annotated[
        bool,
        typer.Option(
            "--with-versions",
            help=say(
                "连同其更正前后的各版本一并删除", "erase what it corrected and what corrected it as well"
            ),
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help=say("不再询问", "do not ask"))] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase a record: nobody can open it afterwards, this node included."""
    with reported(as_json=as_json):
        hexadecimal = parse_leaf(leaf)
        check_ground(ground)
        if not yes:
            _ask(hexadecimal, with_versions=with_versions)
        with open_client(home, token_file) as client:
            body = {"ground": ground, "basis": basis, "case": case, "with_versions": with_versions}
            done = client.post(f"/api/v1/records/{hexadecimal}/erase", body)
    if as_json:
        print_json(done)
        return
    for each in (done, *done["also"]):
        _print_one(each)
        if each["receipt"]:
            print_line(say("本次删除的回执：", "receipt of this erasure: ") + each["receipt"])
        else:
            print_line(say("该记录此前已删除，本次未作改动。", "it was erased before; nothing was changed."))
    _print_open(done)


def erased(
    leaf: Annotated[str | None, typer.Argument(help=say("记录的叶哈希", "leaf hash of a record"))] = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List erased records, or show one with its tombstone."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        if leaf is not None:
            found = client.get(f"/api/v1/records/{parse_leaf(leaf)}/erasure")
        else:
            found = _all(client)
    if as_json:
        print_json(found)
    elif leaf is not None:
        _print_one(found)
        _print_open(found)
        print_line(say("墓碑（已签名）：", "tombstone (signed): ") + found["tombstone"])
    else:
        columns = (
            say("序号", "index"),
            say("目录项", "item"),
            say("依据", "ground"),
            say("删除于", "erased"),
            say("备份清零", "final by"),
            say("叶哈希", "leaf"),
        )
        rows = [
            (
                e["index"],
                e["item"],
                say(GROUNDS[e["ground"]][0], e["ground"]),
                china_date(e["erased"]),
                china_date(e["final_by"]),
                e["leaf"],
            )
            for e in found
        ]
        print_table(columns, rows, fold=False)


def _all(client: NodeClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = client.get("/api/v1/erasures", limit=PAGE, **({"after": found[-1]["index"]} if found else {}))
        found += page
        if len(page) < PAGE:
            return found


def _ask(leaf: str, *, with_versions: bool) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput(
            "erase-not-confirmed", "an erasure is final: add --yes to order it without being asked"
        )
    more = say("及其各版本", " and its other versions") if with_versions else ""
    question = say(
        f"删除后任何人都无法再打开记录 {leaf[:16]}…{more}，确定吗？",
        f"nobody can ever open record {leaf[:16]}…{more} again. Go on?",
    )
    if not typer.confirm(question):
        raise InvalidInput("erase-not-confirmed", "nothing was erased")


def _print_one(done: dict[str, Any]) -> None:
    zh, en = GROUNDS[done["ground"]]
    print_line(
        say(
            f"第 {done['index']} 号记录已于 {china_date(done['erased'])} 删除（{zh}）。备份中的副本最迟于 {china_date(done['final_by'])} 到期。",
            f"record {done['index']} was erased on {china_date(done['erased'])}: {en}. Copies in backups end by {china_date(done['final_by'])}.",
        )
    )
    print_line(
        say(
            f"墓碑：{done['log']} 第 {done['tombstone_index']} 条（{done['tombstone_stage']}）",
            f"tombstone: entry {done['tombstone_index']} of {done['log']} ({done['tombstone_stage']})",
        )
    )
    if not done["purged"]:
        print_line(
            say(
                "磁盘上仍有残留字节（读取、备份进行中或磁盘空间不足），节点每分钟自动重试清除。",
                "the old bytes are still on the disk (a read, a backup or too little free space holds them up); the node tries again every minute.",
            )
        )


def _print_open(done: dict[str, Any]) -> None:
    """Name the other versions of a record that were not erased with it: they hold much the same."""
    if done["open_versions"]:
        print_line(
            say(
                "该记录更正前后的以下版本仍可打开；如需一并删除，请加 --with-versions 重新执行：",
                "these versions of the record, from before or after a correction, still open; order it again --with-versions to erase them:",
            )
        )
        for leaf in done["open_versions"]:
            print_line(f"  {leaf}")

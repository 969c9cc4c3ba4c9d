# SPDX-License-Identifier: Apache-2.0
"""The commands of ``ironcage``: one module a noun."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli import (
    access,
    ask,
    audit,
    backup,
    chain,
    consent,
    documents,
    evidence,
    imports,
    init,
    keys,
    logs,
    many,
    node,
    policy,
    receipt,
    records,
    sealed,
    subject,
    tokens,
)
from cli.language import say
from cli.output import print_line

app = typer.Typer(
    name="ironcage",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=say(
        "数据铁笼：记录留在本部门，留痕可证明。退出码：0 完成或验证通过，1 拒绝或未通过，2 用法错误，3 暂不可用",
        "Ironcage: records stay at home, every look is provable. "
        "Exit codes: 0 done or verified, 1 refused or not verified, 2 wrong usage, 3 unavailable, try again",
    ),
)
app.command("init", help=say("建立节点主目录", "create a node's home directory"))(init.init)
app.command("import", help=say("导入部门文件", "import a department's file"))(imports.import_file)
app.command("ask", help=say("向其他部门查询（先留痕）", "ask other departments; logged first"))(ask.ask)
app.command(
    "ask-many", help=say("按名单批量查询其他部门", "ask other departments about the subjects of a file")
)(many.ask_many)
app.command(
    "backup", help=say("备份存储（节点运行时亦可）", "back up the store, while the node runs or not")
)(backup.backup)
app.command("restore", help=say("把备份放回主目录", "put a backup into a home directory"))(backup.restore)
app.command(
    "audit",
    help=say(
        "审计各成员的访问日志：与链核对，双方对照",
        "audit members' access logs against the chain and each other",
    ),
)(audit.audit)
app.add_typer(node.app, name="node")
app.add_typer(tokens.app, name="token")
app.add_typer(keys.app, name="key")
app.add_typer(records.app, name="record")
app.add_typer(subject.app, name="subject")
app.add_typer(consent.app, name="consent")
app.add_typer(many.approvals, name="approval")
app.add_typer(sealed.warrants, name="warrant")
app.add_typer(sealed.app, name="sealed")
app.add_typer(access.app, name="access")
app.add_typer(evidence.app, name="evidence")
app.add_typer(receipt.app, name="receipt")
app.add_typer(policy.app, name="policy")
app.add_typer(logs.app, name="log")
app.add_typer(chain.app, name="chain")
app.add_typer(chain.members, name="member")
app.add_typer(documents.app, name="document")


class Language(StrEnum):
    """The languages that we speak."""

    ZH = "zh"
    EN = "en"


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it with the option's value
    if wanted:
        from importlib.metadata import version

        print_line(f"ironcage {version('ironcage')}")
        raise typer.Exit


@app.callback()
def _options(
    lang: Annotated[
        Language | None,
        typer.Option("--lang", help=say("语言，可放在任何位置", "language; may stand anywhere")),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            envvar="IRONCAGE_URL",
            help=say(
                "节点地址，代替 --home；须有自己的令牌文件；可放在任何位置",
                "address of the node, instead of --home; needs a token file of your own; may stand anywhere",
            ),
        ),
    ] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(
            "--tls-ca",
            envvar="IRONCAGE_TLS_CA",
            help=say(
                "节点证书的 CA（PEM）；可放在任何位置",
                "CA of the node's certificate, PEM; may stand anywhere",
            ),
        ),
    ] = None,
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help=say("显示版本后退出", "show the version and exit"),
        ),
    ] = False,
) -> None:
    # cli.main has taken these out of the command line, wherever they stood. What comes here in spite of it is refused.
    del lang, version, url, tls_ca

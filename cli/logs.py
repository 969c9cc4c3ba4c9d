# SPDX-License-Identifier: Apache-2.0
"""``ironcage log``: checkpoints, proofs, anchoring on demand, and the full check of a store."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client, read_passphrase
from cli.language import say
from cli.output import REFUSED, print_json, print_line, print_table, reported
from cli.succeed import succeed
from cli.words import word
from node.errors import Unavailable

if TYPE_CHECKING:
    from node.client.api import NodeClient

SHOWN_FINDINGS = 20
app = typer.Typer(no_args_is_help=True, help=say("日志", "logs"))


app.command(
    "succeed",
    help=say(
        "为不能继续的日志开后继日志（节点须已停止）",
        "give logs that cannot go on their successors; the node must be stopped",
    ),
)(succeed)


class LogName(StrEnum):
    """The logs of a node."""

    RECORDS = "records"
    ACCESS = "access"


KindOption = Annotated[LogName, typer.Option("--log", help=say("哪个日志", "which log"))]
NumberOption = Annotated[
    int | None,
    typer.Option(
        "--number",
        min=0,
        help=say("日志的接续序号", "succession number of the log"),
        show_default=say("正在使用的日志", "the open log"),
    ),
]


@app.command(help=say("最新检查点", "the newest signed checkpoint"))
def checkpoint(
    kind: KindOption = LogName.RECORDS,
    number: NumberOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
) -> None:
    """Print the newest signed checkpoint, as C2SP tools read it."""
    with reported(), open_client(home, token_file) as client:
        sys.stdout.write(client.get_text(f"{_path_of(client, kind, number)}/checkpoint"))


@app.command(help=say("包含证明（C2SP tlog-proof）", "inclusion proof, C2SP tlog-proof"))
def prove(
    index: Annotated[int, typer.Argument(min=0, help=say("条目序号", "index of the entry"))],
    kind: KindOption = LogName.RECORDS,
    number: NumberOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
) -> None:
    """Print the inclusion proof of an entry under the first published checkpoint that covers it."""
    with reported(), open_client(home, token_file) as client:
        sys.stdout.write(client.get_text(f"{_path_of(client, kind, number)}/proof/{index}"))


@app.command(help=say("立即签发并上链", "publish and anchor now"))
def anchor(
    home: HomeOption = DEFAULT_HOME, token_file: TokenOption = None, *, as_json: JsonOption = False
) -> None:
    """Publish and anchor both logs, and wait until the chain has settled it."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        anchors = client.post("/api/v1/anchors")
    if as_json:
        print_json(anchors)
        return
    print_anchors(anchors)


def _path_of(client: NodeClient, kind: LogName, number: int | None) -> str:
    """Give the path of a log: of a number, or of the open one."""
    if number is None:
        logs = client.get("/api/v1/node")["logs"]
        number = next(int(log["origin"].rpartition("/")[2]) for log in logs if log["kind"] == kind.value)
    return f"/log/{kind.value}/{number}"


def print_anchors(anchors: list[dict[str, object]]) -> None:
    """Print anchors as a table, with the transaction and its gas."""
    columns = (
        say("日志", "log"),
        "i",
        say("条目", "entries"),
        say("区块", "block"),
        "gas",
        say("交易", "transaction"),
    )
    rows = [
        (
            word(str(a["log"])),
            a["i"],
            f"{a['prev_size']} → {a['size']}",
            a["block"],
            a["gas_used"],
            a["transaction"],
        )
        for a in anchors
    ]
    print_table(columns, rows, fold=False)


@app.command(help=say("完整核对存储（节点须已停止）", "check the whole store; the node must be stopped"))
def fsck(home: HomeOption = DEFAULT_HOME, *, as_json: JsonOption = False) -> None:
    """Re-derive every tile, index and root from the entries, and compare with what was signed and promised."""
    from cli.progress import LiveLine
    from node.bootstrap import check_store
    from node.config import load_settings

    with reported(as_json=as_json), LiveLine() as line:
        settings = load_settings(home)
        file = settings.passphrase_file and settings.path(settings.passphrase_file)
        passphrase = read_passphrase(file) if file and file.exists() else None
        try:
            findings, counts = check_store(settings, line.tell_check, passphrase=passphrase)
        except Unavailable as error:
            if error.code != "store-locked":
                raise
            raise Unavailable(
                "store-locked", f"the node of {home} runs: stop it, then check its store"
            ) from None
    if as_json:
        print_json(
            {
                "counts": counts,
                "findings": [{"code": f.code, "place": f.place, "detail": f.detail} for f in findings],
            }
        )
    else:
        names = {
            "entries": say("条目", "entries"),
            "records": say("记录", "records"),
            "checkpoints": say("检查点", "checkpoints"),
            "anchors": say("锚定", "anchors"),
            "sealed": say("密封值", "sealed values"),
        }
        print_line("  ".join(f"{names[name]}: {count}" for name, count in counts.items()))
        if passphrase is None:
            print_line(
                say(
                    "没有口令文件（passphrase_file），密封值未核对",
                    "sealed values were not checked: there is no passphrase_file",
                )
            )
        if findings:
            shown = findings[:SHOWN_FINDINGS]
            print_table(
                (say("代码", "code"), say("位置", "place"), say("说明", "detail")),
                [(f.code, f.place, f.detail) for f in shown],
            )
        else:
            print_line(say("没有发现问题", "nothing wrong found"))
    if findings:
        raise SystemExit(REFUSED)

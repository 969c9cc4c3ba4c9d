# SPDX-License-Identifier: Apache-2.0
"""``ironcage node``: run a node."""

from __future__ import annotations

from typing import Any

import typer

from cli import upgrade
from cli.account import print_account
from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client
from cli.language import LANGUAGE, say
from cli.output import print_json, print_line, print_table, reported
from cli.words import word
from node.evidence.report import iso_time

app = typer.Typer(no_args_is_help=True, help=say("运行节点", "run a node"))


upgrade.register(app)


@app.command(help=say("运行节点，直到 Ctrl-C 或 SIGTERM", "run the node until Ctrl-C or SIGTERM"))
def run(home: HomeOption = DEFAULT_HOME) -> None:
    """Run the node of a home directory."""
    from node.serving import run_node

    with reported():
        run_node(home)


@app.command(help=say("查看运行中的节点", "show the running node"))
def status(
    home: HomeOption = DEFAULT_HOME, token_file: TokenOption = None, *, as_json: JsonOption = False
) -> None:
    """Show who the running node is and how far its logs have come."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        node = client.get("/api/v1/node")
    if as_json:
        print_json(node)
        return
    state = node["state"]
    print_line(f"{node['name_zh']}  {node['member']}  {node['domain']}")
    _print_state(state)
    columns = (
        say("日志", "log"),
        say("条目", "entries"),
        say("已签发", "published"),
        say("已上链", "anchored"),
    )
    print_table(
        columns, [(word(log["kind"]), log["size"], log["published"], log["anchored"]) for log in node["logs"]]
    )
    print_line(f"{say('存储格式', 'format of the store')}: {node['store_format']}")
    for fork in node["forks"]:
        print_line(
            say(
                f"★ {fork['member']} 的日志 {fork['log']} 已被证明分叉，不再往来；证明 {fork['file']}",
                f"*** {fork['member']} forked its log {fork['log']}: nothing is exchanged with it; the proof is {fork['file']}",
            )
        )
    for demand in node["demands"]:
        due = iso_time(demand["due_at"])
        print_line(
            say(
                f"★ 日志 {demand['log']} 第 {demand['index']} 条被质询而未答复，期限 {due}：{demand['reason']} [{demand['code']}]",
                f"*** entry {demand['index']} of log {demand['log']} is demanded and not answered, due {due}: "
                f"{demand['reason']} [{demand['code']}]",
            )
        )
    if node["account"]:
        print_account(node["account"])


def _print_state(state: dict[str, Any]) -> None:
    """Print what the node does, why not more, and in Chinese what to do about that."""
    code, reason = state["code"], state["reason"]
    told = f"{say('状态', 'state')}: {word(str(state['mode']))}"
    if code is None:
        print_line(told)
        return
    from cli.advice import ADVICE
    from node.core.texts import title_of

    print_line(told + say(f" — {title_of(code, 'zh')}（{reason}）", f" — {reason}") + f" [{code}]")
    if LANGUAGE == "zh" and code in ADVICE:
        print_line(f"处理办法：{ADVICE[code]}")

# SPDX-License-Identifier: Apache-2.0
"""The account of what a store lacks, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cli.language import say
from cli.output import print_line, print_table
from cli.words import word

_WORDS = {
    "continues": ("一致", "in order"),
    "behind-anchor": ("早于最近一次上链", "older than its last anchor"),
    "log-behind": ("早于日志头文件", "older than its head file"),
    "head-missing": ("没有日志头文件", "no head file"),
    "fork-of-anchor": ("与上链的内容不同", "differs from what is anchored"),
    "log-fork": ("与承诺过的内容不同", "differs from what was promised"),
    "log-opened-elsewhere": ("链上日志由另一存储开启", "opened in another life of this node"),
    "log-closed": ("已在链上关闭", "closed on the chain"),
}


def instant(seconds: int | None) -> str:
    """Show an instant in UTC, a dash for none."""
    return "—" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def print_account(account: dict[str, Any]) -> None:
    """Print what a store has, what it lacks, and what to do about it."""
    logs = account["logs"]
    columns = (
        say("日志", "log"),
        say("状况", "standing"),
        say("现有", "entries"),
        say("已承诺", "promised"),
        say("已上链", "anchored"),
        say("缺失", "missing"),
    )
    print_table(columns, [_row(log) for log in logs])
    if not account["chain_asked"]:
        print_line(
            say(
                "链没有应答：缺失数只按日志头文件计算，联通后重新核对",
                "The chain did not answer: missing counts by head files alone; compare again when it does",
            )
        )
    if all(log["verdict"] == "continues" for log in logs):
        print_line(
            say(
                "存储延续了所有已知的承诺，可以启动节点",
                "The store continues all that is known of it: start the node",
            )
        )
        return
    for log in logs:
        _print_log(log)
    last = account["last_import_ms"]
    since = instant(None if last is None else last // 1000)
    print_line(
        say(
            f"存储所知的最后一次导入：{since}。此后的导入、更正和撤销须从部门原始文件重做。",
            f"The last import that this store knows of: {since}. What was imported, corrected or withdrawn since has to "
            "be done again, from the department's own files.",
        )
    )
    print_line(
        say(
            "节点只读：不再在这些日志上签名。找不到更新的存储时，用 `ironcage log succeed` 开后继日志。",
            "The node is read-only: nothing is signed on these logs again. If no newer store can be found, "
            "`ironcage log succeed` opens successor logs.",
        )
    )


def _row(log: dict[str, Any]) -> tuple[object, ...]:
    missing = (
        f"{log['missing']}"
        if log["complete"]
        else say(f"至少 {log['missing']}", f"at least {log['missing']}")
    )
    return (
        word(log["log"]),
        say(*_WORDS.get(log["verdict"], (log["verdict"], log["verdict"]))),
        log["size"],
        "—" if log["promised"] is None else log["promised"],
        "—" if log["anchored"] is None else log["anchored"],
        missing,
    )


def _print_log(log: dict[str, Any]) -> None:
    name = say(word(log["log"]), f"{log['log']} log")
    if log["missing"]:
        what = say(
            f"{name}：第 {log['size']} 条起的 {log['missing']} 条不在存储中；存储所知的最近一次上链：",
            f"{name}: {log['missing']} entries from {log['size']} on are not in this store; the last anchor that it knows: ",
        )
        print_line(what + instant(log["kept_anchored_at"]))
    if log["missing"] and log["log"] == "access":
        print_line(
            say(
                f"  序号 {log['size']} 及以后的回执仍然有效，须在一日内重新入库，否则视为违约",
                f"  receipts for index {log['size']} and above stand: log them again within a day, or they are a default",
            )
        )
    if not log["complete"]:
        print_line(
            say(
                f"{name}：没有日志头文件，不知道最后一次上链之后还承诺过什么",
                f"{name}: without a head file nobody knows what was promised behind the last anchor",
            )
        )

# SPDX-License-Identifier: Apache-2.0
"""``ironcage log succeed``: give logs that cannot go on their successors."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.account import instant, print_account
from cli.home import DEFAULT_HOME, HomeOption, JsonOption
from cli.language import say
from cli.output import UNAVAILABLE, print_json, print_line, reported
from node.errors import InvalidInput, NodeError, Unavailable
from node.storage.room import is_full

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from node.service.succeeding import Progress
    from node.service.succession import Stage


class Reason(StrEnum):
    """Why a log is succeeded; written into the first entry of its successor, for everybody to read."""

    PLANNED = "planned"
    RESTORED_BACKUP = "restored-backup"
    LOST_ENTRIES = "lost-entries"
    STOLEN_KEY = "stolen-key"


class Which(StrEnum):
    """Which logs."""

    RECORDS = "records"
    ACCESS = "access"


def succeed(
    reason: Annotated[
        Reason,
        typer.Option(
            help=say(
                "原因，公开写入后继日志的首条；planned 以外均须向审计说明",
                "why; stands openly in the successor's first entry. All but planned are findings for the auditor",
            )
        ),
    ],
    which: Annotated[
        list[Which] | None,
        typer.Option(
            "--log", help=say("哪个日志（默认：所有不能继续的）", "which log; default: all that cannot go on")
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    *,
    by_vote: Annotated[
        bool,
        typer.Option(
            "--by-vote",
            help=say(
                "由本单位一票立即关闭（仅限唯一有表决权的成员），不等 24 小时",
                "close at once by own vote, without the 24 hours; for the only governing member of a network",
            ),
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help=say("不再询问", "do not ask"))] = False,
    as_json: JsonOption = False,
) -> None:
    """Close logs that cannot go on and open their successors; the node must be stopped."""
    from cli.progress import LiveLine
    from node.config import load_settings
    from node.core.clock import SystemClock
    from node.department import open_department
    from node.service.layout import log_kind
    from node.service.succeeding import advance, choose_logs
    from node.serving import load_passphrase

    with reported(as_json=as_json):
        settings = load_settings(home)
        wanted = [kind for each in which or [] if (kind := log_kind(each.value)) is not None]
        with (
            _told_when_running(home),
            open_department(settings, load_passphrase(settings), SystemClock()) as department,
        ):
            account = department.take_stock()
            kinds = choose_logs(department, account, wanted, reason.value)
            stages = [department.stage(kind) for kind in kinds]
            if not as_json:
                print_account(account.to_json())
                _print_plan(stages, by_vote=by_vote)
            if not yes:
                ask_to_close(stages, by_vote=by_vote)
            with LiveLine() as line:
                line.tell(say("等待链确认", "waiting for the chain"))
                progress = advance(department, kinds, reason.value, time.sleep, by_vote=by_vote)
    if as_json:
        print_json(_to_json(progress))
    else:
        _print_progress(progress)
    if progress.waiting:
        raise SystemExit(UNAVAILABLE)


class _told_when_running:  # noqa: N801 - a context manager, used as a function
    """Say which node to stop when the store is in use, and that a command that found no room goes on when it is repeated."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Unavailable) and error.code == "store-locked":
            raise Unavailable(
                "store-locked", f"the node of {self._home} runs: stop it, then give its logs successors"
            ) from None
        if isinstance(error, NodeError) and is_full(error.message):
            raise Unavailable(
                "store-disk-full",
                f"{error.message}. Then run this command again: it goes on where it stopped",
            ) from error


def ask_to_close(stages: Sequence[Stage], *, by_vote: bool) -> None:
    """Ask before a log is told to close.

    Raises:
        InvalidInput: ``succession-not-confirmed``.
    """
    closing = ("announce", "waiting") if by_vote else ("announce",)
    if not any(stage.state in closing for stage in stages):
        return
    if not sys.stdin.isatty():
        raise InvalidInput(
            "succession-not-confirmed",
            "a closed log stays closed: add --yes to close it without being asked; nothing was changed",
        )
    question = (
        say(
            "立即关闭，不等 24 小时，关闭后不可撤回。继续？",
            "The log closes at once, without the 24 hours, and stays closed: nobody can call it off. Go on?",
        )
        if by_vote
        else say(
            "关闭后不可撤回（24 小时内可由恢复密钥取消）。继续？",
            "A closed log stays closed (the recovery key can call it off for 24 hours). Go on?",
        )
    )
    if not typer.confirm(question, err=True):
        raise InvalidInput("succession-not-confirmed", "nothing was changed")


def _print_plan(stages: Sequence[Stage], *, by_vote: bool) -> None:
    for stage in stages:
        place = f"{stage.kind.text}/{stage.number}"
        if by_vote and stage.state in {"announce", "waiting"}:
            what = say(
                f"立即关闭 {stage.predecessor}，开后继日志 {place}",
                f"close {stage.predecessor} now, and open {place}",
            )
            print_line(f"· {what}")
            continue
        what = {
            "announce": say(
                f"请合约关闭 {stage.predecessor}，24 小时后生效；之后再次运行本命令，开后继日志 {place}",
                f"ask the contract to close {stage.predecessor}, which takes 24 hours; run this command again then, to open {place}",
            ),
            "waiting": say(
                f"{stage.predecessor} 正在关闭，{instant(stage.closes_at)} 生效",
                f"{stage.predecessor} is closing, at {instant(stage.closes_at)}",
            ),
            "open": say(
                f"{stage.predecessor} 已关闭：登记新密钥，开后继日志 {place}，未上链的条目重新入库",
                f"{stage.predecessor} is closed: register new keys, open {place}, log again what no anchor covers",
            ),
            "begin": say(f"后继日志 {place} 已开：写入首条", f"{place} is open: write its first entry"),
        }[stage.state]
        print_line(f"· {what}")


def _print_progress(progress: Progress) -> None:
    for stage in progress.waiting:
        print_line(
            say(
                f"等待：{stage.predecessor} 于 {instant(stage.closes_at)} 关闭。此前无需操作，到时再次运行本命令",
                f"waiting: {stage.predecessor} closes at {instant(stage.closes_at)}. Run this command again then",
            )
            if stage.closes_at is not None
            else say(f"等待：{stage.predecessor}", f"waiting: {stage.predecessor}")
        )
    for origin in progress.begun:
        print_line(say(f"后继日志已开：{origin}", f"successor log open: {origin}"))
    if progress.begun:
        print_line(
            say(
                f"重新入库 {progress.taken} 条未上链的条目；丢失部分可能用过的状态列表和编号已跳过。启动节点，再从部门原始文件重新导入缺失的部分；验证方须更新策略",
                f"{progress.taken} entries that no anchor covered were logged again. Status lists and numbers of heads and "
                "receipts that lost entries may have used were passed over. Start the node, then import what is missing "
                "from the department's own files. Verifiers need a new policy",
            )
        )


def _to_json(progress: Progress) -> dict[str, Any]:
    return {
        "waiting": [
            {"log": stage.kind.text, "predecessor": stage.predecessor, "closes_at": stage.closes_at}
            for stage in progress.waiting
        ],
        "begun": list(progress.begun),
        "taken": progress.taken,
    }

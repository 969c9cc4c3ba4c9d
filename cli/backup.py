# SPDX-License-Identifier: Apache-2.0
"""``ironcage backup`` and ``ironcage restore``."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.account import instant, print_account
from cli.address import ADDRESS
from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client
from cli.language import say
from cli.output import REFUSED, print_json, print_line, print_table, reported
from node.errors import Conflict, Fatal, NodeError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.progress import LiveLine
    from node.client.api import NodeClient
    from node.storage.retention import Pruned

POLL_SECONDS = 0.2
_MIB = 1 << 20
_CLASSES: dict[str, type[NodeError]] = {
    "backup-exists": Conflict,
    "backup-place": Conflict,
    "store-corrupt": Fatal,
    "store-truncated": Fatal,
}


def backup(
    directory: Annotated[
        Path, typer.Argument(help=say("存放备份的目录", "directory that backups are kept in"))
    ],
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help=say(
                "只删除本节点过期或中断的备份，不新建",
                "only remove this node's backups that expired or were interrupted, make none",
            ),
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Back up the store, while the node runs or not."""
    from node.config import load_settings
    from node.core.clock import SystemClock
    from node.recovery import list_expired
    from node.recovery import prune as remove_expired

    place = directory.absolute()
    clock = SystemClock()
    with reported(as_json=as_json):
        if prune:
            _print_pruned(remove_expired(load_settings(home), place, clock.now_seconds()), as_json=as_json)
            return
        made = _make(place, home, token_file)
        expired = [str(kept.path) for kept in list_expired(load_settings(home), place, clock.now_seconds())]
    if as_json:
        print_json({**made, "expired": expired})
        return
    print_line(
        say(
            f"备份完成：{made['path']}（{made['done_bytes'] / _MIB:.1f} MiB）",
            f"backed up: {made['path']} ({made['done_bytes'] / _MIB:.1f} MiB)",
        )
    )
    until = instant(made["expires_at"])
    print_line(
        say(
            f"保留至 {until}；其中不含日志头文件、密钥和口令，须另行保管",
            f"keep it until {until}; head files, keys and passphrase are not in it, keep them elsewhere",
        )
    )
    if expired:
        print_line(
            say(
                f"有 {len(expired)} 份备份已过期或曾中断，其中仍有已删除记录的密钥，用 --prune 删除：",
                f"{len(expired)} backups expired or were interrupted, and may hold secrets of erased records. "
                "Remove them with --prune:",
            )
        )
        for path in expired:
            print_line(f"  {path}")


def _make(place: Path, home: Path, token_file: Path | None) -> dict[str, Any]:
    from cli.progress import LiveLine

    try:
        client = open_client(home, token_file)
    except Unavailable as error:
        if error.code != "node-not-running":
            raise
        return _make_offline(place, home)
    with client, LiveLine() as line:
        progress = _start(client, place)
        while progress["state"] == "running":
            line.tell(_written(progress["done_bytes"]))
            time.sleep(POLL_SECONDS)
            progress = _poll(client)
    if progress["state"] == "failed":
        raise _CLASSES.get(progress["code"], Unavailable)(progress["code"], progress["reason"])
    return {name: progress[name] for name in ("path", "done_bytes", "expires_at")}


def _start(client: NodeClient, place: Path) -> dict[str, Any]:
    from node.storage.placemark import placemark

    with nullcontext() if ADDRESS.url is not None else placemark(place, os.urandom) as mark:
        progress: dict[str, Any] = client.post("/api/v1/backups", {"directory": str(place), "mark": mark})
    return progress


def _poll(client: NodeClient) -> dict[str, Any]:
    progress: dict[str, Any] = client.get("/api/v1/backups/newest")
    return progress


def _make_offline(place: Path, home: Path) -> dict[str, Any]:
    from cli.progress import LiveLine
    from node.config import load_settings
    from node.core.clock import SystemClock
    from node.recovery import back_up_offline

    with LiveLine() as line:
        tell = _teller(line, _written)
        path, manifest = back_up_offline(load_settings(home), place, SystemClock(), tell)
    return {"path": str(path), "done_bytes": manifest.total_bytes, "expires_at": manifest.expires_at}


def _teller(line: LiveLine, words: Callable[[int], str]) -> Callable[[int], None]:
    return lambda done: line.tell(words(done))


def _written(done: int) -> str:
    return say(f"已写 {done / _MIB:.0f} MiB", f"{done / _MIB:.0f} MiB written")


def _print_pruned(pruned: Pruned, *, as_json: bool) -> None:
    if as_json:
        kept = None if pruned.kept is None else str(pruned.kept)
        print_json({"removed": [str(path) for path in pruned.removed], "kept": kept})
        return
    for path in pruned.removed:
        print_line(say(f"已删除 {path}", f"removed {path}"))
    if pruned.kept is not None:
        print_line(
            say(
                f"{pruned.kept} 也已过期，但它是最新的完整备份，故保留：先新建备份，再用 --prune 删除",
                f"{pruned.kept} has expired too, but is the newest complete backup and stays: "
                "make a new one, then --prune again",
            )
        )
    elif not pruned.removed:
        print_line(say("没有过期的备份", "no backup has expired"))


def restore(
    source: Annotated[
        Path, typer.Argument(metavar="BACKUP", help=say("一份备份的目录", "directory of one backup"))
    ],
    home: HomeOption = DEFAULT_HOME,
    *,
    check: Annotated[
        bool,
        typer.Option(help=say("放回后完整核对存储", "check the whole store once it is in place")),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Put a backup into a home directory that has settings and keys but no store."""
    from cli.progress import LiveLine
    from node.bootstrap import check_store
    from node.config import load_settings
    from node.core.clock import SystemClock
    from node.recovery import load_backup, needs_upgrade, take_stock_of
    from node.recovery import restore as put_back

    findings = []
    account: dict[str, Any] | None = None
    with reported(as_json=as_json):
        settings = load_settings(home)
        manifest = load_backup(settings, source)
        if manifest.expires_at <= SystemClock().now_seconds() and not as_json:
            print_line(
                say(
                    "此备份已过期：其中可能有已删除记录的密钥，启动前须重做这些删除",
                    "This backup has expired: it may hold secrets of records erased since. Erase them again",
                )
            )
        with LiveLine() as line:
            total = manifest.total_bytes / _MIB
            read = say("已读 {} / {} MiB", "{} of {} MiB read")
            put_back(
                settings,
                source,
                manifest,
                lambda done: line.tell(read.format(f"{done / _MIB:.0f}", f"{total:.0f}")),
            )
            if needs_upgrade(manifest):
                check = False
            if check:
                # What the head file and the chain say stands in the account below.
                with _in_place():
                    found, _ = check_store(settings, line.tell_check)
                findings = [f for f in found if f.code not in _WITNESSES]
        if not needs_upgrade(manifest):
            with _in_place():
                account = take_stock_of(settings).to_json()
    if as_json:
        shown = [{"code": f.code, "place": f.place, "detail": f.detail} for f in findings]
        print_json({"account": account, "findings": shown, "made_at": manifest.made_at})
    else:
        print_line(
            say(
                f"已放回 {instant(manifest.made_at)} 的备份",
                f"put back the backup of {instant(manifest.made_at)}",
            )
        )
        if findings:
            columns = (say("代码", "code"), say("位置", "place"), say("说明", "detail"))
            print_table(columns, [(f.code, f.place, f.detail) for f in findings])
        if account is None:
            print_line(
                say(
                    "备份由旧版本写成：启动节点时升级，之后用 `ironcage node status` 查看缺失",
                    "An older release made it: it is upgraded at the node's start; `ironcage node status` says then what is missing",
                )
            )
        else:
            print_account(account)
    if findings:
        raise SystemExit(REFUSED)


@contextmanager
def _in_place() -> Iterator[None]:
    """Say that the backup is in place when it cannot be looked at: it is not to be put back again."""
    try:
        yield
    except Unavailable as error:
        raise Unavailable(
            "restore-unchecked",
            f"{error.message}. The backup is in place: do not put it back again, but look at it with ironcage log fsck before "
            "the node is started",
        ) from error


_WITNESSES = {"log-head-missing", "log-behind", "log-fork"}

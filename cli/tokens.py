# SPDX-License-Identifier: Apache-2.0
"""``ironcage token``: tokens of accounts, in the node's home. A running node takes up each change with its next call."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.home import DEFAULT_HOME, HomeOption, JsonOption
from cli.language import say
from cli.output import print_json, print_line, print_table, reported, require_writable
from node.errors import Conflict

if TYPE_CHECKING:
    from node.service.tokens import TokenEntry
    from node.storage.tokenfile import TokenFile

SECONDS_PER_DAY: Final = 86_400
SECONDS_PER_HOUR: Final = 3_600
ROLES_ZH: Final = {"officer": "办案", "operator": "操作", "auditor": "审计", "administrator": "管理"}
app = typer.Typer(
    no_args_is_help=True,
    help=say(
        "访问令牌，改动立即生效，节点无须重启", "tokens; changes take effect at once, without a restart"
    ),
)
NameArgument = Annotated[
    str, typer.Argument(help=say("账户名，写入访问日志", "account name, written into the access log"))
]
DaysOption = Annotated[
    int, typer.Option(min=0, max=3_650, help=say("有效天数，0 为不过期", "days until it ends, 0 for never"))
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help=say(
            "把令牌写入此文件（0600），不在屏幕显示",
            "write the token to this file, mode 0600, not to the screen",
        ),
    ),
]


@app.command(
    help=say("为一个账户新建令牌，令牌只显示这一次", "make an account's token, shown this once only")
)
def create(
    name: NameArgument,
    role: Annotated[str, typer.Option(help="officer, operator, auditor, administrator")],
    days: DaysOption = 365,
    out: OutOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Make the token of an account that has none."""
    from node.service.tokens import add_token, new_token

    with reported():
        _require_absent(out)
        now = _now_seconds()
        text, entry = new_token(name, role, _end(now, days), secrets.token_bytes)

        def change(entries: list[TokenEntry]) -> list[TokenEntry]:
            changed = add_token(entries, entry, now)
            _store(text, out)
            return changed

        _file(home).change(change)
        _tell(text, out)


@app.command(
    help=say(
        "给账户换新令牌；旧令牌在重叠期后失效",
        "give an account a new token; the old one ends after the overlap",
    )
)
def rotate(
    name: NameArgument,
    overlap: Annotated[
        int,
        typer.Option(
            min=0,
            max=720,
            help=say(
                "旧令牌还可用的小时数，0 为立即失效", "hours for which the old one still works, 0 for none"
            ),
        ),
    ] = 24,
    days: DaysOption = 365,
    out: OutOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Replace the token of an account."""
    from node.service.tokens import rotate_token

    with reported():
        _require_absent(out)
        now = _now_seconds()
        text = ""

        def change(entries: list[TokenEntry]) -> list[TokenEntry]:
            nonlocal text
            text, changed = rotate_token(
                entries,
                name,
                expires=_end(now, days),
                overlap_seconds=overlap * SECONDS_PER_HOUR,
                now_seconds=now,
                random=secrets.token_bytes,
            )
            _store(text, out)
            return changed

        _file(home).change(change)
        _tell(text, out)


@app.command(help=say("收回一个账户的全部令牌，立即失效", "revoke all tokens of an account, at once"))
def revoke(name: NameArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Take away an account's tokens."""
    from node.service.tokens import revoke_token

    with reported():
        _file(home).change(lambda entries: revoke_token(entries, name))
    print_line(say(f"已收回 {name} 的令牌", f"{name} has no token any more"))


@app.command(
    "list", help=say("列出账户、角色与到期时间（不显示令牌）", "list accounts, roles and ends, never a token")
)
def list_tokens(home: HomeOption = DEFAULT_HOME, *, as_json: JsonOption = False) -> None:
    """List the tokens of a node."""
    with reported(as_json=as_json):
        entries = _file(home).load()
        now = _now_seconds()
    if as_json:
        print_json(
            [
                {"ended": e.has_ended(now), "expires": e.expires, "name": e.name, "role": e.role}
                for e in entries
            ]
        )
        return
    never, over, valid = say("不过期", "never"), say("已过期", "ended"), say("有效", "valid")
    rows = [
        (
            e.name,
            say(ROLES_ZH[e.role], e.role),
            never if e.expires is None else f"{datetime.fromtimestamp(e.expires, UTC):%Y-%m-%dT%H:%M:%SZ}",
            over if e.has_ended(now) else valid,
        )
        for e in entries
    ]
    print_table(
        (say("账户", "account"), say("角色", "role"), say("到期", "ends"), say("状态", "state")), rows
    )


def _file(home: Path) -> TokenFile:
    from node.config import load_settings
    from node.storage.tokenfile import TokenFile

    settings = load_settings(home)
    return TokenFile(settings.path(settings.keys_dir))


def _now_seconds() -> int:
    from node.core.clock import SystemClock

    return SystemClock().now_seconds()


def _end(now_seconds: int, days: int) -> int | None:
    return now_seconds + days * SECONDS_PER_DAY if days else None


def _require_absent(out: Path | None) -> None:
    """Refuse before anything is changed: a token that cannot be handed over locks the account out."""
    if out is not None:
        if out.exists():
            raise Conflict("file-exists", f"{out} is there already")
        require_writable(out)


def _store(text: str, out: Path | None) -> None:
    """Write the token to its file while the old one still counts: if this fails, nothing was changed."""
    from node.storage.keyfiles import store_private

    if out is not None:
        store_private(out, text.encode() + b"\n")


def _tell(text: str, out: Path | None) -> None:
    print_line(text if out is None else say(f"令牌已写入 {out}", f"the token is in {out}"))

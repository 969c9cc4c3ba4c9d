# SPDX-License-Identifier: Apache-2.0
"""``ironcage node upgrade`` and ``undo-upgrade``: the store of another release."""

from __future__ import annotations

import typer

from cli.home import DEFAULT_HOME, HomeOption
from cli.language import say
from cli.output import print_line, reported

_STEPS = {"seal-grounds": ("加密状态变更理由", "sealing the grounds of status changes")}


def register(app: typer.Typer) -> None:
    """Add the commands to ``ironcage node``."""
    app.command(
        help=say(
            "升级旧版本的存储，不启动节点", "upgrade the store of an older release, without starting the node"
        )
    )(upgrade)
    app.command(
        "undo-upgrade",
        help=say(
            "退回升级前的存储（尚未写入新条目时）",
            "put the store of before an upgrade back, while nothing was appended",
        ),
    )(undo_upgrade)


def upgrade(home: HomeOption = DEFAULT_HOME) -> None:
    """Upgrade the store; an upgrade that was interrupted goes on."""
    from node.bootstrap import upgrade_store
    from node.config import load_settings
    from node.serving import load_passphrase

    with reported():
        settings = load_settings(home)
        now = upgrade_store(settings, load_passphrase(settings), _tell)
    print_line(say(f"存储格式：{now}", f"the store has format {now}"))


def undo_upgrade(home: HomeOption = DEFAULT_HOME) -> None:
    """Put the databases of before an upgrade back; the older release goes on with them."""
    from node.bootstrap import undo_store_upgrade
    from node.config import load_settings

    with reported():
        undo_store_upgrade(load_settings(home))
    print_line(
        say(
            "已退回升级前的存储；请用旧版本启动。",
            "the store is as before the upgrade; start it with the older release",
        )
    )


def _tell(step: str, done: int) -> None:
    zh, en = _STEPS.get(step, (step, step))
    print_line(say(f"{zh}：{done}", f"{en}: {done}"))

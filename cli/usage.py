# SPDX-License-Identifier: Apache-2.0
"""What Typer says of its own, in Chinese: headings of help screens and what is wrong with a command line."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import typer

_MESSAGES: Final = (
    (r"Missing argument '(.+?)'\.?(.*)", r"缺少参数 \1。\2"),
    (r"Missing option '(.+?)'\.?(.*)", r"缺少选项 \1。\2"),
    (r"Missing command\.?", "缺少子命令。"),
    (r"No such command '(.+?)'\. Did you mean (.+)\?", r"没有命令 \1，是否想用 \2？"),
    (r"No such command '(.+?)'\.?", r"没有命令 \1。"),
    (r"No such option: (\S+?)(?: \(Possible options: (.+)\))?", r"没有选项 \1|，可用：\2"),
    (r"Got unexpected extra arguments?(?:\(s\))? \((.+)\)", r"多余的参数：\1"),
    (r"Option '(.+?)' requires an argument\.?", r"选项 \1 需要一个值。"),
    (r"Option '(.+?)' does not take a value\.?", r"选项 \1 不带值。"),
    (r"Invalid value for '?(.+?)'?: (.+)", r"\1 的值无效：\2"),
)
_REASONS: Final = (
    (r"Input should be greater than or equal to (\S+)", r"应不小于 \1"),
    (r"Input should be less than or equal to (\S+)", r"应不大于 \1"),
    (r"Input should be a valid integer.*", "应为整数"),
    (r"Input should be (.+)", r"应为 \1"),
    (r"(?:Value error, )?'?(.+?)'? is not one of (.+?)\.?", r"\1 不在可选值之中：\2"),
)
_HEADINGS: Final = {
    "ARGUMENTS_PANEL_TITLE": "参数",
    "OPTIONS_PANEL_TITLE": "选项",
    "COMMANDS_PANEL_TITLE": "命令",
    "ERRORS_PANEL_TITLE": "用法错误",
    "ABORTED_TEXT": "已中止。",
    "DEFAULT_STRING": "[默认：{}]",
    "ENVVAR_STRING": "[环境变量：{}]",
    "REQUIRED_LONG_STRING": "[必填]",
    "RICH_HELP": "用 [blue]'{command_path} {help_option}'[/] 查看帮助。",
}

_USAGE: Final = (("Usage: ", "用法："), ("[OPTIONS]", "[选项]"), ("COMMAND [ARGS]...", "命令 [参数]..."))


def translate(message: str) -> str:
    """Put a message about a command line into Chinese; one that is not known stays as it is."""
    for pattern, text in _MESSAGES:
        found = re.fullmatch(pattern, message, re.DOTALL)
        if found is None:
            continue
        return _fill(text, [_reason(group or "") for group in found.groups()])
    return _reason(message)


def _fill(text: str, groups: list[str]) -> str:
    """Fill groups into a text; what stands behind a bar is said only when its group is there."""
    start, _, more = text.partition("|")
    said = start + (more if more and groups[-1] else "")
    return re.sub(r"\\([1-9])", lambda place: groups[int(place[1]) - 1], said)


def _reason(text: str) -> str:
    for pattern, said in _REASONS:
        found = re.fullmatch(pattern, text, re.DOTALL)
        if found is not None:
            return found.expand(said)
    return text


def _translate_command(kind: type[Any]) -> None:
    """Have commands of a kind say in Chinese how they are called and what ``--help`` does."""
    get_help_option, get_usage = kind.get_help_option, kind.get_usage

    def get_in_chinese(self: Any, context: Any) -> Any:
        option = get_help_option(self, context)
        if option is not None:
            option.help = "显示本帮助"
        return option

    def get_usage_in_chinese(self: Any, context: Any) -> Any:
        usage = get_usage(self, context)
        for english, chinese in _USAGE:
            usage = usage.replace(english, chinese)
        return usage

    kind.get_help_option, kind.get_usage = get_in_chinese, get_usage_in_chinese


def run_chinese(app: typer.Typer, arguments: list[str]) -> int:
    """Run a command line and say in Chinese what is wrong with it.

    Returns:
        The exit code.
    """
    from typer import Abort, rich_utils
    from typer.core import TyperCommand, TyperGroup
    from typer.main import get_command

    for name, text in _HEADINGS.items():
        setattr(rich_utils, name, text)
    for kind in (TyperCommand, TyperGroup):
        _translate_command(kind)
    try:
        ended = get_command(app).main(arguments, prog_name="ironcage", standalone_mode=False)
    except Abort:
        sys.stderr.write(_HEADINGS["ABORTED_TEXT"] + "\n")
        return 1
    except Exception as error:
        # Typer keeps its class of usage errors to itself; this is what its own display asks of one.
        fault: Any = error
        if not hasattr(fault, "format_message") or not hasattr(fault, "exit_code"):
            raise
        said = translate(fault.format_message())
        fault.format_message = lambda: said
        if type(fault).__name__ == "NoArgsIsHelpError":
            fault.show()
        else:
            rich_utils.rich_format_error(fault)
        return int(fault.exit_code)
    return ended if type(ended) is int else 0

# SPDX-License-Identifier: Apache-2.0
"""Words of commands: subjects as they are typed; states, stages, classes and logs as docs/glossary.md has them in Chinese."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cli.language import LANGUAGE
from node.errors import InvalidInput

_CHINESE: Final = {
    # status of a record
    "valid": "有效",
    "invalid": "已撤回或被更正",
    "suspended": "异议暂停",
    "repaired": "已修复",
    "erased": "已删除",
    # stage of an entry
    "integrated": "已入日志",
    "published": "已签发",
    "anchored": "已上链",
    # disclosure class
    "open": "公示",
    "shared": "共享",
    "authorised": "授权查询",
    # logs
    "records": "记录日志",
    "access": "访问日志",
    # kinds of access event
    "ask": "询问",
    "grant": "准予",
    "deny": "拒绝",
    "receive": "收到",
    "read": "查看",
    "export": "导出",
    "consent": "授权",
    "revoke": "撤回授权",
    "erase": "删除",
    "audit": "审计",
    "sealed": "封存",
    "bulk": "批量",
    # mode of a node
    "ready": "正常",
    "waiting-for-chain": "等待链",
    "read-only": "只读",
    "stopped": "已停止",
}


def parse_subject(text: str) -> dict[str, str]:
    """Read a subject as commands take it, ``uscc:91…``.

    Raises:
        InvalidInput: ``subject-form``.
    """
    kind, separator, identifier = text.partition(":")
    if not separator:
        raise InvalidInput("subject-form", "subject has no type: want uscc:…, org:…, reg:…, rid:… or name:…")
    return {"type": kind, "id": identifier}


def word(text: str) -> str:
    """Say a word of the API in the language of this run; one that is not known stays as it is."""
    return _CHINESE.get(text, text) if LANGUAGE == "zh" else text


def start_of_day(day: str) -> int:
    """Give the first second of a day, YYYY-MM-DD in UTC.

    Raises:
        InvalidInput: ``day-form``.
    """
    return _midnight(day, 0)


def end_of_day(day: str) -> int:
    """Give the first second behind a day, YYYY-MM-DD in UTC.

    Raises:
        InvalidInput: ``day-form``.
    """
    return _midnight(day, 1)


def _midnight(day: str, days: int) -> int:
    try:
        at = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise InvalidInput("day-form", "not a day: want YYYY-MM-DD") from None
    return int(at.timestamp())


def time_text(milliseconds: int) -> str:
    """Write the time of an event, to the second in UTC."""
    return datetime.fromtimestamp(milliseconds / 1_000, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def value_text(value: Any) -> str:
    """Say a value of an event on one line, with the short words of it alone."""
    if isinstance(value, dict):
        return " ".join(value_text(each) for each in value.values() if each is not None)
    if isinstance(value, list):
        return "; ".join(value_text(each) for each in value)
    return str(value)

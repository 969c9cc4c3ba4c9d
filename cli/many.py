# SPDX-License-Identifier: Apache-2.0
"""``ironcage ask-many`` and ``ironcage approval``: ask other departments about many subjects at once (docs/exchange.md)."""

from __future__ import annotations

import csv
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.ask import RESULTS, exit_code, parse_item, print_head, save_answer
from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client
from cli.language import LANGUAGE, say
from cli.output import (
    SAVED_MODE,
    UNAVAILABLE,
    print_json,
    print_line,
    print_table,
    reported,
    require_writable,
)
from cli.subjects_file import read_subjects
from cli.why import CaseOption
from cli.words import word
from node.access.opening import SUBJECT_TYPES
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN_LINES: Final = 50
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
approvals = typer.Typer(
    no_args_is_help=True,
    help=say("批量查询的第二人批准", "second approval of questions about many subjects"),
)
FileArgument = Annotated[
    Path,
    typer.Argument(
        help=say(
            "xlsx、xls、csv 或 ndjson 文件，一行一个主体",
            "xlsx, xls, csv or ndjson file with one subject a row",
        )
    ),
]
PurposeOption = Annotated[str, typer.Option(help=say("用途代码", "code of the purpose"))]
ItemOption = Annotated[
    list[str],
    typer.Option(
        help=say(
            "目录项，如 penalty:2018，可加字段 penalty:2018:CF_WSH,CF_NR；可重复",
            "catalogue item, such as penalty:2018, or with fields penalty:2018:CF_WSH,CF_NR; may be repeated",
        )
    ),
]
TypeOption = Annotated[
    str,
    typer.Option(
        "--type",
        help=say(
            "主体类型：uscc、org、reg、rid 或 name", "type of the subjects: uscc, org, reg, rid or name"
        ),
    ),
]
ColumnOption = Annotated[
    str | None,
    typer.Option(
        help=say("主体所在列的列名", "name of the column with the subjects"),
        show_default=say("按常用列名，或唯一的一列", "a usual name, or the only column"),
    ),
]
BasisOption = Annotated[str | None, typer.Option(help=say("法律依据代码", "code of the legal basis"))]
ToOption = Annotated[
    list[str] | None,
    typer.Option(
        help=say("被查询单位的统一社会信用代码；可重复", "USCC of a department to ask; may be repeated"),
        show_default=say("所有可达单位", "all that can be reached"),
    ),
]


def ask_many(
    file: FileArgument,
    purpose: PurposeOption,
    item: ItemOption,
    type_: TypeOption = "uscc",
    column: ColumnOption = None,
    basis: BasisOption = None,
    case: CaseOption = None,
    to: ToOption = None,
    save: Annotated[
        Path | None,
        typer.Option(help=say("把带签名的应答存入该目录", "directory to keep the signed answers in")),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--csv", help=say("把结果写入此 CSV", "write the results to this CSV file"))
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Ask about the subjects of a file; exit codes as for ``ask``, and 3 while a second officer has to approve it."""
    with reported(as_json=as_json):
        body = _read_body(file, type_, column, purpose, item, basis, case, to)
        for path in (save, out):
            if path is not None:
                _prepare(path, is_directory=path is save)
        with open_client(home, token_file) as client:
            answer = client.post("/api/v1/ask-many", body)
        answered = [one for one in answer["outcomes"] if one["answer"]]
        saved = [path for one in answered if save is not None for path in save_answer(save, one)]
        if out is not None and answer["waiting"] is None:
            _write_csv(out, answer["outcomes"])
            saved.append(out)
    if as_json:
        print_json(answer)
    elif answer["waiting"] is not None:
        terms = {"type": type_, "column": column, "purpose": purpose, "basis": basis, "case": case}
        _print_waiting(answer["waiting"], file, terms, item, to or ())
    else:
        _print_answer(answer)
        for path in saved:
            print_line(say(f"已保存 {path}", f"kept {path}"))
    raise SystemExit(UNAVAILABLE if answer["waiting"] is not None else exit_code(answer))


@approvals.command(
    "list", help=say("列出待批准或已批准未查询的批量查询", "list what waits to be approved, or to be asked")
)
def list_(
    home: HomeOption = DEFAULT_HOME, token_file: TokenOption = None, *, as_json: JsonOption = False
) -> None:
    """List questions that wait."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        waiting = client.get("/api/v1/approvals")
    if as_json:
        print_json(waiting)
        return
    print_table(
        (
            say("编号", "id"),
            say("查询人", "officer"),
            say("用途", "purpose"),
            say("行数", "lines"),
            say("失效", "expires"),
            say("批准人", "approved by"),
        ),
        [
            (
                one["id"],
                one["officer"],
                one["purpose"],
                one["lines"],
                _time(one["expires"]),
                one["approver"] or "",
            )
            for one in waiting
        ],
        fold=False,
    )


@approvals.command(
    "give",
    help=say(
        "批准另一人的批量查询：须用同一份名单", "approve another officer's question, from the same file"
    ),
)
def give(
    id_: Annotated[str, typer.Argument(metavar="ID", help=say("编号", "its id"))],
    file: FileArgument,
    purpose: PurposeOption,
    item: ItemOption,
    type_: TypeOption = "uscc",
    column: ColumnOption = None,
    basis: BasisOption = None,
    case: CaseOption = None,
    to: ToOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Approve a question, as the approver was shown it."""
    with reported(as_json=as_json):
        body = _read_body(file, type_, column, purpose, item, basis, case, to)
        with open_client(home, token_file) as client:
            given = client.post(f"/api/v1/approvals/{id_}/approve", body)
    if as_json:
        print_json(given)
        return
    print_line(
        say(
            f"已批准：{given['officer']} 的查询，{given['lines']} 行；{_time(given['expires'])} 前由其本人再次提交即可查询",
            f"approved: {given['lines']} lines of {given['officer']}, who asks by the same command until "
            f"{_time(given['expires'])}",
        )
    )


def _read_body(
    file: Path,
    type_: str,
    column: str | None,
    purpose: str,
    item: list[str],
    basis: str | None,
    case: str | None,
    to: list[str] | None,
) -> dict[str, Any]:
    """Read the whole question before anything is asked.

    Raises:
        InvalidInput: As ``read_subjects``; ``question-subject`` for a type that no subject has.
    """
    if type_ not in SUBJECT_TYPES:
        raise InvalidInput(
            "question-subject", f"type of subjects is unknown: want {', '.join(SUBJECT_TYPES)}"
        )
    return {
        "type": type_,
        "subjects": read_subjects(file, type_, column),
        "items": [parse_item(text) for text in item],
        "purpose": purpose,
        "basis": basis,
        "case": case,
        "providers": to or None,
    }


def _prepare(path: Path, *, is_directory: bool) -> None:
    if is_directory:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    require_writable(path)


def _print_waiting(
    waiting: dict[str, Any],
    file: Path,
    terms: dict[str, str | None],
    items: Sequence[str],
    providers: Sequence[str],
) -> None:
    """Say what waits, with the command that approves it."""
    options = [(f"--{name}", value) for name, value in terms.items() if value is not None]
    options += [("--item", value) for value in items] + [("--to", value) for value in providers]
    words = [text for option in options for text in option]
    command = shlex.join(["ironcage", "approval", "give", waiting["id"], str(file), *words])
    expires = _time(waiting["expires"])
    lines = waiting["lines"]
    print_line(
        say(
            f"须由另一名办案人员批准：{lines} 行，尚未查询。由其核对同一份名单后执行：",
            f"A second officer has to approve it: {lines} lines, nothing was asked yet. From the same file he runs:",
        )
    )
    print_line(f"  {command}")
    print_line(
        say(f"批准后于 {expires} 前再次执行本命令。", f"Then run this command again, until {expires}.")
    )


def _print_answer(answer: dict[str, Any]) -> None:
    for one in answer["outcomes"]:
        print_head(one)
        shown = [line for line in one["lines"] if line["result"] != "none"]
        if not one["lines"]:
            continue
        print_line(
            say(
                f"  {len(one['lines'])} 个主体：{len(one['lines']) - len(shown)} 个无记录",
                f"  {len(one['lines'])} subjects: {len(one['lines']) - len(shown)} without record",
            )
        )
        if shown:
            print_table(
                (
                    say("主体", "subject"),
                    say("结果", "result"),
                    say("记录", "records"),
                    say("未提供", "withheld"),
                ),
                [
                    (line["subject"], RESULTS[line["result"]], len(line["records"]), _withheld(line))
                    for line in shown[:SHOWN_LINES]
                ],
            )
        if len(shown) > SHOWN_LINES:
            print_line(
                say(f"  其余 {len(shown) - SHOWN_LINES} 个：", f"  {len(shown) - SHOWN_LINES} more: ")
                + "--csv, --json"
            )
    if not answer["complete"]:
        print_line(
            say(
                "有单位未应答：结果不完整。可用 --to 单独再问这些单位；超过上限的须重新批准。",
                "Not every department answered: this is not complete. Ask those again with --to; above the cap that is approved anew.",
            )
        )


def _write_csv(path: Path, outcomes: list[dict[str, Any]]) -> None:
    """Write a row for each record, and one for each subject without; cells that Excel would compute are quoted."""
    codes = sorted(
        {
            code
            for one in outcomes
            for line in one["lines"]
            for record in line["records"]
            for code in record["fields"]
        }
    )
    path.touch(mode=SAVED_MODE)
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow((*(_HEAD_ZH if LANGUAGE == "zh" else _HEAD), *codes))
        for one in outcomes:
            if not one["lines"]:
                writer.writerow((one["provider"], "", one["result"], one["code"] or ""))
            for line in one["lines"]:
                common = (one["provider"], _cell(line["subject"]), line["result"], line["code"] or "")
                for record in line["records"]:
                    values = (_cell(record["fields"].get(code, "")) for code in codes)
                    item = ":".join(record["vct"].split(":")[-2:])
                    writer.writerow((*common, item, record["leaf"], word(record["status"]), *values))
                if not line["records"]:
                    writer.writerow(common)


def _withheld(line: dict[str, Any]) -> str:
    return f"{line['withheld']}  {line['title']}" if line["withheld"] else ""


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


_HEAD_ZH: Final = ("单位", "主体", "结果", "原因", "目录项", "记录", "状态")
_HEAD: Final = ("department", "subject", "result", "reason", "item", "record", "status")

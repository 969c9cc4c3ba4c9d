# SPDX-License-Identifier: Apache-2.0
"""``ironcage record``: show, list, withdraw and correct records of the running node; erasing: cli.erasure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import erasure
from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client, parse_leaf
from cli.language import say
from cli.output import print_json, print_line, print_table, reported, require_file
from cli.why import BasisOption, CaseOption, PurposeOption
from cli.words import parse_subject, word
from node.core.canonical import parse_json
from node.errors import InvalidInput

MAX_ROW_BYTES = 1 << 20
app = typer.Typer(
    no_args_is_help=True,
    help=say("查看、撤回、更正、删除记录", "show, list, withdraw, correct and erase records"),
)
erasure.register(app)
LeafArgument = Annotated[
    str, typer.Argument(help=say("记录的叶哈希（64 位十六进制）", "leaf hash of the record, 64 hex digits"))
]
GroundOption = Annotated[str, typer.Option(help=say("理由，留存于本节点", "why; stays in this node"))]


@app.command(
    "list",
    help=say(
        "列出记录（不显示内容）；按主体查找须说明目的，先留痕",
        "list records, nothing of their content; those of one subject for a purpose, logged first",
    ),
)
def list_records(
    limit: Annotated[int, typer.Option(min=1, max=1000, help=say("最多列出多少条", "how many at most"))] = 20,
    subject: Annotated[
        str | None,
        typer.Option(
            help=say("主体，如 uscc:91…；须同时给出 --purpose", "subject, such as uscc:91…; needs --purpose")
        ),
    ] = None,
    purpose: Annotated[
        str | None,
        typer.Option(
            help=say(
                "按主体查找的目的，写入访问日志", "why a subject is looked for; goes into the access log"
            )
        ),
    ] = None,
    basis: BasisOption = None,
    case: CaseOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List records, newest first, or all about one subject."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        receipt = None
        if subject is None:
            if (purpose, basis, case) != (None, None, None):
                raise InvalidInput(
                    "purpose-unused", "listing all records has no purpose: want --subject with it"
                )
            lines = client.post("/api/v1/records/search", {"limit": limit})
        elif purpose is None:
            raise InvalidInput("purpose-missing", "looking for a subject is logged: want --purpose")
        else:
            why = {"purpose": purpose, "basis": basis, "case": case}
            found = client.post(
                "/api/v1/records/find", {"subject": parse_subject(subject), "limit": limit} | why
            )
            lines, receipt = found["records"], found["receipt"]
    if as_json:
        print_json(lines if receipt is None else found)
        return
    columns = (
        say("序号", "index"),
        say("目录项", "item"),
        say("类别", "class"),
        say("状态", "status"),
        say("阶段", "stage"),
        say("叶哈希", "leaf"),
    )
    rows = [
        (r["index"], r["item"], word(r["disclosure"]), word(r["status"]), word(r["stage"]), r["leaf"])
        for r in lines
    ]
    print_table(columns, rows, fold=False)
    if receipt is not None:
        print_line(say("本次查找的回执：", "receipt of this look: ") + receipt)


@app.command(help=say("查看一条记录（先留痕）", "show one record; the look is logged first"))
def show(
    leaf: LeafArgument,
    purpose: PurposeOption,
    basis: BasisOption = None,
    case: CaseOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show all fields of a record."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        body = {"purpose": purpose, "basis": basis, "case": case}
        shown = client.post(f"/api/v1/records/{parse_leaf(leaf)}/show", body)
    if as_json:
        print_json(shown)
        return
    record = shown["record"]
    place = f"{say('序号', 'index')} {record['index']}"
    print_line(f"{record['item']}  {place}  {word(record['status'])}  {word(record['stage'])}")
    if shown["subject"]:
        print_line(f"{say('主体', 'subject')}: {shown['subject']['type']} {shown['subject']['id']}")
    labels = _labels(record["item"])
    print_table(
        (say("代码", "code"), say("字段", "field"), say("值", "value")),
        [(code, labels.get(code, ""), value) for code, value in shown["fields"].items()],
    )
    print_line(say("本次查看的回执：", "receipt of this look: ") + shown["receipt"])


@app.command(help=say("撤回一条记录（不可恢复）", "withdraw a record; final"))
def withdraw(
    leaf: LeafArgument,
    ground: GroundOption,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Withdraw a record."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        record = client.post(f"/api/v1/records/{parse_leaf(leaf)}/withdraw", {"ground": ground})
    if as_json:
        print_json(record)
        return
    print_line(
        say(
            f"已撤回第 {record['index']} 号记录；下次上链后的证据会显示。",
            f"record {record['index']} is withdrawn; evidence taken after the next anchor says so.",
        )
    )


@app.command(help=say("更正一条记录", "correct a record"))
def correct(
    leaf: LeafArgument,
    row: Annotated[
        Path,
        typer.Option(
            help=say("更正后的整行，JSON：列名到值", "the whole corrected row as JSON: column name to value")
        ),
    ],
    ground: GroundOption,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Issue a record that supersedes another."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        values = parse_json(require_file(row, max_bytes=MAX_ROW_BYTES), max_bytes=MAX_ROW_BYTES, what="row")
        if type(values) is not dict:
            raise InvalidInput("row-shape", "row is not a JSON object of column names to values")
        record = client.post(
            f"/api/v1/records/{parse_leaf(leaf)}/correct", {"values": values, "ground": ground}
        )
    if as_json:
        print_json(record)
        return
    print_line(say(f"新记录：{record['leaf']}", f"new record: {record['leaf']}"))


def _labels(item: str) -> dict[str, str]:
    from node.records.catalogue import load_builtin_items

    found = load_builtin_items().get(item)
    return {field.code: field.zh for field in found.fields} if found else {}

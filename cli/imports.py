# SPDX-License-Identifier: Apache-2.0
"""``ironcage import``: hand a department's file to the running node and watch it go in."""

from __future__ import annotations

import csv
import sys
import time
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.advice import ADVICE, FILE_ADVICE
from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client
from cli.language import LANGUAGE, say
from cli.output import REFUSED, print_json, print_line, print_table, reported, require_writable
from node.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from node.client.api import NodeClient

POLL_SECONDS: Final = 0.1
SHOWN_REFUSALS: Final = 20
PAGE_ROWS: Final = 1_000


def import_file(
    file: Annotated[
        Path, typer.Argument(help=say("xlsx、xls、csv 或 ndjson 文件", "xlsx, xls, csv or ndjson file"))
    ],
    item: Annotated[
        str, typer.Option(help=say("目录项，如 penalty:2018", "catalogue item, such as penalty:2018"))
    ],
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    refusals: Annotated[
        Path | None, typer.Option(help=say("把被拒行写入此 CSV", "write the refused rows to this CSV file"))
    ] = None,
    *,
    corrections: Annotated[
        bool,
        typer.Option("--corrections", help=say("内容有变的行作为更正", "issue changed rows as corrections")),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Import a file and print what became of its rows."""
    with reported(as_json=as_json, advice=FILE_ADVICE), open_client(home, token_file) as client:
        if not file.is_file():
            raise NotFound("file-missing", f"no file {file}")
        if refusals is not None:
            require_writable(refusals)
        job = run_import(client, file, item, corrections=corrections, show=not as_json)
        refused = fetch_refusals(client, job["id"]) if job["refused"] else []
        if refusals is not None:
            write_refusals(refusals, refused)
    if as_json:
        print_json({"import": job, "refusals": refused})
    else:
        print_report(job, refused)
    if job["state"] != "done":
        raise SystemExit(REFUSED)


def run_import(client: NodeClient, file: Path, item: str, *, corrections: bool, show: bool) -> dict[str, Any]:
    """Upload a file and wait until its import has ended.

    Args:
        client: The node.
        file: The file.
        item: Catalogue item.
        corrections: Whether changed rows become corrections.
        show: Whether to show progress.
    """
    fields = {"item": item, "corrections": "true" if corrections else "false"}
    told = None
    job: dict[str, Any] = client.upload("/api/v1/imports", file, fields)
    with ExitStack() as stack:
        if show:
            from cli.progress import LiveLine

            line = stack.enter_context(LiveLine())
        while job["state"] in {"queued", "running"}:
            time.sleep(POLL_SECONDS)
            job = _poll(client, job["id"])
            if show:
                line.tell_import(job)
            if job["waiting_code"] != told:
                told = job["waiting_code"]
                tell_waiting(job)
    return job


def _poll(client: NodeClient, job_id: str) -> dict[str, Any]:
    try:
        job: dict[str, Any] = client.get(f"/api/v1/imports/{job_id}")
    except Unavailable as error:
        raise Unavailable(
            error.code,
            f"{error.message}. The import goes on when the node runs again; send the file again then for its report, "
            "rows that are in by that time count as duplicates",
        ) from None
    return job


def tell_waiting(job: dict[str, Any]) -> None:
    """Say on standard error that an import waits, and for what; it goes on by itself."""
    if job["waiting_code"] is None:
        return
    from node.core.texts import title_of

    code, detail = job["waiting_code"], job["waiting"]
    waits = say(
        f"导入暂停，条件恢复后自动继续：{title_of(code, 'zh')}（{detail}）",
        f"the import waits and goes on by itself: {detail}",
    )
    sys.stderr.write(f"{waits} [{code}]\n")


def fetch_refusals(client: NodeClient, job_id: str) -> list[dict[str, Any]]:
    """Fetch all refused rows of an import."""
    refused: list[dict[str, Any]] = []
    after = 0
    while page := client.get(f"/api/v1/imports/{job_id}/refusals", limit=PAGE_ROWS, after=after):
        refused.extend(page)
        after = page[-1]["row"]
    return refused


def print_report(job: dict[str, Any], refused: list[dict[str, Any]]) -> None:
    """Print counts and the first refused rows."""
    if job["error"]:
        _print_failure(job["error_code"], job["error"])
    print_line(
        say(
            f"{job['file_name']}：读取 {job['read']} 行，入库 {job['accepted']}（其中更正 {job['corrected']}），"
            f"重复 {job['duplicate']}，拒绝 {job['refused']}，需留意 {job['flagged']}",
            f"{job['file_name']}: {job['read']} rows read, {job['accepted']} accepted ({job['corrected']} corrections), "
            f"{job['duplicate']} duplicate, {job['refused']} refused, {job['flagged']} to look at",
        )
    )
    if job["state"] == "done" and job["read"] == 0:
        print_line(say("注意：表头之下没有数据行", "note: there are no rows below the header"))
    for warning in job["warnings"]:
        print_line(say("注意：", "note: ") + _warning_text(warning))
    if refused:
        print_refusals(refused)


def print_refusals(refused: list[dict[str, Any]]) -> None:
    """Print the first refused rows. What one rule says of several empty columns of a row, such as a row of totals, is one line."""
    lines = [list(same) for _, same in groupby(refused, key=lambda r: (r["row"], r["rule"], r["got"]))]
    shown = lines[:SHOWN_REFUSALS]
    print_table(
        (
            say("行", "row"),
            say("列", "column"),
            say("原因", "reason"),
            say("值的类型", "got"),
            say("规则", "rule"),
        ),
        [
            (
                same[0]["row"],
                _columns_text(same),
                same[0]["reason"],
                _got_text(same[0]["got"]),
                same[0]["rule"],
            )
            for same in shown
        ],
    )
    more = len(refused) - sum(map(len, shown))
    if more:
        print_line(
            say(
                f"……另有 {more} 条，用 --refusals 文件 全部写出",
                f"… and {more} more; --refusals FILE writes all",
            )
        )


def _columns_text(same: list[dict[str, Any]]) -> str:
    """Name the column as people and the catalogue do, and how many more there are."""
    column, title = same[0]["column"], same[0]["title"]
    if column is None:
        return "—"
    # Chinese names are those of the file's header; English ones stand nowhere in it.
    name = column if LANGUAGE != "zh" or title == column else f"{title} {column}"
    more = len(same) - 1
    return name + say(f" 等 {more + 1} 列", f" and {more} more") if more else name


def _print_failure(code: str, detail: str) -> None:
    from cli.details import translate_detail
    from node.core.texts import title_of

    print_line(
        say(
            f"导入未完成：{title_of(code, 'zh')}（{translate_detail(detail)}）",
            f"import ended early: {detail}",
        )
        + f" [{code}]"
    )
    what_to_do = FILE_ADVICE.get(code) or ADVICE.get(code)
    if LANGUAGE == "zh" and what_to_do is not None:
        print_line(f"处理办法：{what_to_do}")


def write_refusals(path: Path, refused: list[dict[str, Any]]) -> None:
    """Write refused rows as CSV that Excel opens in Chinese."""
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["行", "列", "列名", "规则", "原因", "值的类型"]
            if LANGUAGE == "zh"
            else ["row", "column", "title", "rule", "reason", "got"]
        )
        writer.writerows(
            [r["row"], r["column"] or "", r["title"] or "", r["rule"], r["reason"], _got_text(r["got"])]
            for r in refused
        )


def _got_text(value_class: str) -> str:
    """Say in the language of this run what class of value stood there."""
    from node.records.rules import translate_value_class

    return translate_value_class(value_class) if LANGUAGE == "zh" else value_class


def _warning_text(warning: str) -> str:
    """Put a warning, ``column 31 录入时间: column-unknown`` or ``sheet 数据: sheet-taken``, into words."""
    from node.records.rules import WARNINGS

    place, _, code = warning.rpartition(": ")
    if place.startswith("sheet "):
        name = place.removeprefix("sheet ")
        return say(f"工作表“{name}”：", f"sheet {name}: ") + say(*WARNINGS.get(code, (code, code)))
    _, number, header = (*place.split(" ", 2), "", "")[:3]
    return say(f"第 {number} 列“{header}”：", f"column {number}, {header}: ") + say(
        *WARNINGS.get(code, (code, code))
    )

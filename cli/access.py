# SPDX-License-Identifier: Apache-2.0
"""``ironcage access``: an auditor looks into the access log of the running node; each look at what an event was about is logged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client
from cli.language import say
from cli.output import (
    print_json,
    print_line,
    print_table,
    print_values,
    reported,
    require_writable,
    save_private,
)
from cli.why import BasisOption, CaseOption, PurposeOption
from cli.words import end_of_day, start_of_day, time_text, word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.client.api import NodeClient

app = typer.Typer(
    no_args_is_help=True,
    help=say(
        "查阅本节点的访问日志（审计员令牌）", "look into this node's access log, with an auditor's token"
    ),
)
_MS = 1_000


@app.command(
    "list", help=say("列出访问事件（不显示所涉内容）", "list events, nothing of what they were about")
)
def list_events(
    limit: Annotated[int, typer.Option(min=1, max=1000, help=say("最多列出多少条", "how many at most"))] = 20,
    kind: Annotated[
        list[str] | None, typer.Option(help=say("只列此类事件，可重复", "only this kind; may stand twice"))
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help=say("自此日（含），YYYY-MM-DD，UTC", "from this day on, YYYY-MM-DD, UTC")),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help=say("至此日（含），YYYY-MM-DD，UTC", "to this day, YYYY-MM-DD, UTC"))
    ] = None,
    rid: Annotated[
        str | None, typer.Option(help=say("请求编号（22 位）", "id of the request, 22 characters"))
    ] = None,
    before: Annotated[
        int | None,
        typer.Option(
            min=0, help=say("接在上一页最后一个 place 之后", "below this place: the last of the page before")
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List events of the access log, newest first."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        body: dict[str, object] = {"limit": limit, "kinds": kind or []}
        if since is not None:
            body["since"] = start_of_day(since) * _MS
        if until is not None:
            body["until"] = end_of_day(until) * _MS
        body |= {name: value for name, value in (("rid", rid), ("before", before)) if value is not None}
        events = client.post("/api/v1/access", body)
    if as_json:
        print_json(events)
        return
    columns = (
        say("日志", "log"),
        say("序号", "index"),
        say("时间", "time"),
        say("种类", "kind"),
        "n",
        say("请求", "request"),
        say("阶段", "stage"),
    )
    rows = [
        (e["number"], e["index"], time_text(e["t"]), word(e["kind"]), e["n"], e["rid"], word(e["stage"]))
        for e in events
    ]
    print_table(columns, rows, fold=False)


@app.command(
    help=say("查看一个事件所涉内容（先留痕）", "show what an event was about; the look is logged first")
)
def show(
    index: Annotated[int, typer.Argument(min=0, help=say("事件序号", "index of the event"))],
    purpose: PurposeOption,
    log: Annotated[int, typer.Option(min=0, help=say("日志承继号", "succession number of its log"))] = 0,
    basis: BasisOption = None,
    case: CaseOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show the ten values of an event."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        body = {"purpose": purpose, "basis": basis, "case": case}
        shown = client.post(f"/api/v1/access/{log}/{index}/show", body)
    if as_json:
        print_json(shown)
        return
    event = shown["event"]
    print_line(
        f"{word(event['kind'])}  {time_text(event['t'])}  {event['log']} {event['index']}  {word(event['stage'])}"
    )
    print_values(shown["values"])
    if shown["receipt_for"] is not None:
        print_line(
            say(
                f"其回执给予 {shown['receipt_for']}，第 {shown['pair']} 号",
                f"its receipt went to {shown['receipt_for']}, number {shown['pair']}",
            )
        )
    print_line(say("本次查阅的回执：", "receipt of this look: ") + shown["receipt"])


@app.command(
    help=say(
        "导出本节点持有的他方回执（先留痕），每行一份",
        "save the receipts that this node holds from others, one a line; the look is logged first",
    )
)
def receipts(
    save: Annotated[Path, typer.Option(help=say("存入此文件", "file for them"))],
    member: Annotated[
        str | None, typer.Option(help=say("只要此成员的回执", "only those of this member, a credit code"))
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Save the receipts of other members: ``ironcage audit --receipts`` takes the file, ``ironcage receipt check`` a line of it."""
    from node.access.receipt import parse_receipt

    with reported(as_json=as_json), open_client(home, token_file) as client:
        require_writable(save)
        found = [
            text for text in _fetch_receipts(client) if member is None or parse_receipt(text).iss == member
        ]
        save_private(save, "".join(f"{line}\n" for line in found).encode())
    if as_json:
        print_json({"file": str(save), "receipts": len(found)})
        return
    print_line(say(f"已存 {len(found)} 份回执：{save}", f"{len(found)} receipts saved: {save}"))


@app.command(
    help=say(
        "导出某成员自相矛盾的已签名请求（先留痕），每行一份",
        "save requests by which a member contradicts itself, one a line; the look is logged first",
    )
)
def contradictions(
    member: Annotated[str, typer.Argument(help=say("成员的统一社会信用代码", "credit code of the member"))],
    save: Annotated[Path, typer.Option(help=say("存入此文件", "file for them"))],
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Save what a member signed about answers of this node that is not what this node gave; it holds personal data."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        require_writable(save)
        found = client.post("/api/v1/access/contradictions", {"member": member})["requests"]
        save_private(save, "".join(f"{line}\n" for line in found).encode())
    if as_json:
        print_json({"file": str(save), "requests": len(found)})
        return
    print_line(say(f"已存 {len(found)} 份请求：{save}", f"{len(found)} requests saved: {save}"))


def _fetch_receipts(client: NodeClient) -> Iterator[str]:
    after: int | None = None
    while True:
        page = client.post("/api/v1/access/receipts", {"after": after})
        yield from page["receipts"]
        after = page["next"]
        if after is None:
            return

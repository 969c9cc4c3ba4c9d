# SPDX-License-Identifier: Apache-2.0
"""``ironcage warrant`` and ``ironcage sealed``: a regulator lets others look in secret, and opens what they sealed (docs/exchange.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client
from cli.language import say
from cli.output import (
    print_json,
    print_line,
    print_table,
    print_values,
    reported,
    require_file,
    require_writable,
    save_private,
)
from cli.why import BasisOption, CaseOption, PurposeOption
from cli.words import end_of_day, word
from node.errors import InvalidInput

FINDING_SUFFIX: Final = ".finding.json"
warrants = typer.Typer(
    no_args_is_help=True,
    help=say(
        "监管令状：允许一个单位查询而暂不告知主体（监管成员的节点）",
        "warrants, at a regulator's node: let a department look without the subject being shown it yet",
    ),
)
app = typer.Typer(
    no_args_is_help=True,
    help=say(
        "封存的查询：监管成员保管、启封，以及公开的次数",
        "sealed looks: what a regulator holds and opens, and counts",
    ),
)
DigestArgument = Annotated[
    str, typer.Argument(help=say("令状摘要（见 list）", "digest of the warrant, as listed"))
]
LimitOption = Annotated[
    int, typer.Option(min=1, max=1000, help=say("最多列出多少项", "list at most so many"))
]
AfterOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help=say("接在上一页最后一个序号（place）之后", "behind this place: the last of the page before"),
    ),
]
BoxArgument = Annotated[
    str, typer.Argument(help=say("封存件摘要（见 list）", "digest of the box, as listed"))
]


@warrants.command(
    help=say("签发令状（管理员令牌；先留痕）", "sign a warrant, with an administrator's token; logged")
)
def issue(
    asker: Annotated[str, typer.Option(help=say("可查询的单位", "USCC of the department that may look"))],
    looks: Annotated[int, typer.Option(min=1, help=say("最多查询次数", "how many looks, at most"))],
    until: Annotated[
        str, typer.Option(help=say("可用至此日（含），YYYY-MM-DD，UTC", "good to this day, YYYY-MM-DD, UTC"))
    ],
    open_by: Annotated[
        str,
        typer.Option(
            help=say(
                "启封时限：此日过后主体即可看到，YYYY-MM-DD，UTC",
                "behind this day the subject is shown every look, YYYY-MM-DD, UTC",
            )
        ),
    ],
    purpose: PurposeOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help=say("令状写入此文件，交给查询单位", "file for the warrant, for the department"),
        ),
    ],
    basis: BasisOption = None,
    case: CaseOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Sign a warrant."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        body = {
            "asker": asker,
            "looks": looks,
            "end": end_of_day(until),
            "open_by": end_of_day(open_by),
            "purpose": purpose,
            "basis": basis,
            "case": case,
        }
        require_writable(out)
        issued = client.post("/api/v1/warrants", body)
        save_private(out, issued["warrant"].encode() + b"\n")
    if as_json:
        print_json(issued)
        return
    print_line(say(f"令状已写入 {out}", f"the warrant is in {out}"))
    print_line(say("摘要：", "digest: ") + issued["digest"])
    print_line(say("回执：", "receipt: ") + issued["receipt"])


@warrants.command(
    "list",
    help=say(
        "列出本节点签发的令状及已用次数（审计员令牌）",
        "list warrants and how often they were used, with an auditor's token",
    ),
)
def list_warrants(
    limit: LimitOption = 100,
    after: AfterOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the warrants of this regulator."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        behind = "" if after is None else f"&after={after}"
        found = client.get(f"/api/v1/warrants?limit={limit}{behind}")
    if as_json:
        print_json(found)
        return
    columns = (
        say("序", "place"),
        say("摘要", "digest"),
        say("查询单位", "asker"),
        say("已用", "used"),
        say("可用至", "good until"),
        say("启封时限", "open by"),
        say("撤回", "taken back"),
    )
    rows = [
        (
            one["place"],
            one["digest"],
            one["asker"],
            f"{one['used']}/{one['looks']}",
            _time(one["end"]),
            _time(one["open_by"]),
            _time(one["revoked"]),
        )
        for one in found
    ]
    print_table(columns, rows, fold=False)


@warrants.command(
    help=say("撤回令状（管理员令牌；先留痕）", "take a warrant back, with an administrator's token; logged")
)
def revoke(
    digest: DigestArgument,
    purpose: PurposeOption,
    basis: BasisOption = None,
    case: CaseOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Take a warrant back."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        body = {"purpose": purpose, "basis": basis, "case": case}
        taken = client.post(f"/api/v1/warrants/{digest}/revoke", body)
    if as_json:
        print_json(taken)
        return
    print_line(
        say(
            "令状已撤回：不再据此提供任何信息；已封存的，到时限启封。",
            "taken back: nothing more is given on it; what is sealed stays so until its day.",
        )
    )
    print_line(say("回执：", "receipt: ") + taken["receipt"])


@app.command(
    "list",
    help=say(
        "列出保管的封存件（审计员令牌；不显示内容）",
        "list what is held, nothing of what it says; with an auditor's token",
    ),
)
def list_boxes(
    limit: LimitOption = 100,
    after: AfterOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    overdue: Annotated[
        bool, typer.Option("--overdue", help=say("只列逾期未启封的", "only what nobody opened by its day"))
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List what this regulator holds."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        body: dict[str, Any] = {"limit": limit, "overdue": overdue}
        if after is not None:
            body["after"] = after
        found = client.post("/api/v1/sealed", body)
    if as_json:
        print_json(found)
        return
    columns = (
        say("序", "place"),
        say("封存件", "box"),
        say("单位", "member"),
        say("种类", "kind"),
        say("另一方", "other side"),
        say("收到", "taken"),
        say("启封时限", "open by"),
        say("启封", "opened"),
    )
    rows = [
        (
            one["place"],
            one["box"],
            one["member"],
            word(one["part"]),
            one["peer"],
            _time(one["taken"]),
            _time(one["open_by"]),
            _time(one["opened"]),
        )
        for one in found
    ]
    print_table(columns, rows, fold=False)


@app.command(
    "open",
    help=say(
        "启封查看（审计员令牌；先留痕）",
        "show what a sealed event says, with an auditor's token; logged first",
    ),
)
def open_box(
    box: BoxArgument,
    purpose: PurposeOption,
    basis: BasisOption = None,
    case: CaseOption = None,
    save: Annotated[
        Path | None,
        typer.Option(
            help=say(
                "把启封说明（已签名）写入此文件，供 sealed verify 与 audit --opened 核对",
                "file for the signed statement of what it held, for sealed verify and audit --opened",
            )
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what a sealed event says."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        if save is not None:
            require_writable(save)
        body = {"purpose": purpose, "basis": basis, "case": case}
        opened = client.post(f"/api/v1/sealed/{box}/open", body)
        if save is not None:
            save_private(save, opened["statement"].encode() + b"\n")
    if as_json:
        print_json(opened)
        return
    held = opened["held"]
    print_line(f"{word(held['part'])}  {_time(held['taken'])}  {held['member']} → {held['peer']}")
    print_values(opened["values"])
    print_line(say("本次查阅的回执：", "receipt of this look: ") + opened["receipt"])
    if save is not None:
        print_line(say(f"启封说明已写入 {save}", f"what it held is in {save}, signed"))


@app.command(
    help=say(
        "离线核对：启封的内容是否即日志中封存事件的内容（不需要节点）",
        "check offline that what was opened is what the sealed event in the log says; needs no node",
    )
)
def verify(
    statement: Annotated[
        Path,
        typer.Argument(help=say("启封说明（sealed open --save）", "the statement, of sealed open --save")),
    ],
    event: Annotated[
        Path,
        typer.Option(
            help=say(
                "封存事件的文件：*.look.json 或 *.finding.json",
                "file of the sealed event: a *.look.json or *.finding.json",
            )
        ),
    ],
    policy: Annotated[Path, typer.Option(help=say("你自己的信任策略文件", "your own policy file"))],
    *,
    as_json: JsonOption = False,
) -> None:
    """Check that a box held what its event says."""
    from node.access.unsealed import MAX_OPENED_BYTES
    from node.evidence.policy import MAX_POLICY_BYTES, parse_policy
    from node.evidence.unsealed import verify_unsealed

    with reported(as_json=as_json):
        trusted = parse_policy(require_file(policy, max_bytes=MAX_POLICY_BYTES))
        token = require_file(statement, max_bytes=MAX_OPENED_BYTES).decode("ascii", "replace").strip()
        entry, inclusion = _load_event(event, token)
        opened, log, values = verify_unsealed(token, entry, inclusion, trusted)
    if as_json:
        found = {"regulator": opened.iss, "member": opened.member, "log": log, "box": opened.box.hex()}
        print_json(found | {"values": values})
        return
    print_line(
        say(
            f"一致：{opened.iss} 启封的内容即 {log} 中封存事件的内容。",
            f"it agrees: what {opened.iss} opened is what the sealed event in {log} says.",
        )
    )
    print_values(values)


def _load_event(path: Path, token: str) -> tuple[bytes, str]:
    """Read the event that a statement is about, and the proof of its place, from either kind of file.

    Raises:
        InvalidInput: The file is neither; ``sealed-event`` when it holds no event with that box.
    """
    from node.access.event import parse_event
    from node.access.unsealed import parse_opened
    from node.cage.proof import MAX_FINDING_BYTES, parse_finding
    from node.evidence.lookfile import parse_look_file

    data = require_file(path, max_bytes=MAX_FINDING_BYTES)
    if path.name.endswith(FINDING_SUFFIX):
        shown = [(one.entry, one.inclusion) for one in parse_finding(data).entries]
    else:
        look = parse_look_file(data)
        shown = [(look.event.encode(), look.inclusion)]
    box = parse_opened(token).box
    for entry, inclusion in shown:
        if parse_event(entry).box == box:
            return entry, inclusion
    raise InvalidInput("sealed-event", f"{path} holds no event that was sealed into this box")


@app.command(
    help=say("已结束各月封存的查询次数（公开）", "sealed looks of months that are over; open to all")
)
def counts(
    home: HomeOption = DEFAULT_HOME, token_file: TokenOption = None, *, as_json: JsonOption = False
) -> None:
    """Show how many sealed looks this department asked for and gave."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        found = client.get("/api/v1/sealed/counts")
    if as_json:
        print_json(found)
        return
    columns = (say("月份", "month"), say("查询他人", "asked"), say("应答他人", "answered"))
    print_table(columns, [(one["month"], one["asked"], one["answered"]) for one in found])


def _time(seconds: int | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%MZ")

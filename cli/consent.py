# SPDX-License-Identifier: Apache-2.0
"""``ironcage consent``: at the department's window, a subject consents to be asked about, takes it back, and sees its consents."""

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
    reported,
    require_file,
    require_writable,
    save_private,
)
from cli.why import ApplicationOption, BasisOption
from cli.words import end_of_day, parse_subject
from node.errors import InvalidInput

MAX_CONSENT_BYTES: Final = 16_384
app = typer.Typer(
    no_args_is_help=True,
    help=say(
        "窗口服务：主体授权的办理、撤回与查询",
        "at the window: a subject's consents are given, taken back and listed",
    ),
)
SubjectArgument = Annotated[str, typer.Argument(help=say("主体，如 rid:11…", "subject, such as rid:11…"))]


@app.command(help=say("办理授权（先留痕）", "issue a consent; logged first"))
def issue(
    subject: SubjectArgument,
    provider: Annotated[
        str, typer.Option(help=say("可提供信息的单位", "USCC of the department that may show the records"))
    ],
    asker: Annotated[str, typer.Option(help=say("可查询的单位", "USCC of the department that may ask"))],
    purpose: Annotated[str, typer.Option(help=say("用途代码", "code of the one purpose"))],
    item: Annotated[
        list[str],
        typer.Option(
            help=say(
                "可提供的内容，如 penalty:2018:CF_WSH,CF_NR；可重复",
                "what may be shown, such as penalty:2018:CF_WSH,CF_NR; may be repeated",
            )
        ),
    ],
    until: Annotated[
        str,
        typer.Option(help=say("有效期至此日（含），YYYY-MM-DD，UTC", "good to this day, YYYY-MM-DD, UTC")),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help=say("授权书写入此文件，交给查询单位", "file for the consent, for the asker")
        ),
    ],
    uses: Annotated[int, typer.Option(min=1, help=say("可用次数", "how often it may be used"))] = 1,
    basis: BasisOption = None,
    case: ApplicationOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Issue a consent of a subject who was identified at the window."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        body = {
            "subject": parse_subject(subject),
            "provider": provider,
            "asker": asker,
            "purpose": purpose,
            "items": [_parse_item(text) for text in item],
            "end": end_of_day(until),
            "uses": uses,
            "basis": basis,
            "case": case,
        }
        require_writable(out)
        given = client.post("/api/v1/consents", body)
        save_private(out, given["consent"].encode() + b"\n")
    if as_json:
        print_json(given)
        return
    print_line(say(f"授权书已写入 {out}", f"the consent is in {out}"))
    print_line(say("摘要（撤回时用）：", "digest, to take it back by: ") + given["digest"])
    print_line(say("回执：", "receipt: ") + given["receipt"])


@app.command(
    "list", help=say("列出主体在本窗口的授权（先留痕）", "list a subject's consents given here; logged first")
)
def list_consents(
    subject: SubjectArgument,
    basis: BasisOption = None,
    case: ApplicationOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the consents of a subject."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        body = {"subject": parse_subject(subject), "basis": basis, "case": case}
        shown = client.post("/api/v1/consents/search", body)
    if as_json:
        print_json(shown)
        return
    columns = (
        say("摘要", "digest"),
        say("查询单位", "asker"),
        say("提供单位", "provider"),
        say("用途", "purpose"),
        say("有效期至", "until"),
        say("已用", "used"),
        say("状态", "state"),
    )
    rows = [
        (
            one["digest"],
            one["asker"],
            one["provider"],
            one["purpose"],
            _day(one["end"]),
            f"{'?' if one['used'] is None else one['used']}/{one['uses']}",
            _state(one),
        )
        for one in shown
    ]
    print_table(columns, rows, fold=False)


@app.command(help=say("撤回授权（先留痕）", "take a consent back; logged first"))
def revoke(
    digest: Annotated[
        str | None,
        typer.Argument(help=say("在本窗口办理的授权书的摘要", "digest of a consent that was given here")),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help=say(
                "其他窗口办理、由本单位提供信息的授权书文件",
                "file with a consent of another window, whose provider this department is",
            )
        ),
    ] = None,
    basis: BasisOption = None,
    case: ApplicationOption = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Take a consent back."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        body: dict[str, Any] = {"basis": basis, "case": case}
        if (digest is None) == (file is None):
            raise InvalidInput("consent-named", "which consent is not clear: want its digest, or its file")
        if file is not None:
            token = require_file(file, max_bytes=MAX_CONSENT_BYTES).decode("ascii", "replace").strip()
            taken = client.post("/api/v1/consents/revoke", body | {"consent": token})
        else:
            taken = client.post(f"/api/v1/consents/{_parse_digest(digest or '')}/revoke", body)
    if as_json:
        print_json(taken)
        return
    if taken["is_effective"]:
        print_line(say("已撤回，即刻生效。", "Taken back, from now on."))
    else:
        print_line(
            say(
                f"已登记撤回，但提供单位 {taken['provider']} 尚未知悉{_trouble(taken)}：本节点会自动反复通知。"
                "情况紧急时，可凭授权书在该单位撤回。",
                f"Noted, but the provider {taken['provider']} does not know it yet{_trouble(taken)}: this node tells it until "
                "it does. If it is urgent, take it back there with the consent's file.",
            )
        )
    print_line(say("回执：", "receipt: ") + taken["receipt"])


def _state(consent: dict[str, Any]) -> str:
    if consent["revoked"] is None:
        return ""
    if not consent["is_effective"]:
        return say(
            f"已在本窗口撤回，提供单位尚未知悉{_trouble(consent)}",
            f"taken back here, not yet known to the provider{_trouble(consent)}",
        )
    if consent["known"] is not None:
        return say("已撤回，提供单位已知悉", "taken back, known to the provider")
    return say("已撤回", "taken back")


def _trouble(shown: dict[str, Any]) -> str:
    code = shown["trouble"]
    return "" if code is None else say(f"（{code}）", f" ({code})")


def _parse_item(text: str) -> dict[str, Any]:
    name, _, rest = text.partition(":")
    version, separator, fields = rest.partition(":")
    if not separator:
        raise InvalidInput("consent-fields", "item names no fields: want ITEM:VERSION:FIELD,FIELD")
    return {"item": f"{name}:{version}", "fields": sorted({"subject", *fields.split(",")})}


def _parse_digest(text: str) -> str:
    folded = text.strip().lower()
    if len(folded) != 64 or any(digit not in "0123456789abcdef" for digit in folded):  # noqa: PLR2004 - SHA-256 in hex
        raise InvalidInput("consent-digest", f"digest has {len(text)} characters, want 64 hex digits")
    return folded


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds - 1, tz=UTC).strftime("%Y-%m-%d")

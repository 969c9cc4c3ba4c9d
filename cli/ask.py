# SPDX-License-Identifier: Apache-2.0
"""``ironcage ask``: ask other departments about a subject, through the running node (docs/exchange.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client
from cli.language import say
from cli.output import (
    REFUSED,
    UNAVAILABLE,
    print_json,
    print_line,
    print_table,
    reported,
    require_file,
    require_writable,
    save_private,
)
from cli.why import CaseOption
from cli.words import parse_subject, word
from node.core.canonical import encode_json

MAX_CONSENT_BYTES: Final = 16_384


def ask(
    subject: Annotated[str, typer.Argument(help=say("主体，如 uscc:91…", "subject, such as uscc:91…"))],
    purpose: Annotated[str, typer.Option(help=say("用途代码", "code of the purpose"))],
    item: Annotated[
        list[str],
        typer.Option(
            help=say(
                "目录项，如 penalty:2018，可加字段 penalty:2018:CF_WSH,CF_NR；可重复",
                "catalogue item, such as penalty:2018, or with fields penalty:2018:CF_WSH,CF_NR; may be repeated",
            )
        ),
    ],
    basis: Annotated[str | None, typer.Option(help=say("法律依据代码", "code of the legal basis"))] = None,
    case: CaseOption = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            help=say("被查询单位的统一社会信用代码；可重复", "USCC of a department to ask; may be repeated"),
            show_default=say("所有可达单位", "all that can be reached"),
        ),
    ] = None,
    consent: Annotated[
        list[Path] | None,
        typer.Option(
            help=say(
                "主体授权书（JWT 文件）；可重复", "file with the subject's consent, JWT; may be repeated"
            )
        ),
    ] = None,
    warrant: Annotated[
        Path | None,
        typer.Option(
            help=say(
                "监管令状（JWT 文件）：启封前主体看不到这次查询",
                "file with a regulator's warrant, JWT: the subject is shown the question only later",
            )
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(help=say("把带签名的应答存入该目录", "directory to keep the signed answers in")),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Ask; exit code 0 when all answered, 1 when one refused, 3 when one gave no answer."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        body = {
            "subject": parse_subject(subject),
            "items": [parse_item(text) for text in item],
            "purpose": purpose,
            "basis": basis,
            "case": case,
            "providers": to or None,
            "consents": [_read_consent(path) for path in consent or ()],
            "warrant": None if warrant is None else _read_warrant(warrant),
        }
        if save is not None:
            save.mkdir(mode=0o700, parents=True, exist_ok=True)
            require_writable(save)
        answer = client.post("/api/v1/ask", body)
        saved = [
            path
            for one in answer["outcomes"]
            if save is not None and one["answer"]
            for path in save_answer(save, one)
        ]
    if as_json:
        print_json(answer)
    else:
        for one in answer["outcomes"]:
            _print_outcome(one)
        if not answer["complete"]:
            print_line(
                say("有单位未应答：结果不完整。", "Not every department answered: this is not complete.")
            )
        for path in saved:
            print_line(say(f"已保存 {path}", f"kept {path}"))
    raise SystemExit(exit_code(answer))


def parse_item(text: str) -> dict[str, Any]:
    """Read ``penalty:2018`` or ``penalty:2018:CF_WSH,CF_NR``."""
    name, _, rest = text.partition(":")
    version, separator, fields = rest.partition(":")
    return {"item": f"{name}:{version}", "fields": fields.split(",") if separator else None}


def _read_consent(path: Path) -> dict[str, str]:
    from node.access.consent import parse_consent

    token = require_file(path, max_bytes=MAX_CONSENT_BYTES).decode("ascii", "replace").strip()
    return {"provider": parse_consent(token).aud, "consent": token}


def _read_warrant(path: Path) -> str:
    from node.access.warrant import MAX_WARRANT_BYTES, parse_warrant

    token = require_file(path, max_bytes=MAX_WARRANT_BYTES).decode("ascii", "replace").strip()
    parse_warrant(token)
    return token


def save_answer(directory: Path, outcome: dict[str, Any]) -> list[Path]:
    """Keep the signed answer with this node's receipts, and the department's receipt by itself as ``ironcage receipt`` takes it.

    Files are named by what says nothing about the question: a digest.
    """
    from hashlib import sha256

    from node.access.answer import parse_answer
    from node.access.bulk_answer import parse_bulk_answer

    parse = parse_bulk_answer if "lines" in outcome else parse_answer
    name = sha256(outcome["answer"].encode()).hexdigest()[:16]
    kept = {
        "v": 1,
        "provider": outcome["provider"],
        "answer": outcome["answer"],
        "receipts": outcome["receipts"],
    }
    files = {
        f"{name}.answer.json": encode_json(kept),
        f"{name}.receipt": parse(outcome["answer"]).grant.receipt.encode() + b"\n",
    }
    for file, data in files.items():
        save_private(directory / file, data)
    return [directory / file for file in files]


def exit_code(answer: dict[str, Any]) -> int:
    """Give the exit code of a question."""
    results = {one["result"] for one in answer["outcomes"]}
    if not answer["complete"]:
        return UNAVAILABLE
    return REFUSED if results & {"deny", "refused"} else 0


def _print_outcome(outcome: dict[str, Any]) -> None:
    print_head(outcome)
    for record in outcome["records"]:
        labels = _labels(record["vct"])
        print_line(f"  {record['leaf'][:16]}…  {word(record['status'])}")
        if record["fields"]:
            print_table(
                (say("代码", "code"), say("字段", "field"), say("值", "value")),
                [(code, labels.get(code, ""), value) for code, value in record["fields"].items()],
            )


def print_head(outcome: dict[str, Any]) -> None:
    """Print what came of asking one department, but for the records."""
    result = RESULTS.get(outcome["result"], outcome["result"])
    print_line(f"{outcome['provider']}  {result}")
    if outcome["code"] is not None:
        detail = f"  {outcome['detail']}" if outcome["detail"] else ""
        print_line(f"  {outcome['title']}{detail}  [{outcome['code']}]")
    if outcome["withheld"]:
        print_line(
            say(
                f"  找到 {outcome['found']} 条，其中 {outcome['withheld']} 条未提供",
                f"  {outcome['found']} found, {outcome['withheld']} of them withheld",
            )
        )
    if outcome["as_of"] is not None:
        searched = outcome["as_of"]
        print_line(
            say(
                f"  查询范围：日志 {searched['log']} 的前 {searched['size']} 条",
                f"  searched: the first {searched['size']} entries of {searched['log']}",
            )
        )


def _labels(vct: str) -> dict[str, str]:
    from node.records.catalogue import load_builtin_items

    found = load_builtin_items().get(":".join(vct.split(":")[-2:]))
    return {field.code: say(field.zh, field.en) for field in found.fields} if found else {}


RESULTS: Final = {
    "ok": say("已提供", "given"),
    "none": say("无记录", "no record"),
    "partial": say("部分提供", "partly given"),
    "deny": say("对方拒绝", "refused by the department"),
    "failed": say("未得到有效应答", "no valid answer"),
    "refused": say("本节点拒绝", "refused by this node"),
}

# SPDX-License-Identifier: Apache-2.0
"""``ironcage audit``: lay the access logs of several members side by side, and say what does not fit (docs/audit.md)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.home import JsonOption
from cli.language import LANGUAGE, say
from cli.output import (
    REFUSED,
    UNAVAILABLE,
    print_json,
    print_line,
    print_table,
    reported,
    require_file,
    require_writable,
)
from node.cage.findings import finding_text
from node.errors import InvalidInput

if TYPE_CHECKING:
    from node.cage.audit import Report
    from node.evidence.policy import Policy

SHOWN: Final = 40


def audit(
    policy: Annotated[Path, typer.Option(help=say("你自己的信任策略文件", "your own policy file"))],
    node: Annotated[
        list[str] | None, typer.Option(help=say("节点地址，每个节点一次", "address of a node; once for each"))
    ] = None,
    token_file: Annotated[
        list[Path] | None,
        typer.Option(
            "--token-file",
            help=say(
                "各节点的审计员令牌文件，顺序与 --node 相同",
                "files with an auditor's token of each node, in the order of --node",
            ),
        ),
    ] = None,
    rpc: Annotated[
        str | None,
        typer.Option(
            help=say("链节点地址", "address of a chain node"),
            show_default=say("策略所指", "the policy's"),
        ),
    ] = None,
    receipts: Annotated[
        list[Path] | None,
        typer.Option(help=say("回执文件，每行一份，可多次", "file of receipts, one a line; may be repeated")),
    ] = None,
    purposes: Annotated[
        Path | None,
        typer.Option(
            help=say(
                "当时有效的目的文件，用于核对批量查询的第二名经办人",
                "file of the purposes in force, for the second officer of questions about many",
            )
        ),
    ] = None,
    opened: Annotated[
        list[Path] | None,
        typer.Option(
            help=say(
                "监管成员的启封说明文件（sealed open --save），可多次",
                "what a regulator opened (sealed open --save); may be repeated",
            )
        ),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help=say("他人持有的检查点文件，可多次", "checkpoint that somebody holds; may be repeated")
        ),
    ] = None,
    period: Annotated[
        int, typer.Option(min=1, help=say("锚定周期（秒）", "seconds between two anchors"))
    ] = 300,
    anchor_limit: Annotated[
        int,
        typer.Option(
            min=1, help=say("网络的锚定时限（秒）", "the network's limit on the age of an anchor, seconds")
        ),
    ] = 14_400,
    keep: Annotated[
        Path | None,
        typer.Option(
            help=say(
                "保存已读条目的目录，下次只读其余",
                "folder for entries read, so that the next run reads the rest",
            )
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help=say("存放报告与证明文件的新目录", "new folder for the report and the files that prove it"),
            show_default=say("audit-<时间>", "audit-<time>"),
        ),
    ] = None,
    check: Annotated[
        list[Path] | None,
        typer.Option(
            help=say(
                "不审计，只核对一份 *.finding.json，可多次",
                "audit nothing, check a *.finding.json; may be repeated",
            )
        ),
    ] = None,
    *,
    openings: Annotated[
        bool,
        typer.Option(
            "--openings/--no-openings",
            help=say("读取事件内容（节点会记录）", "read what the events were about; the node logs it"),
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Audit the access logs of some nodes; needs no node of one's own."""
    from cli.audit_files import FOLDER_MODE, make_folder, store_report
    from cli.auditing import Wanted, run_audit
    from node.cage.walk import Rules
    from node.evidence.policy import MAX_POLICY_BYTES, parse_policy

    with reported(as_json=as_json):
        trusted = parse_policy(require_file(policy, max_bytes=MAX_POLICY_BYTES))
        if check:
            for file in check:
                _check(file, trusted, as_json=as_json)
            return
        nodes, tokens = node or [], token_file or []
        if not nodes or len(nodes) != len(tokens):
            raise InvalidInput(
                "audit-nodes",
                f"{len(nodes)} nodes and {len(tokens)} token files are named: want a --token-file for each --node",
            )
        begun = datetime.now(UTC)  # noqa: TID251 - the edge of the program
        if out is not None and out.exists():
            raise InvalidInput("audit-folder", f"{out} is there already: want a new folder for the report")
        require_writable(out or Path())
        wanted = Wanted(
            policy=trusted,
            nodes=list(zip(nodes, tokens, strict=True)),
            rpc=rpc,
            receipts=receipts or [],
            opened=opened or [],
            checkpoints=checkpoint or [],
            rules=Rules(period, anchor_limit, caps=_load_caps(purposes)),
            keep=keep,
            openings=openings,
        )
        report, away = run_audit(wanted)
        if out is None:
            folder = make_folder(Path(), begun)
        else:
            folder = out
            folder.mkdir(mode=FOLDER_MODE, parents=True)
        store_report(folder, report)
    if as_json:
        print_json(report.to_json() | {"folder": str(folder), "away": away})
    else:
        _print_report(report, away, folder)
    if report.findings.total:
        raise SystemExit(REFUSED)
    if report.partial or away:
        raise SystemExit(UNAVAILABLE)


def _load_caps(path: Path | None) -> dict[bytes, int]:
    """Read how many subjects one officer may ask about by himself, by the mark of the purpose."""
    from node.access.purposes import MAX_PURPOSES_BYTES, parse_purposes
    from node.cage.opened import mark_text

    if path is None:
        return {}
    rules = parse_purposes(require_file(path, max_bytes=MAX_PURPOSES_BYTES))
    return {mark_text(code): purpose.bulk_lines for code, purpose in rules.purposes.items()}


def _check(file: Path, policy: Policy, *, as_json: bool) -> None:
    from node.cage.proof import MAX_FINDING_BYTES, parse_finding, verify_finding

    finding = parse_finding(require_file(file, max_bytes=MAX_FINDING_BYTES))
    follows = verify_finding(finding, policy)
    if as_json:
        print_json({"file": str(file), "code": finding.code, "sound": True, "follows": follows})
        return
    # The file holds the entries and not the words about them.
    said = re.sub(r"\{[a-z_]+\}", "…", finding_text(finding.code, LANGUAGE))
    print_line(f"{file}  {finding.code}: {said}")
    print_line(
        "  "
        + (
            say(
                "签名与证明均成立，且所述由文件本身得出",
                "every signature and proof holds, and it follows from the file alone",
            )
            if follows
            else say(
                "签名与证明均成立；所缺的内容须到日志或链上核对",
                "every signature and proof holds; what is missing has to be looked up in the log or on the chain",
            )
        )
    )


def _print_report(report: Report, away: list[dict[str, str]], folder: Path) -> None:
    columns = (
        say("日志", "log"),
        say("条目", "entries"),
        say("事件", "events"),
        say("已锚定", "anchored"),
        say("锚定次数", "anchors"),
        say("读取", "read"),
    )
    whole = say("完整", "whole")
    rows = [
        (log.origin, log.size, log.events, log.anchored, len(log.anchors), log.partial or whole)
        for log in report.logs
    ]
    print_table(columns, rows, fold=False)
    for each in away:
        print_line(
            say(
                f"未审计或未读完：{each['node']} [{each['code']}]",
                f"not audited, or not to the end: {each['node']} [{each['code']}]",
            )
        )
    print_line()
    _print_findings(report)
    for (code, origin), count in sorted(report.findings.remarks.items()):
        text = finding_text(code, LANGUAGE)
        print_line(f"{origin}: " + say(f"{count} {text}", f"{text}: {count}"))
    print_line(say(f"报告与证明文件：{folder}", f"report and proofs: {folder}"))
    if report.partial or away:
        print_line(
            say(
                "本次审计不完整：有日志未能读完。",
                "this audit is partial: not every log was read to its end.",
            )
        )


def _print_findings(report: Report) -> None:
    total, listed = report.findings.total, report.findings.listed
    if not total:
        print_line(say("没有发现不符之处。", "nothing that does not fit was found."))
        return
    print_line(say(f"发现 {total} 项不符：", f"{total} findings:" if total > 1 else "1 finding:"))
    for finding in listed[:SHOWN]:
        place = f" {finding.entries[0].at}" if finding.entries else ""
        member = finding.member or say("（未知成员）", "(member unknown)")
        print_line(f"  {member}  {finding.code}  {finding.origin}{place}")
        print_line(f"    {finding.text(LANGUAGE)}  → {finding.file}")
    if total > SHOWN:
        print_line(
            say(f"  …其余 {total - SHOWN} 项见报告", f"  … {total - SHOWN} more are counted in the report")
        )

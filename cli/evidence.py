# SPDX-License-Identifier: Apache-2.0
"""``ironcage evidence``: export an evidence file from the running node; verify one without any node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.home import DEFAULT_HOME, HomeOption, JsonOption, LangOption, open_client, parse_leaf
from cli.language import LANGUAGE, say
from cli.output import print_json, print_line, reported, require_file
from cli.records import BasisOption, CaseOption, LeafArgument, PurposeOption

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from node.evidence.chain import ChainReader
    from node.evidence.policy import Policy
    from node.evidence.report import Report

app = typer.Typer(no_args_is_help=True, help=say("导出与验证证据", "export and verify evidence"))


@app.command(help=say("导出一份证据文件（先留痕）", "export an evidence file; the look is logged first"))
def export(
    leaf: LeafArgument,
    purpose: PurposeOption,
    disclose: Annotated[
        str,
        typer.Option(
            help=say("披露的字段代码，逗号分隔", "codes of the fields to disclose, comma-separated")
        ),
    ],
    basis: BasisOption = None,
    case: CaseOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=say("输出文件或目录", "file or directory to write to"))
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    *,
    as_json: JsonOption = False,
) -> None:
    """Export the evidence file of one record."""
    names = [name.strip() for name in disclose.split(",") if name.strip()]
    with reported(as_json=as_json), open_client(home) as client:
        body = {"disclose": names, "purpose": purpose, "basis": basis, "case": case}
        exported = client.post(f"/api/v1/records/{parse_leaf(leaf)}/evidence", body)
    target = out or Path(exported["name"])
    if target.is_dir():
        target /= exported["name"]
    target.write_bytes(exported["evidence"].encode())
    if as_json:
        print_json({"file": str(target), "receipt": exported["receipt"], "stage": exported["stage"]})
        return
    print_line(
        say(f"证据已写入 {target}", f"evidence written to {target}") + f"  ({target.stat().st_size} bytes)"
    )


@app.command(help=say("验证证据文件", "verify evidence files"))
def verify(
    files: Annotated[list[Path], typer.Argument(help=say("证据文件", "evidence files"))],
    policy: Annotated[Path, typer.Option(help=say("你自己的信任策略文件", "your own policy file"))],
    lang: LangOption = LANGUAGE,
    *,
    as_json: JsonOption = False,
) -> None:
    """Verify evidence files under a policy; needs no node and no store."""
    from node.core.clock import SystemClock
    from node.evidence.policy import parse_policy
    from node.evidence.verify import verify_evidence

    worst = 0
    with reported(as_json=as_json):
        trust = parse_policy(require_file(policy))
        with _chain_of(trust) as chain:
            for file in files:
                data = require_file(file)
                report = verify_evidence(data, trust, now_seconds=SystemClock().now_seconds(), chain=chain)
                _print_report(file, report, lang, as_json=as_json)
                worst = _worse(worst, report.verdict.exit_code)
    raise typer.Exit(worst)


def _chain_of(policy: Policy) -> AbstractContextManager[ChainReader | None]:
    from contextlib import contextmanager, nullcontext

    rpc = policy.chain.rpc
    if rpc is None:
        return nullcontext(None)

    @contextmanager
    def connect() -> Iterator[ChainReader]:
        from node.chain.reader import RpcChainReader

        with RpcChainReader(rpc) as reader:
            yield reader

    return connect()


def _print_report(file: Path, report: Report, lang: str, *, as_json: bool) -> None:
    from node.evidence.report import build_report_object
    from node.records.catalogue import load_builtin_items

    if as_json:
        print_json({"file": str(file), **build_report_object(report)})
        return
    labels: dict[str, str] = {}
    if report.record is not None and lang == "zh":
        item = load_builtin_items().get(":".join(report.record.vct.rsplit(":", 2)[-2:]))
        labels = {field.code: field.zh for field in item.fields} if item else {}
    print_line(str(file))
    print_line(report.render("zh" if lang == "zh" else "en", labels))


def _worse(one: int, other: int) -> int:
    """Refused outweighs unavailable, which outweighs satisfied."""
    order = (0, 3, 1)
    return max(one, other, key=order.index)

# SPDX-License-Identifier: Apache-2.0
"""``ironcage evidence``: export an evidence file from the running node; verify one without any node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client, parse_leaf
from cli.language import say
from cli.output import print_json, print_line, reported, require_writable
from cli.records import LeafArgument
from cli.verify import Wanted, verify_files
from cli.why import BasisOption, CaseOption, PurposeOption
from node.errors import InvalidInput

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
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Export the evidence file of one record."""
    names = [name.strip() for name in disclose.split(",") if name.strip()]
    with reported(as_json=as_json):
        if not names:
            raise InvalidInput("disclose-empty", "no field to disclose is named: want codes such as CF_WSH")
        # Asked first: an export is a logged look, and must not be made for nothing.
        require_writable(out or Path("evidence.json"))
        with open_client(home, token_file) as client:
            body = {"disclose": names, "purpose": purpose, "basis": basis, "case": case}
            exported = client.post(f"/api/v1/records/{parse_leaf(leaf)}/evidence", body)
        target = out or Path(exported["name"])
        if target.is_dir():
            target /= exported["name"]
        target.write_bytes(exported["evidence"].encode())
    if as_json:
        print_json({"file": str(target), "receipt": exported["receipt"], "stage": exported["stage"]})
        return
    size_bytes = target.stat().st_size
    print_line(
        say(f"证据已写入 {target}（{size_bytes} 字节）", f"evidence written to {target} ({size_bytes} bytes)")
    )


@app.command(help=say("验证证据文件、分叉证明与回执", "verify evidence files, fork proofs and receipts"))
def verify(
    places: Annotated[
        list[Path],
        typer.Argument(
            metavar="PLACE...",
            help=say(
                "*.evidence.json、*.fork.json、*.receipt.json 文件，或存放它们的文件夹",
                "files *.evidence.json, *.fork.json or *.receipt.json, or folders of them",
            ),
        ),
    ],
    policy: Annotated[Path, typer.Option(help=say("你自己的信任策略文件", "your own policy file"))],
    *,
    as_json: JsonOption = False,
    brief: Annotated[
        bool, typer.Option("--brief", help=say("每个文件只输出一行", "one line a file"))
    ] = False,
) -> None:
    """Verify evidence files, fork proofs and receipts under a policy; needs no node and no store."""
    raise SystemExit(verify_files(Wanted(places, policy, as_json, brief)))

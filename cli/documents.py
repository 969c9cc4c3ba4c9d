# SPDX-License-Identifier: Apache-2.0
"""``ironcage document``: the rules that all members share: keep, propose, vote, list, show."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client
from cli.language import say
from cli.output import print_json, print_line, print_table, reported, require_file
from node.errors import InvalidInput, NotFound

MAX_DOCUMENT_BYTES: Final = 1 << 20
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_SHOWN_CHARACTERS: Final = 16

app = typer.Typer(
    no_args_is_help=True,
    help=say(
        "共享文件：目录、用途等全网共同规则，经表决生效",
        "shared documents: the network's common rules, decided by vote",
    ),
)
KindArgument = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        help=say("种类：item、catalogue、purposes 等", "its kind: item, catalogue, purposes, …"),
    ),
]
NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help=say(
            "名称：purposes 和 catalogue 为 exchange，item 为 penalty:2018 等",
            "its name: exchange for purposes and catalogue, penalty:2018 or the like for an item",
        ),
    ),
]


@app.command(help=say("保存一份文件，供其他节点取用", "keep a document, so that others get it from here"))
def add(
    file: Annotated[Path, typer.Argument(help=say("文件", "the file"))],
    kind: Annotated[
        str | None,
        typer.Option(
            help=say(
                "种类；purposes 和 catalogue 会改写为规范 JSON",
                "its kind; purposes and catalogue are put into canonical JSON",
            )
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Hand a document to the node."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        added = _add(client, file, kind)
    if as_json:
        print_json(added)
    else:
        print_line(say(f"已保存 {added['digest']}", f"kept {added['digest']}"))


@app.command(
    "list", help=say("列出共享文件及正在表决的提案", "list shared documents, and proposals under vote")
)
def list_documents(
    home: HomeOption = DEFAULT_HOME, token_file: TokenOption = None, *, as_json: JsonOption = False
) -> None:
    """List what the chain had last, and what is put to the vote."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        found = _ask(client)
    _print_all(found, as_json=as_json)


@app.command(
    help=say(
        "提议一份文件的新版本，并投本单位的赞成票",
        "propose a document's next version, with this member's vote",
    )
)
def propose(
    kind: KindArgument,
    name: NameArgument,
    file: Annotated[
        Path | None, typer.Argument(help=say("文件；撤销时不给", "the file; none with --withdraw"))
    ] = None,
    from_block: Annotated[
        int,
        typer.Option(
            min=0,
            help=say(
                "自哪个区块起生效，0 为表决通过时",
                "first block in which it holds, 0 for that of the decision",
            ),
        ),
    ] = 0,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help=say("撤销此文件", "withdraw the document"))
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a document to the vote."""
    with reported(as_json=as_json):
        if (file is None) != withdraw:
            raise InvalidInput("document-file", "want either a file or --withdraw")
        with open_client(home, token_file) as client:
            digest = None if file is None else _add(client, file, kind)["digest"]
            body = {"kind": kind, "name": name, "digest": digest, "from_block": from_block}
            proposal = client.post("/api/v1/documents/proposals", body)
    _tell(proposal, as_json=as_json)


@app.command(help=say("为一个提案投赞成票", "vote for a proposal"))
def vote(
    proposal: Annotated[
        int, typer.Argument(min=1, help=say("提案号，见 document list", "its number, from document list"))
    ],
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Vote in this member's name."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        _tell(client.post(f"/api/v1/documents/proposals/{proposal}/vote"), as_json=as_json)


@app.command(
    help=say(
        "立即读取链上版本，并向其他节点取缺少的文件",
        "read the chain now, and get missing documents from other nodes",
    )
)
def refresh(
    home: HomeOption = DEFAULT_HOME, token_file: TokenOption = None, *, as_json: JsonOption = False
) -> None:
    """Do at once what the node does after each anchor."""
    with reported(as_json=as_json), open_client(home, token_file) as client:
        client.post("/api/v1/documents/refresh")
        found = _ask(client)
    _print_all(found, as_json=as_json)


@app.command(help=say("输出一份文件的内容", "write a document's content to the output"))
def show(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="DIGEST|KIND NAME",
            help=say(
                "摘要，或种类和名称（现行版本）", "its digest, or kind and name for the version in force"
            ),
        ),
    ],
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
) -> None:
    """Write the bytes as they were registered."""
    with reported(), open_client(home, token_file) as client:
        if len(what) == 1 and _DIGEST.fullmatch(what[0].lower()):
            digest = what[0].lower()
        elif len(what) == 2:  # noqa: PLR2004  a kind and a name
            digest = _find_in_force(client, *what)
        else:
            raise InvalidInput("document-which", "want a digest of 64 hex digits, or a kind and a name")
        data = client.get_bytes(f"/documents/{digest}")
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _add(client: Any, file: Path, kind: str | None) -> dict[str, Any]:
    require_file(file, max_bytes=MAX_DOCUMENT_BYTES)
    added: dict[str, Any] = client.upload("/api/v1/documents", file, {} if kind is None else {"kind": kind})
    return added


def _ask(client: Any) -> dict[str, list[dict[str, Any]]]:
    return {
        "documents": client.get("/api/v1/documents"),
        "proposals": client.get("/api/v1/documents/proposals"),
    }


def _print_all(found: dict[str, list[dict[str, Any]]], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    if not found["documents"]:
        print_line(say("链上还没有共享文件", "there are no shared documents on the chain yet"))
    else:
        _print_documents(found["documents"])
    if found["proposals"]:
        print_line(say("正在表决：", "under vote:"))
        _print_proposals(found["proposals"])


def _find_in_force(client: Any, kind: str, name: str) -> str:
    for document in client.get("/api/v1/documents"):
        if (document["kind"], document["name"]) == (kind, name) and document["in_force"]:
            return str(document["digest"])
    raise NotFound("document-unknown", f"no {kind} {name} is in force")


def _tell(proposal: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(proposal)
        return
    what = f"{proposal['kind']} {proposal['name']} v{proposal['version']}"
    if proposal["executed"]:
        print_line(
            say(f"提案 {proposal['id']} 已通过：{what}", f"proposal {proposal['id']} has passed: {what}")
        )
    else:
        counted = f"{proposal['votes']}/{proposal['needed']}"
        print_line(
            say(
                f"提案 {proposal['id']}（{what}）：已有 {counted} 票；其他成员用 `ironcage document vote {proposal['id']}` 投票",
                f"proposal {proposal['id']} ({what}): {counted} votes; others vote with `ironcage document vote "
                f"{proposal['id']}`",
            )
        )


def _print_documents(documents: list[dict[str, Any]]) -> None:
    columns = (
        say("种类", "kind"),
        say("名称", "name"),
        say("版本", "version"),
        say("起始区块", "since block"),
        say("摘要", "digest"),
        say("现行", "in force"),
        say("本节点持有", "held here"),
    )
    print_table(
        columns,
        [
            (
                d["kind"],
                d["name"],
                str(d["version"]),
                str(d["since_block"]),
                d["digest"][:_SHOWN_CHARACTERS] if d["digest"] else say("撤销", "withdrawn"),
                "✓" if d["in_force"] else "",
                "✓" if d["held"] else "",
            )
            for d in documents
        ],
    )


def _print_proposals(proposals: list[dict[str, Any]]) -> None:
    columns = (
        say("提案", "proposal"),
        say("种类", "kind"),
        say("名称", "name"),
        say("版本", "version"),
        say("摘要", "digest"),
        say("票数", "votes"),
        say("本节点持有", "held here"),
    )
    print_table(
        columns,
        [
            (
                str(p["id"]),
                p["kind"],
                p["name"],
                str(p["version"]),
                p["digest"][:_SHOWN_CHARACTERS] if p["digest"] else say("撤销", "withdraw"),
                f"{p['votes']}/{p['needed']}",
                "✓" if p["held"] else "",
            )
            for p in proposals
        ],
    )

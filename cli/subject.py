# SPDX-License-Identifier: Apache-2.0
"""``ironcage subject``: at the department's window, show a subject who looked at its data (docs/subject-view.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client
from cli.language import say
from cli.output import print_json, print_line, reported, require_writable, save_private
from cli.why import ApplicationOption, BasisOption
from cli.words import parse_subject, time_text, word
from node.errors import Conflict, NotFound

REPORT_NAME: Final = "looks.txt"
app = typer.Typer(
    no_args_is_help=True,
    help=say("窗口服务：告知主体谁查过其信息", "at the window: tell a subject who looked at its data"),
)
SubjectArgument = Annotated[str, typer.Argument(help=say("主体，如 uscc:91…", "subject, such as uscc:91…"))]


DOCUMENTS: Final = {
    "营业执照": "business-licence",
    "居民身份证": "resident-id",
    "护照": "passport",
    "居留证件": "residence-permit",
    "授权委托书": "letter-of-authority",
    "网络身份认证": "online-identity",
}


def parse_document(text: str) -> str:
    """Take a kind of document by its code, or as a clerk calls it."""
    document = DOCUMENTS.get(text, text)
    if document not in DOCUMENTS.values():
        wanted = ", ".join(say(f"{code} {name}", code) for name, code in DOCUMENTS.items())
        raise typer.BadParameter(f"'{text}' is not one of {wanted}")
    return document


@app.command(
    help=say("列出对某主体的全部查询（先留痕）", "list every look at a subject; the list is logged first")
)
def looks(
    subject: SubjectArgument,
    document: Annotated[
        str,
        typer.Option(
            parser=parse_document,
            metavar="<str>",
            help=say(
                "核验身份所凭证件的种类（不填号码）：business-licence 营业执照、resident-id 居民身份证、passport 护照、"
                "residence-permit 居留证件、letter-of-authority 授权委托书、online-identity 网络身份认证",
                "kind of document, never its number, by which the subject was identified: business-licence, resident-id, "
                "passport, residence-permit, letter-of-authority or online-identity",
            ),
        ),
    ],
    basis: BasisOption = None,
    case: ApplicationOption = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help=say("最多列出多少条", "how many at most"))] = 50,
    before: Annotated[
        int | None,
        typer.Option(
            min=0, help=say("接上一页：其末尾给出的数", "go on with the page before: the number at its end")
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            help=say(
                "把清单和每次查询的证据文件存入该目录（新的或空的）",
                "directory, new or empty, for the list and the file that proves each look",
            )
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the looks at a subject, the newest first."""
    with reported(as_json=as_json):
        if save is not None:
            _prepare(save)
    with reported(as_json=as_json), open_client(home, token_file) as client:
        body = {
            "subject": parse_subject(subject),
            "document": document,
            "basis": basis,
            "case": case,
            "limit": limit,
            "before": before,
        }
        shown = client.post("/api/v1/subjects/looks", body)
        lines = _describe(subject, shown)
        if save is not None:
            _save(save, shown, lines)
    if as_json:
        print_json(shown)
        return
    for line in lines:
        print_line(line)
    if shown["next_before"] is not None:
        print_line(say("还有更早的：", "There are older ones: ") + f"--before {shown['next_before']}")
    if not shown["is_complete"]:
        print_line(
            say(
                "升级前的查询尚未编入索引，未列出：请操作员运行 ironcage subject index",
                "Looks of before an upgrade are not listed yet: have an operator run ironcage subject index",
            )
        )
    if save is not None:
        print_line(
            say(
                f"已存入 {save}；任何人可离线核验：ironcage evidence verify {save}/*.look.json --policy POLICY；"
                f"本次告知的回执：{shown['receipt_name']}（用 ironcage receipt check 核对）",
                f"kept in {save}; anybody verifies it offline: ironcage evidence verify {save}/*.look.json --policy POLICY; "
                f"the receipt of this list is {shown['receipt_name']}, for ironcage receipt check",
            )
        )


@app.command(
    help=say(
        "把升级前的查询编入索引（一次性，先留痕）",
        "enter looks of before an upgrade into the index: once, logged first",
    )
)
def index(
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Enter earlier looks into the index."""
    total = 0
    with reported(as_json=as_json), open_client(home, token_file) as client:
        while (done := client.post("/api/v1/subjects/index"))["events"]:
            total += done["events"]
            if not as_json:
                print_line(say(f"已编入 {total} 个事件", f"{total} events entered"))
    if as_json:
        print_json({"events": total})
        return
    print_line(say("索引完整。", "The index is complete."))


def _describe(subject: str, shown: dict[str, Any]) -> list[str]:
    """Describe all looks in lines."""
    names = {code: say(name["zh"], name["en"] or name["zh"]) for code, name in shown["names"].items()}
    count = len(shown["looks"])
    lines = [
        say(
            f"{_name(shown['member'], names)}：关于 {subject} 的查询 {count} 次，最近的在前",
            f"{_name(shown['member'], names)}: {count} {'look' if count == 1 else 'looks'} at {subject}, the newest first",
        )
    ]
    for number, look in enumerate(shown["looks"], start=1):
        lines += ["", f"{number:>3}  {time_text(look['at_ms'])}  {_sentence(look, names)}"]
        lines += [f"     {label}{text}" for label, text in _details(look) if text]
        lines += [
            f"     {say('证据：', 'evidence: ')}{part['name'] if part['file'] else say('尚未锚定', 'not anchored yet')}"
            f"  {word(part['kind'])}  {word(part['stage'])}"
            for part in look["parts"]
        ]
    if len(names) > 1:
        note = say(
            "单位名称取自全网共同文件；证据只记其代码。",
            "Names are those of the network's shared document; what is proven names codes.",
        )
        lines += ["", note]
    lines += [
        "",
        say("本次告知也已留痕，回执：", "this list is a look itself; its receipt: ") + shown["receipt"],
    ]
    return lines


def _sentence(look: dict[str, Any], names: dict[str, str]) -> str:
    """Say who looked at whose records and what came of it."""
    by, of = _name(look["by"], names), _name(look["of"], names)
    done = _DONE.get(look["kind"])
    if done is not None:
        result = f"  {_OUTCOMES['none']}" if look["outcome"] == "none" else ""
        return f"{by}  {done}{result}"
    if look["kind"] == "deny" and by == of:
        # The question never left, so nobody was asked.
        refused = f"{_OUTCOMES['refused']} [{look['rule']}]"
        return say(
            f"{by} 欲向其他单位查询，本节点{refused}",
            f"{by} wanted to ask another department: {refused} by its own node",
        )
    given = look["outcome"] == "given"
    outcome = _OUTCOMES.get(look["outcome"], look["outcome"])
    records = (
        say(
            f" {look['records']} 条记录",
            f" {look['records']} {'record' if look['records'] == 1 else 'records'}",
        )
        if given
        else ""
    )
    code = f" [{look['rule']}]" if look["outcome"] == "refused" and look["rule"] else ""
    return say(f"{by} 向 {of} 查询：{outcome}{records}{code}", f"{by} asked {of}: {outcome}{records}{code}")


def _details(look: dict[str, Any]) -> list[tuple[str, str | None]]:
    name = look["purpose_name"]
    purpose = look["purpose"]
    if name is not None or purpose in _OWN_PURPOSES:
        purpose = f"{say(name['zh'], name['en']) if name else _OWN_PURPOSES[purpose]} ({purpose})"
    details = [
        (say("用途：", "purpose: "), purpose),
        (say("依据：", "basis: "), look["basis"]),
        (say("案号：", "case: "), look["case"]),
        (say("授权书摘要：", "consent: "), look["consent"]),
    ]
    for item in look["items"]:
        title, fields = _label(item)
        details.append((say("内容：", "content: "), f"{title}  {fields or _NO_FIELDS}"))
    return details


def _label(item: dict[str, Any]) -> tuple[str, str]:
    """Name a kind of record and its fields in words, where they are known here."""
    from node.records.catalogue import load_builtin_items

    key = ":".join(item["vct"].split(":")[-2:])
    found = load_builtin_items().get(key)
    labels = {field.code: say(field.zh, field.en) for field in found.fields} if found else {}
    labels["subject"] = say("主体", "subject")
    fields = say("、", ", ").join(labels.get(code, code) for code in item["fields"])
    return (f"{say(found.title_zh, found.title_en)} ({key})" if found else key), fields


def _name(code: str, names: dict[str, str]) -> str:
    return f"{names[code]} {code}" if code in names else code


def _prepare(directory: Path) -> None:
    """Make the folder that a subject takes home; what another one was shown must not go along.

    Raises:
        Conflict: ``output-exists``: something is in it.
        NotFound: ``file-access``.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_empty = next(directory.iterdir(), None) is None
    except OSError as error:
        raise NotFound("file-access", f"{directory}: {error.strerror}") from None
    if not is_empty:
        raise Conflict(
            "output-exists", f"something is in {directory}: each subject and page gets a folder of its own"
        )
    require_writable(directory)


def _save(directory: Path, shown: dict[str, Any], lines: list[str]) -> None:
    """Write what the subject takes home; files are named by what says nothing about it."""
    files = {part["name"]: part["file"] for look in shown["looks"] for part in look["parts"] if part["file"]}
    files[shown["receipt_name"]] = shown["receipt_file"]
    files[REPORT_NAME] = "\n".join(lines) + "\n"
    for name, text in files.items():
        save_private(directory / name, text.encode())


_OUTCOMES: Final = {
    "given": say("已提供", "given"),
    "none": say("无记录", "no record"),
    "refused": say("已拒绝", "refused"),
    "no-answer": say("未得到答复或被拒绝", "no answer, or refused"),
    "open": say("没有答复的记录", "no answer on record"),
    "listed": say(
        "批量查询中的一行，结果见对方单位的清单", "one line of many, what was given is on the other's list"
    ),
}
_OWN_PURPOSES: Final = {
    "subject-view": say("向主体告知查询情况", "telling the subject who looked"),
    "consent-window": say("办理授权", "consents at the window"),
}
_NO_FIELDS: Final = say("仅查有无记录，未看内容", "whether there are records, none of their content")
_DONE: Final = {
    "read": say("本部门人员查看", "looked at by own staff"),
    "export": say("本部门人员导出", "exported by own staff"),
    "erase": say("本部门删除", "erased by own staff"),
    "consent": say("主体给予授权", "the subject gave a consent"),
    "revoke": say("主体撤回授权", "the subject took a consent back"),
    "audit": say("窗口告知主体", "shown to the subject at the window"),
}

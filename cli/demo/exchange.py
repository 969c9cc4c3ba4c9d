# SPDX-License-Identifier: Apache-2.0
"""``make demo-exchange``: two departments are asked, everybody sees it, and one of them takes it out of its log (docs/exchange.md).

Step by step; it ends non-zero as soon as a step does not do what it says (``python -m cli.demo.exchange``).
"""

from __future__ import annotations

import shutil
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.demo.departments import (
    ABOUT_ENTERPRISE,
    DEPARTMENTS,
    ENTERPRISE,
    ITEM,
    PROVIDERS,
    build_settings,
    code_of,
    decide_rules,
    make_tokens,
    store_penalties,
    token_file,
)
from cli.demo.stage import found_consortium, play, print_heading
from cli.demo.world import StepFailedError, World
from cli.home import open_client
from cli.language import say
from cli.output import print_line
from node.access.answer import parse_answer
from node.access.event import parse_event
from node.core.canonical import parse_json
from node.core.clock import SystemClock, china_date
from node.evidence.lookfile import parse_look_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DIRECTORY: Final = Path(".demo-exchange")
WHY: Final = ("--purpose", "pre-listing", "--basis", "enforcement-publicity")
FIELDS: Final = f"{ITEM}:CF_WSH,CF_CFLB,CF_NR,CF_JDRQ"
MAX_FILE_BYTES: Final = 4 << 20


def main() -> int:
    """Run the demonstration and give the exit code."""
    return play(DIRECTORY, _run, _say_what_next)


def _run(world: World) -> None:
    print_heading(
        1,
        "建链、三部门联盟（法院、市场监管、税务）、启动节点，并表决共同规则",
        "a chain, a consortium of court, market regulation and tax office, their nodes, and the rules that they vote on",
    )
    _start(world)
    print_heading(2, "两个部门导入处罚信息并上链", "the two departments import their penalties and anchor")
    _import(world)
    print_heading(
        3,
        "列入失信名单前，法院承办人向两部门查询一家企业",
        "before a listing an officer of the court asks both about an enterprise",
    )
    _ask(world)
    print_heading(
        4,
        "第三次查询没有案号：被拒，且留痕",
        "a third question without a case number: refused, and logged",
    )
    _ask_without_case(world)
    print_heading(5, "企业看到这三次查询", "the enterprise sees all three looks")
    _show_subject(world)
    print_heading(
        6,
        "审计员核对三个节点的访问日志：无不符",
        "the auditor lays the three access logs side by side: clean",
    )
    _audit_clean(world)
    print_heading(
        7,
        "市场监管局的管理员在锚定之前抹去一次应答",
        "an administrator of market regulation takes an answer out of its log before the next anchor",
    )
    _drop(world)
    print_heading(
        8,
        "同一审计再次运行：指名，并附定责的回执",
        "the same audit again: it names him, with the receipt that convicts",
    )
    _audit_dropped(world)


# ---- 1, 2


def _start(world: World) -> None:
    found_consortium(world, DEPARTMENTS, more_settings=build_settings)
    make_tokens(world)
    decide_rules(world)
    world.run("document", "list", "--home", str(world.home("court")))
    world.run("member", "list", "--home", str(world.home("court")))


def _import(world: World) -> None:
    folder = world.directory / "files"
    folder.mkdir()
    today = date.fromisoformat(china_date(SystemClock().now_seconds()))
    for name in PROVIDERS:
        store_penalties(folder / f"{name}.csv", name, today)
        file = str(folder / f"{name}.csv")
        world.run("import", file, "--item", ITEM, "--home", str(world.home(name)))
    _anchor(world)


# ---- 3, 4


def _question(world: World, *more: str) -> tuple[str, ...]:
    token = ("--token-file", str(token_file(world, "court", "officer")))
    return (
        "ask",
        f"uscc:{ENTERPRISE}",
        *WHY,
        "--item",
        FIELDS,
        *more,
        *token,
        "--home",
        str(world.home("court")),
    )


def _ask(world: World) -> None:
    answers = world.directory / "answers"
    providers = [word for name in PROVIDERS for word in ("--to", code_of(name))]
    world.run(*_question(world, "--case", say("2026-执-17", "2026-E-17"), *providers, "--save", str(answers)))
    check_answers(_read_answers(answers))
    asks, receives = (_events(world, "court", kind) for kind in ("ask", "receive"))
    if (len(asks), len(receives)) != (2, 2):
        raise StepFailedError("the court's log does not have both questions and both answers")
    for name in PROVIDERS:
        if [event["kind"] for event in _events(world, name, "grant", "deny")] != ["grant"]:
            raise StepFailedError(f"the log of {name} does not have the answer that it gave")
    took_ms = max(event["t"] for event in receives) - min(event["t"] for event in asks)
    print_line(
        say(
            f"  据法院日志，从询问到收到两份应答共 {took_ms} 毫秒；双方日志均已留痕",
            f"  by the court's log both answers were there {took_ms} ms after the questions; each stands in both sides' logs",
        )
    )


def check_answers(results: Mapping[str, tuple[str, int]]) -> None:
    """Hold what both departments answered, result and number of records, against what was imported.

    Raises:
        StepFailedError: It is something else.
    """
    if results != {"market": ("ok", ABOUT_ENTERPRISE["market"]), "tax": ("none", ABOUT_ENTERPRISE["tax"])}:
        raise StepFailedError(f"market regulation was to give two records and the tax office none: {results}")


def check_named(findings: Sequence[Mapping[str, Any]]) -> None:
    """Hold the findings of an audit against the one thing that was done.

    Raises:
        StepFailedError: It names somebody else, something else, or more.
    """
    named = [(finding["code"], finding["member"]) for finding in findings]
    if named != [("receipt-not-honoured", code_of("market"))]:
        raise StepFailedError(f"the audit was to name one receipt of market regulation: {named}")


def _read_answers(folder: Path) -> dict[str, tuple[str, int]]:
    """Read what departments signed: result and number of records, by department."""
    names = {code_of(name): name for name in DEPARTMENTS}
    found = {}
    for file in folder.glob("*.answer.json"):
        kept = parse_json(file.read_bytes(), max_bytes=MAX_FILE_BYTES, what="answer")
        answer = parse_answer(kept["answer"])
        found[names[answer.iss]] = (answer.result, len(answer.records))
    return found


def _ask_without_case(world: World) -> None:
    market = code_of("market")
    refused = world.run(*_question(world, "--to", market), expect=1)
    if "[case-required]" not in refused.text:
        raise StepFailedError("the question was refused for another reason than its missing case number")
    if len(_events(world, "market", "grant", "deny")) != 1:
        raise StepFailedError("the question left the court's house")
    (deny,) = _events(world, "court", "deny")
    print_line(say("— 法院自己的日志（审计员令牌）：", "— the court's own log, with an auditor's token:"))
    token = ("--token-file", str(token_file(world, "court", "auditor")))
    world.run("access", "list", "--limit", "5", *token, "--home", str(world.home("court")))
    if deny["n"] != 1:
        raise StepFailedError("the refusal stands for more than one question")


def _events(world: World, name: str, *kinds: str) -> list[dict[str, Any]]:
    """List events of a node's access log by what stands in the open; that is not logged."""
    home = world.home(name)
    with open_client(home, token_file(world, name, "auditor")) as client:
        found: list[dict[str, Any]] = client.post("/api/v1/access", {"limit": 1000, "kinds": list(kinds)})
    return found


# ---- 5


def _show_subject(world: World) -> None:
    _anchor(world)
    _export_policies(world)
    print_line(say("— 在法院窗口，凭营业执照：", "— at the court's window, with its business licence:"))
    asked = ["ask", "ask", "deny", "receive", "receive"]
    _hand_over_looks(world, "court", asked, looks=3)
    print_line(say("— 在市场监管局窗口：", "— at the window of market regulation:"))
    _hand_over_looks(world, "market", ["grant"], looks=1)


def _hand_over_looks(world: World, name: str, kinds: list[str], *, looks: int) -> None:
    """Have a clerk list the looks at the enterprise, and verify elsewhere the files that it takes home."""
    folder = world.directory / "enterprise" / name
    words = (
        "subject",
        "looks",
        f"uscc:{ENTERPRISE}",
        "--document",
        "business-licence",
        "--save",
        str(folder),
    )
    token = ("--token-file", str(token_file(world, name, "officer")))
    world.run(*words, *token, "--home", str(world.home(name)))
    taken = sorted(folder.glob("*.look.json"))
    events = [parse_event(parse_look_file(file.read_bytes()).event.encode()) for file in taken]
    if sorted(event.kind for event in events) != kinds or len({event.rid for event in events}) != looks:
        raise StepFailedError(f"the enterprise was to see {looks} looks in the log of {name}")
    policy = ("--policy", str(_auditor(world) / "offline.json"))
    # As a shell takes it: beside them lies the receipt of the list, which no anchor covers yet.
    print_line(
        f"$ ironcage evidence verify enterprise/{name}/*.look.json --policy auditor/offline.json --brief"
    )
    world.run("evidence", "verify", *map(str, taken), *policy, "--brief", echo=False)


# ---- 6, 8


def _audit_clean(world: World) -> None:
    _anchor(world)
    report = _audit(world, "clean", expect=0)
    if report["findings"] or report["partial"]:
        raise StepFailedError("the audit was to find nothing, and to see everything")
    if report["receipts"] < len(PROVIDERS) * 2:
        raise StepFailedError("the audit did not see the receipts that both sides of each question hold")


def _export_policies(world: World) -> None:
    """Write the policies of whoever checks what he is given: one with the chain, and one to be used offline."""
    nodes = [word for name in DEPARTMENTS for word in ("--node", _url(world, name))]
    for file, more in (("policy.json", ("--rpc", world.rpc)), ("offline.json", ("--level", "logged"))):
        target = ("-o", str(_auditor(world) / file))
        exported = ("policy", "export", "--home", str(world.home("court")), *nodes, *more, *target)
        world.run(*exported, show=False, echo=False)


def _anchor(world: World) -> None:
    for name in DEPARTMENTS:
        world.run("log", "anchor", "--home", str(world.home(name)), show=False)


def _auditor(world: World) -> Path:
    folder = world.directory / "auditor"
    folder.mkdir(exist_ok=True)
    return folder


def _url(world: World, name: str) -> str:
    data = (world.home(name) / "run" / "node.json").read_bytes()
    return str(parse_json(data, max_bytes=MAX_FILE_BYTES, what="run/node.json")["url"])


def _audit(world: World, out: str, *, expect: int) -> dict[str, Any]:
    folder = _auditor(world)
    nodes = [
        word
        for name in DEPARTMENTS
        for word in ("--node", _url(world, name), "--token-file", str(token_file(world, name, "auditor")))
    ]
    world.run(
        "audit", "--policy", str(folder / "policy.json"), *nodes, "--out", str(folder / out), expect=expect
    )
    report: dict[str, Any] = parse_json(
        (folder / out / "report.json").read_bytes().strip(), max_bytes=MAX_FILE_BYTES, what="report"
    )
    return report


def _audit_dropped(world: World) -> None:
    market = code_of("market")
    report = _audit(world, "dropped", expect=1)
    check_named(report["findings"])
    folder = _auditor(world)
    print_line(
        say(
            "— 那份证明文件，离线、只凭策略：",
            "— the file that proves it, offline, with nothing but a policy:",
        )
    )
    proof = f"dropped/{report['findings'][0]['proof']}"
    world.verify(folder, proof, "--policy", "offline.json", rpc=None, expect=0, convicts=market)
    print_line(
        say(
            "— 法院手中的那份回执，与链核对：",
            "— the receipt itself, as the court's officer kept it, against the chain:",
        )
    )
    (receipt,) = (world.directory / "answers-18").glob("*.receipt")
    words = ("receipt", "check", str(receipt), "--policy", str(folder / "policy.json"))
    world.run(*words, "--node", _url(world, "market"), "--out", str(folder), expect=1, lines=3)


# ---- 7


def _drop(world: World) -> None:
    home = world.home("market")
    kept = world.directory / "kept-by-the-administrator"
    print_line(
        say("— 他先留一份副本：存储与日志头文件", "— first he keeps a copy: the store, and the head files")
    )
    shutil.copytree(home / "heads", kept / "heads")
    world.run("backup", str(kept), "--home", str(home))
    print_line(
        say(
            "— 法院再次查询，他的节点应答并给出回执",
            "— the court asks again; his node answers, and gives its receipt",
        )
    )
    answers = world.directory / "answers-18"
    market = ("--to", code_of("market"))
    world.run(*_question(world, "--case", say("2026-执-18", "2026-E-18"), *market, "--save", str(answers)))
    if _read_answers(answers) != {"market": ("ok", 2)}:
        raise StepFailedError("market regulation was to answer")
    print_line(
        say(
            "— 锚定之前，他停掉节点，放回副本",
            "— before the next anchor he stops the node and puts the copy back",
        )
    )
    world.stop_node("market")
    _put_back(world, kept)
    world.start_nodes("market", mode="read-only")
    print_line(
        say(
            "— 节点启动时先问其他成员：法院持有它的回执，于是拒绝继续",
            "— at its start the node asks the others first: the court holds its receipt, so it goes no further",
        )
    )
    world.run("node", "status", "--home", str(home))
    _require_refused(world)
    print_line(
        say(
            "— 他换上自己改过的程序（不再询问其他成员），于是照常运行并锚定",
            "— so he runs a program that he changed, one that asks nobody; it works, and anchors",
        )
    )
    world.stop_node("market")
    _put_back(world, kept)
    world.start_nodes("market", program="cli.demo.dishonest")
    _anchor(world)
    if len(_events(world, "market", "grant")) != 1:
        raise StepFailedError("the second answer is in the log of market regulation still")


def _require_refused(world: World) -> None:
    with open_client(world.home("market")) as client:
        state = client.get("/api/v1/node")["state"]
    if state["code"] != "behind-witness":
        raise StepFailedError(f"the node was to be held by what the court has: {state['code']}")


def _put_back(world: World, kept: Path) -> None:
    home = world.home("market")
    (backup,) = (path for path in kept.iterdir() if path.name != "heads")
    shutil.rmtree(home / "data" / "store")
    world.run("restore", str(backup), "--home", str(home), show=False)
    shutil.rmtree(home / "heads")
    shutil.copytree(kept / "heads", home / "heads")


def _say_what_next(world: World, stays: bool) -> None:  # noqa: FBT001 - as play calls it
    command = ".venv/bin/ironcage"
    policy, dropped = _auditor(world) / "policy.json", _auditor(world) / "dropped"
    token = f"--token-file {token_file(world, 'court', 'officer')} --home {world.home('court')}"
    running = (
        (
            say("自己查询（另开终端）", "ask yourself, in another terminal"),
            f"{command} ask uscc:{ENTERPRISE} {' '.join(WHY)} --case 1 --item {ITEM} {token}",
        ),
        (say("节点的状态", "how a node is"), f"{command} node status --home {world.home('tax')}"),
    )
    always = (
        (
            say("再次核对证明", "check the proof again"),
            f"{command} evidence verify {dropped} --policy {policy}",
        ),
        (say("企业带回的文件", "what the enterprise took home"), f"{world.directory / 'enterprise'}"),
        (say("审计能看见什么、看不见什么", "what an audit sees, and what it cannot"), "docs/audit.md"),
    )
    for what, text in (*(running if stays else ()), *always):
        print_line(f"  {what}: {text}")


if __name__ == "__main__":
    sys.exit(main())

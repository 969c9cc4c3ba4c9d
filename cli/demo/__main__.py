# SPDX-License-Identifier: Apache-2.0
"""The main job, step by step. It ends non-zero as soon as a step does not do what it says."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.demo.forgery import change_one_character, send_rewritten_log
from cli.demo.stage import Department, found_consortium, play, print_heading
from cli.demo.world import StepFailedError, World
from cli.home import open_client
from cli.language import say
from cli.output import print_line
from consortium.samples.files import store_samples
from node.core.clock import SystemClock, china_date

if TYPE_CHECKING:
    from consortium.samples.files import SampleFile

DIRECTORY: Final = Path(".demo")
SHOWN_FIELDS: Final = "CF_XDR_MC,CF_WSH,CF_CFLB,CF_JDRQ"
ISSUERS: Final = ("market", "transport")
DEPARTMENTS: Final = {
    "market": Department(
        "筑城市市场监督管理局", "Market Regulation", "00800001", ("issuer", "consumer"), "筑市监"
    ),
    "transport": Department("筑城市交通运输局", "Transport", "00800002", ("issuer", "consumer"), "筑交"),
    "court": Department("筑城市中级人民法院", "Intermediate Court", "00800003", ("consumer",), "筑法"),
}


def main() -> int:
    """Run the demonstration and give the exit code."""
    return play(DIRECTORY, _run, _say_what_next)


def _run(world: World) -> None:
    print_heading(
        1,
        "建链、部署合约、建立三部门联盟、启动节点",
        "a chain, the contracts, a consortium of three departments, their nodes",
    )
    found_consortium(world, DEPARTMENTS)
    world.run("member", "list", "--home", str(world.home("court")))
    print_heading(
        2, "导入两个部门的（杂乱的）双公示文件", "import the two issuers' files, as messy as real ones"
    )
    _import(world)
    print_heading(3, "上链", "anchor")
    for name in ISSUERS:
        world.run("log", "anchor", "--home", str(world.home(name)))
    print_heading(
        4,
        "导出一份只披露四个字段的证据，在别处验证",
        "evidence that discloses four fields, verified elsewhere",
    )
    leaf, folder = _prove(world)
    print_heading(
        5,
        "撤回该处罚，下次上链后再取同一证据",
        "withdraw that penalty; the same evidence after the next anchor says so",
    )
    _withdraw(world, leaf, folder)
    print_heading(6, "三种看得懂的失败", "three failures a person can understand")
    _fail(world, folder)


def _import(world: World) -> None:
    folder = world.directory / "files"
    folder.mkdir()
    today = date.fromisoformat(china_date(SystemClock().now_seconds()))
    market, transport = (DEPARTMENTS[name].unit for name in ISSUERS)
    samples = store_samples(folder, market, transport, today=today)
    homes = {DEPARTMENTS[name].unit.code: name for name in ISSUERS}
    for sample in samples:
        home = str(world.home(homes[sample.issuer]))
        refused = str(sample.path.with_suffix(".refused.csv"))
        world.run("import", str(sample.path), "--item", sample.item, "--home", home, "--refusals", refused)
        _compare(sample, home)


def _compare(sample: SampleFile, home: str) -> None:
    with open_client(Path(home)) as client:
        job = client.get("/api/v1/imports", limit=1)[0]
        refusals = client.get(f"/api/v1/imports/{job['id']}/refusals", limit=10_000)
    rules = {refusal["row"]: refusal["rule"] for refusal in reversed(refusals)}
    found = (job["accepted"], job["duplicate"], rules)
    if found != (sample.accepted, sample.duplicates, sample.refused):
        raise StepFailedError(f"{sample.path.name}: the counts are not those that the generator put in")
    summary = ", ".join(f"{rule} × {count}" for rule, count in sample.refused_by_rule.items())
    print_line(
        say(f"  与生成器预期一致；拒绝原因：{summary}", f"  as the generator expects; refused by: {summary}")
    )


def _prove(world: World) -> tuple[str, Path]:
    market = str(world.home("market"))
    folder = world.directory / "verifier"
    folder.mkdir()
    records: Any = world.ask("record", "list", "--limit", "400", "--home", market)
    leaf: str = next(r["leaf"] for r in records if r["item"] == "penalty:2018" and r["disclosure"] == "open")
    evidence = folder / "penalty.evidence.json"
    disclose = ("--disclose", SHOWN_FIELDS, "--purpose", "own-records", "-o", str(evidence))
    world.run("evidence", "export", leaf, *disclose, "--home", market)
    offline, online = folder / "offline.policy.json", folder / "chain.policy.json"
    world.run("policy", "export", "--home", market, "--level", "logged", "-o", str(offline))
    world.run("policy", "export", "--home", market, "--rpc", world.rpc, "-o", str(online))
    print_line(say("— 只有证据与策略文件：", "— with nothing but the evidence and a policy file:"))
    world.verify(folder, evidence.name, "--policy", offline.name, rpc=None, expect=0)
    print_line(say("— 策略中指明链的 RPC：", "— with the chain's RPC named in the policy:"))
    world.verify(folder, evidence.name, "--policy", online.name, rpc=world.rpc, expect=0)
    return leaf, folder


def _withdraw(world: World, leaf: str, folder: Path) -> None:
    market = str(world.home("market"))
    ground = say("复议撤销", "annulled on review")
    world.run("record", "withdraw", leaf, "--ground", ground, "--home", market)
    world.run("log", "anchor", "--home", market)
    again = folder / "penalty-after.evidence.json"
    disclose = ("--disclose", SHOWN_FIELDS, "--purpose", "own-records", "-o", str(again))
    world.run("evidence", "export", leaf, *disclose, "--home", market)
    world.verify(
        folder, again.name, "--policy", "chain.policy.json", rpc=world.rpc, expect=1, fails={"in-force"}
    )


def _fail(world: World, folder: Path) -> None:
    market = world.home("market")
    print_line(
        say(
            "— 一：证据中一个字段改了一个字符",
            "— one: one character of one field of the evidence was changed",
        )
    )
    data, before, after = change_one_character((folder / "penalty.evidence.json").read_bytes(), "CF_JDRQ")
    (folder / "changed.evidence.json").write_bytes(data)
    print_line(f"  CF_JDRQ: {before} → {after}")
    changed = ("changed.evidence.json", "--policy", "offline.policy.json")
    world.verify(folder, *changed, rpc=None, expect=1, fails={"disclosures"})

    print_line(
        say(
            "— 二：改写历史的日志，绕过节点直接发给合约",
            "— two: a rewritten log, sent past the node's own guard to the contract",
        )
    )
    with open_client(market) as client:
        log = next(log for log in client.get("/api/v1/node")["logs"] if log["kind"] == "records")
        outcome = send_rewritten_log(market, client, log["anchored"], victim=log["anchored"] // 2)
    if outcome.status != 0 or "OldRootMismatch" not in (outcome.revert_reason or ""):
        raise StepFailedError(
            f"the contract did not refuse the rewritten log for what it is: {outcome.revert_reason}"
        )
    print_line(
        say(
            f"  合约回退：{outcome.revert_reason}（区块 {outcome.block}，gas {outcome.gas_used}）",
            f"  the contract reverts: {outcome.revert_reason} (block {outcome.block}, gas {outcome.gas_used})",
        )
    )

    print_line(
        say("— 三：换成别的部门的策略", "— three: the policy of somebody who trusts another department only")
    )
    wrong = folder / "wrong.policy.json"
    world.run(
        "policy", "export", "--home", str(world.home("transport")), "--level", "logged", "-o", str(wrong)
    )
    other = ("penalty.evidence.json", "--policy", wrong.name)
    world.verify(folder, *other, rpc=None, expect=1, fails={"issuer-key", "origin"})


def _say_what_next(world: World, stays: bool) -> None:  # noqa: FBT001 - as play calls it
    market = world.home("market")
    command = ".venv/bin/ironcage"
    running = (
        (
            say("看看节点（另开终端）", "look at a node, in another terminal"),
            f"{command} node status --home {market}",
        ),
        (say("列出记录", "list records"), f"{command} record list --home {market}"),
    )
    stopped = (
        (
            say("再次启动这条链", "start the chain again"),
            f"{command} chain dev --dir {world.directory / 'chain'}",
        ),
        (say("核对整个存储", "check a whole store"), f"{command} log fsck --home {market}"),
    )
    always = (
        (say("被拒行", "refused rows"), f"{world.directory / 'files'}/*.refused.csv"),
        (say("五分钟导览", "the five-minute tour"), say("README.zh.md", "README.md")),
    )
    for what, text in (*(running if stays else stopped), *always):
        print_line(f"  {what}: {text}")


if __name__ == "__main__":
    sys.exit(main())

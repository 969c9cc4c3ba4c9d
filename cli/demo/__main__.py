# SPDX-License-Identifier: Apache-2.0
"""The demonstration, step by step. It ends non-zero as soon as a step does not do what it says."""

from __future__ import annotations

import fcntl
import shutil
import signal
import sys
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from cli.chain import deploy_consortium, load_founder
from cli.demo.forgery import change_one_character, send_rewritten_log
from cli.demo.world import MARKER, StepFailedError, World
from cli.home import open_client, read_passphrase
from cli.init import create_home
from cli.language import say
from cli.output import UNAVAILABLE, print_line
from consortium.anvil import DEV_CHAIN_ID
from consortium.deploy import ChainChoice
from consortium.network import store_network
from consortium.samples.codes import build_uscc
from consortium.samples.files import store_samples
from consortium.samples.records import Unit
from node.core.clock import SystemClock, china_date
from node.crypto.keystore import parse_keystore
from node.crypto.secp256k1 import OperatorKey
from node.errors import NodeError
from node.storage.keyfiles import load_private

if TYPE_CHECKING:
    from consortium.samples.files import SampleFile

DIRECTORY: Final = Path(".demo")
DOMAIN: Final = "demo.example"
ANCHOR_PERIOD_SECONDS: Final = 300
SCRYPT_N: Final = 1 << 12
"""The passphrases of the demonstration lie beside the keys, so a high work factor would only take time."""
SHOWN_FIELDS: Final = "CF_XDR_MC,CF_WSH,CF_CFLB,CF_JDRQ"
ISSUERS: Final = ("market", "transport")
_HELD: Final[list[BinaryIO]] = []
DEPARTMENTS: Final = {
    "market": ("筑城市市场监督管理局", "Market Regulation", "00800001", ["issuer", "consumer"], "筑市监"),
    "transport": ("筑城市交通运输局", "Transport", "00800002", ["issuer", "consumer"], "筑交"),
    "court": ("筑城市中级人民法院", "Intermediate Court", "00800003", ["consumer"], "筑法"),
}


def main() -> int:
    """Run the demonstration and give the exit code."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        # Like Ctrl-C, so that whatever was started is stopped.
        signal.signal(ending, signal.default_int_handler)
    started = time.monotonic()
    world = World(_fresh_directory(DIRECTORY))
    try:
        _run(world)
        print_line()
        print_line(
            say(
                f"全部步骤完成，用时 {time.monotonic() - started:.0f} 秒。",
                f"All steps done in {time.monotonic() - started:.0f} seconds.",
            )
        )
        stays = sys.stdin is not None and sys.stdin.isatty()
        _say_what_next(world, stays=stays)
        if stays:
            print_line(say("节点继续运行，Ctrl-C 结束。", "The nodes go on running; Ctrl-C ends them."))
            _wait(world)
    except (StepFailedError, NodeError) as error:
        print_line(f"\n✗ {say('演示中止', 'the demonstration stopped')}: {error}")
        return 1
    except KeyboardInterrupt:
        print_line(f"\n{say('已中断', 'interrupted')}")
        return 130
    finally:
        world.stop()
    return 0


def _run(world: World) -> None:
    _heading(
        1,
        "建链、部署合约、建立三部门联盟、启动节点",
        "a chain, the contracts, a consortium of three departments, their nodes",
    )
    units = _start(world)
    _heading(2, "导入两个部门的（杂乱的）双公示文件", "import the two issuers' files, as messy as real ones")
    _import(world, units)
    _heading(3, "上链", "anchor")
    for name in ISSUERS:
        world.run("log", "anchor", "--home", str(world.home(name)))
    _heading(
        4,
        "导出一份只披露四个字段的证据，在别处验证",
        "evidence that discloses four fields, verified elsewhere",
    )
    leaf, folder = _prove(world)
    _heading(
        5,
        "撤回该处罚，下次上链后再取同一证据",
        "withdraw that penalty; the same evidence after the next anchor says so",
    )
    _withdraw(world, leaf, folder)
    _heading(6, "三种看得懂的失败", "three failures a person can understand")
    _fail(world, folder)


def _start(world: World) -> dict[str, Unit]:
    world.start_chain()
    print_line(say(f"链（anvil）在 {world.rpc}", f"chain (anvil) at {world.rpc}"))
    units: dict[str, Unit] = {}
    for name, (name_zh, name_en, body, roles, sign) in DEPARTMENTS.items():
        code = build_uscc("11", "520100", body)
        units[name] = Unit(code, name_zh, sign)
        create_home(
            world.home(name),
            member=code,
            name_zh=name_zh,
            name_en=name_en,
            roles=roles,
            passphrase_file=None,
            network=None,
            port=0,
            anchor_period_seconds=ANCHOR_PERIOD_SECONDS,
            scrypt_n=SCRYPT_N,
        )
        print_line(f"  {code}  {name_zh}  {name_en}  ({', '.join(roles)})")
    keys = world.home("market") / "keys"
    secret = parse_keystore(load_private(keys / "operator.json"), read_passphrase(keys / "passphrase"))
    founders = [load_founder(world.home(name) / "member.json", None) for name in DEPARTMENTS]
    network = deploy_consortium(
        ChainChoice(DEV_CHAIN_ID, "anvil", rpc=(world.rpc,)), OperatorKey(secret), founders, domain=DOMAIN
    )
    print_line(f"  AnchorLog 0x{network.anchor_log.hex()}  MemberRegistry 0x{network.member_registry.hex()}")
    for name in DEPARTMENTS:
        store_network(world.home(name) / "network.json", network)
        world.start_node(name)
    world.run("member", "list", "--home", str(world.home("court")))
    return units


def _import(world: World, units: dict[str, Unit]) -> None:
    folder = world.directory / "files"
    folder.mkdir()
    today = date.fromisoformat(china_date(SystemClock().now_seconds()))
    samples = store_samples(folder, units["market"], units["transport"], today=today)
    homes = {units[name].code: name for name in ISSUERS}
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


def _say_what_next(world: World, *, stays: bool) -> None:
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
            say("再次启动一个节点的链", "start the chain again"),
            f"{command} chain dev --dir {world.directory / 'chain'}",
        ),
        (say("核对整个存储", "check a whole store"), f"{command} log fsck --home {market}"),
    )
    always = (
        (say("被拒行", "refused rows"), f"{world.directory / 'files'}/*.refused.csv"),
        (say("五分钟导览", "the five-minute tour"), "README.md"),
    )
    print_line(say("接下来可以试试：", "What to try next:"))
    for what, text in (*(running if stays else stopped), *always):
        print_line(f"  {what}: {text}")


def _wait(world: World) -> None:
    """Wait for Ctrl-C, which is how this is meant to end."""
    try:
        while all(process.poll() is None for process in world.nodes.values()):
            time.sleep(0.5)
    except KeyboardInterrupt:
        print_line()
        return
    raise StepFailedError("a node has ended")


def _heading(number: int, zh: str, en: str) -> None:
    print_line(f"\n━━ {number}  {zh}\n      {en}")


def _fresh_directory(directory: Path) -> Path:
    """Make the directory anew, unless another demonstration is at work in it."""
    marker = directory / MARKER
    if directory.exists():
        if not marker.is_file():
            sys.exit(
                say(
                    f"{directory} 不是演示目录，请先移走",
                    f"{directory} is no demo directory; move it away first",
                )
            )
        _lock(marker)
        shutil.rmtree(directory)
    directory.mkdir(mode=0o700)
    marker.write_text("made by `make demo`; may be deleted\n")
    _lock(marker)
    return directory


def _lock(marker: Path) -> None:
    """Hold the marker for the life of this process."""
    stream = marker.open("rb")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print_line(say("这里已有一个演示在运行", "a demonstration is at work here already"))
        sys.exit(UNAVAILABLE)
    _HELD.append(stream)


if __name__ == "__main__":
    sys.exit(main())

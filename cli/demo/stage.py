# SPDX-License-Identifier: Apache-2.0
"""What every demonstration has in common: a directory of its own, an end in order whatever happens, departments and their nodes."""

from __future__ import annotations

import fcntl
import shutil
import signal
import sys
import time
from io import TextIOWrapper
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from cli.chain import deploy_consortium, load_founder
from cli.demo.world import MARKER, StepFailedError, World
from cli.home import read_passphrase
from cli.init import create_home
from cli.language import say
from cli.output import UNAVAILABLE, print_line
from consortium.anvil import DEV_CHAIN_ID
from consortium.deploy import ChainChoice
from consortium.network import store_network
from consortium.samples.codes import build_uscc
from consortium.samples.records import Unit
from node.crypto.keystore import parse_keystore
from node.crypto.secp256k1 import OperatorKey
from node.errors import NodeError
from node.storage.keyfiles import load_private

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

DOMAIN: Final = "demo.example"
ANCHOR_PERIOD_SECONDS: Final = 300
SCRYPT_N: Final = 1 << 12
"""The passphrases of the demonstration lie beside the keys, so a high work factor would only take time."""
_HELD: Final[list[BinaryIO]] = []


class Department(NamedTuple):
    """A department of the demonstration.

    Args:
        name_zh: Its name.
        name_en: Its name in English.
        body: Organisation code without its check digit, 8 digits.
        roles: Of its member.
        sign: Its sign in document numbers (机关代字).
    """

    name_zh: str
    name_en: str
    body: str
    roles: Sequence[str]
    sign: str

    @property
    def unit(self) -> Unit:
        """The department as rows name it."""
        return Unit(build_uscc("11", "520100", self.body), self.name_zh, self.sign)


def play(directory: Path, run: Callable[[World], None], say_what_next: Callable[[World, bool], None]) -> int:
    """Run a demonstration and give its exit code; with a terminal its nodes stay until Ctrl-C.

    Args:
        directory: Its own, made anew.
        run: The steps; ends with StepFailedError when one does not do what it says.
        say_what_next: Told whether the nodes go on running.
    """
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Like Ctrl-C, so that whatever was started is stopped; that one too, which a shell's background job ignores.
        signal.signal(ending, signal.default_int_handler)
    if isinstance(sys.stdout, TextIOWrapper):
        # Whoever writes it to a file can follow it there.
        sys.stdout.reconfigure(line_buffering=True)
    started = time.monotonic()
    world = World(_fresh_directory(directory))
    try:
        run(world)
        print_line()
        print_line(
            say(
                f"全部步骤完成，用时 {time.monotonic() - started:.0f} 秒。",
                f"All steps done in {time.monotonic() - started:.0f} seconds.",
            )
        )
        stays = sys.stdin is not None and sys.stdin.isatty()
        print_line(say("接下来可以试试：", "What to try next:"))
        say_what_next(world, stays)
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


def print_heading(number: int, zh: str, en: str) -> None:
    """Print the heading of a step."""
    print_line(f"\n━━ {number}  {zh}\n      {en}")


def found_consortium(
    world: World, departments: Mapping[str, Department], *, more_settings: Callable[[int], str] | None = None
) -> None:
    """Start a chain, make the departments' homes, and deploy the contracts with them as founders.

    Args:
        world: The demonstration.
        departments: By the names of their homes.
        more_settings: Gives lines for ``config.toml`` for a port that the node is to listen on; without it the nodes take any port and are
            reached by nobody else.
    """
    world.start_chain()
    print_line(say(f"链（anvil）在 {world.rpc}", f"chain (anvil) at {world.rpc}"))
    for name, department in departments.items():
        code = department.unit.code
        port = 0 if more_settings is None else world.free_port()
        create_home(
            world.home(name),
            member=code,
            name_zh=department.name_zh,
            name_en=department.name_en,
            roles=list(department.roles),
            passphrase_file=None,
            network=None,
            port=port,
            anchor_period_seconds=ANCHOR_PERIOD_SECONDS,
            scrypt_n=SCRYPT_N,
        )
        if more_settings is not None:
            with (world.home(name) / "config.toml").open("a") as file:
                file.write(more_settings(port))
        print_line(f"  {code}  {department.name_zh}  {department.name_en}  ({', '.join(department.roles)})")
    keys = world.home(next(iter(departments))) / "keys"
    secret = parse_keystore(load_private(keys / "operator.json"), read_passphrase(keys / "passphrase"))
    founders = [load_founder(world.home(name) / "member.json", None) for name in departments]
    network = deploy_consortium(
        ChainChoice(DEV_CHAIN_ID, "anvil", rpc=(world.rpc,)), OperatorKey(secret), founders, domain=DOMAIN
    )
    print_line(f"  AnchorLog 0x{network.anchor_log.hex()}  MemberRegistry 0x{network.member_registry.hex()}")
    for name in departments:
        store_network(world.home(name) / "network.json", network)
    print_line(say("  节点启动中 …", "  the nodes are starting …"))
    world.start_nodes(*departments)


def _wait(world: World) -> None:
    """Wait for Ctrl-C, which is how this is meant to end."""
    try:
        while all(process.poll() is None for process in world.nodes.values()):
            time.sleep(0.5)
    except KeyboardInterrupt:
        print_line()
        return
    raise StepFailedError("a node has ended")


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
    marker.write_text("made by a demonstration of this checkout; may be deleted\n")
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

# SPDX-License-Identifier: Apache-2.0
"""A demonstration's processes: a chain, nodes, and the commands that it runs as a user would."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.language import LANGUAGE, say
from cli.output import print_line
from consortium.anvil import start_anvil
from node.core.canonical import parse_json
from node.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from consortium.anvil import Anvil

START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 15.0
MAX_OUTPUT_BYTES: Final = 16 << 20
_FINAL: Final = ("read-only", "stopped")
"""Modes that a node does not leave."""
MARKER: Final = "ironcage-demo"


class StepFailedError(Exception):
    """A step of the demonstration did not do what it says."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    text: str


@dataclass(slots=True)
class World:
    """Everything that runs, and where it lives.

    Attributes:
        directory: The demonstration's own directory; nothing is written elsewhere.
        anvil: The chain, once started.
        nodes: The node processes by name of their home.
    """

    directory: Path
    anvil: Anvil | None = None
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def home(self, name: str) -> Path:
        """Give the home directory of a node."""
        return self.directory / name

    @property
    def rpc(self) -> str:
        """Address of the chain."""
        assert self.anvil is not None, "the chain is started first"
        return self.anvil.url

    def start_chain(self) -> None:
        """Start the chain with its state kept in the directory."""
        self.anvil = start_anvil(self.directory / "chain")

    @staticmethod
    def free_port() -> int:
        """Give a port of this machine on which nothing listened a moment ago."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    def start_nodes(self, *names: str, program: str = "node", mode: str = "ready") -> None:
        """Start nodes and wait until each is in a mode.

        Args:
            names: Of their homes.
            program: The module that runs them.
            mode: ``ready``, or ``read-only`` for one that must not go on.

        Raises:
            StepFailedError: One does not get there.
        """
        for name in names:
            home = self.home(name)
            with (home / "node.log").open("ab") as log:
                self.nodes[name] = subprocess.Popen(  # noqa: S603 - our own program
                    [sys.executable, "-m", program, str(home)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        deadline = time.monotonic() + START_SECONDS
        for name in names:
            while (found := self._mode(name)) != mode:
                is_over = self.nodes[name].poll() is not None or found in _FINAL
                if is_over or time.monotonic() > deadline:
                    raise StepFailedError(f"node {name} is not {mode}; see {self.home(name) / 'node.log'}")
                time.sleep(0.2)

    def stop_node(self, name: str) -> None:
        """Stop a node in order."""
        self.nodes[name].send_signal(signal.SIGTERM)
        self._await_end(self.nodes[name])
        del self.nodes[name]

    def run(
        self, *arguments: str, expect: int = 0, show: bool = True, echo: bool = True, lines: int | None = None
    ) -> Outcome:
        """Run an ``ironcage`` command and show it.

        Args:
            arguments: Its arguments.
            expect: Exit code that it must end with.
            show: Whether its output is printed.
            echo: Whether the command itself is printed.
            lines: How many lines of it are printed; all by default.

        Raises:
            StepFailedError: It ended with another code.
        """
        if echo:
            print_line(f"$ ironcage {_shorten(arguments, self.directory)}")
        code = "from cli.main import run; run()"
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # Progress goes to the terminal when there is one.
            stderr=None if sys.stderr.isatty() and expect == 0 else subprocess.STDOUT,
            env=os.environ | {"IRONCAGE_LANG": LANGUAGE, "COLUMNS": "132"},  # noqa: TID251 - for our own child
            check=False,
        )
        text = done.stdout.decode(errors="replace")
        if show or done.returncode != expect:
            shown = text.strip("\n").split("\n")
            print_line("\n".join(shown if lines is None else [*shown[:lines], "  …"]))
        if done.returncode != expect:
            raise StepFailedError(f"the command ended with {done.returncode}, want {expect}")
        return Outcome(done.returncode, text)

    def ask(self, *arguments: str) -> object:
        """Run a command for its JSON, without showing it."""
        text = self.run(*arguments, "--json", show=False, echo=False).text
        return parse_json(text.strip(), max_bytes=MAX_OUTPUT_BYTES, what="output")

    def verify(
        self,
        folder: Path,
        *arguments: str,
        rpc: str | None,
        expect: int,
        fails: Collection[str] = (),
        convicts: str | None = None,
    ) -> None:
        """Verify in a process of its own that cannot reach the nodes or their homes (cli.demo.confined).

        Args:
            folder: The verifier's own folder.
            arguments: Of ``ironcage evidence verify``.
            rpc: The chain node that may be asked, or None.
            expect: Exit code that it must end with.
            fails: Names of exactly the steps that must fail, the policy's demand aside.
            convicts: Who must be convicted by it; None for nobody.

        Raises:
            StepFailedError: It ended otherwise, or for another reason.
        """
        shown = " ".join(shlex.quote(argument) for argument in arguments)
        print_line(f"$ ironcage evidence verify {shown}")
        done = self._confined(folder, rpc, *arguments)
        print_line(done.stdout.decode(errors="replace").rstrip())
        print_line(say(f"退出码 {done.returncode}", f"exit code {done.returncode}"))
        again = self._confined(folder, rpc, *arguments, "--json")
        if (done.returncode, again.returncode) != (expect, expect):
            raise StepFailedError(f"verification ended with {done.returncode}, want {expect}")
        report: Any = parse_json(again.stdout.strip(), max_bytes=MAX_OUTPUT_BYTES, what="report")
        failed = {step["name"] for step in report["steps"] if step["outcome"] == "failed"} - {"demand"}
        if failed != set(fails):
            raise StepFailedError(f"verification failed in {sorted(failed)}, want {sorted(fails)}")
        if report.get("convicts") != convicts:
            raise StepFailedError(f"verification convicts {report.get('convicts')}, want {convicts}")

    def _confined(self, folder: Path, rpc: str | None, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        place = (str(self.directory.resolve()), str(folder.resolve()), rpc or "-")
        command = ("--lang", LANGUAGE, "evidence", "verify", *arguments)
        return subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "cli.demo.confined", *place, *command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ  # noqa: TID251 - for our own child
            | {"IRONCAGE_LANG": LANGUAGE, "PYTHONPATH": str(Path(__file__).parents[2])},
            check=False,
        )

    def stop(self) -> None:
        """Stop everything that was started."""
        for process in self.nodes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.nodes.values():
            self._await_end(process)
        self.nodes.clear()
        if self.anvil is not None:
            self.anvil.stop()
            self.anvil = None

    @staticmethod
    def _await_end(process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _mode(self, name: str) -> str | None:
        """Ask a node how it is; None while it does not answer."""
        from cli.home import open_client

        try:
            with open_client(self.home(name)) as client:
                return str(client.get("/api/v1/node")["state"]["mode"])
        except Unavailable:
            return None


def _shorten(arguments: Sequence[str], directory: Path) -> str:
    shown = " ".join(shlex.quote(argument) for argument in arguments)
    return shown.replace(str(directory) + "/", "").replace(str(directory), ".")

# SPDX-License-Identifier: Apache-2.0
"""Real nodes for tests: a chain (anvil), deployed contracts, home directories, ``python -m node`` as a child.

One chain serves a session. Every consortium gets contracts of its own on it, so that tests share no log.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path

import pytest

from cli.chain import load_founder
from cli.init import create_home
from consortium.anvil import start_anvil
from consortium.deploy import ChainChoice, deploy_network
from consortium.network import store_network
from consortium.samples.codes import build_uscc
from node.bootstrap import load_network, open_chain
from node.chain.rpc import Rpc
from node.chain.transport import HttpTransport
from node.client.api import NodeClient
from node.config import load_settings
from node.core.clock import SystemClock
from node.core.types import LogId
from node.crypto.secp256k1 import OperatorKey
from node.errors import NotFound, Unavailable
from node.storage.keyfiles import load_private
from tests.support.command_server import ROOT, CommandServer, Run

DOMAIN = "e2e.example"
COMMAND = ("-c", "from cli.main import run; run()")
SCRYPT_N = 1 << 12
"""The passphrase lies beside the keys, so a high work factor would only take time."""
ANCHOR_PERIOD_SECONDS = 3_600
"""Longer than any test: a node anchors when it is told to."""
WAIT_SECONDS = 400
"""Guards against a failure that would hang; what is waited for takes a fraction of it also on a busy machine."""
FIRST_PORT, PORTS = 20_000, 12_000
_GIVEN_PORTS = count(os.getpid() * 997)
ROLES = ["issuer", "consumer"]


@pytest.fixture(scope="session")
def real_chain(tmp_path_factory):
    with start_anvil(tmp_path_factory.mktemp("chain")) as anvil:
        yield anvil


@dataclass(frozen=True)
class Worker:
    """A worker process of a node."""

    pid: int

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def freeze(self):
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def is_alive(self):
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return False
        return state != "Z"


@dataclass
class RealNode:
    """One node: its home directory and, while it runs, its process."""

    home: Path
    code: str
    process: subprocess.Popen | None = None
    settings: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ("-m", "node")
    """What runs it: ``python -m node`` or the command line."""

    @property
    def log(self):
        return self.home / "node.log"

    def launch(self):
        """Start the process and do not wait for anything."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, str(self.home)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.settings,
                start_new_session=True,
            )

    def start(self, *, mode="ready"):
        """Start the node and wait until it listens and is in a mode; None waits for listening alone."""
        self.launch()
        self.wait_listening()
        if mode is not None:
            self.wait_mode(mode)
        return self

    def wait_listening(self):
        def listens():
            self.require_running()
            if not self.has_address():
                return False
            with self.client() as client:
                return client.get("/healthz")

        wait_until(listens, "the node listens")

    def require_running(self):
        """Nobody waits for a node that has ended."""
        assert self.process.poll() is None, f"node ended: {self.log.read_text()[-2000:]}"

    def has_address(self):
        """Whether the address in the home is that of the process which runs now, not of the one before."""
        run_file = self.home / "run" / "node.json"
        return run_file.is_file() and json.loads(run_file.read_bytes())["pid"] == self.process.pid

    def wait_mode(self, *modes, seconds=WAIT_SECONDS):
        return self.wait_state(lambda state: state["mode"] in modes, f"mode {modes}", seconds)

    def wait_state(self, is_wanted, what, seconds=WAIT_SECONDS):
        """Wait until the node's state is as wanted, and give it."""

        def find():
            self.require_running()
            state = self.state()
            return state if is_wanted(state) else None

        return wait_until(find, what, seconds)

    def state(self):
        with self.client() as client:
            return client.get("/api/v1/node")["state"]

    def logs(self):
        with self.client() as client:
            return {log["kind"]: log for log in client.get("/api/v1/node")["logs"]}

    def client(self, **options):
        url = json.loads((self.home / "run" / "node.json").read_bytes())["url"]
        token = load_private(self.home / "keys" / "operator.token").decode().strip()
        return NodeClient(url, token, **options)

    def kill(self):
        """End the node as a power failure of its process would; its workers notice by themselves."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """End the node in order and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_SECONDS)

    def workers(self):
        """Give the processes that validate and sign."""
        found = []
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if parent == self.process.pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                    found.append(Worker(int(folder.name)))
        return found

    def end(self):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def run(self, *arguments, **options):
        """Run an ``ironcage`` command on this node's home."""
        return ironcage(*arguments, home=self.home, **options)

    def ask(self, *arguments, code=0):
        """Run a command with ``--json`` and give what it printed."""
        done = self.run(*arguments, "--json")
        assert done.code == code, done
        return done.json

    def order(self, file, item="penalty:2018", *, corrections=False):
        """Order an import and give its job without waiting."""
        fields = {"item": item, "corrections": "true" if corrections else "false"}
        with self.client() as client:
            return client.upload("/api/v1/imports", file, fields)

    def wait_job(self, job):
        """Wait until a job has ended and its file is gone, which the node removes afterwards."""
        job_id = job if isinstance(job, str) else job["id"]

        def ended():
            self.require_running()
            with self.client() as client:
                found = client.get(f"/api/v1/imports/{job_id}")
            return found if found["state"] in {"done", "failed"} else None

        found = wait_until(ended, "the import ends")
        file = self.home / "data" / "uploads" / job_id
        wait_until(lambda: not file.exists(), "the file of the import is gone")
        return found

    def anchor(self):
        with self.client() as client:
            return client.post("/api/v1/anchors")

    def records(self, limit=1000):
        with self.client() as client:
            return client.post("/api/v1/records/search", {"limit": limit})


def ironcage(*arguments, home=None, environment=None, cwd=ROOT, fresh=False):
    """Run the command line as a user does, in a process of its own.

    Args:
        arguments: Of the command.
        home: Given as ``--home``.
        environment: Beside the present one.
        cwd: Directory to run in.
        fresh: Whether even the libraries are loaded anew, as a user's first command does.
    """
    words = [str(word) for word in (*arguments, *(() if home is None else ("--home", home)))]
    variables = os.environ | {"IRONCAGE_LANG": "en", "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    variables |= environment or {}
    if not fresh:
        return _command_server(variables.get("LD_PRELOAD")).run(words, variables, cwd)
    done = subprocess.run(
        [sys.executable, *COMMAND, *words],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=variables,
        timeout=WAIT_SECONDS,
        check=False,
    )
    return Run(done.returncode, done.stdout.decode(), done.stderr.decode())


@cache
def _command_server(preloaded):
    return CommandServer({} if preloaded is None else {"LD_PRELOAD": preloaded})


def wait_until(condition, what, seconds=WAIT_SECONDS):
    """Wait until a condition gives something true, and give that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = condition()
        except (Unavailable, NotFound, FileNotFoundError):
            found = None
        if found:
            return found
        time.sleep(0.03)
    raise AssertionError(f"waited {seconds} seconds in vain until {what}")


def free_port():
    """Give a port on which nothing listens, below those that the system itself gives out, and once only.

    So nobody takes it for a connection or another listener before it is bound, nor while its owner is away.
    """
    while True:
        port = FIRST_PORT + next(_GIVEN_PORTS) % PORTS
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def make_home(directory, number, *, anchor_period_seconds=ANCHOR_PERIOD_SECONDS, config="", roles=ROLES):
    """Create the home of member ``number`` without a network file."""
    code = build_uscc("11", "520100", f"008{number:05d}")
    create_home(
        directory,
        member=code,
        name_zh=f"第{number}部门",
        name_en="",
        roles=roles,
        passphrase_file=None,
        network=None,
        port=0,
        anchor_period_seconds=anchor_period_seconds,
        scrypt_n=SCRYPT_N,
    )
    if config:
        with (directory / "config.toml").open("a") as file:
            file.write(config)
    return RealNode(directory, code)


def found_consortium(url, nodes):
    """Deploy contracts with these nodes' members as founders and hand each its network file."""
    rpc = Rpc(HttpTransport(url))
    try:
        network = deploy_network(
            rpc,
            ChainChoice(rpc.chain_id(), "anvil", (url,)),
            # A deployer of its own for each consortium: nonces of parallel deployments never meet.
            OperatorKey(os.urandom(32)),
            domain=DOMAIN,
            founders=[load_founder(node.home / "member.json", None) for node in nodes],
            clock=SystemClock(),
            sleep=time.sleep,
        )
    finally:
        rpc.close()
    for node in nodes:
        store_network(node.home / "network.json", network)
    return network


@contextmanager
def real_nodes(url, directory, count=1, **options):
    """Give the not yet started nodes of a fresh consortium; whatever runs of them at the end is ended."""
    nodes = [make_home(directory / f"member{number}", number, **options) for number in range(1, count + 1)]
    found_consortium(url, nodes)
    try:
        yield nodes
    finally:
        for node in nodes:
            node.end()


def check_clean(node):
    """Check the whole store of a stopped node and give the counts of what was looked at."""
    done = node.run("log", "fsck", "--json")
    assert done.code == 0, done
    assert done.json["findings"] == []
    return done.json["counts"]


def all_leaves(node):
    """Leaf hashes of all records, newest first."""
    leaves, before = [], None
    with node.client() as client:
        while True:
            body = {"limit": 1000} | ({} if before is None else {"before": before})
            lines = client.post("/api/v1/records/search", body)
            if not lines:
                return leaves
            leaves += [line["leaf"] for line in lines]
            before = lines[-1]["index"]


def check_against_chain(node):
    """Compare a running node's anchors, one by one, with those of the chain; give how many there are of each log.

    A node that anchors by the clock may be on its way to the next one, so it is given time to agree.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        on_chain = fetch_anchors(node, node.logs())
        try:
            _compare_anchors(node, on_chain)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return {kind: len(anchors) for kind, anchors in on_chain.items()}


def fetch_anchors(node, logs):
    """Fetch the anchors of logs, as ``RealNode.logs`` gives them, from the chain; the node need not run."""
    settings = load_settings(node.home)
    on_chain = {}
    with open_chain(settings, load_network(settings)) as chain:
        for kind, log in logs.items():
            log_id = LogId(bytes.fromhex(log["log_id"][2:]))
            on_chain[kind] = [anchor for anchor, _ in chain.fetch_anchors(log_id, 1)]
            assert [anchor.i for anchor in on_chain[kind]] == list(range(1, len(on_chain[kind]) + 1))
    return on_chain


def _compare_anchors(node, on_chain):
    with node.client() as client:
        listed = client.get("/api/v1/anchors", limit=1000)
    for kind, log in node.logs().items():
        stored = {a["i"]: (a["size"], a["root"], a["block"]) for a in listed if a["log"] == kind}
        assert stored == {a.i: (a.size, a.root.hex(), a.block) for a in on_chain[kind]}
        assert log["anchors"] == len(stored)
        assert log["size"] >= log["published"] >= log["anchored"]

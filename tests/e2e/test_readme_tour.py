# SPDX-License-Identifier: Apache-2.0
"""The tour of README.md, line by line as a reader would type it, against a real chain and a real node."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.support.commands import shell_lines
from tests.support.project import ROOT
from tests.support.real_node import WAIT_SECONDS, free_port

README = ROOT / "README.md"
PROGRAM = [sys.executable, "-c", "from cli.main import run; run()"]
FIRST = "ironcage chain dev --dir tour/chain --port 8545"
# What a reader must see, by how the command begins; in the order of the tour where a command comes again.
SEEN = {
    "ironcage import": ["4 rows read, 2 accepted", "4 rows read, 0 accepted"],
    "ironcage record show": ["筑市监罚"],
    "ironcage evidence verify": ["Verdict: SATISFIED", "Verdict: REFUSED", "NOT IN FORCE"],
    "ironcage record withdraw": ["is withdrawn"],
    "ironcage log fsck": ["nothing wrong found"],
}


class Reader:
    """Somebody at three terminals: commands that go on run in the background, the others are waited for."""

    def __init__(self, directory):
        self.directory = directory
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("IRONCAGE_")}
        self.environment |= {"IRONCAGE_LANG": "en", "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
        self.port = free_port()
        self.leaf = ""
        self.running = []
        shown = README.read_text(encoding="utf-8").splitlines()
        self.failing = {line.split("    #")[0] for line in shown if line.endswith("# exit code 1")}
        self.expected = {start: list(texts) for start, texts in SEEN.items()}

    def type(self, shown):
        """Do what a line of the page says."""
        line = re.sub(r"\b8545\b", str(self.port), shown).replace("$LEAF", self.leaf)
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self.environment[name] = value
        elif line.startswith("LEAF="):
            self.leaf = json.loads(self.run("ironcage record list --json"))[-1]["leaf"]
        elif line.startswith("ironcage chain dev"):
            self.start(line, self.chain_listens)
        elif line.startswith("ironcage node run"):
            self.start(line, self.node_is_ready)
        else:
            if line.startswith("ironcage log fsck"):
                self.interrupt(self.running.pop())
            line += " --port 0" if line.startswith("ironcage init") else ""
            output = self.run(line, expect=1 if shown in self.failing else 0)
            for start, texts in self.expected.items():
                if shown.startswith(start):
                    assert texts.pop(0) in output, f"{line}\n{output}"

    def run(self, line, expect=0):
        """Run a command to its end; give its output."""
        command, _, target = line.partition(" > ")
        words = shlex.split(command)
        words = [*PROGRAM, *words[1:]] if words[0] == "ironcage" else words
        done = subprocess.run(
            words,
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=WAIT_SECONDS,
            check=False,
        )
        assert done.returncode == expect, f"{line}\n{done.stdout.decode()}"
        if target:
            (self.directory / target).write_bytes(done.stdout)
        return done.stdout.decode()

    def start(self, line, ready):
        """Start a command that goes on, and wait until it is ready."""
        path = self.directory / f"{len(self.running)}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [*PROGRAM, *shlex.split(line)[1:]],
                cwd=self.directory,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self.running.append(process)
        deadline = time.monotonic() + WAIT_SECONDS
        while not ready():
            assert process.poll() is None, path.read_text()
            assert time.monotonic() < deadline, f"not ready: {line}"
            time.sleep(0.2)

    def chain_listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def node_is_ready(self):
        if not (self.directory / "tour" / "market" / "run" / "node.json").is_file():
            return False
        return (
            json.loads(self.run("ironcage node status --home tour/market --json"))["state"]["mode"] == "ready"
        )

    @staticmethod
    def interrupt(process):
        """Press Ctrl-C."""
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=WAIT_SECONDS) == 0

    def leave(self):
        """Close the terminals."""
        for process in reversed(self.running):
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=WAIT_SECONDS)
        assert not self.chain_listens(), "the chain was left behind"


@pytest.fixture
def reader(tmp_path):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    reader = Reader(tmp_path)
    yield reader
    reader.leave()


def test_the_tour_does_what_it_says(reader):
    lines = shell_lines(README)
    for line in lines[lines.index(FIRST) :]:
        reader.type(line)
    assert reader.leaf
    assert not any(reader.expected.values()), "the tour left out what it should show"

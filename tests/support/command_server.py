# SPDX-License-Identifier: Apache-2.0
"""Run ``ironcage`` commands in processes of their own, forked from one that has loaded the libraries already.

A command's process is as separate as a user's: own arguments, environment, directory, files and exit code; only the
time to import third-party packages is saved. Our ``cli`` package is imported in it anew.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRELOADED = (
    "httpx",
    "rich.console",
    "rich.progress",
    "rich.table",
    "typer",
    "node.bootstrap",
    "node.chain.reader",
    "node.client.api",
    "node.evidence.verify",
)


@dataclass
class Run:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class CommandServer:
    """The process from which commands are forked; runs one at a time.

    Args:
        environment: Of that process, beside the present one: with the library of tests/chaos/faultfs preloaded, every command
            meets the disk that its own environment names.
    """

    def __init__(self, environment=None):
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="ironcage-commands-")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.command_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | (environment or {}),
            text=True,
        )
        atexit.register(self.close)

    def run(self, arguments, environment, directory):
        with self._lock:
            out, err = (Path(self._folder.name) / name for name in ("out", "err"))
            request = {
                "arguments": arguments,
                "environment": environment,
                "directory": str(directory),
                "out": str(out),
                "err": str(err),
            }
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            assert answer, "the command server has ended"
            return Run(int(answer), out.read_text(), err.read_text())

    def close(self):
        if self._process.poll() is None:
            self._process.stdin.close()
            self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()


def serve():
    """Fork a process for each request line and answer with its exit code."""
    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(request):
    code = 70
    try:
        for path, descriptor in ((os.devnull, 0), (request["out"], 1), (request["err"], 2)):
            flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            opened = os.open(path, flags, 0o600)
            os.dup2(opened, descriptor)
        os.environ.clear()
        os.environ.update(request["environment"])
        if "FAULTFS_ROOT" in os.environ:
            ctypes.CDLL(None).faultfs_start()
        os.chdir(request["directory"])
        sys.argv = ["ironcage", *request["arguments"]]
        importlib.import_module("cli.main").run()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - a traceback is how a command may end, and tests want to see it
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()

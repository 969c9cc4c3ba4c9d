# SPDX-License-Identifier: Apache-2.0
"""A verifier is a small program: what it loads and how large a file is; how quickly it answers is measured by the bench."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.evidence_world import EvidenceWorld

ROOT = Path(__file__).parents[3]
FORBIDDEN = {
    *("web3", "fastapi", "starlette", "uvicorn", "plyvel", "plyvel_next", "pydantic", "pydantic_settings"),
    *("structlog", "httpx", "py_ecc", "eth_keyfile", "Crypto", "python_calamine", "typer", "rich"),
    *("socket", "ssl", "asyncio", "http", "urllib.request", "sqlite3", "multiprocessing"),
}
DEEP = 500_000_000
PROGRAM = "import json, sys, node.evidence.verify; print(json.dumps(sorted(sys.modules)))"


def test_verification_loads_no_server_no_store_and_no_network():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    modules = json.loads(done.stdout)
    assert FORBIDDEN & set(modules) == set()
    layers = {name.split(".")[1] for name in modules if name.startswith("node.") and name.count(".")}
    assert layers <= {"errors", "core", "crypto", "log", "records", "evidence"}


def test_evidence_in_a_log_of_500_million_is_small():
    assert len(EvidenceWorld().export_deep(DEEP, status=False).data) < 16 * 1024
    whole = EvidenceWorld().export_deep(DEEP)
    token = json.loads(whole.data)["status"]["list"]
    assert len(whole.data) - len(token) < 16 * 1024

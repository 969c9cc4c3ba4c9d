# SPDX-License-Identifier: Apache-2.0
"""Evidence: how large a file is, and how long a verifier takes, in process and from a cold command."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

from node.evidence.policy import encode_policy
from node.evidence.verify import verify_evidence
from tests.support.evidence_world import EvidenceWorld
from tests.support.project import ROOT

DEEP = 500_000_000
COMMAND = [sys.executable, "-c", "from cli.main import run; run()", "evidence", "verify"]
IMPORTS = "import time; start = time.process_time(); import node.evidence.verify; print(time.process_time() - start)"


def measure_evidence(scratch, *, verifications, commands, files):
    """Measure evidence of one record in a log of 500 million, with subject and three short fields disclosed."""
    without_status = EvidenceWorld().export_deep(DEEP, status=False).data
    world = EvidenceWorld()
    data = world.export_deep(DEEP).data
    token = json.loads(data)["status"]["list"]
    policy = world.policy()
    now = world.chain.time
    times = []
    for _ in range(verifications):
        start = time.process_time()
        report = verify_evidence(data, policy, now_seconds=now, chain=world.chain)
        times.append(time.process_time() - start)
        assert report.satisfied
    file, policy_file = scratch / "one.evidence.json", scratch / "policy.json"
    file.write_bytes(without_status)
    policy_file.write_bytes(encode_policy(world.offline_policy()))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "IRONCAGE_LANG": "en"}
    cold = [_run([*COMMAND, str(file), "--policy", str(policy_file)], environment) for _ in range(commands)]
    loads = [_run([sys.executable, "-c", IMPORTS], environment) for _ in range(commands)]
    bare = [_run([sys.executable, "-c", "pass"], environment) for _ in range(commands)]
    many = scratch / "many"
    many.mkdir()
    for number in range(files):
        (many / f"{number:06}.evidence.json").write_bytes(without_status)
    command = [*COMMAND, str(many), "--policy", str(policy_file), "--brief"]
    seconds, cpu_seconds, _ = _run(command, environment)
    return {
        "log_size": DEEP,
        "bulk": {
            "files": files,
            "seconds": round(seconds, 2),
            "files_per_second": round(files / seconds),
            "cpu_ms_per_file": round(cpu_seconds / files * 1e3, 2),
            "cores_busy": round(cpu_seconds / seconds, 2),
        },
        "bytes_without_status": len(without_status),
        "bytes_with_status": len(data),
        "bytes_of_status_list": len(token),
        "verify_cpu_ms": _spread(times),
        "command_ms": _spread([wall for wall, _, _ in cold]),
        "command_cpu_ms": _spread([cpu for _, cpu, _ in cold]),
        "import_cpu_ms": _spread([float(said) for _, _, said in loads]),
        "bare_python_cpu_ms": _spread([cpu for _, cpu, _ in bare]),
    }


def _run(command, environment):
    """Give the seconds by the clock and of processor time that a command took, and what it said."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    wall = time.perf_counter() - start
    assert done.returncode == 0, done.stderr.decode()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, done.stdout.decode()


def _spread(seconds):
    ordered = sorted(seconds)
    return {"best": round(ordered[0] * 1e3, 2), "p50": round(ordered[len(ordered) // 2] * 1e3, 2)}

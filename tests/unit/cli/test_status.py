# SPDX-License-Identifier: Apache-2.0
"""``node status`` names the code of what the node waits for: the runbook is ordered by it."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cli.advice import ADVICE
from cli.home import TOKEN_FILE
from cli.node import status
from node.storage.processes import find_start

STATE = {"mode": "waiting-for-chain", "reason": "no answer", "code": "chain-away"}


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        body = {
            "name_zh": "第一部门",
            "member": "m",
            "domain": "d.example",
            "state": STATE,
            "logs": [],
            "forks": [
                {"member": "91330106MA27Y8LH7C", "log": "zj.example/x/access/0", "file": "x.fork.json"}
            ],
            "demands": [
                {"log": "y", "index": 7, "due_at": 1_800_000_000, "code": "log-behind", "reason": "lost"}
            ],
            "account": None,
            "store_format": 2,
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def home(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "keys").mkdir()
    token = tmp_path / "keys" / TOKEN_FILE
    token.write_text("ict_x\n")
    token.chmod(0o600)
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        described = {"pid": os.getpid(), "started": find_start(os.getpid()), "url": url, "v": 1}
        (tmp_path / "run" / "node.json").write_text(json.dumps(described))
        yield tmp_path
        server.shutdown()
        thread.join()


def test_the_code_stands_behind_the_reason(home, capsys):
    status(home)
    assert "waiting-for-chain — no answer [chain-away]\n" in capsys.readouterr().out


def test_in_chinese_it_says_what_to_do(home, capsys, monkeypatch):
    for module in ("cli.node", "cli.language", "cli.words"):
        monkeypatch.setattr(f"{module}.LANGUAGE", "zh")
    status(home)
    _, state, advice, *_ = capsys.readouterr().out.splitlines()
    assert state == "状态: 等待链 — 链节点无应答（no answer） [chain-away]"
    assert advice == f"处理办法：{ADVICE['chain-away']}"


def test_forks_and_unanswered_demands_are_loud(home, capsys):
    status(home)
    out = capsys.readouterr().out
    assert "91330106MA27Y8LH7C" in out
    assert "x.fork.json" in out
    assert "2027-01-15T08:00:00Z" in out
    assert "lost [log-behind]" in out

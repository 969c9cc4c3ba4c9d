# SPDX-License-Identifier: Apache-2.0
"""Boxes of an exchange before Go's crypto/hpke, in both directions: another hand's MLKEM768-X25519."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest

from node.access.box import answer_info, pad, parse_envelope, request_info
from node.crypto.hpke import ExchangeKey
from node.crypto.token import token_digest
from tests.support import one_exchange as world
from tests.support.go_program import build_go


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build_go("./hpke", tmp_path_factory.mktemp("go") / "hpke")


def run(program, seed, info, box):
    claim = {"seed": b64(seed), "info": b64(info), "box": b64(box)}
    return subprocess.run(
        [str(program)], input=json.dumps(claim), capture_output=True, text=True, check=False, timeout=240
    )


def b64(data):
    return base64.b64encode(data).decode()


def sealed(name):
    return parse_envelope(world.once()[name].encode(), max_plaintext_bytes=1 << 20).box


BOXES = {
    "request": (
        "exchange key",
        request_info(world.ASKER, world.PROVIDER, world.PROVIDER_KEY.kid),
        sealed("request envelope"),
        world.request(),
    ),
    "answer": (
        "reply key",
        answer_info(world.PROVIDER, world.ASKER, token_digest(world.request())),
        sealed("answer envelope"),
        world.answer(),
    ),
}


@pytest.mark.parametrize("name", BOXES)
def test_go_opens_what_we_sealed_and_we_what_go_sealed(program, name):
    label, info, box, jws = BOXES[name]
    seed = world.secret_of(label)
    done = run(program, seed, info, box)
    assert done.returncode == 0, done.stdout
    said = {key: base64.b64decode(value) for key, value in json.loads(done.stdout).items()}
    key = ExchangeKey(seed)
    assert said["public"] == key.public
    assert said["plaintext"] == pad(jws, 1 << 20)
    assert said["box"] != box
    assert key.open(info, said["box"]) == pad(jws, 1 << 20)


def test_go_refuses_a_box_under_other_info(program):
    label, info, box, _ = BOXES["request"]
    done = run(program, world.secret_of(label), info + b"x", box)
    assert done.returncode == 1
    assert done.stdout.startswith("open: ")

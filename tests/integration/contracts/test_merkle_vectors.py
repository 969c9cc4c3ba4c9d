# SPDX-License-Identifier: Apache-2.0
"""The published cases of ../shared/vectors/rfc6962-merkle (transparency-dev/merkle) that fit bytes32, on the contract."""

from __future__ import annotations

import base64
import json

import pytest

from node.chain.rpc import CallReverted
from tests.support.shared import shared_path

CONSISTENCY_CASES = 71
INCLUSION_CASES = 72
GROWS_BY_NOTHING = "0/happy-path.json"
"""Size 1 to size 1 is consistent in RFC 6962; an anchor that adds nothing is refused all the same."""


def _b64(text):
    return base64.b64decode(text or "")


def _cases(kind, *names):
    """Cases in which every hash has 32 bytes, hashes decoded."""
    folder = shared_path(f"vectors/rfc6962-merkle/{kind}")
    for path in sorted(folder.rglob("*.json")):
        case = json.loads(path.read_text())
        case.update({name: _b64(case[name]) for name in names}, proof=[_b64(h) for h in case["proof"] or []])
        if all(len(value) == 32 for value in (*(case[name] for name in names), *case["proof"])):
            yield str(path.relative_to(folder)), case


def test_consistency_vectors(member, subtests):
    cases = list(_cases("consistency", "root1", "root2"))
    assert len(cases) == CONSISTENCY_CASES
    accepted = 0
    for name, case in cases:
        with subtests.test(name):
            log_id = member.fresh_log()
            if case["size1"]:
                member.send(member.log, "anchor", log_id, case["size1"], case["root1"], [])
            arguments = ("anchor", log_id, case["size2"], case["root2"], case["proof"])
            if case["wantErr"] or name == GROWS_BY_NOTHING:
                with pytest.raises(CallReverted):
                    member.call(*arguments)
            else:
                member.send(member.log, *arguments)
                assert member.log.head(log_id).root == case["root2"]
                accepted += 1
    assert accepted == 4


def test_inclusion_vectors(member, subtests):
    cases = list(_cases("inclusion", "root", "leafHash"))
    assert len(cases) == INCLUSION_CASES
    logs = {}
    for name, case in cases:
        with subtests.test(name):
            size, root = case["treeSize"], case["root"]
            if not size:
                assert case["wantErr"], "nothing is in an empty tree, and an empty tree is not anchored"
                continue
            if (size, root) not in logs:
                logs[size, root] = member.fresh_log()
                member.send(member.log, "anchor", logs[size, root], size, root, [])
            log_id = logs[size, root]
            ((a, _),) = member.log.fetch_anchors(log_id, 1)
            anchor = (a.i, a.prev_size, a.prev_block, a.prev_time, a.size, a.root, a.block, a.time)
            arguments = ("verifyInclusion", log_id, anchor, case["leafIdx"], case["leafHash"], case["proof"])
            if case["wantErr"]:
                with pytest.raises(CallReverted):
                    member.call(*arguments)
            else:
                member.call(*arguments)

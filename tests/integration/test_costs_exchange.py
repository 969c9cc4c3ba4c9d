# SPDX-License-Identifier: Apache-2.0
"""What one question costs the request threads of both sides: calls, signatures, tokens and reads, counted, not timed.

The counts hold for the thread that asks or answers; what the writer does is in tests/integration/test_costs_log.py. Both nodes
share this process, so what a node remembers of messages is forgotten whenever an envelope passes from one to the other.
"""

from __future__ import annotations

import sys
from collections import Counter

import pytest

import node.access.event
import node.access.receipt
from tests.support.exchange_world import COURT, MARKET, VCT, ExchangeWorld

WARM = 3
FIELDS = ("CF_WSH", "CF_CFLB")


class SideCounts:
    """Counts the calls of this thread by the side of the exchange that makes them.

    Python functions stand under ``module:name``, C functions under their name, and all Python calls under ``python``.
    """

    def __init__(self, world):
        self.asker, self.provider = Counter(), Counter()
        self.scans = []
        self._now = self.asker
        world.post.on_request = self._arrive
        world.post.on_answer = self._return

    def _arrive(self, body):
        self._cross(self.provider)
        return body

    def _return(self, body):
        self._cross(self.asker)
        return body

    def _cross(self, to):
        self._now = to
        for recent in (node.access.event._RECENT, node.access.receipt._RECENT):
            recent._kept.clear()

    def note(self, frame, event, function):
        if event == "c_call":
            self._now[function.__name__] += 1
        elif event == "call":
            code = frame.f_code
            self._now["python"] += 1
            self._now[f"{frame.f_globals['__name__']}:{code.co_name}"] += 1
            if code.co_name == "scan" and self._now is self.asker:
                self.scans.append(frame.f_locals["start"])


@pytest.fixture(scope="module")
def counted():
    """The counts of one question about one record, after some others, and the commits of each side."""
    with ExchangeWorld(members=(COURT, MARKET)) as world:
        world.nodes[MARKET].import_penalties(range(1))
        world.anchor()
        order = world.order(fields={VCT["penalty:2018"]: FIELDS})
        asker = world.exchanges[COURT].asker
        for _ in range(WARM):
            asker.ask(order)
        commits = {code: made.store.commits for code, made in world.nodes.items()}
        counts = SideCounts(world)
        before = sys.getprofile()
        sys.setprofile(counts.note)
        try:
            (outcome,) = asker.ask(order)
        finally:
            sys.setprofile(before)
        assert (outcome.result, len(outcome.records)) == ("ok", 1)
        made = {code: one.store.commits - commits[code] for code, one in world.nodes.items()}
        (untold,) = (key for key, _ in world.nodes[COURT].store.scan(b"Eu", b"Ev"))
        yield counts, made, untold


def test_commits_of_a_question(counted):
    _, commits, _ = counted
    # ask, which request was sent, receive; the second may share the third's.
    assert 2 <= commits[COURT] <= 3
    # grant, the sealed answer.
    assert commits[MARKET] == 2


def test_signatures_of_a_question(counted):
    counts, _, _ = counted
    # The receipts of ask and receive, and the request; what an earlier question's receive is told with is kept.
    assert counts.asker["crypto_sign"] == 3
    # The answer, the receipt of the grant, and the record; its status was verified before.
    assert counts.asker["node.crypto.ed25519:verify_ed25519"] == counts.asker["crypto_sign_open"] == 3
    # The receipt of the grant, and the answer.
    assert counts.provider["crypto_sign"] == 2
    # The request, and the receipts of the ask and of the earlier receive.
    assert counts.provider["node.crypto.ed25519:verify_ed25519"] == 3
    assert counts.provider["crypto_sign_open"] == 3
    # libsodium accepted them, and the backend was not asked.
    assert "verify" not in counts.asker + counts.provider


def test_what_a_question_reads_twice(counted):
    counts, _, _ = counted
    # Three tokens each: those that were verified. What this node wrote it does not parse.
    assert counts.asker["node.crypto.jws:parse_jws"] == 3
    assert counts.provider["node.crypto.jws:parse_jws"] == 3
    # The other side's events; own ones are known since they were built.
    assert counts.asker["node.access.event:parse_entry"] == 1
    assert counts.provider["node.access.event:parse_entry"] == 2
    # Nine openings of each event of the other side, ten made for each own one.
    assert counts.asker["node.access.opening:parse_opening"] == 9
    assert counts.provider["node.access.opening:parse_opening"] == 18
    assert counts.asker["node.access.event:build_openings"] == 2
    assert counts.provider["node.access.event:build_openings"] == 1
    assert counts.asker["node.core.canonical:read_json"] <= 18
    assert counts.provider["node.core.canonical:read_json"] <= 25
    assert counts.asker["dumps"] <= 44
    assert counts.provider["dumps"] <= 44
    assert counts.asker["node.core.encoding:parse_b64u"] <= 34
    assert counts.provider["node.core.encoding:parse_b64u"] <= 40


def test_reads_of_a_question(counted):
    counts, _, _ = counted

    def reads(side):
        return [side[f"node.storage.memory:{name}"] for name in ("get", "scan", "read", "get_secret")]

    # Rate, greatest status head; the newest checkpoint, what was not told yet.
    assert reads(counts.asker) == [2, 2, 0, 0]
    # Scans: the subject's records, twice the newest head and the newest checkpoint. Reads: entry and values, twice.
    gets, *others = reads(counts.provider)
    assert gets <= 12
    assert others == [5, 4, 2]


def test_what_was_told_is_not_passed_over_again(counted):
    counts, _, untold = counted
    (start,) = (one for one in counts.scans if one.startswith(b"Eu"))
    # A question adds one end and takes off the one before, so the search begins right below the newest, WARM questions on.
    assert (len(start), start[:-8]) == (len(untold), untold[:-8])
    assert start[-8:] > bytes(8)
    assert start < untold


def test_calls_of_a_question(counted):
    counts, _, _ = counted
    # They were 2,875 and 2,509 when this was first counted.
    assert counts.asker["python"] <= 1_800
    assert counts.provider["python"] <= 1_750
    assert counts.asker["openssl_sha256"] <= 46
    assert counts.provider["openssl_sha256"] <= 49

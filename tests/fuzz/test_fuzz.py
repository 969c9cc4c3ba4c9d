# SPDX-License-Identifier: Apache-2.0
"""The short run of every test run: all stored inputs, everything that was ever found, some hundred mutations a target."""

from __future__ import annotations

import json

import pytest

from node.errors import NodeError
from tests.fuzz.case import hang_detector, run_case
from tests.fuzz.corpus import CORPUS, load_corpus, load_found
from tests.fuzz.engines import mutated
from tests.fuzz.page import PAGE, RUNS, build_page
from tests.fuzz.table import TARGETS

MAX_CORPORA_BYTES = 1_500_000
COSTLY = {
    "catalogue-item",
    "chain-client",
    "client-answer",
    "csv",
    "evidence-verify",
    "fork-verify",
    "keystore",
    "look-verify",
    "ndjson",
    "receipt-verify",
    "subjects-file",
    "workbook-archive",
    "workbook-parts",
}
"""A case of these takes most of a millisecond; they get fewer."""

RANDOMISED = {
    "evidence",
    "evidence-verify",
    "fork",
    "fork-verify",
    "look-file",
    "look-verify",
    "note",
    "receipt-file",
    "receipt-verify",
    "signed-checkpoint",
}
"""Their seeds hold ML-DSA-44 signatures, which differ each time."""

# Seeds that are there to be refused; what a chain node answers fits no two calls.
REFUSED_SEEDS = {
    "client-answer": 2,
    "credit-code": 1,
    "finding-verify": 2,
    "json": 1,
    "json-text": 1,
    "peer-answer": 2,
    "reader-messages": 1,
    "rpc": 12,
    "rpc-answer": 2,
    "sd-jwt-payload": 1,
    "status-list": 1,
    "store-owner": 1,
    "tlog-proof": 2,
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_stored_inputs_and_some_hundred_mutations(target):
    corpus = load_corpus(target)
    with hang_detector(120):
        for data in corpus:
            run_case(target, data)
        for data in mutated(target, corpus, 150 if target.name in COSTLY else 500, 20):
            run_case(target, data)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_many_mutations(target):
    corpus = load_corpus(target)
    with hang_detector(280):
        for data in mutated(target, corpus, 1_000 if target.name in COSTLY else 10_000, 21):
            run_case(target, data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_seeds_are_accepted(target):
    """A seed that its parser refuses in the first line would make a corpus that reaches nothing."""
    refused = 0
    for data in target.seeds():
        try:
            target.run(data)
        except NodeError:
            refused += 1
    assert refused <= REFUSED_SEEDS.get(target.name, 0)


@pytest.mark.parametrize("found", load_found(), ids=lambda found: f"{found.target}: {found.story[:60]}")
def test_what_was_found_stays_fixed(found):
    with hang_detector():
        run_case(TARGETS[found.target], found.data)


def test_corpora_are_those_of_the_targets_and_small():
    files = list(CORPUS.glob("*.txt"))
    assert {path.stem for path in files} == set(TARGETS)
    assert sum(path.stat().st_size for path in files) <= MAX_CORPORA_BYTES


def test_stored_seeds_are_what_our_encoders_write():
    for target in TARGETS.values():
        if target.name not in RANDOMISED:
            assert set(target.seeds()) <= set(load_corpus(target)), target.name


def test_mutations_follow_from_their_seed():
    target = TARGETS["policy"]
    runs = [list(mutated(target, load_corpus(target), 50, 7)) for _ in range(2)]
    assert runs[0] == runs[1]


def test_every_target_has_met_a_hundred_thousand_cases():
    """A new one is run with ``--engine mutations --record``."""
    runs = json.loads(RUNS.read_text(encoding="utf-8"))
    assert runs.keys() == TARGETS.keys()
    assert [name for name, run in runs.items() if max(each["cases"] for each in run.values()) < 100_000] == []


def test_the_page_says_what_was_run():
    assert PAGE.read_text(encoding="utf-8") == build_page()

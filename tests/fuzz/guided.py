# SPDX-License-Identifier: Apache-2.0
"""One target under atheris: ``python -m tests.fuzz.guided TARGET [libFuzzer option or folder]...``; see engines.py."""

from __future__ import annotations

import sys
from random import Random

import atheris

with atheris.instrument_imports(include=["node"]):
    from tests.fuzz.table import TARGETS

from tests.fuzz.case import run_case
from tests.fuzz.corpus import load_corpus
from tests.fuzz.mutation import Mutator


def main():
    """Fuzz; libFuzzer ends the process."""
    target = TARGETS[sys.argv[1]]
    corpus = load_corpus(target)

    def mutate(data, largest, seed):
        if seed % 4 == 0:
            return atheris.Mutate(data, largest)
        return Mutator(Random(seed), corpus, target.words, binary=target.binary).mutate(data, largest)

    atheris.Setup(
        [sys.argv[0], *sys.argv[2:]], lambda data: run_case(target, data) and None, custom_mutator=mutate
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()

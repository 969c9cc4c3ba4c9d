# SPDX-License-Identifier: Apache-2.0
"""What Hypothesis draws for the machine of two nodes: who, what happens to a node, what happens on the way."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from tests.support.exchange_world import COURT, MARKET

MOST_STEPS = 16
"""More than one question takes."""


def luck(*counts):
    """Draw one number, of which each chance takes its part: all of them as often, and 0 stands for nothing special."""

    def split(number):
        parts = []
        for count in counts:
            number, part = divmod(number, count)
            parts.append(part)
        return tuple(parts)

    return st.integers(0, math.prod(counts) - 1).map(split)


BLOWS = luck(3, 3, 3, MOST_STEPS)
"""Whether a node is hit, how, which one, and at which step."""
CARRIAGES = luck(5, 2, 3, 7, 4)
"""What is lost on its way, whether a question is hurried, and whether, when and what else is done meanwhile."""
NODES = st.sampled_from((COURT, MARKET))

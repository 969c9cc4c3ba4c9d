# SPDX-License-Identifier: Apache-2.0
"""Cases of Hypothesis that are the same each time, whichever other tests ran before."""

from __future__ import annotations

from unittest import mock

from hypothesis.internal.conjecture.providers import HypothesisProvider


def same_each_time(case):
    """Have a test case draw without constants of the modules that happen to be loaded, which Hypothesis mixes in.

    Without them ``derandomize`` alone makes other cases of other selections of tests, and of every change of the program.
    """

    class Same(case):
        def runTest(self):  # noqa: N802 - named by unittest
            with mock.patch.object(HypothesisProvider, "_maybe_draw_constant", return_value=None):
                super().runTest()

    Same.__name__, Same.__qualname__ = case.__name__, case.__qualname__
    return Same

# SPDX-License-Identifier: Apache-2.0
"""A signal that comes where Python drops what is raised stops the node all the same."""

from __future__ import annotations

import signal

import pytest

from node.serving import _Stop, _stopping_on_signals


class Last:
    """Gets the signal in its finaliser, as the import system does in those of its locks."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_in_a_finaliser_is_not_lost():
    before = signal.getsignal(signal.SIGTERM)
    with _stopping_on_signals() as require_no_signal:
        require_no_signal()
        Last()
        with pytest.raises(_Stop):
            require_no_signal()
    assert signal.getsignal(signal.SIGTERM) == before


def test_without_a_signal_nothing_stops():
    with _stopping_on_signals() as require_no_signal:
        require_no_signal()

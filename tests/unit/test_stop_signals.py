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


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_in_a_finaliser_is_not_lost():
    with _stopping_on_signals() as require_no_signal:
        require_no_signal()
        Last()
        with pytest.raises(_Stop):
            require_no_signal()


def test_a_second_signal_changes_nothing_to_the_end_of_the_process():
    """The last line of the log and what still runs come behind; a second signal must not end that with another exit code."""
    with pytest.raises(_Stop), _stopping_on_signals():
        signal.raise_signal(signal.SIGINT)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.raise_signal(number)


def test_without_a_signal_nothing_stops(handlers):
    with _stopping_on_signals() as require_no_signal:
        require_no_signal()
    assert {number: signal.getsignal(number) for number in handlers} == handlers

# SPDX-License-Identifier: Apache-2.0
"""What a log file or a pipe gets to see of something that takes long."""

from itertools import count

import pytest

from cli.progress import FIRST_SECONDS, LINE_SECONDS, LiveLine

POLLS_A_SECOND = 10


def job(read):
    return {"read": read, "accepted": read, "duplicate": 0, "refused": 0}


def watch(reads):
    """Tell of an import ten times a second, as ``ironcage import`` does."""
    ticks = count()
    seconds = [0.0]
    with LiveLine(lambda: seconds[0]) as line:
        for read in reads:
            seconds[0] = next(ticks) / POLLS_A_SECOND
            line.tell_import(job(read))


@pytest.fixture(params=[None, "1"], autouse=True)
def colours(request, monkeypatch):
    """With FORCE_COLOR rich takes everything for a terminal."""
    if request.param:
        monkeypatch.setenv("FORCE_COLOR", request.param)
    else:
        monkeypatch.delenv("FORCE_COLOR", raising=False)


def test_an_import_that_waits_writes_one_line(capsys):
    watch([1_000] * 600 * POLLS_A_SECOND)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "1000" in lines[0]
    assert "\x1b" not in lines[0]


def test_an_import_that_runs_writes_a_line_each_half_minute(capsys):
    watch(range(600 * POLLS_A_SECOND))
    lines = capsys.readouterr().err.splitlines()
    told = [int(line.split()[1 if line.startswith("已") else 0]) for line in lines]
    first, step = int(FIRST_SECONDS * POLLS_A_SECOND), int(LINE_SECONDS * POLLS_A_SECOND)
    assert told == list(range(first, 600 * POLLS_A_SECOND, step))


def test_what_ends_soon_writes_nothing(capsys):
    watch(range(int(FIRST_SECONDS) * POLLS_A_SECOND))
    assert capsys.readouterr() == ("", "")

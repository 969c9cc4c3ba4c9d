# SPDX-License-Identifier: Apache-2.0
"""A reading process that a workbook has taken over says nothing, a byte now and then, or more than any workbook holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial

import pytest

from node.errors import InvalidInput, Unavailable
from node.readers.bounded_pipe import BoundedPipe
from node.readers.opening import open_table
from node.readers.table import Limits
from node.records.headers import find_header
from tests.support.errors import raises_code
from tests.support.project import ROOT
from tests.support.rows import PERMIT, build_row
from tests.support.workbooks import store_xlsx

CODES = list(PERMIT.field_codes)
FIND = partial(find_header, PERMIT)
HOSTILE = """#!{python}
import os, signal, sys, time
sys.path.insert(0, {root!r})
from node.readers.frames import *
from node.records.chunks import encode_chunk
output = sys.stdout.buffer
codes = {codes!r}
def heads():
    send_frame(output, HEAD, [0, "s", False, False, [codes]])
    send_frame(output, HEADS_END)
{body}
"""
BODIES = {
    "says-nothing": ("time.sleep(3600)", "workbook-slow"),
    "closes-its-output-and-stays": ("os.close(1); time.sleep(3600)", "workbook-unreadable"),
    "half-a-message": ("output.write(b'h'); output.flush(); time.sleep(3600)", "workbook-slow"),
    "nothing-behind-the-heads": ("heads(); time.sleep(3600)", "workbook-slow"),
    "heads-without-end": (
        "while True: send_frame(output, HEAD, [0, 's', False, False, [codes]])",
        "workbook-unreadable",
    ),
    "rows-without-end": (
        "heads()\nwhile True: send_frame(output, ROWS, encode_chunk(2, [codes]))",
        "workbook-unreadable",
    ),
    "no-rows-without-end": ("heads()\nwhile True: send_frame(output, ROWS, b'')", "workbook-unreadable"),
    "more-rows-than-any-sheet": (
        "heads()\nfor row in range(2**24, 2**62): send_frame(output, ROWS, encode_chunk(row, [codes]))",
        "workbook-unreadable",
    ),
}


@pytest.fixture
def workbook(tmp_path):
    store_xlsx(tmp_path / "book", {"s": [CODES, build_row(item=PERMIT)]})
    return tmp_path / "book"


@pytest.fixture
def started(monkeypatch):
    """The processes that were started."""
    found = []

    class Noted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            found.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return found


def read(path, **options):
    with open_table(path, find_header=FIND, **options) as table:
        return list(table.chunks)


def pose(monkeypatch, folder, body):
    """Have another program stand for the reading process."""
    program = folder / "hostile"
    program.write_text(HOSTILE.format(python=sys.executable, root=str(ROOT), codes=CODES, body=body))
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_reader_ends(workbook, tmp_path, monkeypatch, started, name):
    body, code = BODIES[name]
    # Whoever is to answer may take as long as this machine needs; whoever never does is not waited for.
    seconds = 30.0 if code != "workbook-slow" else 0.5
    if name == "nothing-behind-the-heads":
        seconds = 2.0
    pose(monkeypatch, tmp_path, body)
    with raises_code(InvalidInput, code):
        read(workbook, limits=Limits(child_silence_seconds=seconds))
    (reader,) = started
    assert reader.returncode == -signal.SIGKILL


def test_a_reader_that_ends_before_it_is_told_what_to_read(workbook, tmp_path, monkeypatch):
    """Whatever the node finds first, the pipe that nobody reads or the end of the process, it says why that was."""
    pose(monkeypatch, tmp_path, "os.close(0); heads(); os.kill(os.getpid(), signal.SIGTERM)")
    with raises_code(Unavailable, "reader-ended"):
        read(workbook)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_reader_that_is_ended_from_outside_says_nothing_of_the_workbook(
    workbook, tmp_path, monkeypatch, number
):
    """As a service manager ends all processes of a node at once: the import goes on at the next start."""
    pose(
        monkeypatch,
        tmp_path,
        f"signal.signal({int(number)}, signal.SIG_DFL); os.kill(os.getpid(), {int(number)})",
    )
    with raises_code(Unavailable, "reader-ended"):
        read(workbook)


def test_a_node_that_stops_waits_for_no_reader(workbook, tmp_path, monkeypatch, started):
    pose(monkeypatch, tmp_path, "time.sleep(3600)")
    with raises_code(Unavailable, "stopping"):
        read(workbook, is_stopping=lambda: True)
    assert started[0].returncode == -signal.SIGKILL


class Clock:
    """Goes on by some seconds in each wait; a byte arrives in each."""

    def __init__(self, pipe, seconds):
        self.pipe, self.seconds, self.now = pipe, seconds, 0.0

    def __call__(self):
        os.write(self.pipe, b"x")
        self.now += self.seconds
        return self.now


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_byte_a_minute_is_no_answer(pipe):
    source = BoundedPipe(pipe[0], 9, 72, lambda: False, Clock(pipe[1], 0.2))
    with raises_code(InvalidInput, "workbook-slow"):
        source.read(1_000)


def test_all_waits_together_have_an_end(pipe):
    source = BoundedPipe(pipe[0], 1, 2, lambda: False, Clock(pipe[1], 0.25))
    for _ in range(8):
        assert source.read(2) == b"xx"
    with raises_code(InvalidInput, "workbook-slow"):
        source.read(2)


def test_a_node_that_stood_still_itself_waited_no_longer_for_that(pipe):
    """As in a container that is paused: the process that reads stood still as well."""
    source = BoundedPipe(pipe[0], 900, 7_200, lambda: False, Clock(pipe[1], 86_400))
    assert source.read(4) == b"xxxx"


def test_large_answers_come_whole(tmp_path):
    data = os.urandom(3 * 2**20)
    (tmp_path / "data").write_bytes(data)
    with subprocess.Popen(["cat", str(tmp_path / "data")], stdout=subprocess.PIPE) as process:
        source = BoundedPipe(process.stdout.fileno(), 900, 7_200, lambda: False)
        assert source.read(len(data) - 5) == data[:-5]
        assert source.read(10) == data[-5:]
        assert source.read(1) == b""

# SPDX-License-Identifier: Apache-2.0
"""What commands print and read, whatever a user's file or another's node puts there."""

import pytest

from cli.imports import print_report, tell_waiting
from cli.output import print_table, require_file, require_start
from node.core.texts import title_of
from node.errors import InvalidInput, NotFound
from tests.support.errors import raises_code


@pytest.mark.parametrize("cell", ["[ab]", "[/b]", "[bold]x[/bold]", ":smile:", "云市监罚[2026]1号"])
def test_cells_are_printed_as_they_are(capsys, cell):
    print_table(("a", "b"), [(cell, 1)])
    assert cell in capsys.readouterr().out


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert require_file(path, max_bytes=5) == b"12345"
    with raises_code(InvalidInput, "file-too-large"):
        require_file(path, max_bytes=4)
    assert require_start(path, max_bytes=3) == b"123"
    for read in (require_file, require_start):
        with raises_code(NotFound, "file-missing"):
            read(tmp_path / "y", max_bytes=5)


def test_what_is_there_to_be_copied_stands_on_one_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    print_table(("a", "leaf"), [("x" * 40, "0123456789abcdef" * 4)], fold=False)
    assert "0123456789abcdef" * 4 + "\n" in capsys.readouterr().out


def test_an_import_that_waits_says_why_in_chinese(capsys, monkeypatch):
    monkeypatch.setattr("cli.imports.say", lambda zh, _en: zh)
    tell_waiting({"waiting_code": "chain-not-joined", "waiting": "record.pem holds another key"})
    text = capsys.readouterr().err
    assert (
        f"{title_of('chain-not-joined', 'zh')}（record.pem holds another key） [chain-not-joined]\n" in text
    )
    tell_waiting({"waiting_code": None, "waiting": None})
    assert capsys.readouterr().err == ""


def test_an_import_that_ended_early_says_why_in_chinese(capsys, monkeypatch):
    monkeypatch.setattr("cli.imports.say", lambda zh, _en: zh)
    counts = dict.fromkeys(("read", "accepted", "corrected", "duplicate", "refused", "flagged"), 0)
    job = {
        "error": "no catalogue item",
        "error_code": "item-unknown",
        "file_name": "x.csv",
        "state": "failed",
        "warnings": [],
    }
    print_report({**counts, **job}, [])
    text = capsys.readouterr().out
    assert f"{title_of('item-unknown', 'zh')}（no catalogue item） [item-unknown]" in text

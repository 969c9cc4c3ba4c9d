# SPDX-License-Identifier: Apache-2.0
"""Whoever runs the command in Chinese reads in Chinese what to do about a refused file and about errors."""

import re

import orjson
import pytest

from cli.advice import ADVICE, FILE_ADVICE
from cli.output import reported
from node.errors import Unavailable
from tests.support.project import ROOT


def test_there_is_advice_for_every_reason_to_refuse_a_file():
    page = (ROOT / "docs" / "import.md").read_text()
    table = page.partition("## Refused files")[2].partition("## Refused rows")[0]
    codes = set(re.findall(r"`((?:file|workbook|header|upload|body)-[a-z-]+)`", table))
    assert "file-encoding" in codes
    assert set(FILE_ADVICE) == codes


def test_advice_is_for_errors_that_there_are_and_leads_to_pages_that_there_are():
    titles = set(orjson.loads((ROOT / "node" / "core" / "texts.json").read_bytes()))
    assert set(ADVICE) <= titles
    assert not set(ADVICE) & set(FILE_ADVICE)
    pages = set(re.findall(r"docs/[a-z/-]+\.md", " ".join(ADVICE.values())))
    assert "docs/runbooks/backup.md" in pages
    assert all((ROOT / page).is_file() for page in pages)


def test_advice_is_for_those_who_read_chinese(capsys, monkeypatch):
    monkeypatch.setattr("cli.output.LANGUAGE", "zh")
    with pytest.raises(SystemExit), reported():
        raise Unavailable("store-locked", "the node runs")
    assert capsys.readouterr().err.endswith(f"处理办法：{ADVICE['store-locked']}\n")
    with pytest.raises(SystemExit), reported(as_json=True):
        raise Unavailable("store-locked", "the node runs")
    assert "处理办法" not in "".join(capsys.readouterr())
    monkeypatch.setattr("cli.output.LANGUAGE", "en")
    with pytest.raises(SystemExit), reported():
        raise Unavailable("store-locked", "the node runs")
    assert "处理办法" not in capsys.readouterr().err

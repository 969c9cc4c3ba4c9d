# SPDX-License-Identifier: Apache-2.0
"""Whoever runs the command in Chinese reads in Chinese what to do about a refused file."""

import re

from cli.advice import ADVICE
from tests.support.project import ROOT


def test_there_is_advice_for_every_reason_to_refuse_a_file():
    page = (ROOT / "docs" / "import.md").read_text()
    table = page.partition("## Refused files")[2].partition("## Refused rows")[0]
    codes = set(re.findall(r"`((?:file|workbook|header|upload|body)-[a-z-]+)`", table))
    assert "file-encoding" in codes
    assert set(ADVICE) == codes

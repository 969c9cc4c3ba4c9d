# SPDX-License-Identifier: Apache-2.0
"""Titles of error codes."""

import subprocess
import sys

from node.core.texts import title_of


def test_a_known_code_has_a_title_in_each_language():
    assert title_of("organisation-code-check-digit", "zh") == "组织机构代码校验位不符"
    assert title_of("organisation-code-check-digit", "en") == "organisation code with a wrong check digit"


def test_another_language_gets_english():
    assert title_of("fault", "fr") == title_of("fault", "en")


def test_an_unknown_code_is_named():
    assert title_of("no-such-code", "zh") == "出错：no-such-code"
    assert title_of("no-such-code", "en") == "error: no-such-code"


def test_importing_reads_no_table():
    program = "import node.core.texts as t; assert t._load_titles.cache_info().currsize == 0"
    subprocess.run([sys.executable, "-c", program], check=True)

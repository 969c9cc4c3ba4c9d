# SPDX-License-Identifier: Apache-2.0
"""Which language a run speaks, and which command lines are verified without the rest of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.language import detect, split_language
from cli.verify import parse_plain

VERIFY = ["evidence", "verify"]


@pytest.mark.parametrize(
    ("words", "named", "rest"),
    [
        ("", None, ""),
        ("--lang zh record list", "zh", "record list"),
        ("record list --lang zh", "zh", "record list"),
        ("record --lang=en list", "en", "record list"),
        ("record list --lang", None, "record list --lang"),
        ("--lang fr record list", None, "--lang fr record list"),
        ("--lang=fr --lang zh", "zh", "--lang=fr"),
        ("import -- --lang zh", None, "import -- --lang zh"),
    ],
)
def test_the_language_is_taken_out_wherever_it_stands(words, named, rest):
    assert split_language(words.split()) == (named, rest.split())


@pytest.mark.parametrize(
    ("words", "environment", "language"),
    [
        ("", {}, "en"),
        ("", {"LANG": "zh_CN.UTF-8"}, "zh"),
        ("", {"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ("", {"LANG": "zh_CN.UTF-8", "IRONCAGE_LANG": "en"}, "en"),
        ("", {"LANG": "zh_CN.UTF-8", "IRONCAGE_LANG": "de"}, "zh"),
        ("--lang zh", {"IRONCAGE_LANG": "en"}, "zh"),
    ],
)
def test_option_before_variable_before_locale(words, environment, language):
    assert detect(words.split(), environment) == language


@pytest.mark.parametrize(
    ("words", "places", "policy", "as_json", "brief"),
    [
        ("a --policy p", ["a"], "p", False, False),
        ("--policy=p a b --json", ["a", "b"], "p", True, False),
        ("--json --policy p a", ["a"], "p", True, False),
        ("--brief a --policy p --policy q", ["a"], "q", False, True),
    ],
)
def test_plain_command_lines_are_read_without_a_parser(words, places, policy, as_json, brief):
    wanted = parse_plain(VERIFY + words.split())
    assert wanted == ([Path(place) for place in places], Path(policy), as_json, brief)


@pytest.mark.parametrize(
    "words",
    ["", "a", "--policy p", "a --policy", "a --policy p --help", "a --policy p -x", "-- a --policy p"],
)
def test_what_is_not_plain_goes_to_the_parser(words):
    assert parse_plain(VERIFY + words.split()) is None


def test_other_commands_are_none_of_its_business():
    assert parse_plain(["evidence", "export", "a", "--policy", "p"]) is None
    assert parse_plain(["verify", "evidence", "a", "--policy", "p"]) is None

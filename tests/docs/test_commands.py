# SPDX-License-Identifier: Apache-2.0
"""Every ``ironcage`` command that a page shows is one that the program takes."""

import re

import pytest

from tests.support.commands import block_commands, find_command, inline_commands, shell_lines
from tests.support.project import ROOT, project_files

PAGES = [path for path in project_files(".md") if path.name != "CHANGELOG.md"]


@pytest.fixture(scope="module")
def program():
    import typer

    from cli.app import app

    return typer.main.get_command(app)


def by_page(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=by_page)
def test_commands_in_code_blocks_parse(page, program):
    for words in block_commands(page):
        command, arguments = find_command(program, words)
        assert not hasattr(command, "commands"), f"ironcage {' '.join(words)} names a group"
        context = command.make_context(command.name, arguments)
        assert context.args == []


@pytest.mark.parametrize("page", PAGES, ids=by_page)
def test_commands_in_the_text_exist_with_their_options(page, program):
    for words in inline_commands(page):
        command, rest = find_command(program, [word.strip(",") for word in words])
        options = {name for parameter in command.params for name in parameter.opts}
        for word in rest:
            if word.startswith("-"):
                assert word.partition("=")[0] in options | {"--help"}, words


def test_the_table_of_commands_lists_every_command(program):
    """README names each command, alone or behind a sibling: `ironcage log checkpoint`, `prove`, `anchor`."""
    text = (
        (ROOT / "README.md")
        .read_text(encoding="utf-8")
        .split("## Commands", 1)[1]
        .split("\n\n| exit code", 1)[0]
    )
    listed = set()
    for cell in (line.split("|")[1] for line in text.splitlines() if line.startswith("| `ironcage")):
        group = ""
        for name in re.findall(r"`([a-z -]+)`", cell):
            words = name.removeprefix("ironcage ").split()
            if name.startswith("ironcage "):
                group = words[0]
            listed.add(" ".join(words if name.startswith("ironcage ") else [group, *words]))
    there = set()
    for name, command in program.commands.items():
        there |= {f"{name} {sub}" for sub in command.commands} if hasattr(command, "commands") else {name}
    assert listed == there


def test_both_readmes_show_the_same_commands():
    assert shell_lines(ROOT / "README.md") == shell_lines(ROOT / "README.zh.md")


def test_exit_codes_are_those_of_the_program():
    from cli.output import REFUSED, UNAVAILABLE, USAGE, exit_code_of
    from node.errors import Conflict, InvalidInput, NotFound, Unavailable, Verification

    assert (REFUSED, USAGE, UNAVAILABLE) == (1, 2, 3)
    codes = {
        kind: exit_code_of(kind("a-code", ""))
        for kind in (Conflict, InvalidInput, NotFound, Unavailable, Verification)
    }
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| (\w+) \| [\d, ]+ \| (\d) \|", page, re.MULTILINE))
    assert {kind.__name__: str(code) for kind, code in codes.items()}.items() <= shown.items()

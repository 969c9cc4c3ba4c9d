# SPDX-License-Identifier: Apache-2.0
"""Chinese screens say nothing in English: what is wrong with a command line, and the words of the API."""

import io

import pytest
import typer

from cli import words
from cli.address import detect, split_address
from cli.chain import _ROLES, _STANDING
from cli.subject import DOCUMENTS, parse_document
from cli.usage import run_chinese, translate
from node.ports.members import MemberStatus, Role
from node.service import subjects
from tests.support.real_node import ironcage

CHINESE = {"IRONCAGE_LANG": "zh"}


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("Missing argument 'leaf'.", "缺少参数 leaf。"),
        ("Missing option '--purpose'.", "缺少选项 --purpose。"),
        ("No such command 'recrod'. Did you mean 'record'?", "没有命令 recrod，是否想用 'record'？"),
        ("No such command 'x'.", "没有命令 x。"),
        ("No such option: --lmit (Possible options: --limit)", "没有选项 --lmit，可用：--limit"),
        ("No such option: --leaf", "没有选项 --leaf"),
        (
            "Invalid value for '--limit': Input should be greater than or equal to 1",
            "--limit 的值无效：应不小于 1",
        ),
        ("Option '--home' requires an argument.", "选项 --home 需要一个值。"),
        (r"Missing option '--\1'.", r"缺少选项 --\1。"),
        ("Something new", "Something new"),
    ],
)
def test_messages(english, chinese):
    assert translate(english) == chinese


@pytest.mark.parametrize(
    ("words_given", "said"),
    [
        (["recrod"], "没有命令 recrod"),
        (["record", "show"], "缺少参数 leaf"),
        (["record", "list", "--limit", "0"], "应不小于 1"),
        (["record", "list", "--limit", "x"], "应为整数"),
        (["record", "list", "--lmit", "3"], "没有选项 --lmit，可用：--limit"),
        (["log", "checkpoint", "--log", "foo"], "foo 不在可选值之中"),
        (
            ["subject", "looks", "uscc:91520100MA00000156", "--document", "身份证"],
            "--document 的值无效：身份证 不在可选值之中",
        ),
        (["token", "create", "li"], "缺少选项 --role"),
        (["node", "status", "more"], "多余的参数"),
        (["record", "list", "--home"], "选项 --home 需要一个值"),
    ],
)
def test_wrong_command_lines(words_given, said):
    """Typer's own messages, so that a new version of it that says something else is noticed."""
    done = ironcage(*words_given, environment=CHINESE)
    assert said in done.err.replace("\n", "")
    assert done.code == 2
    for english in ("Missing", "Invalid", "No such", "Error", "Try", "unexpected", "requires", "Usage"):
        assert english not in done.err


def test_help_and_exit_codes():
    done = ironcage("record", "--help", environment=CHINESE)
    assert (done.code, "命令" in done.out, "Commands" in done.out) == (0, True, False)
    assert "用法：ironcage record [选项] 命令 [参数]..." in done.out
    assert ironcage("--version", environment=CHINESE).code == 0
    assert ironcage("node", "status", "--home", "/nowhere", environment=CHINESE).code == 3


def test_words(monkeypatch):
    monkeypatch.setattr(words, "LANGUAGE", "zh")
    assert [words.word(text) for text in ("valid", "anchored", "open", "read-only", "new")] == [
        "有效", "已上链", "公示", "只读", "new"
    ]  # fmt: skip
    monkeypatch.setattr(words, "LANGUAGE", "en")
    assert words.word("valid") == "valid"


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("--url https://n record list", "record list"),
        ("record list --url=https://n --limit 3", "record list --limit 3"),
        ("record --url https://n list", "record list"),
    ],
)
def test_the_address_may_stand_anywhere(line, left):
    assert split_address(line.split()) == ({"--url": "https://n"}, left.split())


@pytest.mark.parametrize(
    "line",
    ["record list --url", "record list --url=", "record list --url --json", "record -- --url https://n"],
)
def test_an_address_without_a_value_is_left_to_be_refused(line):
    assert split_address(line.split()) == ({}, line.split())


def test_the_environment_names_an_address_and_the_line_comes_first():
    environment = {"IRONCAGE_URL": "https://a", "IRONCAGE_TLS_CA": "/ca.pem"}
    assert detect([], environment).url == "https://a"
    assert str(detect([], environment).tls_ca) == "/ca.pem"
    assert detect(["--url", "https://b"], environment).url == "https://b"
    assert detect([], {"IRONCAGE_URL": ""}).url is None


def test_each_standing_and_role_of_a_member_has_a_word():
    assert set(_STANDING) == {status.name.lower() for status in MemberStatus}
    assert set(_ROLES) == {role.name.lower() for role in Role}


def test_a_clerk_names_the_document_by_its_code_or_in_chinese():
    assert sorted(DOCUMENTS.values()) == sorted(subjects.DOCUMENTS)
    assert [parse_document(text) for text in ("passport", "护照")] == ["passport", "passport"]


def test_who_leaves_a_question_gets_no_traceback(capsys, monkeypatch):
    app = typer.Typer()
    app.command()(lambda: typer.confirm("?", err=True))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert run_chinese(app, []) == 1
    assert "已中止。" in capsys.readouterr().err

# SPDX-License-Identifier: Apache-2.0
"""Whoever closes a log is asked first, and told truly whether that can be called off."""

import io
import sys

import pytest

from cli.succeed import ask_to_close
from node.errors import InvalidInput
from node.service.layout import LogKind
from node.service.succession import Stage
from tests.support.errors import raises_code


class Terminal(io.StringIO):
    def isatty(self):
        return True


def stages(*states):
    return [Stage(LogKind.RECORDS, state, "zj.example/m/records/0", bytes(32), 1, None) for state in states]


@pytest.mark.parametrize(("state", "by_vote"), [("announce", False), ("announce", True), ("waiting", True)])
def test_without_a_terminal_nothing_is_closed(monkeypatch, capsys, state, by_vote):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with raises_code(InvalidInput, "succession-not-confirmed"):
        ask_to_close(stages("open", state), by_vote=by_vote)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("state", "by_vote"), [("waiting", False), ("open", True), ("begin", False), ("begin", True)]
)
def test_what_closes_nothing_is_not_asked(monkeypatch, state, by_vote):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    ask_to_close(stages(state), by_vote=by_vote)


@pytest.mark.parametrize(
    ("state", "by_vote", "language", "said", "unsaid"),
    [
        ("announce", False, "en", "can call it off for 24 hours", "at once"),
        ("announce", True, "en", "nobody can call it off", "for 24 hours"),
        ("waiting", True, "en", "nobody can call it off", "for 24 hours"),
        ("announce", False, "zh", "24 小时内可由恢复密钥取消", "立即关闭"),
        ("waiting", True, "zh", "立即关闭", "恢复密钥"),
    ],
)
def test_the_question_tells_what_can_be_called_off(
    monkeypatch, capsys, state, by_vote, language, said, unsaid
):
    monkeypatch.setattr("cli.language.LANGUAGE", language)
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    with raises_code(InvalidInput, "succession-not-confirmed"):
        ask_to_close(stages(state), by_vote=by_vote)
    asked = capsys.readouterr()
    assert said in asked.err
    assert unsaid not in asked.err
    assert asked.out.strip() == "", "what is printed there is the answer, JSON perhaps"
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    ask_to_close(stages(state), by_vote=by_vote)

# SPDX-License-Identifier: Apache-2.0
"""Commands where no node runs: help in both languages, clear errors, and verification that loads nothing it need not."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import typer

from cli.app import app
from cli.verify import parse_plain
from node.evidence.policy import encode_policy
from node.storage.processes import find_start
from tests.support.command_server import ROOT
from tests.support.evidence_world import build_world
from tests.support.real_node import COMMAND, free_port, ironcage, make_home

HEAVY = ("web3", "fastapi", "starlette", "uvicorn", "plyvel", "plyvel_next", "pydantic", "pydantic_settings")
HEAVY += ("structlog", "httpx", "requests", "py_ecc", "eth_abi", "python_calamine", "typer", "rich")
HEAVY += ("asyncio", "http", "multiprocessing", "socket", "ssl")
MOST_MODULES = 260


def commands(group=None, words=()):
    group = group or typer.main.get_command(app)
    for name, command in sorted(group.commands.items()):
        yield (*words, name)
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_command_has_help_in_both_languages(language):
    for words in [(), *commands()]:
        done = ironcage(*words, "--help", environment={"IRONCAGE_LANG": language})
        assert done.code == 0, words
        shown = " ".join(line for line in done.out.splitlines() if "Usage" not in line)
        chinese = sum("\u4e00" <= character <= "\u9fff" for character in shown)
        assert (chinese > 0) == (language == "zh"), f"{words}: {shown}"
        assert words[-1:] == () or words[-1] in done.out


@pytest.mark.parametrize("place", ["before", "behind"])
def test_the_language_can_be_an_option(place):
    words = ("--lang", "zh", "--help") if place == "before" else ("--help", "--lang", "zh")
    assert "数据铁笼" in ironcage(*words).out
    assert "数据铁笼" in ironcage("--help", environment={"IRONCAGE_LANG": "", "LC_ALL": "zh_CN.UTF-8"}).out
    assert "Ironcage" in ironcage("--help", environment={"IRONCAGE_LANG": "", "LC_ALL": "C.UTF-8"}).out
    words = ("record", "list", "--lang", "fr") if place == "behind" else ("--lang", "fr", "record", "list")
    refused = ironcage(*words)
    assert refused.code == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
def test_chinese_is_printed_in_a_locale_that_has_none(evidence, encoding):
    environment = {"IRONCAGE_LANG": "zh", "PYTHONIOENCODING": encoding}
    shown = ironcage("--help", environment=environment, fresh=True)
    assert (shown.code, "数据铁笼" in shown.out) == (0, True), shown
    file, policy = evidence
    verified = ironcage(
        "evidence", "verify", file, "--policy", policy, "--json", environment=environment, fresh=True
    )
    assert (verified.code, verified.json["level"]) == (0, "logged"), verified


def test_what_an_encoding_lacks_is_escaped(evidence, tmp_path):
    """Chinese terminals of old have no Tibetan."""
    missing = tmp_path / "བོད་.csv"
    words = ["evidence", "verify", str(missing), "--policy", str(evidence[1]), "--json"]
    done = subprocess.run(
        [sys.executable, *COMMAND, *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "gbk"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"file-missing" in done.stdout
    assert b"Traceback" not in done.stderr


def test_wrong_usage_is_exit_code_2():
    for words in (
        ("nonsense",),
        ("record", "show"),
        ("log", "prove", "-1"),
        ("log", "prove", "x"),
        ("import",),
    ):
        done = ironcage(*words)
        assert done.code == 2, words
        assert "Traceback" not in done.err


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("home") / "node", 1).home


NEEDS_NODE = (
    ("node", "status"),
    ("import", "README.md", "--item", "penalty:2018"),
    ("record", "list"),
    ("record", "show", "0" * 64, "--purpose", "x"),
    ("record", "withdraw", "0" * 64, "--ground", "x"),
    ("record", "correct", "0" * 64, "--row", "README.md", "--ground", "x"),
    ("evidence", "export", "0" * 64, "--purpose", "x", "--disclose", "CF_WSH"),
    ("log", "checkpoint"),
    ("log", "prove", "0"),
    ("log", "anchor"),
)


@pytest.mark.parametrize("words", NEEDS_NODE, ids=" ".join)
def test_without_a_running_node_a_command_says_how_to_start_it(home, words):
    done = ironcage(*words, home=home)
    assert done.code == 3
    assert "[node-not-running]" in done.err
    assert f"ironcage node run --home {home}" in done.err
    assert done.out == ""
    zh = ironcage(*words, home=home, environment={"IRONCAGE_LANG": "zh"})
    assert "节点未运行" in zh.err


def test_a_node_that_died_is_not_taken_for_a_running_one(home):
    """After kill -9 the run file stays; another program may have its port, and must not get the token."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    run = home / "run"
    run.mkdir(exist_ok=True)
    (run / "node.json").write_text(
        f'{{"pid":{gone.pid},"started":1,"url":"http://127.0.0.1:{free_port()}","v":1}}'
    )
    done = ironcage("node", "status", home=home)
    assert (done.code, "[node-not-running]" in done.err) == (3, True)
    (run / "node.json").write_text(
        f'{{"pid":{os.getpid()},"started":{find_start(os.getpid())},"url":"http://127.0.0.1:{free_port()}","v":1}}'
    )
    away = ironcage("node", "status", home=home)
    assert (away.code, "[node-away]" in away.err) == (3, True)
    (run / "node.json").unlink()


def test_a_home_that_is_none_or_not_ready_is_named(home, tmp_path):
    for words, code in (
        (("log", "fsck"), "config-missing"),
        (("chain", "status"), "config-missing"),
        (("member", "list"), "config-missing"),
        (("node", "run"), "config-missing"),
    ):
        done = ironcage(*words, home=tmp_path)
        assert (done.code, f"[{code}]" in done.err) == (2, True), done
    for words in (("node", "run"), ("log", "fsck"), ("chain", "status")):
        done = ironcage(*words, home=home)
        assert (done.code, "[network-missing]" in done.err) == (2, True), done


def test_the_node_program_without_the_command_line(home, tmp_path):
    for words, code, said in (
        ((), 2, "usage: python -m node HOME"),
        ((tmp_path,), 1, "config-missing: "),
        ((home,), 1, "network-missing: "),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "node", *map(str, words)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        # Before it there may be a warning, as of few open files.
        last = done.stderr.splitlines()[-1]
        assert (done.returncode, last.startswith(said), done.stdout) == (code, True, ""), done


def test_a_wrong_setting_is_named_without_its_value(home):
    config = home / "config.toml"
    before = config.read_text()
    try:
        for line, code in (
            ('workers = "secret"', "config-setting"),
            ("colour = 1", "config-setting"),
            ("=", "config-syntax"),
        ):
            config.write_text(before + line + "\n")
            done = ironcage("log", "fsck", home=home)
            assert (done.code, f"[{code}]" in done.err) == (2, True), done
            assert "secret" not in done.err
    finally:
        config.write_text(before)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """An evidence file and a policy that wants no chain, made without any node."""
    folder = tmp_path_factory.mktemp("evidence")
    world = build_world()
    built = world.export(world.records[-1])
    file, policy = folder / built.name, folder / "policy.json"
    file.write_bytes(built.data)
    policy.write_bytes(encode_policy(world.offline_policy()))
    return file, policy


def test_verification_loads_no_server_no_store_no_network(evidence):
    file, policy = evidence
    code = (
        "import sys; from cli.main import run\n"
        "try: run()\n"
        "except SystemExit as ended: print(ended.code)\n"
        f"print(sorted(set({HEAVY!r}) & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "evidence", "verify", str(file), "--policy", str(policy), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    report, ended, loaded = done.stdout.splitlines()
    assert ended == "0"
    assert '"verdict":"satisfied"' in report
    assert loaded == "[]"


def test_verification_loads_few_modules(evidence):
    """What makes a cold start quick, counted; the time itself is measured by tests/bench."""
    file, policy = evidence
    code = "import sys; from cli.main import run\ntry: run()\nexcept SystemExit: print(len(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code, "evidence", "verify", str(file), "--policy", str(policy), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert 100 < int(done.stdout.splitlines()[-1]) < MOST_MODULES


def without_times(report):
    """Leave out when the report was made, and the ages that follow from it: a second may pass between two reports."""
    return re.sub(r"(?<=验证报告  )\S+|\d+(?= 秒之前)", "-", report)


def test_the_short_way_and_the_long_way_say_the_same(evidence):
    file, policy = evidence
    short = ironcage("--lang=zh", "evidence", "verify", file, f"--policy={policy}")
    # A double dash is nothing that the short way reads.
    long = ironcage("evidence", "verify", "--lang", "zh", "--policy", policy, "--", file)
    assert parse_plain(["evidence", "verify", str(file), f"--policy={policy}"]) is not None
    assert parse_plain(["evidence", "verify", "--policy", str(policy), "--", str(file)]) is None
    assert (short.code, without_times(short.out)) == (long.code, without_times(long.out))
    assert "核验" in short.out or "验证" in short.out
    for words in (("evidence", "verify", file), ("evidence", "verify", "--policy", policy)):
        assert ironcage(*words).code == 2


def test_output_goes_where_it_can_be_written_or_nothing_is_done(home, tmp_path):
    nowhere = tmp_path / "no" / "such" / "folder" / "file"
    for words in (
        ("evidence", "export", "0" * 64, "--purpose", "x", "--disclose", "CF_WSH", "-o", nowhere),
        ("policy", "export", "-o", nowhere),
    ):
        done = ironcage(*words, home=home)
        assert (done.code, "[file-access]" in done.err) == (2, True), done


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_is_no_error(evidence, unbuffered):
    file, policy = evidence
    with subprocess.Popen(
        [sys.executable, *COMMAND, "evidence", "verify", str(file), "--policy", str(policy)],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        program.stdout.close()
        assert program.wait() == 1
        assert program.stderr.read() == b""

# SPDX-License-Identifier: Apache-2.0
"""Nothing of a record stands where it must not: log lines, errors, refusals, lists, the logs, the store's files.

Rows carry marked values, good and bad ones. Everything that the node wrote and answered is searched for the marks, in
every encoding they could have; only what a logged look shows may hold them.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from node.crypto.keyfile import parse_private_key
from node.crypto.keystore import parse_keystore
from node.errors import NodeError
from tests.support.penalty_files import HEADER, csv_text, penalty_row
from tests.support.project import ROOT
from tests.support.real_node import ironcage, real_nodes
from tests.support.rows import PERSON, RESIDENT_ID

NAME, LEADER, NUMBER, FACTS, REMARK = (
    "隐名甲商贸有限公司",
    "隐姓乙",
    "隐字第77123号",
    "隐情丙的经过",
    "隐注丁",
)
PERSON_NAME, CASE, GROUND, QUERY = "隐人戊", "隐案己", "隐由庚", "隐询辛"
BAD_CODE, BAD_DATE, BAD_AMOUNT, BAD_ENUM = "91520100MAQQQQQ123", "2026-77-12", "七七一二三元", "隐类壬"
MARKS = (
    *(NAME, LEADER, NUMBER, FACTS, REMARK, PERSON_NAME, CASE, GROUND, QUERY),
    *(BAD_CODE, BAD_DATE, BAD_AMOUNT, BAD_ENUM, RESIDENT_ID),
)
MARKED = {"CF_XDR_MC": NAME, "CF_FRDB": LEADER, "CF_SY": FACTS, "BZ": REMARK}


def rows():
    yield penalty_row(1, **MARKED, CF_WSH=NUMBER)
    yield penalty_row(2, **MARKED | PERSON | {"CF_XDR_MC": PERSON_NAME})
    yield penalty_row(3, **MARKED, CF_XDR_SHXYM=BAD_CODE)
    yield penalty_row(4, **MARKED, CF_JDRQ=BAD_DATE)
    yield penalty_row(5, **MARKED, CF_NR_FK=BAD_AMOUNT)
    yield penalty_row(6, **MARKED, CF_CFLB=BAD_ENUM)
    yield penalty_row(7, **MARKED | {"BZ": f"{REMARK}{RESIDENT_ID}"})
    yield penalty_row(8, **MARKED | {"CF_FRDB": LEADER * 30})
    # Shifted: every cell behind the name stands one column to the right.
    shifted = penalty_row(9, **MARKED)
    yield [shifted[0], "", *shifted[1:-1]]
    # The first row again with other facts: changed.
    yield penalty_row(1, **MARKED | {"CF_SY": FACTS * 2}, CF_WSH=NUMBER)


def traces(mark):
    """Every form in which a mark could stand somewhere: text, JSON escapes, base64 at any offset."""
    for data in (
        mark.encode(),
        mark.encode("gbk"),
        mark.encode("utf-16-le"),
        json.dumps(mark)[1:-1].encode(),
    ):
        yield data
        for offset in range(3):
            # The characters that do not depend on what stands before or behind.
            text = base64.b64encode(bytes(offset) + data)[4 if offset else 0 : -4]
            if len(text) >= 8:
                yield text
                yield text.replace(b"+", b"-").replace(b"/", b"_")


TRACES = [(mark, trace) for mark in MARKS for trace in traces(mark)]


def marks_in(data):
    return sorted({mark for mark, trace in TRACES if trace in data})


@pytest.fixture(scope="module")
def node(real_chain, tmp_path_factory):
    with real_nodes(real_chain.url, tmp_path_factory.mktemp("privacy")) as (node,):
        yield node.start()


@pytest.fixture(scope="module")
def said(node, tmp_path_factory):
    """Everything that the node answered, and what commands printed, except what a look showed."""
    folder = tmp_path_factory.mktemp("files")
    said = []
    good = folder / "marked.csv"
    good.write_bytes(csv_text(rows()).encode("gbk"))
    quoted = folder / "quoted.csv"
    text = csv_text([penalty_row(20, **MARKED)])
    quoted.write_bytes((text + f'"{NAME},{FACTS}\r\n' + f"{NAME}").encode("gbk"))
    mixed = folder / "mixed.csv"
    mixed.write_bytes(text.encode("gbk") + text.encode() + text.encode())
    lines = folder / "lines.ndjson"
    one = json.dumps(dict(zip(HEADER, penalty_row(30, **MARKED, CF_JDRQ=BAD_DATE), strict=True)))
    lines.write_text(one + "\n" + one[:-30] + "\n" + '{"备注": ["' + NAME + '"]}\n', encoding="utf-8")
    for file in (good, quoted, mixed, lines):
        for arguments in ((), ("--json",), ("--refusals", folder / "refused.csv")):
            done = node.run("import", file, "--item", "penalty:2018", *arguments)
            said += [done.out, done.err]
        if (folder / "refused.csv").exists():
            said.append((folder / "refused.csv").read_text(encoding="utf-8-sig"))
    leaf = node.records(limit=1)[0]["leaf"]
    look = ("--purpose", "own-records", "--case", CASE)
    target = folder / "one.evidence.json"
    shown = node.run("record", "show", leaf, *look)
    assert FACTS in shown.out or PERSON_NAME in shown.out, "the marks reach what may hold them"
    node.anchor()
    exported = node.run("evidence", "export", leaf, "--disclose", "CF_SY", *look, "-o", target)
    said += [exported.out, exported.err]
    row = folder / "row.json"
    for values in ({"CF_SY": FACTS}, {HEADER[0]: NAME, NAME: FACTS}, {"CF_JDRQ": [NAME]}, NAME):
        row.write_text(json.dumps(values), encoding="utf-8")
        done = node.run("record", "correct", leaf, "--row", row, "--ground", GROUND)
        assert done.code != 0
        said += [done.out, done.err]
    for subject in (f"rid:{RESIDENT_ID}", f"uscc:{BAD_CODE}", f"{NAME}:{QUERY}", f"name:{QUERY}", QUERY):
        done = node.run("record", "list", "--subject", subject)
        said += [done.out, done.err]
    said += [
        node.run(*words).out for words in (("record", "list"), ("log", "checkpoint"), ("node", "status"))
    ]
    said += list(answers(node, leaf))
    withdrawn = node.run("record", "withdraw", leaf, "--ground", GROUND)
    return [*said, withdrawn.out]


def answers(node, leaf):
    """Answers of routes, right and wrong ones."""
    with node.client() as client:
        for path in ("/api/v1/node", "/api/v1/imports", "/healthz", "/readyz", "/openapi.json"):
            yield json.dumps(client.get(path), ensure_ascii=False)
        yield client.get_text("/metrics")
        for log in ("records", "access"):
            yield client.get_bytes(f"/log/{log}/0/tile/0/000.p/3").hex()
        for body in (
            {"subject": {"type": "rid", "id": QUERY * 100}},
            {"subject": {"type": QUERY, "id": NAME}},
            {"subject": NAME},
            {NAME: 1},
            {"limit": NAME},
        ):
            yield error_of(client, "/api/v1/records/search", body)
        for body in ({"purpose": [NAME]}, {"purpose": "x", "case": NAME * 100}, {NAME: NAME}):
            yield error_of(client, f"/api/v1/records/{leaf}/show", body)
        yield error_of(client, f"/api/v1/records/{QUERY}/show", {"purpose": "x"})
        yield error_of(client, f"/api/v1/records/{leaf}/evidence", {"purpose": "x", "disclose": [NAME]})
        yield error_of(client, f"/api/v1/imports/{QUERY}", None)
        yield error_of(client, f"/{QUERY}", None)


def error_of(client, path, body):
    with suppress(NodeError):
        client.post(path, body)
        raise AssertionError(f"{path} should be refused")
    try:
        client.post(path, body)
    except NodeError as error:
        return f"{error.code} {error.message}"


def test_answers_and_outputs_hold_none_of_it(said):
    assert len(said) > 50
    for text in said:
        assert marks_in(text.encode()) == [], text[:2000]


def test_log_lines_hold_none_of_it(node, said):
    log = node.log.read_bytes()
    assert b"import ended" in log
    assert marks_in(log) == []


def secrets_of(home):
    """Every secret in the keys directory by its file, as bytes: seeds of keys, passphrase, token."""
    keys = home / "keys"
    passphrase = (keys / "passphrase").read_text().strip()
    found = {name: (keys / name).read_bytes().strip() for name in ("passphrase", "operator.token")}
    for path in keys.glob("*.pem"):
        kind = "ml-dsa-44" if "ml-dsa" in path.name else "ed25519"
        found[path.name] = parse_private_key(kind, path.read_bytes(), passphrase)
    for name in ("operator", "recovery", "wrapping", "index", "exchange"):
        found[f"{name}.json"] = parse_keystore((keys / f"{name}.json").read_bytes(), passphrase)
    return found


def secrets_in(data, secrets):
    """Names of the secrets that stand in data: as they are, in hex, in base64."""
    forms = {
        name: (s, s.hex().encode(), s.hex().upper().encode(), base64.b64encode(s)[:-4])
        for name, s in secrets.items()
    }
    forms = {name: (*f, f[-1].replace(b"+", b"-").replace(b"/", b"_")) for name, f in forms.items()}
    return sorted(name for name, texts in forms.items() if any(text in data for text in texts))


def test_keys_passphrase_and_token_stand_nowhere_else(node, said):
    """Neither in answers, log lines and files, nor where other accounts look: arguments and environment of processes."""
    secrets = secrets_of(node.home)
    assert len(secrets) == 13
    for name, secret in secrets.items():
        assert secrets_in(b"before" + base64.urlsafe_b64encode(secret), secrets) == [name]
    assert [secrets_in(text.encode(), secrets) for text in said if secrets_in(text.encode(), secrets)] == []
    found = {}
    for path in node.home.rglob("*"):
        # The running node replaces files.
        with suppress(FileNotFoundError, IsADirectoryError):
            found[str(path.relative_to(node.home))] = secrets_in(path.read_bytes(), secrets)
    assert {path: names for path, names in found.items() if names} == {
        "keys/passphrase": ["passphrase"],
        "keys/operator.token": ["operator.token"],
    }
    processes = [node.process.pid, *(worker.pid for worker in node.workers())]
    assert len(processes) > 3, "the node, its key process and its workers"
    for pid in processes:
        assert secrets_in(Path(f"/proc/{pid}/cmdline").read_bytes(), secrets) == []
        # That of the key process is closed to its own account, too.
        with suppress(PermissionError):
            assert secrets_in(Path(f"/proc/{pid}/environ").read_bytes(), secrets) == []


def test_no_process_that_holds_keys_leaves_a_core_file(node, said):
    for pid in (node.process.pid, *(worker.pid for worker in node.workers())):
        assert core_limit(Path(f"/proc/{pid}/limits").read_text()) == ["0", "0"]
    asked = subprocess.run(
        [sys.executable, "-c", CORE_OF_A_COMMAND], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert core_limit(asked.stdout) == ["0", "0"]


def core_limit(limits):
    """Soft and hard limit of a process."""
    return next(line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size"))


CORE_OF_A_COMMAND = """
import contextlib, sys
from cli.main import run
sys.argv = ["ironcage", "--version"]
with contextlib.suppress(SystemExit):
    run()
print(open("/proc/self/limits").read())
"""


def test_the_files_of_the_store_hold_none_of_it(node, said):
    node.stop()
    files = [path for path in node.home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".seg" for path in files)
    # Grounds of status changes too are sealed (docs/erasure.md).
    found = {str(path): marks_in(path.read_bytes()) for path in files}
    assert {path: marks for path, marks in found.items() if marks} == {}


def test_a_check_of_the_store_names_places_only(node, said):
    assert marks_in(ironcage("log", "fsck", home=node.home).out.encode()) == []


def test_files_are_for_their_owner_alone(node, said):
    """Whoever else has an account on this machine reads nothing."""
    readable = [path for path in node.home.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    closed = [
        path for path in readable if any(parent.stat().st_mode & 0o077 == 0 for parent in up(path, node.home))
    ]
    assert sorted(path.name for path in set(readable) - set(closed)) == []


def up(path, home):
    for parent in path.parents:
        yield parent
        if parent == home:
            return


def test_the_search_finds_what_is_there():
    """The search itself: a mark is found in each form."""
    for hidden in (
        FACTS.encode("gbk"),
        json.dumps({"x": FACTS}).encode(),
        base64.urlsafe_b64encode(("ab" + FACTS + "c").encode()),
        base64.b64encode(f"{{{FACTS}}}".encode()),
    ):
        assert marks_in(b"before" + hidden) == [FACTS]
    assert marks_in(Path(__file__).read_bytes()) == sorted(set(MARKS) - {RESIDENT_ID})

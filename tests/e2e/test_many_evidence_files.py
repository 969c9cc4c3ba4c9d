# SPDX-License-Identifier: Apache-2.0
"""Verifying many evidence files at once: folders, all cores, one answer for each file and one exit code for all."""

from __future__ import annotations

import json

import pytest

from node.evidence.policy import encode_policy
from tests.support.evidence_world import build_world
from tests.support.real_node import ironcage

COUNT = 150
"""Enough for several processes with several handfuls each."""


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """A folder of evidence files: number 7 changed, number 70 of a record that is no longer in force."""
    folder = tmp_path_factory.mktemp("evidence")
    world = build_world()
    good = world.export(world.records[1]).data
    world.set_status(world.records[2], 1)
    world.append_head()
    world.close_period()
    withdrawn = world.export(world.records[2]).data
    for number in range(COUNT):
        data = withdrawn if number == 70 else good
        if number == 7:
            data = data.replace(b'"index":', b'"indes":') if b'"index":' in data else data[:-9]
        place = folder / ("below" if number % 2 else "") / f"{number:03}.evidence.json"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
    policy = folder / "policy.json"
    policy.write_bytes(encode_policy(world.offline_policy()))
    return folder, policy


def without_time(text):
    return [line for line in text.splitlines() if "seconds ago" not in line and "Evidence report" not in line]


def test_each_file_has_its_answer_in_the_order_of_the_names(evidence):
    folder, policy = evidence
    done = ironcage("evidence", "verify", folder, "--policy", policy, "--json")
    reports = [json.loads(line) for line in done.out.splitlines()]
    files = sorted(folder.rglob("*.evidence.json"))
    assert [report["file"] for report in reports] == [str(file) for file in files]
    refused = {report["file"][-17:-14] for report in reports if report["verdict"] != "satisfied"}
    assert (refused, done.code) == ({"007", "070"}, 1)


def test_many_together_say_what_each_says_alone(evidence):
    folder, policy = evidence
    files = [
        folder / "below" / "007.evidence.json",
        folder / "070.evidence.json",
        folder / "072.evidence.json",
    ]
    together = ironcage("--lang=en", "evidence", "verify", folder, "--policy", policy)
    for file in files:
        alone = ironcage("--lang=en", "evidence", "verify", file, "--policy", policy)
        report = without_time(alone.out)
        lines = without_time(together.out)
        start = lines.index(str(file))
        assert lines[start : start + len(report)] == report
    assert "150 files: 148 satisfied, 2 refused, 0 undecided, 0 not read" in together.out


def test_one_line_a_file(evidence):
    folder, policy = evidence
    done = ironcage("--lang=zh", "evidence", "verify", folder, "--policy", policy, "--brief")
    lines = done.out.splitlines()
    assert len(lines) == COUNT + 1
    assert lines[-1].startswith("共 150 份：采信 148，不予采信 2")
    assert sum("满足策略要求" in line for line in lines) == COUNT - 2


@pytest.mark.parametrize("many", [False, True])
def test_a_file_that_cannot_be_read_does_not_stop_the_others(evidence, tmp_path, many):
    folder, policy = evidence
    good = folder / "072.evidence.json"
    places = [tmp_path / "none.evidence.json", *([folder] if many else [good])]
    done = ironcage("--lang=en", "evidence", "verify", *places, "--policy", policy, "--brief")
    assert done.code == 2
    assert "[file-missing]" in done.out
    assert done.out.splitlines()[-1].endswith(" 1 not read")
    assert sum("SATISFIED" in line for line in done.out.splitlines()) == (COUNT - 2 if many else 1)


def test_a_folder_without_evidence_is_named(evidence, tmp_path):
    _, policy = evidence
    done = ironcage("evidence", "verify", tmp_path, "--policy", policy)
    assert (done.code, "[file-missing]" in done.err, done.out) == (2, True, "")


def test_a_verifier_that_is_killed_is_no_refusal(evidence, monkeypatch, capsys):
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    from cli.verify import Wanted, verify_files

    def die(*_arguments, **_options):
        raise BrokenProcessPool("a child ended")

    monkeypatch.setattr(ProcessPoolExecutor, "map", die)
    folder, policy = evidence
    with pytest.raises(SystemExit) as ended:
        verify_files(Wanted([folder], policy, as_json=False, brief=True))
    assert ended.value.code == 3
    assert "[verifier-killed]" in capsys.readouterr().err

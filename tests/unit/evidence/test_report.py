# SPDX-License-Identifier: Apache-2.0
"""Reports, for programs and for people; and the documentation, which must say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import rfc8785

from node.errors import InvalidInput, Unavailable, Verification
from node.evidence.report import MEANINGS, Verdict, iso_time, printable
from node.evidence.steps import STEPS, Found, NotChecked, Outcome, Refuted, Steps
from node.evidence.verify import verify_evidence
from node.records.status import INVALID
from tests.support.evidence_world import OTHER_MEMBER, VALUES, build_world

DOCS = Path(__file__).parents[3] / "docs" / "evidence.md"
WORLD = build_world()


def report_of(world=WORLD, entry=None, **arguments):
    want = {"policy": world.policy(), "now_seconds": world.chain.time, "chain": world.chain}
    return verify_evidence(world.export(entry or world.records[2]).data, **{**want, **arguments})


EMPTY = verify_evidence(b"", WORLD.policy(), now_seconds=1)
REPORTS = {"all": report_of(), "offline": report_of(policy=WORLD.policy(rpc=None)), "none": EMPTY}


@pytest.mark.parametrize("name", REPORTS)
def test_json_is_canonical_and_its_members_are_always_all_there(name):
    data = REPORTS[name].encode()
    tree = json.loads(data)
    assert data == rfc8785.dumps(tree)
    assert tree.keys() == {
        *("v", "verdict", "satisfied", "checked_at", "level", "demanded", "in_force", "record"),
        *("entry", "interval", "status", "steps", "unmet", "notes"),
    }
    assert tree["demanded"].keys() == {"level", "max_status_age", "max_interval", "require"}
    for step in tree["steps"]:
        assert step.keys() == {"n", "name", "outcome", "advisory", "code", "zh", "en"}
        assert step["outcome"] in {"passed", "failed", "not-checked"}
        assert step["zh"]
        assert step["en"]


def test_the_documentation_lists_the_members_of_the_json_report():
    block = re.search(r"```\n(\{\"v\":1, \"verdict\".*?)```", DOCS.read_text(), re.DOTALL)[1]
    documented = set(re.findall(r"\"([a-z_]+)\"", block)) - {"ed25519", "anchored"}
    tree = json.loads(REPORTS["all"].encode())
    inner = [
        tree,
        tree["demanded"],
        tree["record"],
        tree["entry"],
        tree["interval"],
        tree["status"],
        tree["steps"][0],
    ]
    assert documented - {"passed"} == set().union(*inner) | {"zh", "en"}


def test_the_documentation_lists_the_steps():
    rows = re.findall(r"^\| (\d+) \| `([a-z-]+)` \| (.*) \| (\w*) ?\|$", DOCS.read_text(), re.MULTILINE)
    assert [(int(number), name, level) for number, name, _, level in rows] == [
        (number, kind.name, kind.level.text if kind.level else "") for number, kind in enumerate(STEPS, 1)
    ]
    assert [text.startswith("advisory") for _, _, text, _ in rows] == [kind.advisory for kind in STEPS]


def test_the_documentation_lists_verdicts_and_exit_codes():
    rows = re.findall(r"^\| `(\w+)` \| .* \| (\d)(?:, try again)? \|$", DOCS.read_text(), re.MULTILINE)
    assert {name: int(code) for name, code in rows} == {
        verdict.value: verdict.exit_code for verdict in Verdict
    }


def test_json_of_what_was_found():
    tree = json.loads(REPORTS["all"].encode())
    anchor = WORLD.trees[1].anchor
    assert tree["interval"] == {
        "start": anchor.prev_time,
        "end": anchor.time,
        "start_at": "2026-09-21T14:18:20Z",
        "end_at": "2026-09-21T14:22:30Z",
        "start_block": anchor.prev_block,
        "end_block": anchor.block,
        "proven": True,
    }
    assert tree["status"]["meaning"] == "valid"
    assert tree["status"]["as_of_at"] == "2026-09-21T14:18:20Z"
    assert tree["record"]["disclosed"]["subject"] == {"type": "uscc", "id": OTHER_MEMBER}
    assert (tree["verdict"], tree["satisfied"], tree["level"], tree["in_force"]) == (
        "satisfied",
        True,
        "anchored",
        True,
    )


def test_json_of_nothing():
    tree = json.loads(EMPTY.encode())
    assert [tree[name] for name in ("record", "entry", "interval", "status", "in_force")] == [None] * 5
    assert (tree["level"], tree["verdict"]) == ("none", "refused")


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_text_names_every_step(name, language):
    text = REPORTS[name].render(language)
    for number, kind in enumerate(STEPS, 1):
        title = kind.title.zh if language == "zh" else kind.title.en
        assert re.search(rf"^ +{number} .*{re.escape(title)}", text, re.MULTILINE)


def test_text_for_a_clerk():
    text = REPORTS["all"].render("zh", {"CF_WSH": "行政处罚决定书文号"})
    assert "结论：满足策略要求" in text
    assert "行政处罚决定书文号 CF_WSH：市监罚〔2026〕13号" in text
    assert "CF_NR：罚款人民币伍仟元整" in text
    assert "2026-09-21T14:18:20Z … 2026-09-21T14:22:30Z" in text
    assert "状态：有效，截至 2026-09-21T14:18:20Z，310 秒之前" in text
    english = REPORTS["all"].render("en")
    assert "Verdict: SATISFIED" in english
    assert f"subject (unified social credit code): {OTHER_MEMBER}" in english
    assert "Status: valid, as of 2026-09-21T14:18:20Z, 310 seconds ago" in english


def test_a_withdrawn_record_is_said_to_be_so_in_the_first_lines():
    world = build_world()
    world.set_status(world.records[2], INVALID)
    world.close_period()
    report = report_of(world)
    assert report.render("zh").splitlines()[1:3] == [
        "结论：不予采信：内容真实，但记录现在无效",
        "★ 该记录现在不能作为有效记录使用：已撤回或已被更正取代",
    ]
    assert (
        "*** NOT IN FORCE: withdrawn, or superseded by a correction ***"
        in report.render("en").splitlines()[2]
    )


def test_the_verdict_names_what_failed():
    data = WORLD.export(WORLD.records[2]).data
    broken = data.replace(b'"prev_size":2', b'"prev_size":4', 1)
    report = verify_evidence(broken, WORLD.policy(), now_seconds=WORLD.chain.time, chain=WORLD.chain)
    assert "REFUSED: step 9 failed" in report.render("en")
    assert "第 9 步失败" in report.render("zh")


def test_missing_proof_is_told_from_a_wrong_one():
    text = REPORTS["offline"].render("en")
    assert "nothing is wrong, but less is proven than the policy demands" in text
    assert "not met: level anchored is demanded, logged is reached" in text
    assert "says the file; not checked on the chain" in text


def test_an_unavailable_chain_is_told_from_a_refusal():
    WORLD.chain.fault = Unavailable("rpc-away", "no answer")
    try:
        report = report_of()
    finally:
        WORLD.chain.fault = None
    assert "try again" in report.render("en").splitlines()[1]
    assert "重试" in report.render("zh").splitlines()[1]


def test_unverified_content_is_never_shown():
    text = WORLD.export(WORLD.records[2]).data.decode()
    forged = text.replace("WyJ", "WyK", 1).encode()
    report = verify_evidence(forged, WORLD.policy(), now_seconds=WORLD.chain.time, chain=WORLD.chain)
    for shown in (report.render("zh"), report.encode().decode()):
        assert "市监罚" not in shown
        assert VALUES[4] not in shown


def test_signed_text_cannot_drive_the_terminal():
    world = build_world()
    entry = world.issue(values=("\x1b[2J〔2026〕\u202e1号\n结论：满足", *VALUES[1:]))
    world.close_period()
    report = report_of(world, entry)
    assert report.satisfied
    text = report.render("zh")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert r"\x1b[2J〔2026〕\u202e1号\n结论：满足" in text


def test_printable_keeps_what_people_write():
    assert printable("市监罚〔2026〕12号 café №５") == "市监罚〔2026〕12号 café №５"


def test_times():
    assert iso_time(0) == "1970-01-01T00:00:00Z"
    assert iso_time(253_402_300_799) == "9999-12-31T23:59:59Z"


def test_every_status_value_has_a_meaning():
    assert [name for name, _ in MEANINGS] == ["valid", "withdrawn", "suspended", "repaired"]


class TestSteps:
    def raising(self, error):
        def body():
            raise error

        return body

    def test_outcomes(self):
        steps = Steps()
        assert steps.check("file", lambda: Found(5, "好", "fine")).value == 5
        steps.check("record", self.raising(Verification("some-code", "it is wrong")))
        steps.check("issuer-key", self.raising(Refuted("other-code", "错", "wrong")))
        steps.check("record-signature", self.raising(NotChecked("无", "nothing")))
        steps.check("disclosures", self.raising(Unavailable("rpc-away", "away")))
        assert [step.outcome.value for step in steps.done] == [
            "passed",
            "failed",
            "failed",
            *["not-checked"] * 2,
        ]
        assert [step.code for step in steps.done] == [None, "some-code", "other-code", None, "rpc-away"]
        assert [step.reason.en for step in steps.done][:3] == ["fine", "it is wrong", "wrong"]
        assert (steps.done[2].reason.zh, steps.done[3].reason.zh) == ("错", "无")
        assert steps.retry
        assert [step.number for step in steps.failures()] == [2, 3]

    def test_a_step_cannot_use_what_did_not_pass(self):
        steps = Steps()
        first = steps.check("file", self.raising(InvalidInput("x", "y")))
        second = steps.check("record", lambda: Found(first.value, "", ""))
        assert steps.done[1].outcome is Outcome.NOT_CHECKED
        assert steps.done[1].reason == ("取决于第 1 步", "depends on step 1")
        assert second.find() is None

    def test_the_order_is_fixed(self):
        with pytest.raises(AssertionError):
            Steps().check("record", lambda: Found(1, "", ""))

    def test_faults_of_this_program_are_not_swallowed(self):
        with pytest.raises(ZeroDivisionError):
            Steps().check("file", lambda: Found(1 // 0, "", ""))

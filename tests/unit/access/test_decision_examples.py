# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/protocol/policy.md, one test a row, and the page's list of rules and codes."""

import ast
import re
from pathlib import Path

import pytest

from node.access import decision
from node.access.decision import RULES, Asker, WarrantGiven, decide
from node.errors import InvalidInput
from tests.support.errors import raises_code
from tests.support.project import ROOT
from tests.support.purposes import AT, PENALTY, consent, question

PAGE = (ROOT / "docs" / "protocol" / "policy.md").read_text(encoding="utf-8")


def asker(*roles, status="active"):
    return Asker(question().asker.member, status, frozenset(roles))


HOUSING = {"asker": asker("consumer")}
LICENSING = {
    "asker": asker("issuer"),
    "purpose": "licence-review",
    "basis": "licensing-law-34",
    "asked": {PENALTY: ("CF_FRDB", "CF_WSH")},
}
COURT = {
    "asker": asker("consumer"),
    "purpose": "pre-listing",
    "case": "(2026)浙0106执1号",
    "subject_type": "rid",
    "asked": {PENALTY: ("CF_WSH",)},
}
BUREAU = {
    "asker": asker("issuer"),
    "purpose": "law-enforcement",
    "basis": "penalty-law-54",
    "asked": {PENALTY: ("CF_FR_ZJHM",)},
}
WINDOW = {
    "asker": asker("gateway"),
    "purpose": "window-query",
    "basis": None,
    "case": None,
    "subject_type": "rid",
    "asked": {PENALTY: ("CF_WSH",)},
}
DISCIPLINE = {
    "asker": asker("regulator"),
    "purpose": "discipline-inspection",
    "basis": "supervision-law-18",
    "subject_type": "rid",
    "asked": {PENALTY: ("CF_WSH", "CF_XDR_ZJHM")},
    "warrant": WarrantGiven(question().asker.member, AT + 3600, 5),
}
BUREAU_CONSENT = consent(purpose="law-enforcement", items={PENALTY: frozenset({"CF_FR_ZJHM"})})
USED_CONSENT = consent(purpose="window-query", items={PENALTY: frozenset({"CF_WSH"})}, uses_left=0)

EXAMPLES = [
    (HOUSING, "open-data", None),
    (HOUSING | {"case": None}, "case", "case-required"),
    (HOUSING | {"asked": {PENALTY: ("CF_FRDB", "CF_WSH")}}, "fields", "field-beyond-purpose"),
    (HOUSING | {"subject_type": "rid"}, "subject", "subject-beyond-purpose"),
    (LICENSING, "shared-data", None),
    ({"asker": asker("consumer", status="suspended")}, "member", "member-inactive"),
    ({"asker": asker("auditor")}, "asker", "purpose-role"),
    (COURT | {"basis": "enforcement-publicity"}, "consent", "consent-required"),
    (COURT | {"basis": "civil-procedure-253"}, "law", None),
    (BUREAU, "consent", "consent-required"),
    (BUREAU | {"consent": BUREAU_CONSENT}, "consent", None),
    (WINDOW | {"consent": USED_CONSENT}, "consent", "consent-used-up"),
    (DISCIPLINE, "law", None),
    (HOUSING | {"lines": 51}, "bulk", "approver-required"),
]


def printed_examples():
    rows = PAGE.split("## Examples")[1].split("\n## ")[0].splitlines()
    cells = [row.split("|")[3].strip() for row in rows if row.startswith("|")]
    return cells[2:]


@pytest.mark.parametrize("row", range(len(EXAMPLES)))
def test_example_is_decided_as_printed(row):
    changes, rule, code = EXAMPLES[row]
    decided = decide(question(**changes))
    assert (decided.granted, decided.rule, decided.code) == (code is None, rule, code)
    word, printed = re.match(r"(granted|refused), `([a-z-]+)`", printed_examples()[row]).groups()
    assert (word, printed) == (("granted", rule) if code is None else ("refused", code))


def test_every_printed_example_is_a_test():
    assert len(printed_examples()) == len(EXAMPLES)


def test_the_rules_are_printed_in_their_order_with_every_code_in_its_order():
    table = PAGE.split("## The rules, in their order")[1].split("\n### ")[0]
    printed: dict[str, list[str]] = {}
    for row in table.splitlines():
        cells = [cell.strip() for cell in row.split("|")]
        if len(cells) > 4 and cells[3].startswith("`"):
            rule = cells[2].strip("`") or next(reversed(printed))
            printed.setdefault(rule, []).extend(re.findall(r"`([a-z-]+)`", cells[3]))
    tree = ast.parse(Path(decision.__file__).read_text(encoding="utf-8"))
    in_source = {
        function.name.removeprefix("_check_"): list(dict.fromkeys(_codes(function)))
        for function in tree.body
        if isinstance(function, ast.FunctionDef) and function.name.startswith("_check_")
    }
    assert list(printed) == list(RULES) == list(in_source)
    assert printed == in_source


def _codes(function):
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
    found = [call for call in calls if getattr(call.func, "id", "") == "AccessDenied"]
    return [call.args[0].value for call in sorted(found, key=lambda call: call.lineno)]


def test_a_refusal_shows_nothing_and_repeats_nothing_that_the_asker_made_up():
    secret = "330106199001011234"
    for changes in (
        {"purpose": secret},
        {"basis": secret},
        {"asked": {PENALTY: (secret,)}},
        {"asked": {secret: ()}},
        {"subject_type": secret},
        {"asker": asker(secret)},
        {"case": " ", "officer": secret},
        {"lines": 51, "officer": secret, "approver": secret},
    ):
        decided = decide(question(**changes))
        assert not decided.granted
        assert not decided.fields
        assert decided.fields_of(PENALTY, "open") is None
        assert secret not in f"{decided.rule} {decided.code} {decided.detail}"


def test_a_record_narrower_than_its_item_is_withheld_without_consent_or_law():
    plain = decide(question())
    assert plain.fields_of(PENALTY, "open") == plain.fields_of(PENALTY, "shared") == plain.fields[PENALTY]
    assert plain.fields_of(PENALTY, "authorised") is None
    shown = decide(question(consent=consent()))
    assert shown.rule == "consent"
    assert shown.fields_of(PENALTY, "authorised") == shown.fields[PENALTY]
    lifted = decide(question(**DISCIPLINE))
    assert lifted.fields_of(PENALTY, "authorised") == ("CF_WSH", "CF_XDR_ZJHM")


def test_who_is_known_by_name_only_counts_as_a_person():
    by_name = COURT | {"subject_type": "name", "basis": "enforcement-publicity"}
    assert decide(question(**by_name)).code == "consent-required"
    assert decide(question(**by_name | {"basis": "civil-procedure-253"})).granted


def test_the_number_of_a_persons_records_needs_consent_as_the_records_do():
    alone = COURT | {"basis": "enforcement-publicity", "asked": {PENALTY: ("subject",)}}
    assert decide(question(**alone)).code == "consent-required"
    assert decide(question(asked={PENALTY: ("subject",)})).rule == "open-data"


def test_the_officer_is_limited_at_home_and_the_member_at_the_provider():
    rate = question().rules.purposes["tender-check"].rate
    counts = decision.Counts(officer_hour=rate.officer_hour)
    assert decide(question(counts=counts)).code == "rate-officer"
    assert decide(question(counts=decision.Counts(member_day=rate.member_day))).code == "rate-member"
    last = decision.Counts(rate.member_hour - 1, rate.member_day - 1, rate.officer_hour - 1)
    assert decide(question(counts=last)).granted


@pytest.mark.parametrize(("seconds", "code"), [(-1, "expired"), (0, "expired"), (1, None)])
def test_consent_and_warrant_are_void_from_the_second_of_their_end(seconds, code):
    shown = consent(expires=AT + seconds)
    assert decide(question(consent=shown)).code == (code and f"consent-{code}")
    warrant = WarrantGiven(question().asker.member, AT + seconds, 1)
    assert decide(question(**DISCIPLINE | {"warrant": warrant})).code == (code and f"warrant-{code}")


def test_a_question_is_about_somebody():
    with raises_code(InvalidInput, "question-lines"):
        question(lines=0)

# SPDX-License-Identifier: Apache-2.0
"""What counts as an explained finding of the static analysis; the analysis itself is `make slither`."""

import json

import pytest

from contracts.build import BuildError
from contracts.slither.__main__ import FOLDER, compare, read_report


def finding(impact, check="reentrancy", where="Log.anchor(uint8)"):
    return {"impact": impact, "check": check, "description": f"{where} (src/Log.sol#1-2) does so\n"}


def test_findings_of_high_and_medium_impact_count():
    report = {
        "success": True,
        "results": {"detectors": [finding(i, i) for i in ("High", "Medium", "Low", "Informational")]},
    }
    assert list(read_report(report)) == ["High Log.anchor(uint8)", "Medium Log.anchor(uint8)"]
    assert read_report({"success": True, "results": {}}) == {}


def test_an_analysis_that_broke_off_is_no_clean_one():
    with pytest.raises(BuildError, match="slither failed"):
        read_report({"success": False, "error": "solc"})


def test_both_sides_have_to_agree():
    assert compare({"a b": "a b does so"}, {"a b": "it is meant"}) == []
    assert compare({"a b": "a b does so"}, {}) == ["not explained: a b does so"]
    assert compare({}, {"a b": "it is meant"}) == ["explained, and not there: a b"]


def test_explanations_are_sentences():
    for name, words in json.loads((FOLDER / "explained.json").read_bytes()).items():
        assert " " in name
        assert words.endswith(".")
        assert len(words.split()) > 8

# SPDX-License-Identifier: Apache-2.0
"""Pages that are derived from the program say what the program says."""

import json
import re

import pytest

from node.api.models import EvidenceBody
from tests.docs.write import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_page_is_the_one_that_the_program_gives(name):
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), f"docs/{name}: run `make docs`"


def test_the_body_shown_for_evidence_is_one():
    bodies = re.findall(r"-d '(\{.*?\})'", (DOCS / "api.md").read_text(encoding="utf-8"))
    assert [EvidenceBody(**json.loads(body)).purpose for body in bodies] == ["tender"]

# SPDX-License-Identifier: Apache-2.0
"""Write the pages of docs/ that are derived from the program: ``python -m tests.docs.write``."""

from __future__ import annotations

from pathlib import Path

from tests.docs import api_page, configuration_page, errors_page, worked_record
from tests.supply import licences_page

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {
    "api.md": api_page.build,
    "configuration.md": configuration_page.build,
    "errors.md": errors_page.build,
    "licences.md": licences_page.build,
    "protocol/worked-record.md": worked_record.build,
}

if __name__ == "__main__":
    for name, build in PAGES.items():
        (DOCS / name).write_text(build(), encoding="utf-8")

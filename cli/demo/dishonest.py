# SPDX-License-Identifier: Apache-2.0
"""A node whose administrator changed its program: it asks no other member what they hold of it (``python -m cli.demo.dishonest HOME``).

The program that he got compares its store with what others hold before it signs anything, and would go no further. Of all that a changed
program could do, this is the little that he needs.
"""

from __future__ import annotations

import sys

from node.__main__ import main


def _ask_nobody(_services: object) -> None:
    """Stand in for ``Services.ask_witnesses``."""


if __name__ == "__main__":
    from node.service.services import Services

    # What mypy and ruff know of a method is that nobody puts another one in its place; that is the point here.
    setattr(Services, "ask_witnesses", _ask_nobody)  # noqa: B010
    sys.exit(main(sys.argv[1:]))

# SPDX-License-Identifier: Apache-2.0
"""What the codes of our errors mean, for people, in Chinese and English.

The texts are data (``texts.json``) and are read when the first title is asked for, so that a program which meets
no error does not pay for them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import orjson


def title_of(code: str, language: str) -> str:
    """Return the title of an error code, such as ``组织机构代码校验位不符`` for ``organisation-code-check-digit``.

    A code that the table lacks (another release, another program) is named instead of explained.

    Args:
        code: Stable code of an error; docs/errors.md lists them.
        language: ``zh`` or ``en``; any other language gets English.
    """
    column = "zh" if language == "zh" else "en"
    titles = _load_titles().get(code)
    if titles is None:
        return f"出错：{code}" if column == "zh" else f"error: {code}"
    return titles[column]


@cache
def _load_titles() -> dict[str, dict[str, str]]:
    data: dict[str, dict[str, str]] = orjson.loads(Path(__file__).with_name("texts.json").read_bytes())
    return data

# SPDX-License-Identifier: Apache-2.0
"""Options that say why somebody looks; what they hold goes into the access log."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.language import say

PurposeOption = Annotated[
    str, typer.Option(help=say("查询目的，写入访问日志", "why you look; written into the access log"))
]
BasisOption = Annotated[str | None, typer.Option(help=say("法律依据", "legal basis or duty"))]
CaseOption = Annotated[str | None, typer.Option(help=say("案号", "case number"))]
ApplicationOption = Annotated[
    str | None, typer.Option("--case", help=say("受理号", "number of the application"))
]
"""The case of what is done at the window."""

# SPDX-License-Identifier: Apache-2.0
"""Verify evidence files under a policy: what ``ironcage evidence verify`` does, without the rest of the command line.

Whoever verifies a thousand files in a loop pays the start of the program a thousand times. Therefore ``cli.main``
comes here before it loads Typer, for command lines that :func:`parse_plain` understands; all others, those with a
mistake in them among them, go the usual way and get the usual help.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cli.language import LANGUAGE
from cli.output import print_json, print_line, reported, require_file, require_start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from node.evidence.chain import ChainReader
    from node.evidence.policy import Policy
    from node.evidence.report import Report


class Wanted(NamedTuple):
    """What a command line asks for: files, policy, and whether the reports are JSON."""

    files: list[Path]
    policy: Path
    as_json: bool


def parse_plain(arguments: Sequence[str]) -> Wanted | None:
    """Read a command line ``evidence verify FILE… --policy FILE [--json]`` without a parser; None for any other.

    Args:
        arguments: Words behind the program's name, the language taken out.
    """
    if list(arguments[:2]) != ["evidence", "verify"]:
        return None
    files: list[Path] = []
    policy, as_json = "", False
    words = list(arguments[2:])
    while words:
        word = words.pop(0)
        if word == "--policy" and words:
            policy = words.pop(0)
        elif word.startswith("--policy="):
            policy = word.removeprefix("--policy=")
        elif word == "--json":
            as_json = True
        elif word.startswith("-"):
            return None
        else:
            files.append(Path(word))
    return Wanted(files, Path(policy), as_json) if files and policy else None


def verify_files(wanted: Wanted) -> int:
    """Verify files, print a report on each, and give the exit code: that of the worst."""
    from node.core.clock import SystemClock
    from node.evidence.format import MAX_EVIDENCE_BYTES
    from node.evidence.policy import MAX_POLICY_BYTES, parse_policy
    from node.evidence.verify import verify_evidence

    worst = 0
    with reported(as_json=wanted.as_json):
        policy = parse_policy(require_file(wanted.policy, max_bytes=MAX_POLICY_BYTES))
        with _chain_of(policy) as chain:
            for file in wanted.files:
                # One byte too many is enough for a report that says so, and the next file has its turn.
                data = require_start(file, max_bytes=MAX_EVIDENCE_BYTES + 1)
                report = verify_evidence(data, policy, now_seconds=SystemClock().now_seconds(), chain=chain)
                _print_report(file, report, wanted)
                worst = _worse(worst, report.verdict.exit_code)
    return worst


def _chain_of(policy: Policy) -> AbstractContextManager[ChainReader | None]:
    from contextlib import contextmanager, nullcontext

    rpc = policy.chain.rpc
    if rpc is None:
        return nullcontext(None)

    @contextmanager
    def connect() -> Iterator[ChainReader]:
        from node.chain.reader import RpcChainReader

        with RpcChainReader(rpc) as reader:
            yield reader

    return connect()


def _print_report(file: Path, report: Report, wanted: Wanted) -> None:
    from node.evidence.report import build_report_object

    if wanted.as_json:
        print_json({"file": str(file), **build_report_object(report)})
        return
    labels: dict[str, str] = {}
    if report.record is not None and LANGUAGE == "zh":
        from node.records.catalogue import load_builtin_items

        item = load_builtin_items().get(":".join(report.record.vct.rsplit(":", 2)[-2:]))
        labels = {field.code: field.zh for field in item.fields} if item else {}
    print_line(str(file))
    print_line(report.render("zh" if LANGUAGE == "zh" else "en", labels))


def _worse(one: int, other: int) -> int:
    """Refused outweighs unavailable, which outweighs satisfied."""
    order = (0, 3, 1)
    return max(one, other, key=order.index)

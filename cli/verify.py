# SPDX-License-Identifier: Apache-2.0
"""Verify evidence files under a policy: what ``ironcage evidence verify`` does, without the rest of the command line.

Whoever verifies a thousand files in a loop pays the start of the program a thousand times. Therefore ``cli.main``
comes here before it loads Typer, for command lines that :func:`parse_plain` understands; all others, those with a
mistake in them among them, go the usual way and get the usual help. Many files at once go to all cores (cli.bulk).
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from cli.language import LANGUAGE, say
from cli.output import describe_error, print_line, print_text, reported, require_file, require_start
from node.core.canonical import encode_json
from node.errors import NodeError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from node.evidence.chain import ChainReader
    from node.evidence.policy import Policy
    from node.evidence.report import Language, Report

SUFFIX: Final = ".evidence.json"
_WRONG: Final = 2
_MANY: Final = 64
"""From so many files on it pays to start other processes."""


class Wanted(NamedTuple):
    """What a command line asks for: files and folders, policy, and how to report."""

    places: list[Path]
    policy: Path
    as_json: bool
    brief: bool


class Answer(NamedTuple):
    """What to print about one file, and its exit code: 0, 1 and 3 as a verdict's, 2 when it cannot be read."""

    text: str
    exit_code: int


def parse_plain(arguments: Sequence[str]) -> Wanted | None:
    """Read a command line ``evidence verify PLACE… --policy FILE [--json] [--brief]``; None for any other.

    Args:
        arguments: Words behind the program's name, the language taken out.
    """
    if list(arguments[:2]) != ["evidence", "verify"]:
        return None
    places: list[Path] = []
    policy, as_json, brief = "", False, False
    words = iter(arguments[2:])
    for word in words:
        if word == "--policy":
            policy = next(words, "")
        elif word.startswith("--policy="):
            policy = word.removeprefix("--policy=")
        elif word == "--json":
            as_json = True
        elif word == "--brief":
            brief = True
        elif word.startswith("-"):
            return None
        else:
            places.append(Path(word))
    return Wanted(places, Path(policy), as_json, brief) if places and policy else None


def verify_files(wanted: Wanted) -> int:
    """Verify files, print a report on each in the order of their names, and give the exit code: that of the worst."""
    from node.evidence.policy import MAX_POLICY_BYTES, parse_policy

    with reported(as_json=wanted.as_json):
        policy_data = require_file(wanted.policy, max_bytes=MAX_POLICY_BYTES)
        policy = parse_policy(policy_data)
        files = list(_find_files(wanted.places))
    if len(files) >= _MANY:
        from cli.bulk import answer_all

        with reported(as_json=wanted.as_json):
            return _print_answers(answer_all(files, policy_data, wanted), wanted)
    with open_verifier(policy, wanted) as verifier:
        return _print_answers(map(verifier.answer, files), wanted)


class Verifier:
    """Verifies one file after another under one policy."""

    def __init__(self, policy: Policy, chain: ChainReader | None, wanted: Wanted) -> None:
        """Verify under a policy, with the reader of its chain if it names one."""
        self._policy = policy
        self._chain = chain
        self._wanted = wanted

    def answer(self, file: Path) -> Answer:
        """Verify one file. One that cannot be read has its own answer, and the next has its turn."""
        from node.core.clock import SystemClock
        from node.evidence.format import MAX_EVIDENCE_BYTES
        from node.evidence.verify import verify_evidence

        try:
            # One byte too many is enough for a report that says so.
            data = require_start(file, max_bytes=MAX_EVIDENCE_BYTES + 1)
        except NodeError as error:
            return Answer(describe_error(error, as_json=self._wanted.as_json), _WRONG)
        report = verify_evidence(
            data, self._policy, now_seconds=SystemClock().now_seconds(), chain=self._chain
        )
        return Answer(_describe(file, report, self._wanted), report.verdict.exit_code)


@contextmanager
def open_verifier(policy: Policy, wanted: Wanted) -> Iterator[Verifier]:
    """Connect to the chain that the policy names, if it names one, and verify."""
    rpc = policy.chain.rpc
    if rpc is None:
        yield Verifier(policy, None, wanted)
        return
    from node.chain.reader import RpcChainReader

    with RpcChainReader(rpc) as reader:
        yield Verifier(policy, reader, wanted)


def _find_files(places: Sequence[Path]) -> Iterator[Path]:
    """List files as named, and of each folder all evidence files in it and below.

    Raises:
        NotFound: ``file-missing``, a folder without any.
    """
    for place in places:
        if not place.is_dir():
            yield place
            continue
        inside = sorted(path for path in place.rglob("*" + SUFFIX) if path.is_file())
        if not inside:
            raise NotFound("file-missing", f"{place}: no file in this folder is named *{SUFFIX}")
        yield from inside


def _print_answers(answers: Iterable[Answer], wanted: Wanted) -> int:
    counts = dict.fromkeys((0, 3, 1, _WRONG), 0)
    for answer in answers:
        print_text(answer.text)
        counts[answer.exit_code] += 1
    if sum(counts.values()) > 1 and not wanted.as_json:
        satisfied, undecided, refused, unread = counts.values()
        zh = f"共 {sum(counts.values())} 份：采信 {satisfied}，不予采信 {refused}，暂时无法判断 {undecided}，无法读取 {unread}"
        en = f"{sum(counts.values())} files: {satisfied} satisfied, {refused} refused, {undecided} undecided, {unread} not read"
        print_line(say(zh, en))
    # What cannot be read outweighs refused, which outweighs unavailable, which outweighs satisfied.
    return max((code for code, count in counts.items() if count), key=list(counts).index, default=0)


def _describe(file: Path, report: Report, wanted: Wanted) -> str:
    from node.evidence.report import build_report_object

    if wanted.as_json:
        return encode_json({"file": str(file), **build_report_object(report)}).decode() + "\n"
    language: Language = "zh" if LANGUAGE == "zh" else "en"
    if wanted.brief:
        return f"{file}  {report.render_verdict(language)}\n"
    labels: dict[str, str] = {}
    if report.record is not None and LANGUAGE == "zh":
        from node.records.catalogue import load_builtin_items

        item = load_builtin_items().get(":".join(report.record.vct.rsplit(":", 2)[-2:]))
        labels = {field.code: field.zh for field in item.fields} if item else {}
    return f"{file}\n{report.render(language, labels)}\n"

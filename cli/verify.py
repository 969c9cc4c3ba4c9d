# SPDX-License-Identifier: Apache-2.0
"""Verify evidence files, fork proofs, receipts and files of looks under a policy: ``ironcage evidence verify`` by itself.

Whoever verifies a thousand files in a loop pays the start of the program a thousand times. Therefore ``cli.main``
comes here before it loads Typer, for command lines that :func:`parse_plain` understands; all others, those with a
mistake in them among them, go the usual way and get the usual help. Many files at once go to all cores (cli.bulk).
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
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
    from node.evidence.promises import ReceiptChain
    from node.evidence.report import Language, Report
    from node.evidence.ruling import Ruling

FORK_SUFFIX: Final = ".fork.json"
RECEIPT_SUFFIXES: Final = (".receipt.json", ".receipt")
LOOK_SUFFIX: Final = ".look.json"
SUFFIXES: Final = (".evidence.json", FORK_SUFFIX, LOOK_SUFFIX, *RECEIPT_SUFFIXES)
"""What files are named that a folder is searched for; by its name a file is taken for something else than evidence."""

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

    def __init__(self, policy: Policy, wanted: Wanted, stack: ExitStack) -> None:
        """Verify under a policy; connections to its chain are closed with the stack."""
        self._policy = policy
        self._wanted = wanted
        self._stack = stack
        self._chain: ChainReader | None = None
        self._promises: ReceiptChain | None = None

    def answer(self, file: Path) -> Answer:
        """Verify one file. One that cannot be read has its own answer, and the next has its turn."""
        from node.core.clock import SystemClock
        from node.evidence.format import MAX_EVIDENCE_BYTES

        try:
            # One byte too many is enough for a report that says so.
            data = require_start(file, max_bytes=MAX_EVIDENCE_BYTES + 1)
        except NodeError as error:
            return Answer(describe_error(error, as_json=self._wanted.as_json), _WRONG)
        report = self._verify(file.name, data, SystemClock().now_seconds())
        return Answer(_describe(file, report, self._wanted), report.verdict.exit_code)

    def _verify(self, name: str, data: bytes, now_seconds: int) -> Report | Ruling:
        if name.endswith(FORK_SUFFIX):
            from node.evidence.forks import verify_fork_file

            return verify_fork_file(data, self._policy, now_seconds=now_seconds)
        if name.endswith(LOOK_SUFFIX):
            from node.evidence.looks import verify_look_file

            return verify_look_file(data, self._policy, now_seconds=now_seconds, chain=self._ask())
        if name.endswith(RECEIPT_SUFFIXES):
            from node.evidence.receipts import verify_receipt_file

            promises = self._ask_about_promises()
            return verify_receipt_file(data, self._policy, now_seconds=now_seconds, chain=promises)
        from node.evidence.verify import verify_evidence

        return verify_evidence(data, self._policy, now_seconds=now_seconds, chain=self._ask())

    def _ask(self) -> ChainReader | None:
        """Connect to the chain that the policy names, if it names one, when it is first asked."""
        rpc = self._policy.chain.rpc
        if rpc is not None and self._chain is None:
            from node.chain.reader import RpcChainReader

            self._chain = self._stack.enter_context(RpcChainReader(rpc))
        return self._chain

    def _ask_about_promises(self) -> ReceiptChain | None:
        rpc = self._policy.chain.rpc
        if rpc is not None and self._promises is None:
            from node.chain.promises import RpcReceiptReader

            self._promises = self._stack.enter_context(RpcReceiptReader(rpc))
        return self._promises


@contextmanager
def open_verifier(policy: Policy, wanted: Wanted) -> Iterator[Verifier]:
    """Verify under a policy until the context ends."""
    with ExitStack() as stack:
        yield Verifier(policy, wanted, stack)


def _find_files(places: Sequence[Path]) -> Iterator[Path]:
    """List files as named, and of each folder all evidence files, fork proofs and receipts in it and below.

    Raises:
        NotFound: ``file-missing``, a folder without any.
    """
    for place in places:
        if not place.is_dir():
            yield place
            continue
        inside = sorted(path for path in place.rglob("*") if path.name.endswith(SUFFIXES) and path.is_file())
        if not inside:
            names = ", ".join(f"*{suffix}" for suffix in SUFFIXES)
            raise NotFound("file-missing", f"{place}: no file in this folder is named {names}")
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


def _describe(file: Path, report: Report | Ruling, wanted: Wanted) -> str:
    from node.evidence.report import Report

    if wanted.as_json:
        return encode_json({"file": str(file), **report.build_object()}).decode() + "\n"
    language: Language = "zh" if LANGUAGE == "zh" else "en"
    if wanted.brief:
        return f"{file}  {report.render_verdict(language)}\n"
    if not isinstance(report, Report):
        return f"{file}\n{report.render(language)}\n"
    labels: dict[str, str] = {}
    if report.record is not None and LANGUAGE == "zh":
        from node.records.catalogue import load_builtin_items

        item = load_builtin_items().get(":".join(report.record.vct.rsplit(":", 2)[-2:]))
        labels = {field.code: field.zh for field in item.fields} if item else {}
    return f"{file}\n{report.render(language, labels)}\n"

# SPDX-License-Identifier: Apache-2.0
"""Run an audit: connect to nodes and chain, read, and judge (node.cage)."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from cli.address import ADDRESS
from cli.audit_files import ScratchFiles, read_lines
from cli.home import load_token, require_guarded_url
from cli.language import LANGUAGE, say
from cli.output import require_file
from cli.progress import LiveLine
from node.cage.audit import Audit, Given
from node.chain.auditing import RpcAuditChain
from node.client.api import NodeClient
from node.client.logs import HELD, AccessLogReader, Budget, fetch_access_logs, fetch_receipts
from node.errors import InvalidInput, Unavailable
from node.log.checkpoint import MAX_CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.cage.audit import Report
    from node.cage.walk import Rules
    from node.evidence.policy import Policy

TIMEOUT_SECONDS: Final = 30.0


class Wanted(NamedTuple):
    """What a command line asks for.

    Attributes:
        policy: Whose keys are believed.
        nodes: Address and token file of each.
        rpc: Chain node; None for the policy's.
        receipts: Files of receipts.
        opened: Files of what regulators signed that boxes held.
        checkpoints: Files with one checkpoint each.
        rules: Of the network; the time is taken from the chain.
        keep: Folder for entries that were read, or None.
        openings: Whether to read what events were about, and the receipts that the nodes hold.
    """

    policy: Policy
    nodes: list[tuple[str, Path]]
    rpc: str | None
    receipts: list[Path]
    opened: list[Path]
    checkpoints: list[Path]
    rules: Rules
    keep: Path | None
    openings: bool


def run_audit(wanted: Wanted) -> tuple[Report, list[dict[str, str]]]:
    """Audit, and say which nodes could not be asked at all.

    Raises:
        InvalidInput: ``audit-rpc`` without a chain node, ``audit-log-unknown`` for a node whose log the policy lacks.
        Unavailable: The chain does not answer, or none of the nodes does.
        Verification: ``chain-wrong-chain``.
    """
    rpc = wanted.rpc or wanted.policy.chain.rpc
    if rpc is None:
        raise InvalidInput(
            "audit-rpc", "neither the policy nor --rpc names a chain node: nothing could be proven"
        )
    with ExitStack() as stack:
        line = stack.enter_context(LiveLine())
        chain = stack.enter_context(RpcAuditChain(wanted.policy.chain, rpc))
        chain.check()
        readers, away, clients = _connect(wanted, stack)
        scratch = ScratchFiles(
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ironcage-audit-")))
        )
        stack.callback(scratch.close)
        audited = {reader.origin for reader in readers}
        given = Given(
            read_lines(wanted.receipts),
            [
                require_file(path, max_bytes=MAX_CHECKPOINT).decode("utf-8", "replace")
                for path in wanted.checkpoints
            ],
            complete=not away and _access_logs(wanted.policy) <= audited,
            opened=read_lines(wanted.opened),
            held=fetch_held(clients, away) if wanted.openings else (),
        )
        rules = replace(wanted.rules, now_seconds=chain.now_seconds())
        audit = Audit(readers, chain, wanted.policy, rules, scratch, given, _Teller(line).tell)
        return audit.run(), away


class _Teller:
    """Says now and then how far it has come: the moving line costs more than a bundle of entries."""

    def __init__(self, line: LiveLine) -> None:
        self._line = line

    def tell(self, what: str, done: int, total: int) -> None:
        if what == "pairing":
            self._line.tell(say(f"配对 {done}/{total}", f"pairing {done}/{total}"))
        elif done == total or done % 4_096 == 0:
            self._line.tell(say(f"已读 {what} {done}/{total} 条", f"{what}: {done} of {total} entries read"))


def fetch_held(
    clients: list[tuple[str, NodeClient]], away: list[dict[str, str]], budget: Budget = HELD
) -> Iterator[str]:
    """Fetch what the nodes hold, one after the other; one that does not come to an end is named, and holds up no other."""
    for url, client in clients:
        try:
            yield from fetch_receipts(client, time.monotonic, budget)
        except Unavailable as error:
            away.append({"node": url, "code": error.code})


def _connect(
    wanted: Wanted, stack: ExitStack
) -> tuple[list[AccessLogReader], list[dict[str, str]], list[tuple[str, NodeClient]]]:
    readers: list[AccessLogReader] = []
    clients: list[tuple[str, NodeClient]] = []
    away: list[dict[str, str]] = []
    known = _access_logs(wanted.policy)
    for url, token_file in wanted.nodes:
        require_guarded_url(url)
        client = stack.enter_context(
            NodeClient(
                url,
                load_token(token_file),
                language=LANGUAGE,
                timeout_seconds=TIMEOUT_SECONDS,
                tls_ca=ADDRESS.tls_ca,
            )
        )
        try:
            member, origins = fetch_access_logs(client)
        except Unavailable as error:
            away.append({"node": url, "code": error.code})
            continue
        unknown = [origin for origin in origins if origin not in known]
        if unknown:
            raise InvalidInput(
                "audit-log-unknown",
                f"the policy does not have log {unknown[0]} of the node of {member}: export it again",
            )
        for origin in origins:
            reader = AccessLogReader(client, origin, keep=wanted.keep, openings=wanted.openings)
            stack.callback(reader.close)
            readers.append(reader)
        clients.append((url, client))
    if len({reader.origin for reader in readers}) != len(readers):
        raise InvalidInput("audit-nodes", "two of the addresses are of one node: want each node once")
    if not readers:
        raise Unavailable("node-away", f"none of the {len(wanted.nodes)} nodes answers")
    return readers, away, clients


def _access_logs(policy: Policy) -> set[str]:
    return {log.text for log in policy.logs if log.origin.kind == "access"}

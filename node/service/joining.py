# SPDX-License-Identifier: Apache-2.0
"""Take a node's place on the chain: register the keys that it signs with and open its two logs.

Done once, by the member's own operator key; every step looks first at what the chain has, so it may be cut off and
repeated. A new record or node key follows the one before it. A log's keys never change: others on the chain are those
of another node of this member, and a person has to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.errors import AccessDenied, Conflict
from node.ports import KeyKind, KeyRegistration, MemberStatus
from node.service import layout
from node.service.layout import LogKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.core.types import LogId, MemberCode
    from node.ports import AnchorChain, SignedTransaction
    from node.service.sending import Sender
    from node.service.sequencer import Sequencer


@dataclass(frozen=True, slots=True)
class Joiner:
    """Registers this node with the consortium's contracts.

    Attributes:
        chain: The chain.
        sender: Sends the transactions.
        sequencer: Settles them in the store.
        member: This member.
        keys: The keys that the node signs with.
        log_ids: Its two logs.
        numbers: Succession number of each log.
    """

    chain: AnchorChain
    sender: Sender
    sequencer: Sequencer
    member: MemberCode
    keys: Sequence[KeyRegistration]
    log_ids: Mapping[LogKind, LogId]
    numbers: Mapping[LogKind, int]

    def join(self, *, sleep: Callable[[float], None], timeout_seconds: float = 60.0) -> list[str]:
        """Do whatever of the joining is not done yet.

        Returns:
            What was done, one word a step; empty when the node had joined already.

        Raises:
            AccessDenied: The chain does not know this member, or has suspended it.
            Conflict: The chain has other keys for this member, or refused a step.
            Unavailable: The chain is away; call again.
        """
        found = self.chain.member(self.member)
        if found is None:
            raise AccessDenied("member-unknown", f"member {self.member} is not in the chain's registry")
        self._settle(sleep, timeout_seconds)
        missing = [key for key in self.keys if self._is_missing(key)]
        unopened = [log for log in LogKind if self.chain.log_info(self.log_ids[log]) is None]
        if (missing or unopened) and found.status is not MemberStatus.ACTIVE:
            status = found.status.name.lower()
            raise AccessDenied("member-inactive", f"member {self.member} cannot join: it is {status}")
        done: list[str] = []
        if missing:
            self._send(
                "register-keys", lambda n: self.chain.sign_register_keys(missing, n), sleep, timeout_seconds
            )
            done.append("register-keys")
        for log in unopened:
            self._open(log, sleep, timeout_seconds)
            done.append(f"open-{log.text}-log")
        return done

    def _is_missing(self, key: KeyRegistration) -> bool:
        registered = self.chain.keys(self.member, key.kind)
        if any(period.key == key.key for period in registered):
            return False
        if registered and key.kind not in (KeyKind.RECORD, KeyKind.NODE):
            raise Conflict(
                "key-differs", f"the chain has another {key.kind.name} key for member {self.member}"
            )
        return True

    def _open(self, log: LogKind, sleep: Callable[[float], None], timeout_seconds: float) -> None:
        number = self.numbers[log]
        predecessor = self.chain.last_log(self.member, log.number) if number else None
        self._send(
            "open-log",
            lambda nonce: self.chain.sign_open_log(log.number, number, predecessor, nonce),
            sleep,
            timeout_seconds,
        )

    def _send(
        self,
        purpose: str,
        sign: Callable[[int], SignedTransaction],
        sleep: Callable[[float], None],
        timeout_seconds: float,
    ) -> None:
        self.sender.start(purpose, sign)
        self._settle(sleep, timeout_seconds)

    def _settle(self, sleep: Callable[[float], None], timeout_seconds: float) -> None:
        pending = self.sender.pending()
        if pending is None or pending.purpose == "anchor":
            return
        outcome = self.sender.wait(sleep=sleep, timeout_seconds=timeout_seconds)
        self.sequencer.run(lambda t: t.delete(layout.PENDING_TRANSACTION_KEY), entries=0)
        if outcome.status != 1:
            raise Conflict(
                "joining-reverted", f"the chain refused a step of joining: {outcome.revert_reason}"
            )

# SPDX-License-Identifier: Apache-2.0
"""Take a node's place on the chain: register the keys that it signs with, open its two logs, say where it is reached.

Done once, by the member's own operator key; every step looks first at what the chain has, so it may be cut off and
repeated. A new record, node or exchange key follows the one before it; one that was followed by another is not used again: its
file came from an old copy. A log's keys never change: others on the chain are those of another node of this member, and a person
has to look. Where the node is reached is compared at every start.

A first log that is open on the chain though this store neither had it opened nor knows an anchor of it was opened in another
life of this node, which may have promised entries in it: the store is read-only. Its head file, made at the start of an
empty store, says nothing about that life.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from node.core.encoding import encode_hex
from node.errors import AccessDenied, Conflict
from node.ports import KeyKind, KeyRegistration, MemberStatus
from node.service import layout
from node.service.layout import LogKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.core.types import LogId, MemberCode
    from node.ports import AnchorChain, Endpoint, SignedTransaction
    from node.service.sending import Sender
    from node.service.sequencer import Sequencer
    from node.service.transaction import Transaction

_FILES: Final = {
    KeyKind.RECORD: "record.pem",
    KeyKind.NODE: "node.pem",
    KeyKind.RECORDS_LOG_ED25519: "records-<n>.pem",
    KeyKind.ACCESS_LOG_ED25519: "access-<n>.pem",
    KeyKind.RECORDS_LOG_ML_DSA_44: "records-<n>.ml-dsa.pem",
    KeyKind.ACCESS_LOG_ML_DSA_44: "access-<n>.ml-dsa.pem",
    KeyKind.EXCHANGE: "exchange.json",
}
_PURPOSES = {LogKind.RECORDS: "open-records-log", LogKind.ACCESS: "open-access-log"}


@dataclass(frozen=True, slots=True)
class Joiner:
    """Registers this node with the consortium's contracts.

    Attributes:
        chain: The chain.
        sender: Sends the transactions.
        sequencer: Settles them in the store.
        member: This member.
        operator: Address of the operator key that the node holds.
        keys: The keys that the node signs with.
        log_ids: Its two logs.
        numbers: Succession number of each log.
        endpoint: Where others are to reach the node; None leaves what the chain says as it is.
    """

    chain: AnchorChain
    sender: Sender
    sequencer: Sequencer
    member: MemberCode
    operator: str
    keys: Sequence[KeyRegistration]
    log_ids: Mapping[LogKind, LogId]
    numbers: Mapping[LogKind, int]
    endpoint: Endpoint | None = None

    def join(self, *, sleep: Callable[[float], None], timeout_seconds: float = 60.0) -> list[str]:
        """Do whatever of the joining is not done yet.

        Returns:
            What was done, one word a step; empty when the node had joined already.

        Raises:
            AccessDenied: The chain does not know this member, or has suspended it.
            Conflict: ``operator-differs``, ``key-differs`` or ``key-ended``: a key file is not the one that the chain knows;
                ``joining-reverted``: the chain refused a step, a key of another member's among them;
                ``log-opened-elsewhere``: a log was opened in another life of this node, and the node is read-only from
                here on.
            Unavailable: The chain is away; call again.
        """
        found = self.chain.member(self.member)
        if found is None:
            raise AccessDenied("member-unknown", f"member {self.member} is not in the chain's registry")
        if found.operator != self.operator:
            raise Conflict(
                "operator-differs",
                f"the chain has operator {found.operator} for this member, operator.json holds the key of {self.operator}: "
                "put the right file back, or finish its rotation; nothing can be anchored",
            )
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
            done.append(_PURPOSES[log])
        self._require_own_logs()
        self._note_openings()
        if found.status is MemberStatus.ACTIVE and self._is_elsewhere():
            self._send(
                "set-endpoint",
                lambda nonce: self.chain.sign_set_endpoint(self.endpoint, nonce),
                sleep,
                timeout_seconds,
            )
            done.append("set-endpoint")
        return done

    def _is_elsewhere(self) -> bool:
        """Tell whether the chain says another address of this node than it has; a node without one says nothing."""
        return self.endpoint is not None and self.chain.endpoint(self.member) != self.endpoint

    def _require_own_logs(self) -> None:
        for log in LogKind:
            if self.numbers[log] == 0 and not self.sequencer.run(partial(_is_own, log), entries=0):
                error = Conflict(
                    "log-opened-elsewhere",
                    f"the chain has the {log.text} log of {self.member} open, but this store did not have it opened and "
                    "knows no anchor of it: data and head files were lost. Nothing will be signed on this log; it goes "
                    "on under a successor log",
                )
                self.sequencer.set_read_only(error)
                raise error

    def _note_openings(self) -> None:
        """Keep when each log was opened: the network's limit on the age of an anchor counts from there."""
        noted: dict[bytes, int] = {}
        for log in LogKind:
            head = self.chain.log_head(self.log_ids[log])
            if head is not None and head.i == 0:
                noted[layout.opened_at_key(log, self.numbers[log])] = head.time
        if noted and self.sequencer.read_only is None:
            self.sequencer.run(partial(_note, noted), entries=0)

    def _is_missing(self, key: KeyRegistration) -> bool:
        registered = self.chain.keys(self.member, key.kind)
        known = next((period for period in registered if period.key == key.key), None)
        if known is not None and known.to_block is not None:
            raise Conflict(
                "key-ended",
                f"the {key.kind.name} key of this node ended on the chain with block {known.to_block}: its file is an old "
                "copy. Put the newest one back, or rotate the key",
            )
        if known is not None:
            return False
        if registered and key.kind not in (KeyKind.RECORD, KeyKind.NODE, KeyKind.EXCHANGE):
            raise Conflict(
                "key-differs", f"the chain has another {key.kind.name} key for member {self.member}"
            )
        return True

    def _open(self, log: LogKind, sleep: Callable[[float], None], timeout_seconds: float) -> None:
        number = self.numbers[log]
        predecessor = self.chain.last_log(self.member, log.number) if number else None
        self._send(
            _PURPOSES[log],
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
        opened = [log for log in LogKind if outcome.status == 1 and pending.purpose == _PURPOSES[log]]
        self.sequencer.run(partial(_conclude, opened), entries=0)
        if outcome.status != 1:
            reason = outcome.revert_reason or ""
            files = [
                _FILES[key.kind]
                for key in self.keys
                if reason.startswith(f"KeyInUse(key={encode_hex(key.key)})")
            ]
            raise Conflict(
                "joining-reverted",
                f"the chain refused a step of joining: {reason}"
                + "".join(f"; that key is in {file}: put this member's own file back" for file in files),
            )


def _is_own(log: LogKind, transaction: Transaction) -> bool:
    """Tell whether this store had a first log opened, or was there when it was anchored."""
    return any(
        transaction.get(key) is not None for key in (layout.opened_key(log), layout.anchor_key(log, 1))
    )


def _note(noted: Mapping[bytes, int], transaction: Transaction) -> None:
    for key, at in noted.items():
        if transaction.get(key) is None:
            transaction.put(key, layout.u64(at))


def _conclude(opened: Sequence[LogKind], transaction: Transaction) -> None:
    for log in opened:
        transaction.put(layout.opened_key(log), b"")
    transaction.delete(layout.PENDING_TRANSACTION_KEY)

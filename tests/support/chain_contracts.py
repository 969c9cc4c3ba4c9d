# SPDX-License-Identifier: Apache-2.0
"""What the contracts of the chain in memory keep, and what they do with a transaction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from node.core.encoding import encode_hex, parse_hex
from node.errors import Verification
from node.log.anchor import Anchor
from node.log.merkle import verify_consistency
from node.ports import KeyKind, KeyPeriod, LogInfo, Member, MemberStatus
from tests.support.chain_demands import DemandRules, StoredDemand
from tests.support.chain_votes import RevertError, Votes, VoteState

NO_ID = bytes(32)
OPEN_CALLS = {"answer", "recordDefault"}
"""What the contracts take from anybody; all else from the operator of an active member."""
CLOSE_DELAY_SECONDS = 86_400
KIND_WORDS = {1: "records", 2: "access"}
LOG_KEYS = {
    1: (KeyKind.RECORDS_LOG_ED25519, KeyKind.RECORDS_LOG_ML_DSA_44),
    2: (KeyKind.ACCESS_LOG_ED25519, KeyKind.ACCESS_LOG_ML_DSA_44),
}
DATA_BYTES = {KeyKind.EXCHANGE: 1216, KeyKind.CERTIFICATE: 144}
REASONS = {
    "consistency-old-root": "OldRootMismatch()",
    "consistency-new-root": "NewRootMismatch()",
    "consistency-length": "WrongProofLength()",
}


@dataclass
class LogState:
    info: LogInfo
    opened_time: int
    anchors: list[tuple[Anchor, bytes]] = field(default_factory=list)

    def closed_at(self, time):
        return self.info.closed or (self.info.closes_at is not None and time >= self.info.closes_at)


@dataclass
class State:
    """What the contracts keep; copied for every block so that blocks can go away again."""

    members: dict[str, Member] = field(default_factory=dict)
    keys: dict[tuple[str, int], list[KeyPeriod]] = field(default_factory=dict)
    logs: dict[bytes, LogState] = field(default_factory=dict)
    nonces: dict[str, int] = field(default_factory=dict)
    key_data: dict[bytes, bytes] = field(default_factory=dict)
    votes: VoteState = field(default_factory=VoteState)
    demands: dict[tuple[str, int], StoredDemand] = field(default_factory=dict)


class Contracts:
    """The contracts while one transaction of one account runs."""

    def __init__(self, state, block, tx_hash, domain, sender):
        self.state = state
        self.block = block
        self.tx_hash = tx_hash
        self.domain = domain
        self.anchors = []
        self.code = next((m.code for m in state.members.values() if m.operator == sender), None)
        self.sender = sender

    def run(self, call, args):
        member = self.state.members.get(self.code)
        if member is None or (member.status is not MemberStatus.ACTIVE and call not in OPEN_CALLS):
            raise RevertError(f"NotAuthorised(caller={self.sender})")
        votes = Votes(
            self.state.votes, self.state.members, self.block, self.state.members[self.code], self.sender
        )
        demands = DemandRules(self.state, self.block, RevertError)
        single = {
            "demand": demands.demand,
            "answer": demands.answer,
            "recordDefault": demands.record_default,
            "openLog": self.open_log,
            "closeLog": self.close_log,
            "closeByVote": self.close_by_vote,
            "setEndpoint": votes.set_endpoint,
            "proposeDocument": votes.propose_document,
            "vote": votes.vote,
        }
        if call in single:
            single[call](*args)
            return
        for arguments in args:
            if call == "registerKeys":
                self.register_key(*arguments)
            else:
                self.anchor(*arguments)

    def register_key(self, kind_number, key_hex, data_hex, from_block):
        kind, key, data = KeyKind(kind_number), bytes.fromhex(key_hex), bytes.fromhex(data_hex)
        wrong_digest = bool(data) and hashlib.sha256(data).digest() != key
        if key == NO_ID or len(data) != DATA_BYTES.get(kind, 0) or wrong_digest:
            raise RevertError(f"MalformedKey(kind={kind_number})")
        now = self.block.number
        start = from_block or now
        periods = self.state.keys.setdefault((self.code, kind), [])
        if periods and periods[-1].from_block > now:
            periods.pop()
        if start < now or (periods and start <= periods[-1].from_block):
            raise RevertError(f"WrongBlock(blockNumber={start})")
        if any(period.key == key for others in self.state.keys.values() for period in others):
            raise RevertError(f"KeyInUse(key={encode_hex(key)})")
        if periods:
            periods[-1] = replace(periods[-1], to_block=start)
        periods.append(KeyPeriod(key, start, None))
        self.state.key_data[key] = data

    def close_log(self, log_id_hex):
        log_id = parse_hex(log_id_hex, length=32)
        log = self.state.logs.get(log_id)
        if log is None:
            raise RevertError(f"UnknownLog(logId={log_id_hex})")
        if log.info.member != self.code:
            raise RevertError(f"NotAuthorised(caller={self.sender})")
        if log.closed_at(self.block.time):
            raise RevertError(f"LogIsClosed(logId={log_id_hex})")
        if log.info.closes_at:
            raise RevertError(f"AlreadyClosing(logId={log_id_hex})")
        log.info = replace(log.info, closes_at=self.block.time + CLOSE_DELAY_SECONDS)

    def close_by_vote(self, log_id_hex):
        """A vote of the only governing member is carried out with its proposal; of several it waits for the others."""
        log = self.state.logs.get(parse_hex(log_id_hex, length=32))
        if log is None:
            raise RevertError(f"UnknownLog(logId={log_id_hex})")
        if len(self.state.members) == 1 and not log.closed_at(self.block.time):
            log.info = replace(log.info, closes_at=self.block.time)

    def open_log(self, kind, n, predecessor):
        if kind not in KIND_WORDS:
            raise RevertError(f"UnknownLogKind(kind={kind})")
        last = last_log(self.state, self.code, kind)
        log_id = hashlib.sha256(f"{self.domain}/{self.code}/{KIND_WORDS[kind]}/{n}".encode()).digest()
        want_n = self.state.logs[last].info.n + 1 if last else 0
        if parse_hex(predecessor, length=32) != (last or NO_ID) or n != want_n:
            raise RevertError("WrongSuccession()")
        if last:
            before = self.state.logs[last]
            if not before.closed_at(self.block.time):
                raise RevertError(f"PredecessorOpen(logId={encode_hex(last)})")
            before.info = replace(before.info, successor=log_id)
        now = self.block.number
        ed25519, ml_dsa_44 = (key_at(self.state, self.code, key_kind, now) for key_kind in LOG_KEYS[kind])
        if not ed25519 or not ml_dsa_44:
            raise RevertError("LogKeysMissing()")
        info = LogInfo(self.code, kind, n, last, None, now, None, False, None, ed25519, ml_dsa_44)
        self.state.logs[log_id] = LogState(info, self.block.time)

    def anchor(self, log_id_hex, size, root_hex, proof_hex):
        log_id, root = parse_hex(log_id_hex, length=32), parse_hex(root_hex, length=32)
        log = self.state.logs.get(log_id)
        if log is None:
            raise RevertError(f"UnknownLog(logId={log_id_hex})")
        if log.info.member != self.code:
            raise RevertError(f"NotAuthorised(caller={self.sender})")
        if log.closed_at(self.block.time):
            raise RevertError(f"LogIsClosed(logId={log_id_hex})")
        last = log.anchors[-1][0] if log.anchors else None
        self._check_growth(last, size, root, [bytes.fromhex(node) for node in proof_hex])
        anchor = Anchor(
            i=last.i + 1 if last else 1,
            prev_size=last.size if last else 0,
            prev_block=last.block if last else log.info.opened_block,
            prev_time=last.time if last else log.opened_time,
            size=size,
            root=root,
            block=self.block.number,
            time=self.block.time,
        )
        log.anchors.append((anchor, self.tx_hash))
        self.anchors.append((log_id, anchor))

    def _check_growth(self, last, size, root, proof):
        old_size = last.size if last else 0
        if size <= old_size:
            raise RevertError(f"SizeNotGrown(oldSize={old_size}, newSize={size})")
        if last is None:
            if proof:
                raise RevertError("WrongProofLength()")
            return
        try:
            verify_consistency(last.size, size, last.root, root, proof)
        except Verification as error:
            raise RevertError(REASONS[error.code]) from None


def key_at(state, code, kind, block):
    for period in state.keys.get((code, kind), []):
        if period.from_block <= block and (period.to_block is None or block < period.to_block):
            return period.key
    return None


def last_log(state, code, kind):
    logs = [
        (entry.info.n, log_id)
        for log_id, entry in state.logs.items()
        if (entry.info.member, entry.info.kind) == (code, kind)
    ]
    return max(logs)[1] if logs else None

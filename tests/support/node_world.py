# SPDX-License-Identifier: Apache-2.0
"""A whole node in this process: the real services over a store in memory, a simulated chain and a clock that stands.

Nothing of ours is mocked. What lies outside the services is a fake that implements the same port and can be bent:
the store and the head files fail on demand, workers die, the chain goes away. ``restart`` is what a crash and a new
start leave: new services over the same store, head files and chain.
"""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from hashlib import sha256, shake_256
from itertools import count

from node.core.types import MemberCode
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.hpke import ExchangeKey
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import parse_vkey
from node.crypto.secp256k1 import OperatorKey
from node.crypto.wrap import unwrap_secret
from node.errors import NodeError, NotFound, Unavailable
from node.evidence.policy import Demand, Policy, TrustedChain, TrustedKey, TrustedLog
from node.evidence.verify import verify_evidence
from node.log.checkpoint import parse_origin
from node.ports import Role
from node.records.chunks import encode_chunk
from node.records.record import parse_record
from node.records.sealed import open_values
from node.service.assembly import Keys, Ports, assemble
from node.service.drafting import Purpose
from node.service.fsck.checker import Checker
from node.service.issuing import ChunkIssuer
from node.service.keeping import LocalKeeper
from node.service.layout import LogKind
from node.service.publishing import LogKeys
from node.service.services import Identity
from node.storage.memory import MemoryHeadFiles, MemoryStore
from node.worker.loops import ChainLoop
from tests.support.chain import SimulatedChain
from tests.support.clock import ManualClock
from tests.support.rows import ISSUER, PENALTY, PERMIT, build_row

DOMAIN = "zj.example"
ENTRIES = {LogKind.RECORDS: "records.0/entries", LogKind.ACCESS: "access.0/entries"}
WHY = Purpose(officer="li", purpose="own-records", basis="条例第九条", case="2026-17")
PERIOD_SECONDS = 300
FIRST_ROW = 2
"""Number of the first row below the header."""


def seed_of(*labels):
    """Derive 32 fixed bytes, so that every run makes the same node."""
    return sha256("/".join(map(str, labels)).encode()).digest()


class FixedRandom:
    """Unpredictable enough for tests, the same in every run."""

    def __init__(self, label="random"):
        self._label = label
        self._draws = count()

    def __call__(self, length):
        return shake_256(f"{self._label}/{next(self._draws)}".encode()).digest(length)


class FaultyStore(MemoryStore):
    """A store that fails when told to.

    Attributes:
        commits: Number of commits asked for.
        faults: What happens at a commit, by its number from 0: (error, whether the batch is stored nevertheless).
        on_commit: Called with every batch before it is stored; None for nothing.
        on_secret: Called with the key of every wrapped secret that is read; None for nothing.
        room: How many commits the disk has room for; None while that is no matter.
    """

    def __init__(self):
        super().__init__()
        self.commits = 0
        self.faults = {}
        self.on_commit = None
        self.on_secret = None
        self.room = None

    def fail_next(self, error, *, stored=False):
        self.faults[self.commits] = (error, stored)

    def commit(self, batch):
        self.require_room()
        if self.room is not None:
            self.room -= 1
        number, self.commits = self.commits, self.commits + 1
        error, stored = self.faults.get(number, (None, True))
        if self.on_commit is not None:
            self.on_commit(batch)
        if stored:
            super().commit(batch)
        if error is not None:
            raise error

    def require_room(self):
        if self.room == 0:
            raise Unavailable("store-disk-full", "too little space for the store")

    def get_secret(self, key):
        if self.on_secret is not None:
            self.on_secret(key)
        return super().get_secret(key)

    # What a disk can do to a store behind the back of its program.

    def damage(self, key, value):
        """Put other bytes under a key, or take it away with None."""
        contents = self._contents
        contents.order = None
        if value is None:
            del contents.main[key]
        else:
            contents.main[key] = value

    def damage_secret(self, key, value):
        if value is None:
            del self._contents.secrets[key]
        else:
            self._contents.secrets[key] = value

    def damage_stream(self, stream, offset, mask=1):
        """Flip bits of one byte of a stream."""
        self._contents.streams[stream][offset] ^= mask

    def cut_stream(self, stream, length):
        del self._contents.streams[stream][length:]
        self._contents.lengths[stream] = length

    def copy(self):
        """Give a store with the same content: a backup."""
        twin = FaultyStore()
        contents = self._contents.copy()
        contents.secrets = dict(contents.secrets)
        contents.streams = {name: bytearray(data) for name, data in contents.streams.items()}
        twin._contents = contents
        return twin


class FaultyHeads(MemoryHeadFiles):
    """Head files that fail when told to: ``fault`` is raised once, by the next store.

    Attributes:
        stored: Every head that was made durable, in order.
    """

    def __init__(self):
        super().__init__()
        self.fault = None
        self.stored = []

    def store(self, head):
        if self.fault is not None:
            error, self.fault = self.fault, None
            raise error
        super().store(head)
        self.stored.append(head)

    def forget(self, origin):
        del self._heads[origin]

    def replace(self, head):
        """Put a head in place of any other, as whoever may write the directory could."""
        self._heads[head.origin] = head


class InlineWorkers:
    """Implements ``node.service.importing.Workers`` with the real issuer, in this thread.

    Attributes:
        deaths: How many of the next chunks their worker does not survive.
        before: Called before each chunk is issued; None for nothing.
        tasks: Number of chunks asked for.
    """

    def __init__(self, issuer):
        self._issuer = issuer
        self.deaths = 0
        self.before = None
        self.tasks = 0

    def issue(self, encoded_task):
        self.tasks += 1
        if self.before is not None:
            self.before(self.tasks)
        future = Future()
        if self.deaths:
            self.deaths -= 1
            future.set_exception(BrokenProcessPool("a worker was killed"))
            return future
        try:
            future.set_result(self._issuer.issue(encoded_task))
        except Exception as error:  # noqa: BLE001 - a future carries whatever its work raised
            future.set_exception(error)
        return future


@dataclass
class MemoryRows:
    """An open file; implements ``node.ports.Rows``."""

    header: list
    rows: list
    start_row: int
    chunk_rows: int
    date1904: bool = False
    notes: tuple[str, ...] = ()
    end: NodeError | None = None
    closed: bool = False

    @property
    def chunks(self):
        rows = list(enumerate(self.rows, FIRST_ROW))
        rows = [(number, row) for number, row in rows if number >= self.start_row]
        for at in range(0, len(rows), self.chunk_rows):
            part = rows[at : at + self.chunk_rows]
            yield encode_chunk(part[0][0], [row for _, row in part])
        if self.end is not None:
            raise self.end

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.closed = True


@dataclass
class Uploads:
    """Uploaded files by job id: header, rows, and the error that reading ends with."""

    files: dict = field(default_factory=dict)
    chunk_rows: int = 500
    opened: list = field(default_factory=list)

    def open_file(self, job, item):
        del item
        if job.id not in self.files:
            raise NotFound("upload-gone", f"the file of import {job.id} is gone; import it again")
        header, rows, end = self.files[job.id]
        self.opened.append(MemoryRows(header, rows, job.last_row + 1, self.chunk_rows, end=end))
        return self.opened[-1]


def build_identity(member=ISSUER):
    """Say who the node of a member is."""
    operator = OperatorKey(seed_of(member, "operator"))
    return Identity(
        member=MemberCode(member),
        name_zh="云州市市场监督管理局",
        name_en="Yunzhou Market Regulation",
        domain=DOMAIN,
        chain_id=20260,
        engine="anvil",
        registry="0x" + "4e" * 20,
        contract="0x" + "5a" * 20,
        operator=operator.address,
        anchor_limit_seconds=4 * 3600,
    )


def build_keys(member=ISSUER):
    """Give the keys of a member's node, the same in every run."""
    return Keys(
        record=Ed25519Signer(seed_of(member, "record")),
        node=Ed25519Signer(seed_of(member, "node")),
        logs={
            log: LogKeys(
                Ed25519Signer(seed_of(member, log.text)), MlDsa44Signer(seed_of(member, log.text, "pq"))
            )
            for log in LogKind
        },
        index=seed_of(member, "index"),
        exchange=(ExchangeKey(seed_of(member, "exchange")),),
    )


class ChainEyes:
    """What a verifier sees of the simulated chain; implements ``node.evidence.chain.ChainReader``."""

    def __init__(self, chain):
        self._chain = chain

    def chain_id(self):
        return self._chain.chain_id

    def head_block(self):
        return self._chain.head.number

    def block_hash(self, number):
        return self._chain.blocks[number].hash

    def commitment(self, contract, log_id, i):
        assert contract == build_identity().contract
        return self._chain.client("").commitment(log_id, i)


class NodeWorld:
    """One node and the small world around it. Use as a context manager.

    Args:
        member: USCC of the node's member.
        chain: The chain it shares with others; its own by default.
        depth_blocks: Blocks that make a block of its own chain final.
        items: Catalogue items beside the built-in ones.
        store: An open store instead of one in memory.
        heads: Head files instead of those in memory.
        clock: A clock that stands elsewhere.
        seed: Names the sequence of its random bytes.
        exchanges: What exchanges with other nodes stand on; without it the node neither asks nor answers.
    """

    def __init__(
        self,
        *,
        member=ISSUER,
        chain=None,
        depth_blocks=0,
        items=(),
        store=None,
        heads=None,
        clock=None,
        seed="random",
        exchanges=None,
    ):
        self.clock = clock or ManualClock()
        self.identity = build_identity(member)
        self.keys = build_keys(member)
        self.random = FixedRandom(seed)
        self.wrapping = seed_of(member, "wrapping")
        self.keeper = LocalKeeper(self.wrapping, self.random)
        self.items = {item.key: item for item in (PENALTY, PERMIT, *items)}
        founders = [(self.identity.member, self.identity.operator, Role.ISSUER)]
        self.chain = chain or SimulatedChain(founders, clock=self.clock, depth_blocks=depth_blocks)
        self.store = store or FaultyStore()
        self.heads = heads or FaultyHeads()
        self.uploads = Uploads()
        self.exchanges = exchanges
        self.put_record_key(seed_of(member, "record"))
        self.start()

    def put_record_key(self, seed):
        """Put a record key in place of the one before, as a rotation does; the next start takes it up."""
        self.keys = replace(self.keys, record=Ed25519Signer(seed))
        self.workers = InlineWorkers(
            ChunkIssuer(
                domain=DOMAIN,
                member=self.identity.member,
                record_seed=seed,
                wrap_all=self.keeper.wrap_all,
                index_key=self.keys.index,
                items=self.items,
                random=self.random,
            )
        )

    def start(self):
        """Build the services over what is there."""
        ports = Ports(
            store=self.store,
            heads=self.heads,
            chain=self.chain.client(self.identity.operator),
            keeper=self.keeper,
            workers=self.workers,
            open_file=self.uploads.open_file,
            clock=self.clock,
            random=self.random,
            exchanges=self.exchanges,
        )
        self.services = assemble(self.identity, self.keys, ports, self.items)
        self.loop = ChainLoop(self.services, PERIOD_SECONDS)

    def restart(self):
        """Stop, and start again over the same store, head files and chain."""
        self.services.sequencer.close()
        self.start()

    def close(self):
        self.services.sequencer.close()
        self.store.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    # ---- what a day brings

    def sleep(self, seconds):
        """Let time pass while something waits."""
        self.clock.advance(ms=max(1, int(seconds * 1000)))

    def join(self):
        """Compare with the chain and join it, as the background loop does first."""
        self.loop.prepare()

    def anchor(self):
        """Let a period pass, then publish and anchor both logs."""
        self.clock.advance(seconds=PERIOD_SECONDS)
        return self.services.anchorer.anchor_now(sleep=self.sleep, timeout_seconds=5)

    def upload(self, rows, *, item="penalty:2018", header=None, corrections=False, end=None):
        """Store a file and order its import; the job's id."""
        importer = self.services.importer
        job_id = importer.new_job_id()
        self.uploads.files[job_id] = (header or list(self.items[item].field_codes), rows, end)
        importer.order(
            job_id=job_id,
            item=item,
            file_name="处罚.csv",
            file_digest="00" * 32,
            file_bytes=1,
            officer="wang",
            corrections=corrections,
        )
        return job_id

    def import_rows(self, rows, **options):
        """Import rows and return the ended job."""
        return self.services.importer.run_job(self.upload(rows, **options))

    def import_penalties(self, numbers, **changes):
        """Import clean penalties that differ in their document number."""
        return self.import_rows([penalty(number, **changes) for number in numbers])

    # ---- what a verifier brings

    def policy(self, **demand):
        """Give the policy of a verifier who trusts this member and asks the chain."""
        logs = []
        for text in (self.services.public_keys.logs[log] for log in LogKind):
            ed25519, ml_dsa_44 = map(parse_vkey, text)
            origin = parse_origin(ed25519.name)
            logs.append(TrustedLog(origin, ed25519.name, origin.member, ed25519, ml_dsa_44))
        chain = TrustedChain(
            id=self.identity.chain_id,
            engine=self.identity.engine,
            contract=self.identity.contract,
            block=0,
            hash=self.chain.blocks[0].hash,
            validators=(),
            trusted_until=self.clock.now_seconds() + 31_536_000,
            rpc="http://127.0.0.1:8545",
        )
        key = TrustedKey(self.identity.member, "record", self.keys.record.public, 0, None)
        return Policy(logs=tuple(logs), keys=(key,), chain=chain, demand=Demand(**demand))

    def verify(self, evidence, **demand):
        """Verify evidence as a stranger does, who can ask the chain; the report."""
        now = self.clock.now_seconds()
        return verify_evidence(evidence, self.policy(**demand), now_seconds=now, chain=ChainEyes(self.chain))

    # ---- what a test looks at

    @property
    def records(self):
        return self.services.readers[LogKind.RECORDS]

    @property
    def access(self):
        return self.services.readers[LogKind.ACCESS]

    def lines(self):
        """All records, oldest first, as lists show them."""
        return self.services.records.list_newest(limit=1_000_000)[::-1]

    def leaf(self, place=0):
        """Leaf hash of a record by its place among the records."""
        return self.lines()[place].leaf

    def values_of(self, line):
        """Values of a record by field code, with the node's keys and without a look, as only a test may."""
        row = self.records.row(line.index)
        claims = parse_record(self.records.entry(row)).claims
        secret = unwrap_secret(self.wrapping, self.records.wrapped_secret(line.index), claims.jti)
        vault = self.services.records._vault
        _, values = open_values(
            secret, claims.jti, self.records.values(row)[1 + len(vault._positions(row)) :]
        )
        return dict(zip(vault._codes(claims.vct), values, strict=True))

    def sizes(self):
        """Sizes of the records log and the access log."""
        return self.records.size(), self.access.size()

    def check(self):
        """Run fsck; the findings."""
        return Checker(self.store, self.services.logs, self.heads).run()


def penalty(number, **changes):
    """The cells of a clean penalty with this number in its document number."""
    return build_row({"CF_WSH": f"云市监罚〔2026〕{number}号", **changes})

# SPDX-License-Identifier: Apache-2.0
"""Open or create the store on disk: check everything, then repair what a crash may leave, then hand it out.

Steps, in the order of docs/storage.md (Opening); nothing of a store that is refused is changed.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from node.errors import Conflict, Fatal, NotFound, Unavailable
from node.storage.ahead import SLOTS, emptied, load_ahead
from node.storage.disk import DiskStore, Parts
from node.storage.files import OsFiles
from node.storage.leveldb import MIB, Tuning, open_leveldb
from node.storage.room import describe_failure, is_full, refuse_full
from node.storage.segments import SEGMENT_BYTES, Streams, find_segments
from node.storage.state import (
    FIRST_KEY,
    FORMAT,
    JOURNAL_KEY,
    STATE_KEY,
    STORE_KEY,
    Journal,
    State,
    applied,
    check_identity,
    check_owner,
    decide_journal,
    encode_journal,
    encode_owner,
    encode_state,
    parse_journal,
    parse_state,
)
from node.storage.tornlog import find_unsettled, settle
from node.storage.upgrading import (
    COPY_KEY,
    FORMAT_FILE,
    UPGRADE_KEY,
    Progress,
    check_format_file,
    encode_lengths,
    encode_progress,
    has_copy,
    is_undo_unfinished,
    keep_copy,
    put_copy_back,
    remove_copy,
    write_format_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from node.storage.files import Files
    from node.storage.leveldb import Database, DatabaseSnapshot, OpenDatabase

MAIN_TUNING = Tuning(
    write_buffer_bytes=16 * MIB,
    block_bytes=16 * 1024,
    block_cache_bytes=32 * MIB,
    table_bytes=8 * MIB,
    bloom_bits=10,
    open_tables=800,
)
"""The main database: thousands of small keys a commit, read mostly by exact key."""

SECRETS_TUNING = Tuning(
    write_buffer_bytes=8 * MIB,
    block_bytes=16 * 1024,
    block_cache_bytes=8 * MIB,
    table_bytes=8 * MIB,
    bloom_bits=10,
    open_tables=200,
)
"""The secrets: one small key a record, read by exact key."""

RESERVE_BYTES = 64 * MIB
"""Free space in bytes that a commit leaves alone, so that LevelDB can always write out a memtable."""


def open_store(
    path: str | PathLike[str],
    identity: bytes,
    *,
    create: bool = False,
    upgrade: bool = False,
    before_upgrade: Callable[[DatabaseSnapshot], None] | None = None,
    files: Files | None = None,
    open_database: OpenDatabase = open_leveldb,
    segment_bytes: int = SEGMENT_BYTES,
    reserve_bytes: int = RESERVE_BYTES,
) -> DiskStore:
    """Open the store in directory ``path``.

    Args:
        path: The store's directory; its parent must exist.
        identity: 1 to 200 bytes that name the node: exchange domain and member code. Recorded at creation,
            compared ever after.
        create: Make a new store if there is none; without it a missing store is an error, so that a volume that
            is not mounted is not taken for an empty log.
        upgrade: Take a store of an older format and begin its upgrade; ``node.storage.upgrading.run_steps`` must
            carry it to its end before anything else is done with the store.
        before_upgrade: Shown the main database before an upgrade is begun; what it raises leaves the store as it was.
        files: The operating system; tests pass one that fails.
        open_database: How databases are opened; tests pass one that fails.
        segment_bytes: Size from which on a segment is sealed.
        reserve_bytes: Free space that a commit leaves alone.

    Raises:
        NotFound: ``store-missing``.
        Conflict: ``store-other-node``, ``store-format-newer``, ``store-format-older`` or ``store-undo-unfinished``.
        Unavailable: ``store-locked``, ``store-disk-full`` or ``store-open-failed``.
        Fatal: ``store-main-missing``, ``store-secrets-missing``, ``store-corrupt``, ``store-truncated``,
            ``store-segments``, ``store-main-behind`` or ``store-secrets-behind``; ``store-write-failed`` when the
            repair fails, which opening again repeats.
    """
    check_identity(identity)
    place = _Place(str(Path(path).absolute()), files or OsFiles(), open_database)
    try:
        format_known = _check_formats(place, identity, upgrade=upgrade, check=before_upgrade)
        with ExitStack() as opened:
            main, new = _open_main(place, opened, create=create)
            if new:
                secrets = _finish_creation(place, opened, main, identity)
            else:
                secrets = _open_secrets(place, opened, main, identity, upgrade=upgrade)
            streams = Streams(place.files, f"{place.root}/streams", segment_bytes=segment_bytes)
            state = _recover(place, main, secrets, streams)
            if check_owner(secrets.snapshot().get(STORE_KEY) or b"", identity) < FORMAT:
                # The process that began an upgrade died between its writes to main and to secrets.
                secrets.write([(STORE_KEY, encode_owner(identity))])
            drop_copy = _find_copy(place, main, state)
            if not format_known:
                write_format_file(place.files, place.root)
            opened.pop_all()
        parts = Parts(place.root, place.files, main, secrets, streams)
        return DiskStore(parts, state, reserve_bytes=reserve_bytes, drop_copy=drop_copy)
    except OSError as error:
        if is_full(error):
            raise refuse_full(place.root) from error
        raise Unavailable(
            "store-open-failed", f"the store in {path} cannot be opened: got {error}"
        ) from error
    except Fatal as error:
        # A repair that found no room is repeated by the next opening.
        if error.code == "store-write-failed" and is_full(error.message):
            raise refuse_full(place.root) from error
        raise


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the store is and how to reach it."""

    root: str
    files: Files
    open_database: OpenDatabase

    def has_database(self, name: str) -> bool:
        """Return whether a LevelDB is there, refusing one that LevelDB would take for new and clean away."""
        _, names = self.files.list_dir(f"{self.root}/{name}")
        if "CURRENT" in names:
            return True
        if any(entry.endswith((".ldb", ".sst", ".log")) for entry in names):
            raise Fatal(
                "store-corrupt", f"{self.root}/{name} has lost its file CURRENT; restore all of the store"
            )
        return False

    def has_segments(self) -> bool:
        return any(find_segments(self.files, f"{self.root}/streams"))

    def open(self, opened: ExitStack, name: str, tuning: Tuning) -> Database:
        database = self.open_database(f"{self.root}/{name}", tuning, create=False)
        opened.callback(database.close)
        return database

    def create(self, opened: ExitStack, name: str, tuning: Tuning) -> Database:
        """Make a LevelDB under another name, durable in every file, then give it its own name.

        LevelDB does not sync the first manifest that it writes, so that a power cut could leave one that it cannot read.
        """
        made = f"{self.root}/{name}.new"
        for path in (made, f"{self.root}/{name}"):
            for left in self.files.list_dir(path)[1]:
                self.files.remove(f"{path}/{left}")
        self.files.make_dir(made)
        self.open_database(made, tuning, create=True).close()
        for file in self.files.list_dir(made)[1]:
            descriptor = self.files.open(f"{made}/{file}", write=True)
            try:
                self.files.sync(descriptor)
            finally:
                self.files.close(descriptor)
        self.files.sync_dir(made)
        self.files.rename(made, f"{self.root}/{name}")
        self.files.sync_dir(self.root)
        return self.open(opened, name, tuning)


def _check_formats(
    place: _Place, identity: bytes, *, upgrade: bool, check: Callable[[DatabaseSnapshot], None] | None
) -> bool:
    """Check the format before anything else is opened, begin an upgrade; give whether the format file is right."""
    if is_undo_unfinished(place.files, place.root):
        raise Conflict(
            "store-undo-unfinished",
            f"the databases in {place.root} are half put back: run ironcage node undo-upgrade again",
        )
    format_known = check_format_file(place.files, place.root)
    if upgrade and not format_known and place.has_database("main") and place.has_database("secrets"):
        seq, older = _peek(place, identity, check)
        if older:
            keep_copy(place.files, place.root)
            _begin_upgrade(place, identity, seq)
    return format_known


def _peek(
    place: _Place, identity: bytes, check: Callable[[DatabaseSnapshot], None] | None
) -> tuple[int, bool]:
    """Say which commit is the last one, and whether the format is an older one whose upgrade has to begin."""
    with ExitStack() as opened:
        stored = place.open(opened, "main", MAIN_TUNING).snapshot()
        owner, state = stored.get(STORE_KEY), stored.get(STATE_KEY)
        if owner is None or state is None:
            return 0, False
        older = check_owner(owner, identity) < FORMAT
        if older and check is not None:
            check(stored)
        return parse_state(state).seq, older


def _begin_upgrade(place: _Place, identity: bytes, seq: int) -> None:
    """Mark both databases, main first: an older release refuses the store from then on."""
    with ExitStack() as opened:
        main = place.open(opened, "main", MAIN_TUNING)
        stored = main.snapshot()
        state = parse_state(stored.get(STATE_KEY) or b"")
        if state.seq != seq:
            raise Unavailable("store-locked", "another process has written to the store while it was copied")
        begun = stored.get(UPGRADE_KEY)  # an older release's, which was not finished, goes on as this one's
        if begun is None:
            begun = encode_progress(Progress(check_owner(stored.get(STORE_KEY) or b"", identity), 0, b""))
        owner = encode_owner(identity)
        main.write(
            [
                (STORE_KEY, owner),
                (UPGRADE_KEY, begun),
                (COPY_KEY, encode_lengths(state.lengths)),
            ]
        )
        place.open(opened, "secrets", SECRETS_TUNING).write([(STORE_KEY, owner)])


def _find_copy(place: _Place, main: Database, state: State) -> Callable[[], None] | None:
    """Give what removes the copy of before an upgrade; one that can no longer be put back goes at once."""
    if not has_copy(place.files, place.root):
        return None
    drop = partial(remove_copy, place.files, place.root)
    if main.snapshot().get(COPY_KEY) == encode_lengths(state.lengths):
        return drop
    drop()
    return None


def undo_upgrade(path: str | PathLike[str], identity: bytes) -> None:
    """Put back the databases that an upgrade has copied, for the older release to go on with.

    Raises:
        NotFound: ``store-missing`` or ``upgrade-copy-missing``.
        Conflict: ``upgrade-copy-old`` or ``store-other-node``.
        Unavailable: ``store-locked``; ``store-open-failed``: calling again goes on.
    """
    place = _Place(str(Path(path).absolute()), OsFiles(), open_leveldb)

    def open_main(directory: str) -> Database:
        database = open_leveldb(directory, MAIN_TUNING, create=False)
        try:
            check_owner(database.snapshot().get(STORE_KEY) or b"", identity)
        except BaseException:
            database.close()
            raise
        return database

    if not Path(place.root).is_dir():
        raise NotFound("store-missing", f"there is no store in {place.root}")
    try:
        put_copy_back(place.files, place.root, open_main)
    except OSError as error:
        raise Unavailable(
            "store-open-failed",
            f"the copy in {path} could not be put back: {describe_failure(error)}; run it again",
        ) from error


def _open_main(place: _Place, opened: ExitStack, *, create: bool) -> tuple[Database, bool]:
    """Open the main database, and with it take the lock; also say whether the store has still to be made.

    A new store is made in this order: directories, an empty main database, the database of secrets with its
    owner, the owner in main. Only the last step makes it a store, so that a crash before it leaves something
    that is taken up again.
    """
    has_main = place.has_database("main")
    if not has_main:
        if place.has_database("secrets") or place.has_segments():
            raise Fatal(
                "store-main-missing", f"{place.root} has data but no main database; restore all of it"
            )
        if not create:
            raise NotFound("store-missing", f"there is no store in {place.root}")
        place.files.make_dir(place.root)
        place.files.sync_dir(str(Path(place.root).parent))
        place.files.make_dir(f"{place.root}/streams")
        place.files.sync_dir(place.root)
        main = place.create(opened, "main", MAIN_TUNING)
    else:
        main = place.open(opened, "main", MAIN_TUNING)
    if main.snapshot().get(STORE_KEY) is not None:
        return main, False
    if place.has_segments() or any(main.snapshot().iterate(b"", None, reverse=False)):
        raise Fatal(
            "store-main-missing", f"the main database in {place.root} is not a store's; restore all of it"
        )
    if not create:
        raise NotFound("store-missing", f"the store in {place.root} was never finished; create it")
    return main, True


def _finish_creation(place: _Place, opened: ExitStack, main: Database, identity: bytes) -> Database:
    """Make the database of secrets if it is not there yet, and record the owner in both."""
    make = place.open if place.has_database("secrets") else place.create
    secrets = make(opened, "secrets", SECRETS_TUNING)
    if any(secrets.snapshot().iterate(FIRST_KEY, None, reverse=False)):
        raise Fatal("store-main-missing", f"{place.root} has secrets but no main database; restore all of it")
    owner = encode_owner(identity)
    secrets.write([(STORE_KEY, owner)])
    main.write([(STORE_KEY, owner), (STATE_KEY, encode_state(State(0, 0, {})))])
    return secrets


def _open_secrets(
    place: _Place, opened: ExitStack, main: Database, identity: bytes, *, upgrade: bool
) -> Database:
    """Open the database of secrets of a finished store; both databases must be this node's."""
    stored = main.snapshot()
    found = check_owner(stored.get(STORE_KEY) or b"", identity)
    if not upgrade and (found < FORMAT or stored.get(UPGRADE_KEY) is not None):
        got = f"got format {found}" if found < FORMAT else "its upgrade was begun and not finished"
        raise Conflict(
            "store-format-older",
            f"the store was written by an older release: {got}, want all of it in format {FORMAT}; "
            "run ironcage node upgrade, or start the node, which does the same",
        )
    if found < FORMAT:
        raise Fatal(
            "store-corrupt",
            f"{place.root}/{FORMAT_FILE} says another format than the databases: remove that file",
        )
    if not place.has_database("secrets"):
        raise Fatal("store-secrets-missing", f"{place.root} has no database of secrets; restore all of it")
    secrets = place.open(opened, "secrets", SECRETS_TUNING)
    owner = secrets.snapshot().get(STORE_KEY)
    if owner is None:
        raise Fatal(
            "store-secrets-missing", f"the secrets in {place.root} are not a store's; restore all of it"
        )
    check_owner(owner, identity)
    return secrets


def _recover(place: _Place, main: Database, secrets: Database, streams: Streams) -> State:
    """Check what is stored against the commit point, then cut tails, complete segments and settle the journal.

    Where a log was cut before, now or in a start that did not come to its end, all that goes is kept beside it: the head
    files, which tell whether that commit was acknowledged after all, are asked later.
    """
    stored_state = main.snapshot().get(STATE_KEY)
    if stored_state is None:
        raise Fatal("store-corrupt", "the main database has lost its state; restore all of the store")
    state = parse_state(stored_state)
    stored_journal = secrets.snapshot().get(JOURNAL_KEY)
    journal = None if stored_journal is None else parse_journal(stored_journal)
    changes = decide_journal(state, journal)
    ahead = load_ahead(main.snapshot(), state.lengths)
    streams.load(state.lengths, ahead)

    discarded = journal is not None and journal.seq != state.secrets_seq
    unsettled = find_unsettled(Path(place.root))
    if unsettled is not None:
        journals = [] if stored_journal is None or not discarded else [("secrets-journal", stored_journal)]
        settle(unsettled, chain(streams.tails(), journals))
    streams.cut()
    if ahead:
        streams.complete(ahead)
        main.write(emptied(range(SLOTS)))
    if journal is not None and (changes or discarded):
        secrets.write([*applied(changes), (JOURNAL_KEY, encode_journal(Journal(state.secrets_seq, [])))])
    return state

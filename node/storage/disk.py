# SPDX-License-Identifier: Apache-2.0
"""The store on disk: two LevelDBs and segment files, one commit point.

Commit order (docs/storage.md classifies every failure):

1. check names, sizes and free space; nothing is written yet;
2. append to segments, sync the directories of new ones, and sync the segments unless the bytes are few;
3. one synced write to ``secrets``: apply the journal entry of the last such commit, set the new one;
4. one synced write to ``main``: the caller's changes, the new state, and the few bytes (node.storage.ahead), or that
   no segment lacks any more what was written ahead before; **the commit point**;
5. publish the new state to readers.

A failure in 2 to 4 poisons the store: what reached the disk is known only after opening it again, which takes the
state at the commit point as truth and removes whatever is not in it.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from node.errors import Fatal, InvalidInput, NodeError, Unavailable
from node.storage.ahead import MAX_BYTES, SLOTS, emptied, encode_ahead, slot_key
from node.storage.gate import Gate
from node.storage.leveldb import MIB
from node.storage.reading import DiskSnapshot, View, ViewReads
from node.storage.room import describe_failure
from node.storage.segments import check_append
from node.storage.state import (
    FORMAT,
    JOURNAL_KEY,
    STATE_KEY,
    Journal,
    State,
    applied,
    encode_journal,
    encode_state,
)
from node.storage.tornlog import remove_kept_secrets
from node.storage.upgrading import UPGRADE_KEY, parse_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from node.ports import Batch
    from node.storage.files import Files
    from node.storage.leveldb import Database
    from node.storage.segments import Streams
    from node.storage.upgrading import Progress


_PURGE_ROUNDS: Final = 3
_MERGE_BYTES: Final = 25 * 8 * MIB
"""What LevelDB may write in one merge before it removes the tables that went into it: 25 tables at most."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a store on disk consists of, once everything is checked and repaired.

    Attributes:
        path: The store's directory.
        files: The operating system.
        main: The main database.
        secrets: The database of secrets, its journal empty.
        streams: The streams, their tails cut.
    """

    path: str
    files: Files
    main: Database
    secrets: Database
    streams: Streams


class DiskStore(ViewReads):
    """Implement ``node.ports.Store`` on a directory; made by ``node.storage.opening.open_store`` only.

    One thread at a time commits (others wait); any number of threads read meanwhile.

    Args:
        parts: What it consists of.
        state: What is committed.
        reserve_bytes: Free space that a commit leaves alone.
        drop_copy: Removes the copy of before an upgrade, again after an OSError; None when there is none.
    """

    format = FORMAT

    def __init__(
        self, parts: Parts, state: State, *, reserve_bytes: int, drop_copy: Callable[[], None] | None = None
    ) -> None:
        super().__init__(Gate(), parts.streams, None)
        self._path = parts.path
        self._files = parts.files
        self._main = parts.main
        self._secrets = parts.secrets
        self._reserve_bytes = reserve_bytes
        self._writer = threading.Lock()
        self._poisoned = False
        self._drop_copy = drop_copy
        self._copy_gone = False
        self._slots_taken = 0
        self._views: WeakSet[View] = WeakSet()
        self._publish(state, ())

    def commit(self, batch: Batch) -> None:
        """Make a batch durable and visible, whole.

        Raises:
            InvalidInput: ``store-stream`` or ``store-batch-size``; nothing was written.
            Unavailable: ``store-disk-full`` or ``store-closed``; nothing was written.
            Fatal: ``store-commit-failed``, outcome unknown until the store is opened again; ``store-poisoned``
                when an earlier commit failed.
        """
        with self._writer, self._inside():
            self._check_sound()
            appends = {name: b"".join(pieces) for name, pieces in batch.appends.items()}
            for name, data in appends.items():
                check_append(name, len(data))
            appends = {name: data for name, data in appends.items() if data}
            if not (appends or batch.changes or batch.secret_changes):
                return
            self._check_space(sum(map(len, appends.values())))
            with self._poisoned_unless_done():
                self._write(batch, appends)
            if appends and not self._copy_gone:
                self._copy_gone = self._remove_copy()

    def _remove_copy(self) -> bool:
        """Remove the copy of before an upgrade, which cannot be put back any more; say whether none is left.

        What a power cut tore off the database of secrets (node.storage.tornlog) is such a copy, too.
        """
        try:
            remove_kept_secrets(Path(self._path))
            if self._drop_copy is not None:
                self._drop_copy()
        except OSError:
            return False
        self._drop_copy = None
        return True

    def find_upgrade(self) -> Progress | None:
        """Find the upgrade under way; ``node.storage.upgrading.run_steps`` goes on with it."""
        with self._inside():
            stored = self._current().main.get(UPGRADE_KEY)
        return None if stored is None else parse_progress(stored)

    def _write(self, batch: Batch, appends: Mapping[str, bytes]) -> None:
        """Carry out steps 2 to 5."""
        seq = self._state.seq + 1
        lengths, secrets_seq, journaled = self._state.lengths, self._state.secrets_seq, self._journaled
        slots, slots_taken = self._append(appends)
        if appends:
            lengths = {**lengths, **self._streams.lengths(appends)}
        if batch.secret_changes:
            entry = encode_journal(Journal(seq, batch.secret_changes))
            self._secrets.write([*applied(journaled), (JOURNAL_KEY, entry)])
            secrets_seq, journaled = seq, batch.secret_changes
        state = State(seq, secrets_seq, lengths)
        self._main.write(chain(batch.changes, slots, [(STATE_KEY, encode_state(state))]))
        self._slots_taken = slots_taken
        self._publish(state, journaled)

    def _append(self, appends: Mapping[str, bytes]) -> tuple[Sequence[tuple[bytes, bytes | None]], int]:
        """Carry out step 2; give what step 4 does to the slots, and how many are taken behind it."""
        taken = self._slots_taken
        if not appends:
            return (), taken
        size = sum(map(len, appends.values()))
        if taken == SLOTS or size > MAX_BYTES or any(map(self._streams.needs_segment, appends)):
            self._streams.append(appends)
            self._streams.sync()
            return emptied(range(taken)), 0
        ahead = encode_ahead(appends, self._state.lengths)
        self._streams.append(appends)
        return [(slot_key(taken), ahead)], taken + 1

    def _publish(self, state: State, journaled: Sequence[tuple[bytes, bytes | None]]) -> None:
        self._state = state
        self._journaled = journaled
        self._view = View(self._main.snapshot(), self._secrets.snapshot(), dict(journaled), state.lengths)
        self._views.add(self._view)

    def snapshot(self) -> DiskSnapshot:
        """Return the last acknowledged state."""
        with self._inside():
            return DiskSnapshot(self._gate, self._streams, self._current())

    def purge(self, ranges: Sequence[tuple[bytes, bytes]] = (), secrets: Sequence[bytes] = ()) -> bool:
        """Have LevelDB write the tables anew that still hold what was deleted or replaced.

        In each round the markers of deletion, which are written first, overlap every table that holds one of these
        keys, so that it is merged with what hides the old value. The first round can leave the old value and its
        deletion together in one table that nothing was merged with; the second merges that one. The third lets
        LevelDB drop files that a read held open while the second went on. So an older state that somebody reads in either
        of the last two leaves the outcome open. A copy of before an upgrade holds the secrets as well, and goes with them.

        Raises:
            InvalidInput: ``store-purge``: a secret is not deleted.
            Unavailable: ``store-closed``, or ``store-disk-full``: too little space to write tables anew.
            Fatal: ``store-commit-failed`` or ``store-poisoned``.
        """
        unread: list[bool] = []
        for _ in range(_PURGE_ROUNDS):
            with self._writer, self._inside():
                self._check_sound()
                self._check_space(_MERGE_BYTES)
                self._mark(ranges, secrets)
                unread.append(set(self._views) <= {self._view})
            keys = [*(key for key, _ in applied([(key, None) for key in secrets])), JOURNAL_KEY]
            rewritten = [(self._main, *bounds) for bounds in ranges] + [
                (self._secrets, key, key) for key in keys
            ]
            for database, first, last in rewritten:
                # One by one: whoever closes the store waits for one of them, not for all.
                with self._inside():
                    database.compact(first, last)
        with self._writer:
            gone = not secrets or self._remove_copy()
        return gone and all(unread[-2:])

    def _mark(self, ranges: Sequence[tuple[bytes, bytes]], secrets: Sequence[bytes]) -> None:
        """Empty the journal and write the markers that a compaction has to merge."""
        if any(self.get_secret(key) is not None for key in secrets):
            raise InvalidInput("store-purge", "a secret that is to be purged is not deleted")
        with self._poisoned_unless_done():
            entry = encode_journal(Journal(self._state.secrets_seq, []))
            gone: list[tuple[bytes, bytes | None]] = [(key, None) for key in secrets]
            self._secrets.write([*applied(self._journaled), *applied(gone), (JOURNAL_KEY, entry)])
            if ranges:
                self._main.write((bound, None) for pair in ranges for bound in pair)
            self._publish(self._state, ())

    def close(self) -> None:
        """Wait for calls in flight, then release everything; a second call does nothing."""
        if self._gate.shut():
            self._view = None
            if self._slots_taken and not self._poisoned:
                with suppress(OSError, NodeError):  # opening completes what is not done here
                    self._streams.sync()
                    self._main.write(emptied(range(self._slots_taken)))
            self._streams.close()
            self._secrets.close()
            self._main.close()

    @contextmanager
    def _inside(self) -> Iterator[None]:
        self._gate.enter()
        try:
            yield
        finally:
            self._gate.leave()

    def _check_sound(self) -> None:
        if self._poisoned:
            raise Fatal(
                "store-poisoned",
                "an earlier commit failed and its outcome is unknown: got another commit, want a restart",
            )

    def require_room(self) -> None:
        """Implement :meth:`node.ports.store.Store.require_room`."""
        self._check_space(0)

    def _check_space(self, new_bytes: int) -> None:
        try:
            free = self._files.free_bytes(self._path)
        except OSError as error:
            raise Unavailable(
                "store-disk-full", f"the free space of the store is unknown: got {error.strerror}"
            ) from error
        if free < new_bytes + self._reserve_bytes:
            raise Unavailable(
                "store-disk-full",
                f"too little space for the store: got {free} bytes free, want {new_bytes + self._reserve_bytes}, "
                f"of which {self._reserve_bytes} are a reserve",
            )

    @contextmanager
    def _poisoned_unless_done(self) -> Iterator[None]:
        """Leave the store poisoned when the block does not reach its end, however it is left."""
        self._poisoned = True
        try:
            yield
        except (OSError, NodeError) as error:
            reason = describe_failure(error if isinstance(error, OSError) else str(error))
            raise Fatal(
                "store-commit-failed",
                f"a commit failed and its outcome is unknown until the store is opened again: {reason}",
            ) from error
        self._poisoned = False

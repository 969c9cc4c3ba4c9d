# SPDX-License-Identifier: Apache-2.0
"""Streams: byte strings that only grow, kept in segment files.

A stream is a directory of files named by the stream offset of their first byte. Three words:

* **committed**: bytes below the length that the store's main database names; only these exist.
* **tail**: bytes behind it, left by a commit that did not happen; cut off before the stream is used again.
* **sealed**: a segment that another one follows; it never changes.

Of the committed bytes the last ones may be written ahead (node.storage.ahead): a power cut can take them from the segment.

Who knows the committed length is the store; this module is told.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.errors import Fatal, InvalidInput, Unavailable
from node.storage.files import read_up_to, write_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from node.storage.ahead import Piece
    from node.storage.files import Files

SEGMENT_BYTES = 1024 * 1024 * 1024
"""Size in bytes from which on a segment is sealed by the next commit."""

MAX_APPEND_BYTES = 256 * 1024 * 1024
"""Most bytes that one commit may append to one stream; a longer tail was not left by a crash."""

OPEN_SEGMENTS = 128
"""Segments kept open for reading, over all streams."""

MAX_NAME = 100
"""Longest name of a stream in characters."""

_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*(/[a-z0-9-]+(\.[a-z0-9-]+)*){0,3}")
_SEGMENT = re.compile(r"([0-9]{20})\.seg")


def check_stream_name(name: str) -> None:
    """Check that ``name`` can name a stream: one to four parts of ``[a-z0-9.-]``, joined by slashes.

    Raises:
        InvalidInput: ``store-stream``.
    """
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise InvalidInput("store-stream", f"unusable stream name: got {name[:MAX_NAME]!a}")


def check_append(name: str, length: int) -> None:
    """Check that one commit may append ``length`` bytes to the stream ``name``.

    Raises:
        InvalidInput: ``store-stream`` or ``store-batch-size``.
    """
    check_stream_name(name)
    if length > MAX_APPEND_BYTES:
        raise InvalidInput(
            "store-batch-size",
            f"too much for one commit of stream {name}: got {length} bytes, want at most {MAX_APPEND_BYTES}",
        )


class _OpenSegment:
    """A segment open for reading; the descriptor lives until the last reader has let go of this object."""

    __slots__ = ("_files", "descriptor")

    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self.descriptor = -1
        self.descriptor = files.open(path, write=False)

    def __del__(self) -> None:
        if self.descriptor >= 0:
            self._files.close(self.descriptor)


class _OpenSegments:
    """The segments open for reading, the least recently read one dropped first."""

    def __init__(self, files: Files, capacity: int) -> None:
        self._files = files
        self._capacity = capacity
        self._lock = threading.Lock()
        self._by_path: OrderedDict[str, _OpenSegment] = OrderedDict()

    def get(self, path: str) -> _OpenSegment:
        with self._lock:
            segment = self._by_path.get(path)
            if segment is not None:
                self._by_path.move_to_end(path)
                return segment
            segment = self._by_path[path] = _OpenSegment(self._files, path)
            if len(self._by_path) > self._capacity:
                self._by_path.popitem(last=False)
            return segment

    def clear(self) -> None:
        with self._lock:
            self._by_path.clear()


@dataclass(slots=True)
class _Stream:
    """One stream: where its segments begin, and the one that is being written.

    Attributes:
        path: Its directory.
        starts: Offset of the first byte of each segment, ascending; grows only.
        end: Length in bytes including the running commit.
        writing: Descriptor of the last segment, -1 while it is not open for writing.
        unsynced: Whether something was written to the last segment since it was synced.
    """

    path: str
    starts: list[int]
    end: int
    writing: int = -1
    unsynced: bool = False

    def segment_path(self, start: int) -> str:
        return f"{self.path}/{start:020d}.seg"


class Streams:
    """All streams of a store; one thread appends, any number of threads read.

    Args:
        files: The operating system.
        root: Directory of all streams; it exists.
        segment_bytes: Size from which on a segment is sealed.
    """

    def __init__(self, files: Files, root: str, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._files = files
        self._root = root
        self._segment_bytes = segment_bytes
        self._open = _OpenSegments(files, OPEN_SEGMENTS)
        self._streams: dict[str, _Stream] = {}
        self._known_dirs: set[str] = {root}
        self._tails: list[tuple[_Stream, list[int], list[int]]] = []

    # -- opening ------------------------------------------------------------------------------------------------

    def load(self, lengths: Mapping[str, int], ahead: Sequence[Piece] = ()) -> None:
        """Find all segments and check that they hold every committed byte; change nothing.

        Args:
            lengths: Committed length of every stream in bytes, from the commit point.
            ahead: What was written ahead, which segments may lack: checked against ``lengths``.

        Raises:
            Fatal: ``store-truncated`` when committed bytes are missing, ``store-segments`` when segments do not
                join, ``store-main-behind`` when more lies behind the committed length than one commit can write.
            OSError: The system refused.
        """
        found = dict(find_segments(self._files, self._root))
        synced = dict(lengths)
        for piece in reversed(ahead):
            synced[piece.stream] = piece.offset
        for name in sorted(set(found) | set(lengths)):
            path = f"{self._root}/{name}"
            starts = found.get(name, [])
            sizes = [self._files.size(f"{path}/{start:020d}.seg") for start in starts]
            stream = _Stream(path, starts, lengths.get(name, 0))
            _check_segments(stream, sizes, synced.get(name, 0))
            self._streams[name] = stream
            self._tails.append((stream, starts, sizes))
            self._known_dirs.add(path)

    def tails(self) -> Iterator[tuple[str, bytes]]:
        """Yield every tail that :meth:`load` found, each under the name of its stream and its offset there.

        Raises:
            OSError: The system refused.
        """
        for stream, starts, sizes in self._tails:
            name = stream.path.removeprefix(f"{self._root}/").replace("/", "-")
            for start, size in zip(starts, sizes, strict=True):
                first = max(stream.end, start)
                if start + size > first:
                    yield f"{name}-{first}", self._read_file(stream.segment_path(start), first - start, size)

    def _read_file(self, path: str, offset: int, end: int) -> bytes:
        descriptor = self._files.open(path, write=False)
        try:
            return read_up_to(self._files, descriptor, end - offset, offset)
        finally:
            self._files.close(descriptor)

    def cut(self) -> None:
        """Remove every tail that :meth:`load` found, durably.

        Raises:
            OSError: The system refused; opening again repeats the cut.
        """
        for stream, starts, sizes in self._tails:
            changed = False
            kept = []
            for start, size in zip(starts, sizes, strict=True):
                if start >= stream.end:
                    self._files.remove(stream.segment_path(start))
                    changed = True
                    continue
                kept.append(start)
                if start + size > stream.end:
                    self._files.truncate(stream.segment_path(start), stream.end - start)
            stream.starts = kept
            if changed:
                self._files.sync_dir(stream.path)
        self._tails = []

    def complete(self, ahead: Sequence[Piece]) -> None:
        """Write what was written ahead into the segments, durably; behind :meth:`cut`.

        Raises:
            OSError: The system refused; opening again repeats it.
        """
        for piece in ahead:
            stream = self._streams[piece.stream]
            self._open_last(stream)
            write_all(self._files, stream.writing, piece.data, piece.offset - stream.starts[-1])
            stream.unsynced = True
        self.sync()

    # -- writing ------------------------------------------------------------------------------------------------

    def lengths(self, names: Iterable[str]) -> dict[str, int]:
        """Return the lengths of streams in bytes, the running commit included."""
        return {name: stream.end if (stream := self._streams.get(name)) else 0 for name in names}

    def needs_segment(self, name: str) -> bool:
        """Return whether the next append to a stream begins a segment, or the stream."""
        stream = self._streams.get(name)
        return stream is None or self._is_full(stream)

    def append(self, appends: Mapping[str, bytes]) -> None:
        """Append to streams, the name of a new segment made durable; what it holds is not before :meth:`sync`.

        Args:
            appends: Name of a stream to the bytes to append, not empty.

        Raises:
            OSError: The system refused; the tails are in an unknown state.
        """
        for name, data in appends.items():
            self._write(name, data)

    def sync(self) -> None:
        """Sync every segment that was written to since it was synced last.

        Raises:
            OSError: The system refused; the tails are in an unknown state.
        """
        for stream in self._streams.values():
            if stream.unsynced:
                self._files.sync(stream.writing)
                stream.unsynced = False

    def _is_full(self, stream: _Stream) -> bool:
        return not stream.starts or stream.end - stream.starts[-1] >= self._segment_bytes

    def _open_last(self, stream: _Stream) -> None:
        if stream.writing < 0:
            stream.writing = self._files.open(stream.segment_path(stream.starts[-1]), write=True)

    def _write(self, name: str, data: bytes) -> None:
        stream = self._streams.get(name)
        if stream is None:
            stream = _Stream(f"{self._root}/{name}", [], 0)
            self._make_dirs(name)
            self._streams[name] = stream
        if self._is_full(stream):
            if stream.writing >= 0:
                if stream.unsynced:
                    self._files.sync(stream.writing)
                self._files.close(stream.writing)
                stream.writing = -1
            stream.writing = self._files.create(stream.segment_path(stream.end))
            self._files.sync_dir(stream.path)
            stream.starts.append(stream.end)
        else:
            self._open_last(stream)
        stream.unsynced = True
        write_all(self._files, stream.writing, data, stream.end - stream.starts[-1])
        stream.end += len(data)

    def _make_dirs(self, name: str) -> None:
        """Create the directory of a stream, each level made durable in the one above it."""
        path = self._root
        for part in name.split("/"):
            above, path = path, f"{path}/{part}"
            if path not in self._known_dirs:
                self._files.make_dir(path)
                self._files.sync_dir(above)
                self._known_dirs.add(path)

    # -- reading ------------------------------------------------------------------------------------------------

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return bytes that the caller knows to be committed.

        Raises:
            Fatal: ``store-truncated`` when the file has become shorter.
            Unavailable: ``store-read-failed`` when the system refuses.
        """
        stream = self._streams[name]
        starts = stream.starts
        at = bisect_right(starts, offset) - 1
        data = self._read_segment(stream, starts, at, offset, length)
        if len(data) == length:
            return data
        pieces = [data]
        got = len(data)
        while got < length:
            at += 1
            pieces.append(self._read_segment(stream, starts, at, offset + got, length - got))
            got += len(pieces[-1])
        return b"".join(pieces)

    def _read_segment(self, stream: _Stream, starts: list[int], at: int, offset: int, length: int) -> bytes:
        """Return the part of [offset, offset + length) that lies in segment number ``at``."""
        start = starts[at]
        if at + 1 < len(starts):
            length = min(length, starts[at + 1] - offset)
        path = stream.segment_path(start)
        try:
            segment = self._open.get(path)
            data = read_up_to(self._files, segment.descriptor, length, offset - start)
        except OSError as error:
            raise Unavailable("store-read-failed", f"{path} cannot be read: got {error.strerror}") from error
        if len(data) != length:
            raise Fatal(
                "store-truncated",
                f"{path} has lost committed bytes: ends at stream offset {offset + len(data)}, "
                f"want at least {offset + length}",
            )
        return data

    def close(self) -> None:
        """Release all descriptors; no call may be in flight."""
        self._open.clear()
        for stream in self._streams.values():
            if stream.writing >= 0:
                self._files.close(stream.writing)
                stream.writing = -1


def find_segments(files: Files, root: str) -> Iterator[tuple[str, list[int]]]:
    """Yield (stream name, start of each segment in ascending order) for every stream with a file on the disk.

    Raises:
        OSError: The system refused.
    """
    pending = [""]
    while pending:
        name = pending.pop()
        directories, others = files.list_dir(f"{root}/{name}" if name else root)
        pending.extend(f"{name}/{part}" if name else part for part in directories)
        starts = [int(match[1]) for other in others if (match := _SEGMENT.fullmatch(other))]
        if name and starts:
            yield name, starts


def _check_segments(stream: _Stream, sizes: list[int], synced: int) -> None:
    """Check that the segments of a stream join and hold its first ``synced`` bytes, and that its tail can be cut."""
    reached = 0
    for start, size in zip(stream.starts, sizes, strict=True):
        if start >= stream.end:
            break
        if start > reached:
            raise _truncated(stream, reached, stream.end)
        if start < reached:
            raise Fatal(
                "store-segments",
                f"{stream.segment_path(start)} does not follow its predecessor: "
                f"got a predecessor that ends at stream offset {reached}, want {start}",
            )
        reached = start + size
    if reached < synced:
        raise _truncated(stream, reached, synced)
    behind = max((start + size for start, size in zip(stream.starts, sizes, strict=True)), default=0)
    if behind - stream.end > MAX_APPEND_BYTES:
        raise Fatal(
            "store-main-behind",
            f"{stream.path} is longer than a crash can leave it: got {behind} bytes, {stream.end} committed; "
            "the main database was restored from an older copy",
        )


def _truncated(stream: _Stream, reached: int, want: int) -> Fatal:
    held = [start for start in stream.starts if start <= reached]
    path = stream.segment_path(held[-1] if held else 0)
    return Fatal(
        "store-truncated",
        f"{path} has lost committed bytes: ends at stream offset {reached}, want {want}",
    )

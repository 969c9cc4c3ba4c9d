# SPDX-License-Identifier: Apache-2.0
"""Streams: byte strings that only grow, kept in segment files.

A stream is a directory of files named by the stream offset of their first byte. Three words:

* **committed**: bytes below the length that the store's main database names; only these exist.
* **tail**: bytes behind it, left by a commit that did not happen; cut off before the stream is used again.
* **sealed**: a segment that another one follows; it never changes.

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
    from collections.abc import Iterator, Mapping

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
    """

    path: str
    starts: list[int]
    end: int
    writing: int = -1

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

    def load(self, lengths: Mapping[str, int]) -> None:
        """Find all segments and check that they hold every committed byte; change nothing.

        Args:
            lengths: Committed length of every stream in bytes, from the commit point.

        Raises:
            Fatal: ``store-truncated`` when committed bytes are missing, ``store-segments`` when segments do not
                join, ``store-main-behind`` when more lies behind the committed length than one commit can write.
            OSError: The system refused.
        """
        found = dict(find_segments(self._files, self._root))
        for name in sorted(set(found) | set(lengths)):
            path = f"{self._root}/{name}"
            starts = found.get(name, [])
            sizes = [self._files.size(f"{path}/{start:020d}.seg") for start in starts]
            stream = _Stream(path, starts, lengths.get(name, 0))
            _check_segments(stream, sizes)
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

    # -- writing ------------------------------------------------------------------------------------------------

    def append(self, appends: Mapping[str, bytes]) -> dict[str, int]:
        """Append to streams and sync every file and directory touched.

        Args:
            appends: Name of a stream to the bytes to append, not empty.

        Returns:
            The new length of each of these streams in bytes; not committed yet.

        Raises:
            OSError: The system refused; the tails are in an unknown state.
        """
        touched = [self._write(name, data) for name, data in appends.items()]
        for stream, new_segment in touched:
            self._files.sync(stream.writing)
            if new_segment:
                self._files.sync_dir(stream.path)
        return {name: self._streams[name].end for name in appends}

    def _write(self, name: str, data: bytes) -> tuple[_Stream, bool]:
        stream = self._streams.get(name)
        if stream is None:
            stream = _Stream(f"{self._root}/{name}", [], 0)
            self._make_dirs(name)
            self._streams[name] = stream
        new_segment = not stream.starts or stream.end - stream.starts[-1] >= self._segment_bytes
        if new_segment:
            if stream.writing >= 0:
                self._files.close(stream.writing)
                stream.writing = -1
            stream.writing = self._files.create(stream.segment_path(stream.end))
            stream.starts.append(stream.end)
        elif stream.writing < 0:
            stream.writing = self._files.open(stream.segment_path(stream.starts[-1]), write=True)
        write_all(self._files, stream.writing, data, stream.end - stream.starts[-1])
        stream.end += len(data)
        return stream, new_segment

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


def _check_segments(stream: _Stream, sizes: list[int]) -> None:
    """Check that the segments of a stream join and hold its committed bytes, and that its tail can be cut."""
    reached = 0
    for start, size in zip(stream.starts, sizes, strict=True):
        if start >= stream.end:
            break
        if start > reached:
            raise _truncated(stream, reached)
        if start < reached:
            raise Fatal(
                "store-segments",
                f"{stream.segment_path(start)} does not follow its predecessor: "
                f"got a predecessor that ends at stream offset {reached}, want {start}",
            )
        reached = start + size
    if reached < stream.end:
        raise _truncated(stream, reached)
    behind = max((start + size for start, size in zip(stream.starts, sizes, strict=True)), default=0)
    if behind - stream.end > MAX_APPEND_BYTES:
        raise Fatal(
            "store-main-behind",
            f"{stream.path} is longer than a crash can leave it: got {behind} bytes, {stream.end} committed; "
            "the main database was restored from an older copy",
        )


def _truncated(stream: _Stream, reached: int) -> Fatal:
    held = [start for start in stream.starts if start <= reached]
    path = stream.segment_path(held[-1] if held else 0)
    return Fatal(
        "store-truncated",
        f"{path} has lost committed bytes: ends at stream offset {reached}, want {stream.end}",
    )

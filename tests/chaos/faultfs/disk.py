# SPDX-License-Identifier: Apache-2.0
"""What a disk holds after a crash: replay a journal of faultfs.c up to a call, and leave out what no sync covered.

The model is what POSIX promises and no more. A sync of a file makes its bytes durable and not its name; a sync of a
directory makes the names in it durable. Of what is not durable, a power cut may keep any part: bytes in any order,
names in the order in which they were made (file systems write those down in a journal of their own).

One thing more than POSIX promises is believed, because LevelDB cannot live without it: the sync of a table file keeps
its name, too. LevelDB names a table in its manifest one call before it syncs the directory. ext4, XFS and btrfs do so.
"""

from __future__ import annotations

import os
import shutil
import struct
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = struct.Struct("=IIqqIIQ")
_SECTOR = 512

POLICIES = ("kept", "synced", "names", "bytes", "zeros", "torn", "shuffled")
"""What is left of what was not synced:

kept      everything: the process was killed, the system went on
synced    nothing
names     names without their bytes
bytes     bytes, but no names
zeros     names and lengths, the bytes read as zeros
torn      the first of the writes, the last one of these by half; the first of the names
shuffled  any sectors of the writes, later ones without earlier ones; the first of the names
"""


@dataclass(frozen=True)
class Call:
    """One call of the journal."""

    op: str
    flags: int
    fd: int
    offset: int
    path: str
    second: str
    data: bytes

    @property
    def changes(self) -> bool:
        return self.op in "WSTRUM" or (self.op == "O" and bool(self.flags & (os.O_CREAT | os.O_TRUNC)))


def read_journal(path: Path) -> list[Call]:
    """Read a journal; a record cut off by a kill is none."""
    data, at, calls = path.read_bytes(), 0, []
    while at + _HEAD.size <= len(data):
        op, flags, fd, offset, first, second, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        end = at + first + second + length
        names = data[at : at + first].decode(), data[at + first : at + first + second].decode()
        calls.append(Call(chr(op), flags, fd, offset, *names, data[at + first + second : end]))
        at = end
    return calls


@dataclass
class FileNode:
    """A file: bytes that are durable, and what was done to it since: (offset, bytes) or a new length."""

    written: bytes = b""
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)
    above: DirNode | None = None
    """Directory of a table file."""
    source: Path | None = None
    """File of an earlier day with the durable bytes; None when they are in ``written``."""

    @property
    def durable(self) -> bytes:
        return self.written if self.source is None else self.source.read_bytes()

    def sync(self) -> None:
        if self.pending:
            self.written, self.pending, self.source = _apply(self.durable, self.pending), [], None

    def left(self, policy: str, chance) -> bytes:
        """Bytes that a crash leaves."""
        match policy:
            case "synced" | "names":
                return self.durable
            case "zeros":
                zeroed = [p if isinstance(p, int) else (p[0], bytes(len(p[1]))) for p in self.pending]
                return _apply(self.durable, zeroed)
            case "torn" if self.pending:
                kept = self.pending[: chance.randrange(len(self.pending) + 1)]
                if kept and not isinstance(kept[-1], int):
                    offset, data = kept[-1]
                    kept[-1] = (offset, data[: chance.randrange(len(data) + 1)])
                return _apply(self.durable, kept)
            case "shuffled":
                return _apply(self.durable, list(_sectors(self.pending, chance)))
        return _apply(self.durable, self.pending)


def _apply(data: bytes, changes) -> bytes:
    if not changes:
        return data
    result = bytearray(data)
    for change in changes:
        if isinstance(change, int):
            del result[change:]
            result.extend(bytes(change - len(result)))
        else:
            offset, new = change
            result.extend(bytes(max(0, offset - len(result))))
            result[offset : offset + len(new)] = new
    return bytes(result)


def _sectors(changes, chance):
    """Give about half of the sectors of some writes."""
    for change in changes:
        if isinstance(change, int):
            yield change
            continue
        offset, data = change
        at = 0
        while at < len(data):
            end = min(len(data), at + _SECTOR - (offset + at) % _SECTOR)
            if chance.random() < 0.5:
                yield offset + at, data[at:end]
            at = end


@dataclass
class DirNode:
    """A directory: names that are durable, and changes since: (name, node) or (name, None), some of them together."""

    durable: dict = field(default_factory=dict)
    pending: list = field(default_factory=list)

    def names(self, count: int | None = None) -> dict:
        """Names with the first ``count`` changes."""
        names = dict(self.durable)
        for changes in self.pending[:count]:
            for name, node in changes:
                names.pop(name, None)
                if node is not None:
                    names[name] = node
        return names

    def sync(self) -> None:
        self.durable, self.pending = self.names(), []

    def keep(self, node: FileNode) -> None:
        """Make the name of one file durable."""
        for changes in self.pending:
            if changes[0][1] is node:
                self.durable[changes[0][0]] = node
                self.pending.remove(changes)
                return

    def left(self, policy: str, chance) -> dict:
        if policy in {"synced", "bytes"}:
            return self.names(0)
        if policy in {"torn", "shuffled"}:
            return self.names(chance.randrange(len(self.pending) + 1))
        return self.names()


class Disk:
    """The files below a root, replayed call by call from an empty directory, or from what an earlier day left."""

    def __init__(self, root: str, base: Path | None = None) -> None:
        self._root = root
        self.tree = DirNode() if base is None else _load(base)
        self._open: dict[int, FileNode | DirNode] = {}

    def apply(self, call: Call) -> None:
        """Carry out one call."""
        if call.op == "O":
            # LevelDB's text log is written by the C library itself, unseen; nobody reads it.
            self._open[call.fd] = self._find_or_create(call) or FileNode()
        elif call.op == "C":
            self._open.pop(call.fd, None)
        elif call.op in "WTS":
            self._change_file(call)
        else:
            self._change_names(call)

    def _change_file(self, call: Call) -> None:
        match call.op:
            case "W":
                self._open[call.fd].pending.append((call.offset, call.data))
            case "T":
                self._open[call.fd].pending.append(call.offset)
            case "S":
                node = self._open[call.fd]
                node.sync()
                if isinstance(node, FileNode) and node.above is not None:
                    node.above.keep(node)

    def _change_names(self, call: Call) -> None:
        match call.op:
            case "M":
                above, name = self._above(call.path)
                above.pending.append([(name, DirNode())])
            case "U":
                above, name = self._above(call.path)
                if name in above.names():
                    above.pending.append([(name, None)])
            case "R":
                self._rename(call)

    def leave(self, target: Path, policy: str, chance) -> bytes:
        """Write what a crash leaves into an empty directory; give a digest of it."""
        digest = sha256()
        _leave(self.tree, target, policy, chance, digest)
        return digest.digest()

    def _find_or_create(self, call: Call) -> FileNode | DirNode | None:
        if call.path == self._root:
            return self.tree
        above, name = self._above(call.path)
        node = above.names().get(name)
        if node is None and call.flags & os.O_CREAT:
            node = FileNode(above=above if name.endswith(".ldb") else None)
            above.pending.append([(name, node)])
        if isinstance(node, FileNode) and call.flags & os.O_TRUNC and (node.pending or node.durable):
            node.pending.append(0)
        return node

    def _rename(self, call: Call) -> None:
        above, old = self._above(call.path)
        to, new = self._above(call.second)
        assert above is to, "nothing is moved to another directory"
        node = above.names().get(old)
        if node is not None:
            above.pending.append([(old, None), (new, node)])

    def _above(self, path: str) -> tuple[DirNode, str]:
        parts = path[len(self._root) :].strip("/").split("/")
        node = self.tree
        for part in parts[:-1]:
            node = node.names()[part]
        return node, parts[-1]


def _load(path: Path) -> DirNode:
    """Take a directory as it is, all of it durable."""
    return DirNode(
        {child.name: _load(child) if child.is_dir() else FileNode(source=child) for child in path.iterdir()}
    )


def is_final(name: str, names) -> bool:
    """Say whether a file is never written again, so that copies of it may be links: a table, or a segment behind which there are two more."""
    return name.endswith(".ldb") or (name.endswith(".seg") and name not in sorted(names)[-2:])


def copy_linked(source: Path, target: Path) -> None:
    """Copy a directory into an empty one, with links where nothing is written again."""
    names = [child.name for child in source.iterdir()]
    for child in source.iterdir():
        to = target / child.name
        if child.is_dir():
            to.mkdir(mode=0o700)
            copy_linked(child, to)
        elif is_final(child.name, names):
            os.link(child, to)
        else:
            shutil.copy(child, to)


def _leave(node: DirNode, target: Path, policy: str, chance, digest) -> None:
    names = node.left(policy, chance)
    for name, child in sorted(names.items()):
        digest.update(name.encode() + b"\0")
        if isinstance(child, DirNode):
            (target / name).mkdir(mode=0o700)
            digest.update(b"/")
            _leave(child, target / name, policy, chance, digest)
        elif child.source is not None and not child.pending and is_final(name, names):
            digest.update(b"=")
            os.link(child.source, target / name)
        else:
            data = child.left(policy, chance)
            digest.update(sha256(data).digest())
            descriptor = os.open(target / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(descriptor, data)
            os.close(descriptor)

# SPDX-License-Identifier: Apache-2.0
"""Stores as older releases wrote them, made from stores of today."""

from __future__ import annotations

import msgpack

from node.service import layout
from node.storage.leveldb import open_leveldb
from node.storage.opening import MAIN_TUNING, SECRETS_TUNING
from node.storage.state import STORE_KEY


def make_format_1(path, histories):
    """Write a closed store as format 1 had it: grounds in the clear, no file that says the format.

    Args:
        path: The store's directory.
        histories: Status changes, (status, ms, officer, ground), by entry; each entry has a history.
    """
    for name, tuning in (("main", MAIN_TUNING), ("secrets", SECRETS_TUNING)):
        database = open_leveldb(str(path / name), tuning, create=False)
        _, identity = msgpack.unpackb(database.snapshot().get(STORE_KEY))
        changes = [(STORE_KEY, msgpack.packb([1, identity], use_bin_type=True))]
        if name == "main":
            changes += [
                (layout.history_key(entry), msgpack.packb([list(change) for change in history]))
                for entry, history in histories.items()
            ]
        database.write(changes)
        database.compact(b"\x00", b"\xff")
        database.close()
    (path / "format").unlink()

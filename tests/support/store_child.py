# SPDX-License-Identifier: Apache-2.0
"""A process that commits numbered batches until it is killed, by its parent or by itself at a chosen call.

Usage: ``python -m tests.support.store_child PATH LAST AT MODE``. It takes up the store where it stands, writes one
line for each acknowledged batch, and at batch LAST writes how many calls were made. AT is -1 for no fault.
"""

from __future__ import annotations

import os
import sys

from node.storage.opening import open_store
from tests.support.faults import Faults, FaultyDisk
from tests.support.naive_store import numbered_batch

IDENTITY = b"demo.example/91110000000000000X"
SEGMENT_BYTES = 400


def main(path: str, last: int, at: int, mode: str) -> None:
    disk = FaultyDisk(Faults(at if at >= 0 else None, mode))
    store = open_store(
        path,
        IDENTITY,
        create=True,
        files=disk.files,
        open_database=disk.open_database,
        segment_bytes=SEGMENT_BYTES,
    )
    number = int(store.get(b"n") or -1) + 1
    os.write(1, b"open\n")
    while number < last:
        store.commit(numbered_batch(number))
        os.write(1, b"%d\n" % number)
        number += 1
    os.write(1, b"calls %d\n" % len(disk.faults.calls))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])

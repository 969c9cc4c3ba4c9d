# SPDX-License-Identifier: Apache-2.0
"""Open a node's keys while the rest of the program is loaded.

Deriving the key of a key file takes up to half a second, in which Python is free for other threads: the key process starts
first and derives the wrapping key, threads of this process derive the others, and the caller goes on.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

from node.crypto.keyfile import DEFAULT_SCRYPT_N
from node.errors import Unavailable
from node.storage.keyfiles import ensure_exchange_key, find_newest_log_keys, load_keys, load_wrapping_key
from node.worker.keys import KeyProcess

if TYPE_CHECKING:
    from concurrent.futures import Future

    from node.config import Settings
    from node.storage.keyfiles import NodeKeys

UNWRAPS_FILE: Final = "unwraps"
"""File of the unwrap counter, in the directory of the head files."""


class Unlocking:
    """Keys that are being opened, and the key process, which opens its own.

    Args:
        settings: Of the home directory.
        passphrase: Of the key files.

    Raises:
        NodeError: What can be seen at once, such as a missing key file.
    """

    def __init__(self, settings: Settings, passphrase: str) -> None:
        keys_dir = settings.path(settings.keys_dir)
        ensure_exchange_key(keys_dir, passphrase, os.urandom, scrypt_n=DEFAULT_SCRYPT_N)
        self.keeper = _start_keeper(settings, passphrase)
        """The key process; :meth:`wait` waits for it too."""
        thread = ThreadPoolExecutor(1, "keys")
        self._keys: Future[NodeKeys] = thread.submit(
            load_keys, keys_dir, passphrase, find_newest_log_keys(keys_dir)
        )
        thread.shutdown(wait=False)

    def wait(self) -> NodeKeys:
        """Wait until all keys are open, and give those that this process holds.

        Raises:
            NodeError: What keeps them closed.
        """
        keys = self._keys.result()
        try:
            self.keeper.wait_ready()
        except Unavailable as error:
            if error.code != "unwraps-held":
                raise
            # The key process of another node of this home counts in the same file, before that node's store is found locked.
            raise Unavailable(
                "store-locked", "another process has this node's key counter open: stop it first"
            ) from None
        return keys

    def close(self) -> None:
        """Stop the key process; closing again changes nothing."""
        self.keeper.close()


def _start_keeper(settings: Settings, passphrase: str) -> KeyProcess:
    """Start the key process. Its counter lies by the head files: outside the data and their backups."""
    head_dir = settings.path(settings.head_dir)
    head_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    load = partial(load_wrapping_key, settings.path(settings.keys_dir), passphrase)
    return KeyProcess(load, head_dir / UNWRAPS_FILE)

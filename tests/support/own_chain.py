# SPDX-License-Identifier: Apache-2.0
"""A chain of a test's own, which can stop, start, freeze and lose its memory on one port."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from consortium.anvil import start_anvil
from node.errors import Unavailable
from tests.support.real_node import free_port


class OwnChain:
    """anvil with its state in a directory.

    Args:
        directory: Where.
    """

    def __init__(self, directory):
        self.directory = directory
        # One that nobody takes while the chain is away.
        self.port = free_port()
        self.anvil = start_anvil(directory, port=self.port)

    @property
    def url(self):
        return self.anvil.url

    @property
    def state(self):
        return self.directory / "state.json"

    def stop(self):
        self.anvil.stop()

    def start(self, **options):
        self.anvil = start_anvil(self.directory, port=self.port, **options)

    def freeze(self):
        os.kill(self.anvil.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.anvil.pid, signal.SIGCONT)

    def close(self):
        if self.anvil.is_running():
            self.thaw()
            with suppress(Unavailable):
                self.anvil.stop()

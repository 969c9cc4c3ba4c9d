# SPDX-License-Identifier: Apache-2.0
"""The chain that nodes share where the chain itself is not what suffers."""

from tests.support.real_node import real_chain

__all__ = ["real_chain"]

# SPDX-License-Identifier: Apache-2.0
"""The chain that the nodes of these tests share."""

from tests.support.real_node import real_chain

__all__ = ["real_chain"]

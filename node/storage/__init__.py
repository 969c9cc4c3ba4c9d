# SPDX-License-Identifier: Apache-2.0
"""Keep the node's data: LevelDB and segment files behind ``node.ports.Store``, head files, a store in memory.

Layout, commit order, failures and recovery: docs/storage.md.
"""

# SPDX-License-Identifier: Apache-2.0
"""Distinct types for values that are easy to mix."""

from __future__ import annotations

from typing import NewType

LeafHash = NewType("LeafHash", bytes)
"""32 bytes: SHA-256(0x00 ‖ entry)."""

RootHash = NewType("RootHash", bytes)
"""32 bytes: RFC 6962 root of a tree or subtree."""

LogId = NewType("LogId", bytes)
"""32 bytes: SHA-256 of a log's origin."""

EntryIndex = NewType("EntryIndex", int)
"""Place of an entry in its log, from 0."""

TreeSize = NewType("TreeSize", int)
"""Number of entries in a tree, from 0."""

MemberCode = NewType("MemberCode", str)
"""18 characters: the member's unified social credit code, both checks passed."""

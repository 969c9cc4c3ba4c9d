# SPDX-License-Identifier: Apache-2.0
"""The Protocols by which services reach storage, heads, readers and the chain; one module for each outside.

A service is given objects that satisfy these Protocols and knows nothing else of the outside. The classes that
implement them are the driven adapters (``node.storage``, ``node.chain``) and, in tests, the doubles in
``tests/support``. Values that cross a port are defined here or in a layer below. Import them from ``node.ports``.
"""

from node.ports.chain import (
    AnchorChain,
    AnchorHead,
    AnchorRequest,
    ChainState,
    ChainStatus,
    LogInfo,
    SignedTransaction,
    TransactionOutcome,
)
from node.ports.heads import HeadFiles
from node.ports.members import KeyKind, KeyPeriod, KeyRegistration, Member, MemberStatus, Role
from node.ports.readers import Rows
from node.ports.store import Batch, Reads, Snapshot, Store

__all__ = [
    "AnchorChain",
    "AnchorHead",
    "AnchorRequest",
    "Batch",
    "ChainState",
    "ChainStatus",
    "HeadFiles",
    "KeyKind",
    "KeyPeriod",
    "KeyRegistration",
    "LogInfo",
    "Member",
    "MemberStatus",
    "Reads",
    "Role",
    "Rows",
    "SignedTransaction",
    "Snapshot",
    "Store",
    "TransactionOutcome",
]

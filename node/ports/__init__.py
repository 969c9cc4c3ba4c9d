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
from node.ports.documents import DocumentChain, DocumentDraft, DocumentSource, DocumentVersion, Proposal
from node.ports.heads import HeadFiles
from node.ports.members import Endpoint, KeyKind, KeyPeriod, KeyRegistration, Member, MemberStatus, Role
from node.ports.readers import Rows
from node.ports.secrets import SecretKeeper
from node.ports.store import Batch, Reads, Snapshot, Store

__all__ = [
    "AnchorChain",
    "AnchorHead",
    "AnchorRequest",
    "Batch",
    "ChainState",
    "ChainStatus",
    "DocumentChain",
    "DocumentDraft",
    "DocumentSource",
    "DocumentVersion",
    "Endpoint",
    "HeadFiles",
    "KeyKind",
    "KeyPeriod",
    "KeyRegistration",
    "LogInfo",
    "Member",
    "MemberStatus",
    "Proposal",
    "Reads",
    "Role",
    "Rows",
    "SecretKeeper",
    "SignedTransaction",
    "Snapshot",
    "Store",
    "TransactionOutcome",
]

# SPDX-License-Identifier: Apache-2.0
"""What becomes of a node in whose files one bit was flipped while it was stopped."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from node.errors import Conflict, Fatal, NodeError
from node.log.checkpoint import parse_signed_checkpoint
from node.log.merkle import leaf_hash, root_of
from node.service.fsck.seals import SealCheck
from tests.chaos.faultfs.days import DiskWorld
from tests.support.clock import ManualClock
from tests.support.node_world import WHY


@dataclass(frozen=True)
class Seen:
    """Everything that can be read of a node, and what a fault made of it.

    Attributes:
        refused: Code of the error with which it did not start, or ended read-only or stopped; None when it worked.
        findings: (code, place) of what a full check found.
        failed: Codes of errors of reads that matter.
        facts: What was read where nothing failed: entries, proofs, opened records, roots.
        forged: Whether something was signed that does not continue the whole log.
    """

    refused: str | None = None
    findings: tuple = ()
    failed: tuple = ()
    facts: tuple = ()
    forged: bool = False

    @property
    def told(self):
        """Whether anybody learns of the fault."""
        return bool(self.refused or self.findings or self.failed)


def look_at(root, told, now, true_leaves=None):
    """Start a node on a directory, read everything that matters, check it, then have it sign.

    Args:
        root: The directory.
        told: What the world outside knows.
        now: Seconds since 1970.
        true_leaves: Leaf hashes of each log before the fault; what is signed must continue them.
    """
    clock = ManualClock(now)
    try:
        world = DiskWorld(root, chain=told.chain(clock), clock=clock, seed="flips")
    except NodeError as error:
        return Seen(refused=error.code)
    with world:
        code = world.services.state()["code"]
        findings = list(world.check())
        for reader in world.services.readers.values():
            findings += SealCheck(world.keeper).run(reader)
        with suppress(NodeError):
            world.join()
        failed, facts = read_all(world)
        forged = signs_wrongly(world, true_leaves)
        code = code or world.services.state()["code"]
    return Seen(code, tuple((f.code, f.place) for f in findings), failed, facts, forged)


def read_all(world):
    """Read what is shown and proven."""
    failed, facts = [], []

    def note(action):
        try:
            facts.append(action())
        except NodeError as error:
            failed.append(error.code)
        except Exception as error:  # noqa: BLE001 - an error without a code is what the test is to find
            failed.append(f"{type(error).__name__}: no code")

    for reader in world.services.readers.values():
        size = reader.size()
        for index in range(size):
            note(lambda index=index, reader=reader: reader.entry(reader.row(index)))
            note(lambda index=index, reader=reader: reader.leaf(index))
        note(lambda reader=reader: reader.find_checkpoint())
        note(lambda reader=reader: reader.find_anchor())
    note(lambda: [line.leaf for line in world.lines()])
    vault = world.services.records
    for index in range(world.records.size()):
        note(lambda index=index: shown(vault, world.records.leaf(index)))
    return tuple(failed), tuple(map(repr, facts))


def shown(records, leaf):
    """Open a record, which is no part of the look's own facts: those are new each time."""
    try:
        opened = records.show(leaf, WHY).opened
    except NodeError as error:
        if error.code == "record-unknown":
            return error.code
        raise
    return opened.index, opened.presentation


def signs_wrongly(world, true_leaves):
    """Have the node anchor and say whether what it signed leaves out or changes what was in its logs."""
    try:
        world.anchor()
    except (Fatal, Conflict):
        return False
    except Exception:  # noqa: BLE001 - damaged bytes break what reads them; nothing was signed then
        return False
    if true_leaves is None:
        return False
    for log, reader in world.services.readers.items():
        size, note = reader.find_checkpoint()
        old = true_leaves[log.text]
        new = [leaf_hash(reader.entry(reader.row(index))) for index in range(len(old), size)]
        if parse_signed_checkpoint(note)[0].root != root_of([*old, *new]):
            return True
    return False


def leaves_of(world):
    """Leaf hashes of each log."""
    readers = world.services.readers.values()
    return {reader.kind.text: [reader.leaf(index) for index in range(reader.size())] for reader in readers}

# SPDX-License-Identifier: Apache-2.0
"""What a node signs is never of an earlier time than what it signed before, whatever becomes of its clock."""

from __future__ import annotations

from node.access.event import Heartbeat, parse_entry
from node.crypto.jws import parse_jws
from node.crypto.note import parse_vkey
from node.log.checkpoint import verify_checkpoint
from node.log.tiles import MAX_ENTRY
from node.records.status import STATUS_HEAD_TYP
from node.service import layout
from node.service.layout import LogKind


def check_never_back(world):
    """Compare every heartbeat, status head and checkpoint with the one before it; give how often the node published."""
    entries = [world.access.entry(row) for _, row in world.access.rows(0, world.access.size())]
    beats = [event.t_ms for event in map(parse_entry, entries) if isinstance(event, Heartbeat)]
    signed = [
        parse_jws(world.records.entry(row), typ=None, max_bytes=MAX_ENTRY)
        for _, row in world.records.rows(0, world.records.size())
        if row.status_list == layout.NO_LIST
    ]
    heads = [jws.payload["iat"] for jws in signed if jws.header["typ"] == STATUS_HEAD_TYP]
    assert len(beats) == len(heads)
    assert beats == sorted(beats)
    assert heads == sorted(heads)
    for log in LogKind:
        vkeys = [parse_vkey(text) for text in world.services.public_keys.logs[log]]
        prefix = b"c" + log.value
        notes = [value.decode() for _, value in world.store.scan(prefix, layout.stop_of(prefix))]
        times = [verify_checkpoint(note, vkeys).timestamp_seconds for note in notes]
        assert times == sorted(times)
    return len(beats)

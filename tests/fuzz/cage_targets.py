# SPDX-License-Identifier: Apache-2.0
"""What an auditor reads: entries of others' logs in haste, and the files of findings that somebody sends."""

from __future__ import annotations

from hashlib import sha256

import pytest

from node.access.event import SALTED_NAMES, ParsedEvent, build_event, event_salts, parse_entry
from node.access.opening import parse_opening
from node.cage.lines import parse_line, to_line
from node.cage.opened import AGREED, MARK_BYTES, NO_MARK, Opened, read_openings
from node.cage.proof import FindingFile, ShownEntry, encode_finding, parse_finding, verify_finding
from node.core.canonical import encode_json
from node.core.encoding import encode_b64u
from node.errors import InvalidInput
from node.evidence.policy import Policy, TrustedChain
from node.log.anchor import Anchor
from tests.fuzz.case import ONE, Target, as_text, check_kept
from tests.support import one_exchange as world

_SIZE = 32_768
_NOBODY = Policy((), (), TrustedChain(1, "anvil", "0x" + "5a" * 20, 1, bytes(32), (), 2**40))


def _line(data):
    """The quick reader takes what the strict one takes, says the same of it, and refuses the rest with the same code."""
    try:
        strict = parse_entry(data)
    except InvalidInput as refused:
        with pytest.raises(InvalidInput) as caught:
            parse_line(data)
        if caught.value.code != refused.code:
            raise AssertionError("refused for something else") from None
        raise
    want = to_line(strict) if isinstance(strict, ParsedEvent) else strict
    assert parse_line(data) == want


def _openings(data):
    """Openings, a line each, of an event that names just these: two readers of good ones read the same, whatever a dishonest node wrote."""
    texts = [as_text(line) for line in data.split(b"\n")]
    digests = [encode_b64u(sha256(line).digest()).encode() for line in data.split(b"\n")]
    opened = read_openings(digests, texts)
    values = dict(map(parse_opening, texts))
    assert len(values) == len(texts), "a name was opened twice"
    officer = values.get("officer")
    assert opened == Opened(
        values.get("peer") or "",
        tuple(_mark(values.get(name)) for name in AGREED),
        _mark(values.get("released")),
        officer["auth"] is not None if officer else None,
        values.keys() == set(SALTED_NAMES),
        bool(officer) and "second" in officer,
    )


def _mark(value):
    """None is absent, and marked as what was not opened."""
    return NO_MARK if value is None else sha256(encode_json(value)).digest()[:MARK_BYTES]


def _finding(data):
    """What is read is written as it was understood, and read the same again."""
    file = parse_finding(data)
    assert parse_finding(encode_finding(file)) == file
    check_kept(data, encode_finding(file))


def _finding_verify(data):
    """Nothing verifies under a policy that trusts nobody but what shows nothing."""
    file = parse_finding(data)
    verify_finding(file, _NOBODY)
    assert not file.entries
    assert not file.receipts
    assert not file.notes


def _lines():
    events = [plan["event"].entry for plan in world.events().values()]
    return [*events, *world.fixed_entries().values()]


def _disclosed():
    events = [plan["event"].disclosures for plan in world.events().values()]
    two = {"auth": "A" * 43, "id": "li", "idp": "idp", "second": {"auth": None, "id": "wang", "idp": None}}
    seconded = build_event(
        "ask",
        world.NOW,
        bytes(16),
        1,
        None,
        dict.fromkeys(SALTED_NAMES) | {"officer": two},
        event_salts(bytes(32)),
    )
    return ["\n".join(texts).encode() for texts in (*events, seconded.disclosures)]


def _findings():
    event = world.events()["ask"]["event"]
    anchor = Anchor(3, 16, 70, world.NOW - 600, 32, bytes(range(32)), 90, world.NOW)
    shown = ShownEntry(
        world.LOGS[world.ASKER],
        17,
        event.entry,
        "c2sp.org/tlog-proof@v1\n",
        tuple(event.disclosures),
        anchor,
        (bytes(32),),
    )
    files = [
        FindingFile("terms-differ", world.ASKER, world.LOGS[world.ASKER], (shown,), (anchor,)),
        FindingFile(
            "receipt-overdue",
            None,
            world.LOGS[world.ASKER],
            (),
            (),
            (world.ask().receipt,),
            (world.once()["as_of"],),
        ),
        FindingFile("node-silent", world.ASKER, world.LOGS[world.ASKER]),
    ]
    return [encode_finding(file) for file in files]


_FREE = "as json: no signature covers the file, each part of it has its own"
TARGETS = (
    Target(
        "audit-line", "node.cage.lines.parse_line", _line, _lines, ONE, words=(b'"req":', b'"_sd":[', b'"n":')
    ),
    Target(
        "audit-openings",
        "node.cage.opened.read_openings",
        _openings,
        _disclosed,
        "in any order, each once",
        words=(b"\n", b"null]", b'"second":{', b'{"auth":null,'),
        largest=_SIZE,
    ),
    Target("finding", "node.cage.proof.parse_finding", _finding, _findings, _FREE, largest=_SIZE),
    Target(
        "finding-verify", "node.cage.proof.verify_finding", _finding_verify, _findings, _FREE, largest=_SIZE
    ),
)

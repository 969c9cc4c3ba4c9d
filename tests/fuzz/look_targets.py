# SPDX-License-Identifier: Apache-2.0
"""Files of looks, parsed and verified."""

from __future__ import annotations

from base64 import b64decode
from functools import cache

from node.evidence.lookfile import encode_look_file, parse_look_file
from node.evidence.looks import verify_look_file
from node.evidence.policy import Level
from tests.fuzz.case import Target, check_kept
from tests.fuzz.corpus import CORPUS
from tests.support.look_files import FIRM, made
from tests.support.node_world import ChainEyes

_KINDS = ("grant", "read", "bulk")
_UNSIGNED = "as json: no signature covers the file, each part of it has its own"


def _look_file(data):
    file = parse_look_file(data)
    again = encode_look_file(file)
    assert parse_look_file(again) == file
    assert encode_look_file(parse_look_file(again)) == again
    check_kept(data, again)


@cache
def _known():
    """The two policies, and every event that the log's keys have signed for, those in stored seeds too."""
    world, _ = made()
    entries = {world.access.entry(row) for _, row in world.access.rows(0, world.access.size())}
    stored = (CORPUS / "look-file.txt").read_text(encoding="ascii").splitlines()
    entries |= {parse_look_file(b64decode(line)).event.encode() for line in stored[1 : 1 + len(_KINDS)]}
    return (world.policy(level=Level.ANCHORED), world.policy(level=Level.LOGGED)), entries


def _verify(data):
    """A report, whatever the file; and none satisfied about an event that was never logged."""
    world, _ = made()
    policies, entries = _known()
    # How it is verified follows from the file, so that one case stays short.
    policy = policies[len(data) % 2]
    chain, language = (ChainEyes(world.chain), None)[len(data) % 2], ("zh", "en")[len(data) % 3 % 2]
    ruling = verify_look_file(data, policy, now_seconds=world.clock.now_seconds(), chain=chain)
    ruling.encode()
    assert all(line.isprintable() for line in ruling.render(language).splitlines()), (
        "it would control the terminal"
    )
    if ruling.about:
        assert parse_look_file(data).event.encode() in entries
    else:
        assert ruling.verdict.value != "satisfied"


def _seeds():
    return [made()[1][FIRM, kind] for kind in _KINDS]


TARGETS = (
    Target(
        "look-file", "node.evidence.lookfile.parse_look_file", _look_file, _seeds, _UNSIGNED, largest=32_768
    ),
    Target(
        "look-verify",
        "node.evidence.looks.verify_look_file and its report",
        _verify,
        _seeds,
        _UNSIGNED,
        largest=32_768,
    ),
)

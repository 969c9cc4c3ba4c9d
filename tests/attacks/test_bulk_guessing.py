# SPDX-License-Identifier: Apache-2.0
"""Guessing of bulk lines: a company that was in a bulk query wants to know who else was, and what was found.

It has everything that it can have: the event in the log with root and number of lines, its own line with salt, place
and path, the list of all companies (there are not many, and their codes are public), and the few answers that there can
be. The hashes on its path are leaves and nodes of the others' lines, so without salts it would only have to hash its
guesses. The same attack is run against lines without salts, where it succeeds.
"""

from __future__ import annotations

import hashlib
from itertools import product

from node.access.bulk import Line, encode_line, hash_lines, line_salts, verify_line
from node.access.event import parse_event
from node.access.question import AskedSubject
from node.core.canonical import encode_json
from node.core.encoding import encode_b64u, parse_b64u
from node.core.types import LeafHash
from node.log.merkle import leaf_hash, path_of
from tests.support.one_exchange import asked, event, secret_of

COMPANIES = [AskedSubject("name", f"某某{number}有限公司") for number in range(64)]
DIGEST = encode_b64u(hashlib.sha256(b"the one penalty there is").digest())
ANSWERS = [[], [[DIGEST, []]]]
QUERIED = COMPANIES[7:15]
MINE = 3


def leaves_known_from(path, own):
    """Hashes that the path gives away: siblings of the own line on every level, the first of them a leaf."""
    return {own, *path}


def guesses(salts):
    """Leaf hashes of all lines that could be, under the salts that the attacker knows."""
    for salt, subject, released in product(salts, COMPANIES, ANSWERS):
        yield leaf_hash(encode_line(Line(salt, subject, released)).encode()), subject


def test_no_line_of_another_is_found():
    salts = line_salts(secret_of("event/attacked"), len(QUERIED))
    lines = [Line(salt, subject, ANSWERS[1]) for salt, subject in zip(salts, QUERIED, strict=True)]
    texts = [encode_line(line) for line in lines]
    made = hash_lines(texts)
    entry = event("attacked", "bulk", asked(subject=None), n=len(texts), set_root=made.root).entry
    path = made.path(MINE)
    assert verify_line(parse_event(entry), texts[MINE], MINE, path) == lines[MINE]

    own = leaf_hash(texts[MINE].encode())
    known = [lines[MINE].salt, bytes(18), parse_event(entry).rid.ljust(18, b"\0"), made.root[:18], own[:18]]
    known += [parse_b64u(digest)[:18] for digest in parse_event(entry).digests]
    hits = {subject for leaf, subject in guesses(known) if leaf in leaves_known_from(path, own)}
    assert hits == {QUERIED[MINE]}, "it finds itself, by the salt that it was given"


def test_without_salts_the_neighbour_would_be_found():
    """The control: the attack itself works."""

    def bare(subject, released):
        line = ["line", {"subject": {"type": subject.type, "id": subject.id}, "released": released}]
        return LeafHash(leaf_hash(encode_json(line)))

    leaves = [bare(subject, ANSWERS[1]) for subject in QUERIED]
    known = leaves_known_from(path_of(leaves, MINE), leaves[MINE])
    hits = {subject for subject, released in product(COMPANIES, ANSWERS) if bare(subject, released) in known}
    assert hits == {QUERIED[MINE], QUERIED[MINE - 1]}

# SPDX-License-Identifier: Apache-2.0
"""What a subject is shown at the window of either node, held against everything that the watch of both has seen."""

from __future__ import annotations

from hashlib import sha256

from node.access.bulk_request import BulkRequest
from node.access.question import AskedSubject
from node.core.encoding import encode_b64u
from node.service.drafting import Purpose
from node.service.subjects import MOST_LOOKS
from tests.support.two_nodes import OTHER

CLERK = Purpose("zhao", "", None, None)


def check_views(world, watch, subjects, records):
    """Have each subject shown who looked at its data: all of it, nothing twice, nothing about others, nothing sealed.

    Args:
        world: The nodes.
        watch: Has seen every event of both.
        subjects: Whom to show it.
        records: By member, for each of its records in order: about whom it is, or None once it is erased.
    """
    for code, node in world.nodes.items():
        for subject in subjects:
            digests = _digests_of(node, records[code], subject)
            expected = _find_looks(watch, code, subject, digests)
            shown = [index for index in _show(node, subject) if not _is_vague(watch, watch.find(code, index))]
            assert sorted(shown) == expected, f"{code} shows other looks than there were"
            assert watch.events(code)[-1].kind == "audit", "nothing is shown before it stands in the log"


def _find_looks(watch, code, subject, digests):
    """The entries of the events about a subject, as somebody finds them who reads all of them."""
    found, asked = [], {}
    for event in watch.events(code):
        about = {AskedSubject(*line[:2]) for line in event.lines}
        if event.said["subject"]:
            about.add(AskedSubject(**event.said["subject"]))
        if event.is_question:
            asked[event.rid] = about
        elif event.kind == "receive":
            # The end of a sealed question names nobody, and is nobody's.
            about |= asked.get(event.rid, set())
        elif event.kind == "revoke" and not about:
            about |= _subjects_of(watch, event.said["consent"])
        elif event.kind == "deny" and isinstance(request := _request_of(watch, event), BulkRequest):
            about |= {line.subject for line in request.lines}
        opened = {jwt for jwt, fields in event.released if fields}
        if event.kind not in {"sealed", "erase"} and (subject in about or (not about and opened & digests)):
            found.append(event.index)
    return found


def _subjects_of(watch, consent):
    """About whom a consent is, as any event of either node says that was on it."""
    every = [event for code in OTHER for event in watch.events(code) if event.said["consent"] == consent]
    return {AskedSubject(**event.said["subject"]) for event in every if event.said["subject"]}


def _request_of(watch, event):
    asked = watch.requests.get(event.req)
    return None if asked is None else asked.request


def _is_vague(watch, event):
    """Whether it says nowhere whom it is about: an erasure, an own refusal of a question about many that was never sent."""
    is_unsent = event.kind == "deny" and not event.said["subject"] and event.req not in watch.requests
    return event.kind == "erase" or is_unsent


def _digests_of(node, owners, subject):
    """Digests of the records about a subject, as events name them."""
    reader = node.records
    places = [line.index for line in node.lines()]
    return {
        encode_b64u(sha256(reader.entry(reader.row(place))).digest())
        for place, owner in zip(places, owners, strict=True)
        if owner == subject
    }


def _show(node, subject):
    shown, before = [], None
    while True:
        page = node.services.subjects.show(subject, "resident-id", CLERK, limit=MOST_LOOKS, before=before)
        shown += [part.index for look in page.looks for part in look.parts]
        before = page.next_before
        if before is None:
            return shown

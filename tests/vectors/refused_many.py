# SPDX-License-Identifier: Apache-2.0
"""Messages about many subjects that a node must refuse, as edits of a good one that is signed again by its own signer."""

from __future__ import annotations

from node.access.answer import released_of
from node.access.bulk import hash_lines
from node.access.logged import encode_logged
from node.access.question import AskedSubject
from tests.support import many_exchange as many
from tests.support import one_exchange as world
from tests.support.many_exchange import SUBJECTS


def refused_many():
    """Build all of them: which message, its name, the claims that are set, and the code of its refusal."""
    return [*_requests(), *_answers()]


def _case(of, name, code, /, **claims):
    return {"of": of, "name": name, "code": code, "set": claims}


def _requests():
    def changed(name, code, /, **claims):
        return _case("request", name, code, **claims)

    def asked(name, code, /, **plan):
        texts = many.lines("bulk ask", [None] * 3)
        return changed(name, code, ask=encode_logged(many.ask_many(texts, **plan)))

    texts = list(many.lines("bulk ask", [None] * 3))
    twice = many.lines("twice", [None] * 3, (SUBJECTS[0], SUBJECTS[1], SUBJECTS[0]))
    mixed = many.lines("mixed", [None] * 3, (*SUBJECTS[:2], AskedSubject("name", "某某有限公司")))
    other_root = hash_lines(texts[:2]).root
    return [
        changed("no line", "bulk-lines", lines=[]),
        changed("line that is an opening", "bulk-line", lines=[*texts[:2], world.ask().open[0]]),
        changed("subject twice", "bulk-subjects", lines=list(twice)),
        changed("two types", "bulk-subjects", lines=list(mixed)),
        changed(
            "line that knows the answer", "bulk-asked", lines=list(many.lines("bulk ask", [None, [], None]))
        ),
        changed("approved by word", "bulk-approved", approved="yes"),
        changed("on a consent", "json-member-unknown", consent=None),
        changed("one line less than its event", "request-event", lines=texts[:2]),
        changed("lines in another order", "request-event", lines=texts[::-1]),
        asked("event of another set", "request-event", set_root=other_root),
        asked("event of another number", "request-event", n=4),
        asked("event that answers a request", "request-event", req=bytes(32)),
        asked("event about one subject", "request-event", salted=world.asked(), kind="ask"),
        asked(
            "event for another purpose",
            "request-differs",
            salted=world.asked(subject=None, purpose="curiosity"),
        ),
        asked("event that names a subject", "request-differs", salted=world.asked()),
    ]


def _answers():
    def changed(name, code, /, **claims):
        return _case("answer", name, code, **claims)

    def given(name, code, /, texts=None, salted=None, **plan):
        shown = many.given_many(
            many.bulk_request(), many.given_lines() if texts is None else texts, salted, **plan
        )
        return changed(name, code, grant=encode_logged(shown))

    def lined(name, code, /, released, subjects=SUBJECTS, **claims):
        texts = many.lines("bulk grant", released, subjects)
        said = [{"line": text, "withheld": 0, "code": None} for text in texts]
        shown = encode_logged(many.given_many(many.bulk_request(), texts))
        return changed(name, code, lines=said, grant=shown, **claims)

    first = released_of([world.record()])
    said = [{"line": text, "withheld": 0, "code": None} for text in many.given_lines()]
    own = world.asked(subject=None, peer=world.ASKER, officer=None, rule="penalty/listing-check")
    return [
        changed("line that knows nothing", "answer-line", lines=[*said[:2], said[2] | {"withheld": 1}]),
        changed("lines without numbers", "json-member-missing", lines=[{"line": said[0]["line"]}]),
        changed("no lines", "answer-line", lines=[]),
        changed("records that no line names", "answer-line", records=[], found=0, result="none", status=[]),
        lined("record under another line", "answered-subject", [[], first, []]),
        lined(
            "lines about other subjects", "answer-subjects", [first, [], []], (SUBJECTS[0], *SUBJECTS[:0:-1])
        ),
        lined(
            "line that names another record", "answer-released", [[[first[0][0], first[0][1][:-1]]], [], []]
        ),
        given("event of other lines", "answer-event", texts=many.lines("other", [first, [], []])),
        given("event that answers no request", "answer-event", req=b"\1" * 32),
        given("event of another number", "answer-event", n=2),
        given("event that says what was released", "answer-event", salted=own | {"released": first}),
        given("event for another case", "answer-differs", salted=own | {"case": "(2026)浙0106执2号"}),
        given("event without its rule", "answer-event", salted=own | {"rule": None}),
    ]

# SPDX-License-Identifier: Apache-2.0
"""The window: a consent is given and logged, listed to its subject, taken back, and gone from the list in time."""

import pytest

from node.access.consent import parse_consent, verify_consent
from node.access.decision import ConsentGiven, decide
from node.access.event import parse_event, verify_openings
from node.access.question import AskedSubject, ItemQuery
from node.core.encoding import encode_b64u
from node.errors import Conflict, InvalidInput, NotFound, Unavailable
from node.service import consents
from node.service.consents import LISTED_SECONDS, MAX_VALID_SECONDS, ConsentWindow, Terms
from node.service.drafting import EventDraft, Officer
from node.service.exchange.permits import Rules
from node.service.limiting import KEPT_SECONDS, UseCharge, read_used
from node.service.vault import Vault
from tests.support import purposes
from tests.support.errors import raises_code
from tests.support.node_world import WHY, NodeWorld
from tests.support.purposes import ASKER, PENALTY
from tests.support.rows import ISSUER

PERSON = AskedSubject("rid", "110101199003070396")
OTHER = AskedSubject("rid", "330106199001011234")
ITEMS = (ItemQuery(PENALTY, ("CF_WSH", "subject")),)


class Window:
    def __init__(self):
        self.world = NodeWorld()
        self.open()

    def open(self):
        world, services = self.world, self.world.services
        vault = services.exporter._vault
        assert isinstance(vault, Vault)
        self.window = ConsentWindow(
            world.store,
            services.sequencer,
            vault._events,
            services.access,
            vault,
            member=ISSUER,
            node_key=world.keys.node,
            index_key=world.keys.index,
            find_rules=lambda: Rules(purposes.sample_rules(), purposes.builtin_classes()),
            clock=world.clock,
            random=world.random,
        )

    def reopen(self):
        self.world.restart()
        self.open()

    @property
    def now(self):
        return self.world.clock.now_seconds()

    def terms(self, **changes):
        members = {
            "subject": PERSON,
            "provider": ISSUER,
            "asker": ASKER,
            "purpose": "window-query",
            "items": ITEMS,
            "end": self.now + 3_600,
            "uses": 2,
        }
        return Terms(**(members | changes))

    def give(self, **changes):
        return self.window.give(self.terms(**changes), WHY)

    def shown(self, subject=PERSON):
        return self.window.show_of(subject, WHY)

    def use(self, given, number):
        """What the exchange does when it grants a question on a consent."""
        charge = UseCharge.of_consent(parse_consent(given.token), bytes([number]) * 16)

        def also(transaction, event):
            charge.check(transaction)
            charge.write(transaction, event)

        draft = EventDraft(kind="audit", officer=Officer("li"), purpose="stands for a grant")
        self.world.services.access.log(draft, also)

    def events(self):
        reader = self.world.access
        rows = [(row, reader.entry(row)) for _, row in reader.rows(0, reader.size())]
        return [parse_event(entry) for row, entry in rows if row.values_length]


@pytest.fixture
def window():
    made = Window()
    yield made
    made.world.close()


def test_a_consent_is_signed_and_stands_in_the_log(window):
    given = window.give()
    consent = verify_consent(
        given.token,
        find_key=lambda _kid, _member: window.world.keys.node.public,
        aud=ISSUER,
        asker=ASKER,
        subject=PERSON,
        items=ITEMS,
        purpose="window-query",
        now_seconds=window.now,
    )
    assert consent.digest == given.digest
    (event,) = window.events()
    assert event.kind == "consent"
    values = verify_openings(event, given.logged.openings)
    assert values["consent"] == encode_b64u(given.digest)
    assert values["subject"] == {"type": "rid", "id": PERSON.id}
    assert (values["peer"], values["purpose"], values["officer"]["id"]) == (
        ASKER,
        "window-query",
        WHY.officer,
    )


def test_the_subject_is_shown_his_consents_and_every_show_is_logged(window):
    first, second = window.give(), window.give(uses=1)
    window.give(subject=OTHER)
    window.use(first, 1)
    before = len(window.events())
    shown = window.shown()
    assert [each.digest for each in shown] == [second.digest, first.digest]
    assert [(each.uses, each.used, each.revoked) for each in shown] == [(1, 0, None), (2, 1, None)]
    line = shown[1]
    assert (line.asker, line.provider, line.purpose, line.end) == (
        ASKER,
        ISSUER,
        "window-query",
        window.now + 3_600,
    )
    assert line.items == [{"vct": PENALTY, "fields": ["CF_WSH", "subject"]}]
    audit = window.events()[before:]
    assert [(event.kind, event.n) for event in audit] == [("audit", 2)]


def test_that_nothing_is_found_is_a_look_too(window):
    assert window.shown() == []
    assert [event.kind for event in window.events()] == ["audit"]


def test_a_consent_that_was_taken_back_grants_nothing_and_stays_listed(window):
    given = window.give()
    logged, provider = window.window.take_back(given.digest, WHY)
    assert provider == ISSUER
    assert [event.kind for event in window.events()] == ["consent", "revoke"]
    assert verify_openings(window.events()[1], logged.openings)["consent"] == encode_b64u(given.digest)
    assert window.shown()[0].revoked == window.now
    with raises_code(Conflict, "consent-revoked"):
        window.window.take_back(given.digest, WHY)
    assert [event.kind for event in window.events()] == ["consent", "revoke", "audit"]
    used = read_used(window.world.store, given.digest)
    consent = parse_consent(given.token)
    view = ConsentGiven.of(consent, subject=PERSON, uses=used.uses, is_revoked=used.revoked is not None)
    asked = purposes.question(
        purpose="window-query",
        basis=None,
        subject_type="rid",
        asked={PENALTY: ITEMS[0].fields},
        provider=ISSUER,
        consent=view,
        at=window.now,
    )
    assert decide(asked).code == "consent-revoked"


def test_what_is_not_known_here_is_taken_back_by_its_token(window):
    given = window.give()
    elsewhere = Window()
    with raises_code(NotFound, "consent-unknown"):
        elsewhere.window.take_back(given.digest, WHY)
    elsewhere.window.take_back_token(given.token, WHY)
    assert read_used(elsewhere.world.store, given.digest).revoked == elsewhere.now
    with raises_code(Conflict, "consent-revoked"):
        elsewhere.window.take_back_token(given.token, WHY)
    other = window.give(provider="91440300708461136T")
    with raises_code(InvalidInput, "consent-aud"):
        window.window.take_back_token(other.token, WHY)
    assert window.window.take_back(other.digest, WHY)[1] == "91440300708461136T"
    elsewhere.world.close()


def test_uses_of_another_provider_are_not_known_here(window):
    window.give(provider="91440300708461136T")
    assert window.shown()[0].used is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"purpose": "curiosity"}, "purpose-unknown"),
        ({"purpose": "tender-check"}, "subject-beyond-purpose"),
        ({"items": (ItemQuery("urn:ironcage:test.example:tax:1", ("subject",)),)}, "item-unknown"),
        ({"items": (ItemQuery(PENALTY, ("CF_FR_ZJHM",)),)}, "field-beyond-purpose"),
        ({"items": ()}, "question-items"),
        ({"uses": 0}, "json-range"),
        ({"end": 0}, "consent-validity"),
        ({"end": 1 << 40}, "consent-validity"),
    ],
)
def test_a_consent_that_no_question_could_use_is_not_given(window, changes, code):
    with raises_code(InvalidInput, code):
        window.give(**changes)
    assert window.events() == []
    assert window.shown() == []


def test_a_purpose_that_does_not_see_the_item_is_refused(window):
    permit = (ItemQuery(purposes.PERMIT, ("subject",)),)
    with raises_code(InvalidInput, "item-beyond-purpose"):
        window.give(purpose="law-enforcement", subject=AskedSubject("name", "张三"), items=permit)


def test_the_longest_time_is_allowed_and_no_more(window):
    window.give(end=window.now + MAX_VALID_SECONDS)
    with raises_code(InvalidInput, "consent-validity"):
        window.give(end=window.now + MAX_VALID_SECONDS + 1)


@pytest.mark.parametrize("stored", [False, True])
def test_a_commit_that_fails_gives_no_consent_or_a_whole_one(window, stored):
    """The disk fails while the consent is logged; after a restart it is listed and logged, or neither."""
    window.world.store.fail_next(Unavailable("disk-full", "full"), stored=stored)
    with raises_code(Unavailable, "disk-full"):
        window.give()
    window.reopen()
    kinds = [event.kind for event in window.events()]
    assert kinds == (["consent"] if stored else [])
    assert len(window.shown()) == len(kinds)


def test_everything_is_there_after_a_restart(window):
    given = window.give()
    window.window.take_back(given.digest, WHY)
    window.reopen()
    (line,) = window.shown()
    assert (line.digest, line.revoked) == (given.digest, window.now)


def test_long_after_its_end_a_consent_is_not_listed_but_still_logged(window):
    window.give()
    end = window.now + 3_600
    window.give(end=end + LISTED_SECONDS)
    window.world.clock.advance(seconds=end + LISTED_SECONDS - window.now)
    assert window.window.sweep() == 0
    window.world.clock.advance(seconds=1)
    assert window.window.sweep() == 1
    left = [key[:2] for key, _ in window.world.store.scan(b"C", b"D")]
    assert sorted(left) == [consents._GIVEN, consents._OVER, consents._SUBJECT]
    assert [event.kind for event in window.events()] == ["consent", "consent"]


def test_the_store_does_not_say_who_consented_to_what(window):
    window.give()
    stored = b"".join(key + value for key, value in window.world.store.scan(b"", None))
    entries = window.world.store.length("access.0/entries")
    stored += window.world.store.read("access.0/entries", 0, entries)
    values = window.world.store.length("access.0/values")
    stored += window.world.store.read("access.0/values", 0, values)
    for word in (PERSON.id, ASKER, "window-query", "CF_WSH"):
        assert word.encode() not in stored


def test_counts_of_consents_that_ended_go_with_the_sweep(window):
    window.use(window.give(), 1)
    window.world.clock.advance(seconds=3_600 + KEPT_SECONDS)
    assert window.window.sweep() == 0
    assert [each.used for each in window.shown()] == [1]
    window.world.clock.advance(seconds=1)
    assert window.window.sweep() == 2
    assert list(window.world.store.scan(b"C", b"D")) == []

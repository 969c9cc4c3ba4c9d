# SPDX-License-Identifier: Apache-2.0
"""Nothing leaves unlogged: what a look covers, what it cannot do, and that there is no other way in."""

import ast
import copy
import dataclasses
import inspect
import textwrap
import threading
from hashlib import sha256

import pytest

from node.access.event import parse_event, verify_openings
from node.access.receipt import parse_receipt, verify_receipt
from node.core.encoding import encode_b64u, parse_b64u
from node.errors import (
    AccessDenied,
    Conflict,
    Fatal,
    InvalidInput,
    NodeError,
    NotFound,
    Unavailable,
    Verification,
)
from node.log.merkle import leaf_hash
from node.records.record import open_presentation, parse_presentation
from node.service import layout
from node.service.drafting import EventDraft, Officer, Purpose
from node.service.layout import LogKind
from node.service.looking import _MINT, Look
from node.service.vault import Vault
from tests.support.errorcodes import ROOT
from tests.support.errors import raises_code
from tests.support.node_world import WHY, NodeWorld, penalty
from tests.support.rows import COMPANY, PERSON

SHOWN = ("subject", "CF_WSH", "CF_NR")


@pytest.fixture
def world():
    with NodeWorld() as made:
        made.import_penalties(range(3))
        yield made


@pytest.fixture
def vault(world):
    return world.services.exporter._vault


@pytest.fixture
def access(world):
    return world.services.access


def event_of(world, logged):
    reader = world.access
    return reader.entry(reader.row(logged.index))


# ---- what a look says


def test_a_look_is_in_the_log_with_all_that_it_shows(world, vault, access):
    releases = [vault.plan_release(index, SHOWN) for index in (0, 2)]
    logged = access.log_look("export", WHY, releases)
    event = parse_event(event_of(world, logged))
    assert (event.kind, event.n, event.t_ms) == ("export", 2, world.clock.now_ms())
    values = verify_openings(event, logged.openings)
    assert values == {
        "peer": None,
        "subject": None,
        "officer": {"id": "li", "idp": None, "auth": None},
        "purpose": "own-records",
        "basis": "条例第九条",
        "case": "2026-17",
        "items": [{"vct": "urn:ironcage:zj.example:penalty:2018", "fields": sorted(SHOWN)}],
        "consent": None,
        "rule": "own-department",
        "released": [[r.jwt_digest, sorted(r.fields.values())] for r in releases],
    }


def test_what_was_named_before_decryption_is_what_is_disclosed(world, vault, access):
    for names in (SHOWN, ("CF_JDRQ",), (), None):
        release = vault.plan_release(1, names)
        logged = access.log_look("read", WHY, [release])
        opened = vault.open(logged.look, 1)
        disclosures = opened.presentation.split("~")[1:-1]
        digests = {encode_b64u(sha256(text.encode()).digest()) for text in disclosures}
        assert digests == set(release.fields.values())
        verified = open_presentation(parse_presentation(opened.presentation))
        assert verified.disclosed.keys() == release.fields.keys()
        assert {n: v for n, v in verified.disclosed.items() if n != "subject"} == opened.values
        assert (opened.subject is not None) == ("subject" in release.fields)
        assert set(logged.look.releases[1].fields.values()) == digests


def test_planning_decrypts_nothing(world, vault):
    """Even where the wrapping key is not at hand, what would be released can be named."""
    vault._keeper = None
    assert vault.plan_release(0, SHOWN).fields.keys() == set(SHOWN)


def test_the_receipt_verifies_and_names_the_event(world, vault, access):
    logged = access.log_look("read", WHY, [vault.plan_release(0, None)])
    receipt = verify_receipt(
        logged.receipt,
        public=world.keys.node.public,
        entry=event_of(world, logged),
        iss=world.identity.member,
        aud=world.identity.member,
        log=world.access.origin,
        anchor_limit_seconds=4 * 3600,
    )
    assert receipt.idx == logged.index
    assert receipt.leaf == world.access.leaf(logged.index)


def test_receipts_of_one_pair_are_numbered_without_gaps(world, vault, access):
    looks = []
    release = vault.plan_release(0, SHOWN)
    threads = [
        threading.Thread(
            target=lambda: looks.extend(access.log_look("read", WHY, [release]) for _ in range(5))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    world.restart()
    looks.append(world.services.access.log_look("read", WHY, [release]))
    receipts = sorted((parse_receipt(look.receipt) for look in looks), key=lambda r: r.idx)
    assert [receipt.pair for receipt in receipts] == list(range(1, 22))
    assert len({receipt.rid for receipt in receipts}) == 21


def test_a_look_that_was_refused_takes_no_number(world, vault, access):
    release = vault.plan_release(0, SHOWN)
    access.log_look("read", WHY, [release])
    world.store.fail_next(Unavailable("store-disk-full", "disk is full"))
    with raises_code(Unavailable, "store-disk-full"):
        access.log_look("read", WHY, [release])
    assert parse_receipt(access.log_look("read", WHY, [release]).receipt).pair == 2


def test_the_event_can_be_opened_again_from_what_is_stored(world, vault, access):
    """Openings are shown later, to auditors and to the subject, so secret and values stay with the event."""
    logged = access.log_look("read", WHY, [vault.plan_release(0, SHOWN)])
    row = world.access.row(logged.index)
    event = parse_event(event_of(world, logged))
    assert row.key == event.rid
    assert row.values_length > 0
    assert world.store.get_secret(layout.secret_key(LogKind.ACCESS, logged.index)) is not None


# ---- what is not shown


def test_a_look_cannot_be_forged(world, vault, access):
    release = vault.plan_release(0, SHOWN)
    look = access.log_look("read", WHY, [release]).look
    for mint in (None, object(), "mint"):
        with raises_code(AccessDenied, "look-forged"):
            Look(look.index, {0: release}, frozenset(), mint)
    with pytest.raises((ValueError, TypeError, NodeError)):
        dataclasses.replace(look, releases={1: release})
    with pytest.raises(AttributeError):
        look.releases = {1: release}
    with pytest.raises(TypeError):
        look.releases[1] = release
    with pytest.raises(TypeError):
        look.releases[0].fields["CF_SY"] = "x"
    assert copy.copy(look).releases == look.releases


def test_only_this_module_can_make_one():
    names = [
        path
        for path in sorted((ROOT / "node").rglob("*.py"))
        if "_MINT" in path.read_text() and path.name != "looking.py"
    ]
    assert names == []


class Lookalike:
    """Has all that a look has, and was never logged."""

    def __init__(self, releases):
        self.releases, self.index = releases, 0


def test_the_vault_opens_nothing_without_a_covering_look(world, vault, access):
    release = vault.plan_release(0, SHOWN)
    look = access.log_look("read", WHY, [release]).look
    for other in (None, Lookalike({0: release, 1: release}), {"releases": {0: release}}):
        with raises_code(AccessDenied, "look-does-not-cover"):
            vault.open(other, 0)
    for index in (1, 2, 99, -1):
        with raises_code(AccessDenied, "look-does-not-cover"):
            vault.open(look, index)


def test_a_look_at_one_record_does_not_open_another_in_its_place(world, vault):
    """The release names the record by digest, so an index alone proves nothing."""
    release = vault.plan_release(1, SHOWN)
    with raises_code(AccessDenied, "look-does-not-cover"):
        vault.open(Look(0, {0: release}, frozenset(), _MINT), 0)


def test_positions_that_point_elsewhere_show_nothing(world, vault, access):
    """Stored positions that were changed would make the event name one field and show another."""
    row = world.records.row(0)
    release = vault.plan_release(0, ["CF_WSH"])
    data = world.store._contents.streams["records.0/values"]
    codes = ["subject", *world.items["penalty:2018"].field_codes]
    here, there = (row.values_offset + 1 + codes.index(name) for name in ("CF_WSH", "CF_NR"))
    data[here], data[there] = data[there], data[here]
    swapped = vault.plan_release(0, ["CF_WSH"])
    assert swapped.fields["CF_WSH"] != release.fields["CF_WSH"]
    logged = access.log_look("read", WHY, [swapped])
    with raises_code(Fatal, "release-differs"):
        vault.open(logged.look, 0)


def test_values_of_another_record_are_not_shown(world, vault, access):
    logged = access.log_look("read", WHY, [vault.plan_release(0, SHOWN)])
    secret = world.store.get_secret(layout.secret_key(LogKind.RECORDS, 1))
    world.store.damage_secret(layout.secret_key(LogKind.RECORDS, 0), secret)
    with pytest.raises(NodeError):
        vault.open(logged.look, 0)


def test_changed_values_are_not_shown(world, vault, access):
    logged = access.log_look("read", WHY, [vault.plan_release(0, SHOWN)])
    row = world.records.row(0)
    world.store.damage_stream("records.0/values", row.values_offset + row.values_length - 1)
    with raises_code(Verification, "values-seal"):
        vault.open(logged.look, 0)


def test_an_erased_record_is_refused_before_anything_is_logged(world, vault):
    world.store.damage_secret(layout.secret_key(LogKind.RECORDS, 0), None)
    size = world.access.size()
    with raises_code(NotFound, "secret-unknown"):
        world.services.records.show(world.leaf(0), WHY)
    assert world.access.size() == size


@pytest.mark.parametrize("names", [["CF_XX"], ["CF_WSH", "BZ"], ["Subject"], [""], ["iss"]])
def test_fields_that_are_not_there_are_refused_before_anything_is_logged(world, vault, names):
    size = world.access.size()
    with raises_code(InvalidInput, "field-absent"):
        vault.plan_release(0, names)
    assert world.access.size() == size


def test_entries_that_are_no_records_are_not_opened(world, vault):
    world.join()
    world.anchor()
    with pytest.raises(NodeError):
        vault.plan_release(3, None)
    with raises_code(NotFound, "entry-unknown"):
        vault.plan_release(99, None)


def test_a_record_whose_catalogue_item_is_gone(world):
    del world.items["penalty:2018"]
    world.restart()
    with raises_code(NotFound, "item-unknown"):
        world.services.records.show(world.leaf(0), WHY)


@pytest.mark.parametrize(
    "why",
    [
        Purpose("", "own-records"),
        Purpose("li", ""),
        Purpose("li", "x" * 1_025),
        Purpose("li", "own-records", case=""),
        Purpose("li", "own-records", basis="\ud800"),
    ],
)
def test_a_look_that_does_not_say_why_is_refused(world, vault, why):
    before = (world.access.size(), world.store.commits)
    with pytest.raises(NodeError):
        world.services.records.show(world.leaf(0), why)
    assert (world.access.size(), world.store.commits) == before


# ---- the log fails: nothing is shown


FAULTS = [
    (Unavailable("store-disk-full", "disk is full"), False),
    (Fatal("store-commit-failed", "sync failed"), False),
    (Fatal("store-commit-failed", "sync failed"), True),
]


@pytest.fixture
def steps(world):
    """What a look does, in order: commits to the log, heads, and readings of a record's secret.

    A secret is read twice: before the event, to see that there is one, and behind it, to open the record.
    """
    done = []
    world.store.on_commit = lambda _batch: done.append("commit")
    world.store.on_secret = lambda key: done.append("secret") if key[:1] == b"r" else None
    store_head = world.heads.store

    def store(head):
        store_head(head)
        done.append("head")

    world.heads.store = store
    return done


@pytest.mark.parametrize(("error", "stored"), FAULTS)
@pytest.mark.parametrize("call", ["show", "export"])
def test_when_the_log_takes_no_event_nothing_is_opened(world, steps, call, error, stored):
    world.join()
    world.anchor()
    leaf = world.leaf(0)
    steps.clear()
    world.store.fail_next(error, stored=stored)
    with raises_code(type(error), error.code):
        look_at(world, call, leaf)
    assert steps == ["secret", "commit"]
    if isinstance(error, Unavailable):
        look_at(world, call, leaf)
        assert steps == ["secret", "commit", "secret", "commit", "head", "secret"]


@pytest.mark.parametrize("call", ["show", "export"])
def test_when_the_promise_is_not_durable_nothing_is_opened(world, steps, call):
    world.join()
    world.anchor()
    leaf = world.leaf(0)
    steps.clear()
    world.heads.fault = Fatal("head-not-stored", "rename failed")
    with raises_code(Fatal, "head-not-stored"):
        look_at(world, call, leaf)
    assert steps == ["secret", "commit"]


def test_a_read_only_node_shows_nothing(world, steps):
    leaf = world.leaf(0)
    world.services.sequencer.set_read_only(Conflict("log-behind", "fewer entries"))
    with raises_code(Conflict, "log-behind"):
        look_at(world, "show", leaf)
    assert steps == ["secret"]


def test_the_event_and_its_promise_are_durable_before_the_record_is_opened(world, steps):
    look_at(world, "show", world.leaf(0))
    assert steps == ["secret", "commit", "head", "secret"]
    assert world.heads.load(world.access.origin).size == world.access.size() == 1


def look_at(world, call, leaf):
    if call == "show":
        return world.services.records.show(leaf, WHY)
    return world.services.exporter.export(leaf, SHOWN, WHY)


# ---- there is no other way in

OPENERS = {"unwrap_secret", "open_values", "unwrap", "LocalKeeper"}
"""Names that lead to plaintext: what opens values, what unwraps a secret, and what holds the key for it."""
DEFINED = {
    "node/crypto/wrap.py",
    "node/ports/secrets.py",
    "node/records/record.py",
    "node/records/sealed.py",
    "node/service/keeping.py",
}
HOLDERS = [
    # A store that is stopped: its upgrade, and its check, with the passphrase of the keys.
    ("node/bootstrap.py", None, "upgrade_store", "LocalKeeper"),
    ("node/bootstrap.py", None, "check_store", "LocalKeeper"),
]
"""Who holds the wrapping key."""


def calls_of(tree):
    """The openers that are called, with the class and the function that call them."""
    found = []
    for function in [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]:
        words = {
            call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            for call in ast.walk(function)
            if isinstance(call, ast.Call)
        }
        found += [(owner_of(tree, function), function.name, word) for word in sorted(OPENERS & words)]
    return found


def test_one_function_of_the_node_unwraps_a_secret_and_it_demands_a_look():
    calls = []
    for path in sorted((ROOT / "node").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if name not in DEFINED:
            calls += [(name, *call) for call in calls_of(ast.parse(path.read_text()))]
    assert calls == [
        *HOLDERS,
        ("node/service/vault.py", "Vault", "_unseal", "open_values"),
        ("node/service/vault.py", "Vault", "_unwrap", "unwrap"),
        # The key process of a running node.
        ("node/worker/keys_server.py", None, "serve_keys", "LocalKeeper"),
    ]
    parameters = inspect.signature(Vault._unwrap).parameters
    assert (list(parameters)[1], parameters["look"].annotation) == ("look", "Look")
    first_statement = ast.parse(textwrap.dedent(inspect.getsource(Vault._unwrap))).body[0].body[1]
    assert ast.unparse(first_statement) == "look.use(what, place)"


def test_nobody_takes_an_opener_under_another_name():
    """An alias, or a look-up by name, would escape the test above."""
    naming = {}
    for path in sorted((ROOT / "node").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        found = {word for word in ("unwrap_secret", "open_values") if word in path.read_text()}
        if found and name not in DEFINED:
            naming[name] = found
    assert naming == {"node/service/vault.py": {"open_values"}}


def test_a_look_opens_each_record_that_it_covers_once(world, vault, access):
    look = access.log_look("read", WHY, [vault.plan_release(place, SHOWN) for place in (0, 1)]).look
    vault.open(look, 0)
    for again in (look, copy.copy(look)):
        with raises_code(AccessDenied, "look-used"):
            vault.open(again, 0)
    vault.open(look, 1)
    with raises_code(AccessDenied, "look-used"):
        vault.index_digests(look, 1, bytes(32))


def shown(world, place):
    """Log an audit and open an event."""
    return world.services.events.open(place, Purpose("zhao", "audit")).openings


@pytest.mark.parametrize("names", [SHOWN, (), None])
def test_the_openings_of_an_event_are_made_again_byte_for_byte(world, vault, access, names):
    access.log_look("read", WHY, [vault.plan_release(1, ["CF_WSH"])])
    logged = access.log_look("export", Purpose("li", "own-records"), [vault.plan_release(0, names)])
    world.restart()
    opened = shown(world, logged.index)
    assert opened == list(logged.openings)
    values = verify_openings(parse_event(event_of(world, logged)), opened)
    assert (values["purpose"], values["basis"]) == ("own-records", None)


def test_an_event_opens_under_its_own_key_and_values_only(world, vault, access):
    looks = [access.log_look("read", WHY, [vault.plan_release(n, None)]) for n in (0, 1)]
    rows = [world.access.row(look.index) for look in looks]
    secrets = [layout.secret_key(LogKind.ACCESS, look.index) for look in looks]
    wrapped = [world.store.get_secret(secret) for secret in secrets]
    world.store.damage_secret(secrets[0], wrapped[1])
    with raises_code(Verification, "wrap-tag"):
        shown(world, looks[0].index)
    world.store.damage_secret(secrets[0], wrapped[0])
    world.store.damage_stream("access.0/values", rows[0].values_offset)
    with raises_code(Verification, "values-seal"):
        shown(world, looks[0].index)
    world.store.damage_secret(secrets[1], None)
    with raises_code(NotFound, "secret-unknown"):
        shown(world, looks[1].index)
    with raises_code(NotFound, "entry-unknown"):
        shown(world, 99)


def test_no_event_is_opened_without_a_look_at_it(world, vault, access):
    logged = access.log_look("read", WHY, [vault.plan_release(0, None)])
    audit = access.log(EventDraft(kind="audit", officer=Officer("zhao"), purpose="audit", events=[0])).look
    for other in (None, logged.look, Lookalike({})):
        with raises_code(AccessDenied, "look-does-not-cover"):
            vault.open_event(other, 0)
    with raises_code(AccessDenied, "look-does-not-cover"):
        vault.open_event(audit, 1)
    assert vault.open_event(audit, 0) == list(logged.openings)
    with raises_code(AccessDenied, "look-used"):
        vault.open_event(audit, 0)


def owner_of(tree, function):
    return next((c.name for c in ast.walk(tree) if isinstance(c, ast.ClassDef) and function in c.body), None)


def test_what_a_receipt_shows_to_anyone_says_nothing_of_the_look(world, vault, access):
    world.import_rows([penalty(77, **PERSON)])
    logged = access.log_look("read", WHY, [vault.plan_release(3, None)])
    entry = event_of(world, logged).decode()
    payload = parse_b64u(logged.receipt.split(".")[1]).decode()
    for text in ("li", "own-records", "2026-17", COMPANY, "CF_WSH", PERSON["CF_XDR_MC"]):
        assert f'"{text}"' not in entry + payload
    assert leaf_hash(entry.encode()) == world.access.leaf(logged.index)

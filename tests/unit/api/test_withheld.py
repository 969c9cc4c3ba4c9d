# SPDX-License-Identifier: Apache-2.0
"""What ails a node may name a place on its disk or an address of its network: who has no token is told code and title."""

import pytest

from node.core.texts import title_of
from node.errors import Conflict, Fatal, Unavailable
from node.service.demands import OpenDemand
from tests.support.api_world import WHY, ApiWorld, csv_of
from tests.support.node_world import FaultyStore, penalty
from tests.support.rows import PENALTY

PLACE = "/srv/ironcage/data/store/main"
ENTRIES = "/log/records/0/tile/entries/000.p/4"


class UnreadableStore(FaultyStore):
    """A store whose streams a disk does not give any more, or that has no room and says where."""

    is_broken = is_full = False

    def read(self, stream, offset, length):
        if self.is_broken:
            raise Unavailable("store-read-failed", f"{PLACE} cannot be read: got Input/output error")
        return super().read(stream, offset, length)

    def require_room(self):
        if self.is_full:
            raise Unavailable("store-disk-full", f"{PLACE} has too little space")
        super().require_room()


@pytest.fixture
def filled(tmp_path):
    with ApiWorld(tmp_path / "uploads", UnreadableStore()) as world:
        world.import_csv(csv_of([penalty(n) for n in range(3)], PENALTY.field_codes))
        world.node.anchor()
        yield world


def stop(world):
    world.node.services.sequencer.halt(
        Fatal("store-corrupt", f"database {PLACE} is damaged: got a bad block")
    )
    return "store-corrupt"


def restore(world):
    world.node.services.sequencer.set_read_only(Conflict("log-behind", f"{PLACE} holds fewer entries"))
    return "log-behind"


def cut_off(world):
    world.node.services.condition.chain = Unavailable("chain-away", f"chain node {PLACE} gives no answer")
    return "chain-away"


def fill_disk(world):
    world.node.store.is_full = True
    return "store-disk-full"


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("befall", [stop, restore, cut_off, fill_disk])
def test_health_and_description_name_no_place_to_who_has_no_token(filled, befall, language):
    code = befall(filled)
    title = title_of(code, language)
    asked = {"headers": {"Accept-Language": language}}
    for path in ("/healthz", "/readyz", "/api/v1/node"):
        for token in (None, "ict_unknown", filled.tokens["expired"]):
            assert PLACE not in filled.get(path, token=token, **asked).text, (path, token)
    told = filled.get("/readyz", **asked).json()
    assert (told["code"], told.get("title", told.get("reason"))) == (code, title)
    state = filled.get("/api/v1/node", **asked).json()["state"]
    assert (state["code"], state["reason"]) == (code, title)


@pytest.mark.parametrize("befall", [stop, restore, cut_off, fill_disk])
@pytest.mark.parametrize("role", ["officer", "operator", "auditor", "administrator"])
def test_staff_are_told_the_place(filled, befall, role):
    code = befall(filled)
    state = filled.get("/api/v1/node", role).json()["state"]
    assert (state["code"], PLACE in state["reason"]) == (code, True)


def test_a_demand_that_cannot_be_answered_names_no_place_either(filled):
    error = Fatal("store-corrupt", f"database {PLACE} is damaged")
    filled.node.services.demands.unanswered = (OpenDemand("a log", 7, 1_800_000_000, error),)
    (told,) = filled.get("/api/v1/node", headers={"Accept-Language": "en"}).json()["demands"]
    assert (told["index"], told["reason"]) == (7, title_of("store-corrupt", "en"))
    (told,) = filled.get("/api/v1/node", "operator").json()["demands"]
    assert PLACE in told["reason"]


def test_an_open_route_that_fails_names_the_place_to_the_log_alone(filled, capsys):
    assert filled.get(ENTRIES).status_code == 200
    filled.node.store.is_broken = True
    capsys.readouterr()
    answer = filled.get(ENTRIES)
    assert (answer.status_code, answer.json()["code"]) == (503, "store-read-failed")
    assert PLACE not in answer.text
    logged = capsys.readouterr().out
    assert "store-read-failed" in logged
    assert PLACE in logged


def test_health_says_the_place_to_the_log(filled, capsys):
    stop(filled)
    capsys.readouterr()
    filled.get("/healthz")
    assert PLACE in capsys.readouterr().out


def test_whoever_is_let_in_is_told_what_is_wrong(filled):
    stop(filled)
    leaf = filled.leaves()[0]
    answer = filled.post(f"/api/v1/records/{leaf}/show", "officer", WHY)
    assert (answer.status_code, PLACE in answer.json()["detail"]) == (500, True)
    answer = filled.post(f"/api/v1/records/{leaf}/show", None, WHY)
    assert (answer.status_code, PLACE in answer.text) == (401, False)


def test_a_token_file_that_cannot_be_read_is_named_to_the_log_alone(filled, capsys):
    def unreadable():
        raise Unavailable("tokens-unreadable", f"tokens.json cannot be read: missing in {PLACE}")

    filled.gate._current = unreadable
    assert filled.get("/api/v1/node", "operator").json()["state"]["mode"] == "ready"
    answer = filled.get("/api/v1/imports", "operator")
    assert (answer.status_code, PLACE in answer.text) == (503, False)
    assert PLACE in capsys.readouterr().out

# SPDX-License-Identifier: Apache-2.0
"""Routes by which an entry is demanded, and by which a member learns what this node holds of it."""

from __future__ import annotations

from node.log.checkpoint import log_id


def body(world, index):
    return {"log": world.node.access.origin, "index": index}


def test_a_demand_and_its_answer(world):
    world.node.anchor()
    made = world.call("POST", "/api/v1/demands", "operator", json=body(world, 3))
    assert made.status_code == 200
    assert (made.json()["state"], made.json()["done"], made.json()["leaf"]) == ("open", "demand", None)
    services = world.node.services
    assert services.demands.serve(sleep=world.node.sleep) == 1
    answered = world.call("POST", "/api/v1/demands", "operator", json=body(world, 3)).json()
    assert (answered["state"], answered["done"]) == ("answered", None)
    assert services.chain.demands.find_demand(log_id(world.node.access.origin), 3).leaf == services.logs[
        world.node.access.kind
    ].leaf(3)


def test_what_cannot_be_demanded(world):
    world.node.anchor()
    for index, log, status in (
        (10_000, world.node.access.origin, 409),
        (0, world.node.access.origin[:-1] + "7", 404),
        (0, "somewhere", 400),
    ):
        refused = world.call("POST", "/api/v1/demands", "operator", json={"log": log, "index": index})
        assert refused.status_code == status
    assert world.call("POST", "/api/v1/demands", "officer", json=body(world, 1)).status_code == 403
    assert world.call("POST", "/api/v1/demands", json=body(world, 1)).status_code == 401


def test_what_is_held_of_a_member_is_open_to_all(world):
    member = world.node.identity.member
    assert world.get(f"/api/v1/held/{member}").json() == {"notes": [], "sealed": None}
    assert world.get("/api/v1/held/xxxxxxxxxxxxxxxxxx").status_code == 400
    assert world.get("/metrics").text.count("ironcage_unanswered_demands 0.0") == 1

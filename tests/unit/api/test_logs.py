# SPDX-License-Identifier: Apache-2.0
"""The logs as others see them: C2SP paths and bytes, and what a path may not do."""

import pytest

from node.access.event import ParsedEvent, parse_entry
from node.crypto.note import parse_vkey
from node.errors import Unavailable
from node.log.checkpoint import verify_checkpoint
from node.log.merkle import leaf_hash, root_of, verify_inclusion
from node.log.proof import parse_tlog_proof
from node.log.tiles import parse_bundle, tile_path
from node.service.layout import LogKind
from tests.support.api_world import WHY, ApiWorld, csv_of
from tests.support.node_world import penalty
from tests.support.rows import PENALTY

LOGS = [("records", LogKind.RECORDS), ("access", LogKind.ACCESS)]


def fill(world, numbers):
    """Import penalties in files that an upload may hold."""
    for start in range(0, len(numbers), 70):
        rows = [penalty(n) for n in numbers[start : start + 70]]
        assert world.import_csv(csv_of(rows, PENALTY.field_codes)).accepted == len(rows)


@pytest.fixture
def filled(world):
    """100 records and a status head published; ten records behind."""
    fill(world, range(100))
    world.node.anchor()
    fill(world, range(100, 110))
    return world


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The same for tests that change nothing."""
    with ApiWorld(tmp_path_factory.mktemp("node")) as made:
        fill(made, range(100))
        made.node.anchor()
        fill(made, range(100, 110))
        yield made


@pytest.fixture
def large(world):
    """More than one tile."""
    fill(world, range(270))
    world.node.anchor()
    return world


def vkeys_of(world, log):
    return [parse_vkey(text) for text in world.node.services.public_keys.logs[log]]


@pytest.mark.parametrize(("name", "log"), LOGS)
def test_a_checkpoint_verifies_with_the_keys_that_the_node_shows(published, name, log):
    answer = published.get(f"/log/{name}/0/checkpoint")
    assert answer.headers["cache-control"] == "no-cache"
    verified = verify_checkpoint(answer.text, vkeys_of(published, log))
    shown = next(each for each in published.get("/api/v1/node").json()["logs"] if each["kind"] == name)
    assert verified.checkpoint.origin == shown["origin"]
    assert verified.checkpoint.size == shown["published"] == shown["anchored"]
    assert shown["vkeys"] == list(published.node.services.public_keys.logs[log])


def test_a_log_without_a_checkpoint(world):
    for name, _ in LOGS:
        answer = world.get(f"/log/{name}/0/checkpoint")
        assert (answer.status_code, answer.json()["code"]) == (404, "checkpoint-unknown")
        assert world.get(f"/log/{name}/0/tile/0/000.p/1").status_code == 404
        assert world.get(f"/log/{name}/0/proof/0").status_code == 404


def test_tiles_and_entries_give_the_signed_root(large):
    """What any C2SP client does: fetch, hash, compare."""
    note = large.get("/log/records/0/checkpoint").text
    checkpoint = verify_checkpoint(note, vkeys_of(large, LogKind.RECORDS)).checkpoint
    assert checkpoint.size == 271
    hashes, entries = b"", []
    for index, width in ((0, 256), (1, 15)):
        tile = large.get("/log/records/0/" + tile_path(0, index, width))
        assert tile.headers["cache-control"].endswith("immutable")
        hashes += tile.content
        path = tile_path(0, index, width).replace("tile/0", "tile/entries")
        bundle = large.get(f"/log/records/0/{path}")
        assert bundle.headers["cache-control"].endswith("immutable")
        entries += parse_bundle(bundle.content, width)
    leaves = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
    assert leaves == [leaf_hash(entry) for entry in entries]
    assert root_of(leaves) == checkpoint.root
    assert large.get("/log/records/0/tile/1/000.p/1").content == root_of(leaves[:256])


def test_proofs_verify_under_their_own_checkpoint(published):
    for index in (0, 57, 100):
        answer = published.get(f"/log/records/0/proof/{index}")
        proof = parse_tlog_proof(answer.text)
        verified = verify_checkpoint(proof.checkpoint_note, vkeys_of(published, LogKind.RECORDS)).checkpoint
        leaf = published.node.records.leaf(index)
        assert proof.index == index
        verify_inclusion(index, verified.size, leaf, proof.path, verified.root)


@pytest.mark.parametrize("index", ["101", "110", "9007199254740991"])
def test_entries_behind_the_checkpoint_have_no_proof(published, index):
    assert published.node.records.size() > 101
    answer = published.get(f"/log/records/0/proof/{index}")
    assert (answer.status_code, answer.json()["code"]) == (404, "entry-unpublished")


@pytest.mark.parametrize(
    "index",
    ["-1", "x", "1_0", "+1", "01", "1.0", "٣", "%D9%A3", "%20", "9007199254740992", "1e1", "0x1", "1%2F2"],
)
def test_indices_are_plain_decimals(published, index):
    assert published.raw_get(f"/log/records/0/proof/{quoted(index)}")[0] in {400, 404}


def quoted(text):
    return "".join(c if c.isascii() else "".join(f"%{byte:02X}" for byte in c.encode()) for c in text)


# ---- paths of tiles

GOOD = ["0/000.p/1", "0/000.p/101", "entries/000.p/1", "entries/000.p/101"]
BAD = [
    "0/000.p/0",
    "0/000.p/257",
    "0/000.p/256",  # a full tile has no width
    "0/000.p/01",
    "0/000.p/+1",
    "0/000.p/",
    "0/000.p",
    "0/000.p/1/",
    "0/000.p/1.p/1",
    "0/000.P/1",
    "0/0",
    "0/00",
    "0/0000",
    "0/000",  # 101 entries are published, no full tile
    "0/001.p/1",
    "0/x000/000.p/1",
    "0/x001/000.p/1",
    "0/X001/000.p/1",
    "0/001/000.p/1",
    "0/x001/x000.p/1",
    "00/000.p/1",
    "1/000.p/1",
    "7/000.p/1",
    "63/000.p/1",
    "64/000.p/1",
    "-1/000.p/1",
    "+0/000.p/1",
    "٠/٠٠٠.p/١",
    "0/٠٠٠.p/1",
    "0/000.p/１",
    " 0/000.p/1",
    "0/000.p/1 ",
    "0//000.p/1",
    "//0/000.p/1",
    "../0/000.p/1",
    "0/../0/000.p/1",
    "0/./000.p/1",
    "0/%2e%2e/0/000.p/1",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "../../../etc/passwd",
    "0%2F000.p%2F1%00",
    "0/000.p/1%00",
    "0/000.p/1%0a",
    "0\\000.p\\1",
    "data/000.p/1",
    "entries",
    "entries/",
    "",
    "/",
    "x" * 200,
    "0/" + "x999/" * 50 + "999",
    "0/x999/x999/x999/x999/x999/999",
]


@pytest.mark.parametrize("path", GOOD)
def test_good_paths(published, path):
    answer = published.get(f"/log/records/0/tile/{path}")
    assert answer.status_code == 200
    assert answer.content


@pytest.mark.parametrize("path", BAD)
def test_bad_paths_are_malformed_or_not_there(published, path):
    for role in ("auditor", None):
        status, body = published.raw_get(f"/log/records/0/tile/{quoted(path)}", role)
        assert status in {400, 404} or (role is None and status == 401), (path, status, body)


@pytest.mark.parametrize("path", [path for path in BAD if path[:1] == "0"])
def test_bad_paths_of_entries_are_malformed_or_not_there(published, path):
    size = published.node.access.size()
    for log in ("records", "access"):
        entries = f"/log/{log}/0/tile/entries/{quoted(path[2:])}"
        assert published.raw_get(entries, "auditor")[0] in {400, 404}, path
    assert published.node.access.size() == size, "a fetch that was refused is no look"


@pytest.mark.parametrize(
    "log",
    [
        "records/1",
        "records/00",
        "records/-1",
        "Records/0",
        "record/0",
        "access/1",
        "x/0",
        "records/0x0",
        "../0",
    ],
)
def test_logs_that_this_node_has_not(published, log):
    for rest in ("checkpoint", "tile/0/000.p/1", "proof/0"):
        assert published.raw_get(f"/log/{log}/{rest}")[0] == 404, log


def test_what_is_not_published_is_not_served(filled):
    """Records behind the checkpoint are in the store, and not in what was signed."""
    assert filled.node.records.size() == 111
    for path, role in (("0/000.p/102", None), ("0/000.p/111", None), ("entries/000.p/102", None)):
        answer = filled.get(f"/log/records/0/tile/{path}", role)
        assert (answer.status_code, answer.json()["code"]) == (404, "tile-unknown")
    filled.node.anchor()
    assert filled.get("/log/records/0/tile/0/000.p/111").status_code == 200


# ---- entries of the access log


def events(world):
    reader = world.node.access
    parsed = [parse_entry(reader.entry(row)) for _, row in reader.rows(0, reader.size())]
    return [entry for entry in parsed if isinstance(entry, ParsedEvent)]


def test_reading_entries_of_the_access_log_is_a_look_itself(filled):
    answer = filled.get("/log/access/0/tile/entries/000.p/16", "auditor")
    assert len(parse_bundle(answer.content, 16)) == 16
    assert [event.kind for event in events(filled)] == ["audit"]
    filled.get("/log/access/0/tile/entries/000.p/1", "auditor")
    assert [event.kind for event in events(filled)] == ["audit", "audit"]
    filled.get("/log/records/0/tile/entries/000.p/1", "auditor")
    filled.get("/log/records/0/tile/entries/000.p/1")
    filled.get("/log/access/0/tile/0/000.p/16")
    assert len(events(filled)) == 2


def test_entries_of_the_access_log_are_for_auditors(filled):
    size = filled.node.access.size()
    for role in (None, "officer", "operator"):
        assert filled.get("/log/access/0/tile/entries/000.p/16", role).status_code in {401, 403}
        assert filled.get("/log/records/0/tile/entries/000.p/16", role).status_code == 200
    assert filled.node.access.size() == size


def test_when_the_look_cannot_be_logged_no_entry_is_served(filled):
    filled.node.store.fail_next(Unavailable("store-disk-full", "disk is full"))
    answer = filled.get("/log/access/0/tile/entries/000.p/16", "auditor")
    assert (answer.status_code, answer.json()["code"]) == (503, "store-disk-full")


def test_an_entry_shows_nothing_of_a_look(filled):
    filled.post(f"/api/v1/records/{filled.leaves()[0]}/show", "officer", WHY)
    filled.node.anchor()
    content = filled.get("/log/access/0/tile/entries/000.p/32", "auditor").content
    for text in ("officer-name", "own-records", "2026-17", "条例"):
        assert text.encode() not in content


# ---- health and metrics


def test_health(filled):
    assert filled.get("/healthz").json() == {"status": "ok"}
    state = filled.get("/readyz").json()
    assert state["mode"] == "ready"
    filled.node.services.condition.verified = False
    assert filled.get("/readyz").json()["mode"] == "waiting-for-chain"


def test_a_node_without_room_on_its_disk_says_so(filled):
    filled.node.store.room = 0
    state = filled.get("/readyz", headers={"Accept-Language": "en"}).json()
    told = "too little disk space"
    assert (state["mode"], state["code"], state["reason"]) == ("ready", "store-disk-full", told)
    filled.node.store.room = None
    assert filled.get("/readyz").json()["code"] is None


def test_metrics_are_sizes_and_ages(filled):
    filled.node.clock.advance(seconds=100)
    lines = filled.get("/metrics").text.splitlines()
    assert 'ironcage_log_entries{log="records",stage="integrated"} 111.0' in lines
    assert 'ironcage_log_entries{log="records",stage="anchored"} 101.0' in lines
    assert 'ironcage_log_entries{log="access",stage="published"} 16.0' in lines
    assert "ironcage_unanchored_seconds 100.0" in lines
    assert 'ironcage_mode{mode="ready"} 1.0' in lines


def test_metrics_of_a_node_that_never_anchored(world):
    assert "ironcage_unanchored_seconds NaN" in world.get("/metrics").text.splitlines()


# ---- anchors


def test_anchoring_on_demand_and_the_list(filled):
    anchored = filled.post("/api/v1/anchors", "operator").json()
    assert [(a["log"], a["i"], a["prev_size"], a["size"]) for a in anchored] == [
        ("records", 2, 101, 112),
        ("access", 2, 16, 32),
    ]
    listed = filled.get("/api/v1/anchors", "auditor").json()
    assert [(a["log"], a["i"]) for a in listed] == [
        ("records", 2),
        ("records", 1),
        ("access", 2),
        ("access", 1),
    ]
    assert listed[0] == anchored[0]
    assert len(filled.get("/api/v1/anchors?limit=1", "officer").json()) == 2


def test_a_chain_that_is_away(filled):
    filled.node.chain.away = True
    answer = filled.post("/api/v1/anchors", "operator")
    assert (answer.status_code, answer.json()["code"]) == (503, "chain-away")

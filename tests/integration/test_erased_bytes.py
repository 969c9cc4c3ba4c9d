# SPDX-License-Identifier: Apache-2.0
"""After an erasure every byte on the disk is searched: for the record's marked values, its secret, what wrapped it, its digests.

The search has to be able to find: before the erasure it finds the wrapped secret, the sealed ground and the digests.
"""

import base64
import json
from hashlib import sha256

import pytest

from consortium.samples.codes import build_uscc
from node.core.ids import encode_uuid
from node.crypto.wrap import unwrap_secret
from node.service import layout
from node.service.drafting import Purpose
from node.service.layout import LogKind
from node.service.status import parse_history
from node.storage.opening import open_store
from tests.support.node_world import DOMAIN, WHY, NodeWorld, penalty
from tests.support.rows import ISSUER

IDENTITY = f"{DOMAIN}/{ISSUER}".encode()
NAME, FACTS, REMARK, GROUND = "隐名甲商贸有限公司", "隐情丙的经过", "隐注丁", "隐由庚，当事人来函"
CODE = build_uscc("91", "520100", "MA000077")
MARKS = (NAME, FACTS, REMARK, GROUND, CODE)
LOG_BLOCK, LOG_HEADER = 32_768, 7
RECORD = 1


def traces(data):
    """Every form in which bytes could stand in a file: raw, hex, base64 at each offset."""
    yield data
    yield data.hex().encode()
    yield data.hex().upper().encode()
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + data)[4 if offset else 0 : -4]
        yield text
        yield text.replace(b"+", b"-").replace(b"/", b"_")


def traces_of_text(mark):
    for data in (mark.encode(), mark.encode("gbk"), mark.encode("utf-16-le"), mark.encode("utf-16-be")):
        yield from traces(data)
    yield json.dumps(mark)[1:-1].encode()


def contents(directory):
    """Each file as it is, and LevelDB logs also with their records put together from the blocks they are cut into."""
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        data = path.read_bytes()
        yield path, data
        if path.suffix == ".log":
            yield path, joined(data)


def joined(data):
    pieces = []
    for start in range(0, len(data), LOG_BLOCK):
        block, at = data[start : start + LOG_BLOCK], 0
        while at + LOG_HEADER <= len(block):
            length = int.from_bytes(block[at + 4 : at + 6], "little")
            pieces.append(block[at + LOG_HEADER : at + LOG_HEADER + length])
            at += LOG_HEADER + length
    return b"".join(pieces)


def found_in(directory, wanted):
    """Names of what is found anywhere below a directory."""
    found = set()
    for _, data in contents(directory):
        found |= {name for name, forms in wanted.items() if any(form in data for form in forms)}
    return found


@pytest.fixture
def home(tmp_path):
    with NodeWorld(store=open_store(tmp_path / "store", IDENTITY, create=True)) as world:
        world.join()
        rows = [penalty(n) for n in range(40)]
        rows[RECORD] = penalty(RECORD, CF_XDR_MC=NAME, CF_XDR_SHXYM=CODE, CF_SY=FACTS, BZ=REMARK)
        world.import_rows(rows)
        world.import_penalties(range(100, 140))
        world.services.records.withdraw(world.records.leaf(RECORD), officer="wang", ground=GROUND)
        world.services.records.show(world.records.leaf(RECORD), WHY)
        world.anchor()
        yield world, tmp_path


def wanted_of(world):
    """What must be gone, and what only proves that the search can find."""
    store, row = world.store, world.records.row(RECORD)
    wrapped = store.get_secret(layout.secret_key(LogKind.RECORDS, RECORD))
    secret = unwrap_secret(world.wrapping, wrapped, encode_uuid(row.key))
    index = layout.u64(RECORD)
    [identity] = [(k, v) for k, v in store.scan(b"i", b"j") if v.startswith(index)]
    [subject] = [key for key, _ in store.scan(b"s", b"t") if key.endswith(index)]
    [change] = parse_history(store.get(layout.history_key(RECORD)))
    # A table leaves out what a key shares with the one before it: some bytes at most.
    stored = {
        "wrapped secret": list(traces(wrapped)),
        "identity digest": list(traces(identity[0][4:])),
        "content digest": list(traces(identity[1][8:])),
        "subject digest": list(traces(subject[4:17])),
        "sealed ground": list(traces(change.sealed)),
    }
    clear = {"secret": list(traces(secret)), "secret digest": list(traces(sha256(secret).digest()))}
    return stored, clear | {mark: list(traces_of_text(mark)) for mark in MARKS}


def test_nothing_of_an_erased_record_is_on_the_disk(home):
    world, directory = home
    stored, clear = wanted_of(world)
    assert found_in(directory, stored | clear) == stored.keys()
    why = Purpose("zhao", "ordered", "条例", None)
    done = world.services.eraser.erase(world.records.leaf(RECORD), ground="ordered", why=why)
    assert done.erasure.purged
    # Bounds of tables stand in MANIFEST until the next start; nothing else is left for later.
    assert found_in(directory / "store" / "secrets", stored | clear) == set()
    assert found_in(directory / "store" / "streams", stored | clear) == set()
    main = {n: f for n, f in stored.items() if n not in ("identity digest", "subject digest")}
    assert found_in(directory / "store" / "main", main | clear) == set()
    for _ in range(2):
        world.services.sequencer.close()
        world.store.close()
        world.store = open_store(directory / "store", IDENTITY)
        world.start()
    assert found_in(directory, stored | clear) == set()
    assert world.check() == []
    # The others are as they were.
    assert world.services.records.show(world.records.leaf(RECORD + 1), WHY).opened.values["CF_WSH"]


def test_a_reader_that_is_in_the_way_only_delays_it(home):
    world, directory = home
    stored, clear = wanted_of(world)
    with world.store.snapshot() as snapshot:
        why = Purpose("zhao", "ordered", None, None)
        done = world.services.eraser.erase(world.records.leaf(RECORD), ground="ordered", why=why)
        assert not done.erasure.purged
        assert snapshot.get_secret(layout.secret_key(LogKind.RECORDS, RECORD)) is not None
        assert world.services.eraser.purge_all() == 1
    assert world.services.eraser.purge_all() == 0
    assert found_in(directory / "store" / "secrets", stored | clear) == set()


def test_the_search_finds_what_is_there(tmp_path):
    for number, data in enumerate(
        (
            FACTS.encode("gbk"),
            b"x" + base64.b64encode(("ab" + FACTS + "cde").encode()),
            json.dumps(FACTS).encode(),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "file").write_bytes(b"before" + data + b"behind")
        assert found_in(folder, {FACTS: list(traces_of_text(FACTS))}) == {FACTS}

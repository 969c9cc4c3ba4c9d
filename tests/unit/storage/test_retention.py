# SPDX-License-Identifier: Apache-2.0
"""What holds secrets past its time is found and removed, whatever became of it; the newest whole backup stays."""

from __future__ import annotations

import shutil
from dataclasses import replace
from hashlib import sha256

import pytest

from node.errors import Unavailable
from node.storage.backup import load_manifest
from node.storage.manifest import KEEP_SECONDS, MANIFEST, BackedUpFile, Manifest, encode_manifest
from node.storage.retention import (
    PARTIAL_SECONDS,
    find_expired,
    list_backups,
    prune_backups,
    remove_backup,
)
from node.storage.state import FORMAT
from tests.support.errors import raises_code

MEMBER = "11520100008000017J"
IDENTITY = f"zj.example/{MEMBER}"
NOW = 1_790_000_000
CONTENT = b"wrapped secrets"
FILE = BackedUpFile("store/secrets/000005.ldb", len(CONTENT), sha256(CONTENT).hexdigest())


@pytest.fixture
def directory(tmp_path):
    made = tmp_path / "backups"
    made.mkdir()
    return made


def keep(directory, made_at, *, identity=IDENTITY, name=None, format_=FORMAT):
    path = directory / (name or f"{identity.rpartition('/')[2]}-{made_at}123")
    (path / "store" / "secrets").mkdir(parents=True)
    (path / FILE.path).write_bytes(CONTENT)
    manifest = Manifest(identity, format_, "0", made_at, made_at + KEEP_SECONDS, [], {}, [FILE])
    (path / MANIFEST).write_bytes(encode_manifest(manifest))
    return path


def interrupt(path):
    """Leave what a kill leaves of a backup that is being made."""
    (path / MANIFEST).unlink()
    return path.rename(path.with_name(path.name + ".partial"))


def half_remove(path):
    (path / MANIFEST).unlink()


def damage(path):
    (path / MANIFEST).write_bytes(b"{")


def make_newer(path):
    manifest = load_manifest(path)
    (path / MANIFEST).write_bytes(encode_manifest(replace(manifest, format=FORMAT + 1)))


def lose_file(path):
    (path / FILE.path).unlink()


def shorten_file(path):
    (path / FILE.path).write_bytes(CONTENT[:-1])


def hide_manifest(path):
    (path / MANIFEST).unlink()
    (path / MANIFEST).symlink_to(path / MANIFEST)


def paths(found):
    return [each.path for each in found]


def test_backups_are_listed_by_age_and_removed_one_by_one(directory):
    second = keep(directory, NOW + 1, name="a")
    first = keep(directory, NOW, name="b")
    assert paths(list_backups(directory, IDENTITY)) == [first, second]
    assert all(each.complete for each in list_backups(directory, IDENTITY))
    remove_backup(first)
    assert paths(list_backups(directory, IDENTITY)) == [second]
    assert not first.exists()
    assert list_backups(directory / "none", IDENTITY) == []


def test_the_rest_of_an_interrupted_backup_goes_after_a_day(directory):
    whole = keep(directory, NOW - 1)
    partial = interrupt(keep(directory, NOW))
    assert paths(list_backups(directory, IDENTITY)) == [whole, partial]
    assert prune_backups(directory, IDENTITY, NOW + PARTIAL_SECONDS - 1).removed == []
    assert paths(find_expired(directory, IDENTITY, NOW + PARTIAL_SECONDS)) == [partial]
    assert prune_backups(directory, IDENTITY, NOW + PARTIAL_SECONDS).removed == [partial]
    assert list(directory.iterdir()) == [whole]


@pytest.mark.parametrize(
    "spoil",
    [half_remove, damage, make_newer, lose_file, shorten_file, hide_manifest],
    ids=lambda f: f.__name__,
)
def test_what_is_no_whole_backup_ages_too(directory, spoil):
    spoilt = keep(directory, NOW)
    spoil(spoilt)
    (found,) = list_backups(directory, IDENTITY)
    assert (found.path, found.complete) == (spoilt, False)
    assert prune_backups(directory, IDENTITY, NOW + KEEP_SECONDS - 1).removed == []
    assert prune_backups(directory, IDENTITY, NOW + KEEP_SECONDS).removed == [spoilt]
    assert not spoilt.exists()


def test_the_newest_whole_backup_stays_whatever_the_clock_says(directory):
    old, whole, newer = (keep(directory, NOW + day * 86_400) for day in range(3))
    lose_file(newer)
    pruned = prune_backups(directory, IDENTITY, NOW + 365 * 86_400)
    assert (pruned.removed, pruned.kept) == ([old, newer], whole)
    assert list(directory.iterdir()) == [whole]
    keep(directory, NOW + 365 * 86_400)
    pruned = prune_backups(directory, IDENTITY, NOW + 365 * 86_400)
    assert (pruned.removed, pruned.kept) == ([whole], None)


def test_of_whole_backups_made_within_one_second_the_last_stays(directory):
    places = [keep(directory, NOW, name=f"{MEMBER}-{NOW}{part}") for part in ("004", "999", "105")]
    first, last, between = places
    assert paths(list_backups(directory, IDENTITY)) == [first, between, last]
    pruned = prune_backups(directory, IDENTITY, NOW + 365 * 86_400)
    assert (pruned.removed, pruned.kept) == ([first, between], last)


def test_what_is_not_this_nodes_is_left_alone(directory, tmp_path):
    others = {
        keep(directory, NOW, identity="zj.example/911100000000000000"),
        keep(directory, NOW + 1, identity=f"elsewhere.example/{MEMBER}"),
        interrupt(keep(directory, NOW + 2, identity="zj.example/911100000000000000")),
        keep(directory, NOW, name="before the upgrade"),
        directory / "a file",
        directory / f"{MEMBER}-1",
    }
    damage(directory / "before the upgrade")
    (directory / "a file").write_bytes(b"")
    (directory / f"{MEMBER}-1").symlink_to(tmp_path)
    assert list_backups(directory, IDENTITY) == []
    assert prune_backups(directory, IDENTITY, NOW + 365 * 86_400).removed == []
    assert set(directory.iterdir()) == others


def test_one_that_cannot_be_removed_keeps_no_other(directory):
    stuck, free, _newest = (keep(directory, NOW + number) for number in range(3))
    (stuck / MANIFEST).unlink()
    (stuck / MANIFEST).mkdir()
    with raises_code(Unavailable, "backup-stays"):
        prune_backups(directory, IDENTITY, NOW + 365 * 86_400)
    assert stuck.exists()
    assert not free.exists()
    shutil.rmtree(stuck)

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from node.errors import InvalidInput
from node.log.tiles import (
    MAX_ENTRY,
    BundleName,
    TileName,
    encode_bundle,
    encode_bundle_entry,
    entries_path,
    parse_bundle,
    parse_tile_path,
    tile_path,
    tile_width,
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("tile/0/000", TileName(0, 0, 256)),
        ("tile/0/005.p/1", TileName(0, 5, 1)),
        ("tile/1/x001/x234/067", TileName(1, 1_234_067, 256)),
        ("tile/0/x001/234.p/5", TileName(0, 1_234, 5)),
        ("tile/63/999.p/255", TileName(63, 999, 255)),
        ("tile/entries/x001/x234/067", BundleName(1_234_067, 256)),
        ("tile/entries/000.p/17", BundleName(0, 17)),
    ],
)
def test_names_have_one_spelling(path, name):
    assert parse_tile_path(path) == name
    if isinstance(name, TileName):
        assert tile_path(name.level, name.index, name.width) == path
    else:
        assert entries_path(name.index, name.width) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/1000",
        "tile/0/001/234",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/00/001",
        "tile/64/001",
        "tile/-1/001",
        "tile/0/001.p/0",
        "tile/0/001.p/01",
        "tile/0/001.p/256",
        "tile/0/001.p/300",
        "tile/0/001.p/",
        "tile/0/001/",
        "tile/0/001\n",
        "/tile/0/001",
        "tile/0/٠٠١",
        "tile/0/X001/234",
        "tile/entries/../001",
        "tile/0/" + "x999/" * 5 + "999",
        "tile/0/" + "x999/" * 500 + "999",
    ],
)
def test_other_spellings_are_refused(path):
    with pytest.raises(InvalidInput) as caught:
        parse_tile_path(path)
    assert caught.value.code == "tile-path"


@pytest.mark.parametrize(
    ("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)]
)
def test_tiles_that_cannot_be_are_not_named(level, index, width):
    with pytest.raises(InvalidInput):
        tile_path(level, index, width)


def test_width_of_a_tile_at_a_size():
    assert [tile_width(0, index, 600) for index in range(4)] == [256, 256, 88, 0]
    assert tile_width(1, 0, 600) == 2
    assert tile_width(1, 0, 255) == 0
    assert tile_width(1, 0, 256 * 256 + 1) == 256
    assert tile_width(2, 0, 256 * 256 + 1) == 1


def test_a_bundle_is_length_and_bytes():
    assert encode_bundle_entry(b"abc") == b"\x00\x03abc"
    data = encode_bundle([b"a", b"", b"x" * MAX_ENTRY])
    assert parse_bundle(data, 3) == [b"a", b"", b"x" * MAX_ENTRY]
    assert parse_bundle(b"", 0) == []


def test_an_entry_longer_than_its_length_field_is_refused():
    with pytest.raises(InvalidInput) as caught:
        encode_bundle_entry(b"x" * (MAX_ENTRY + 1))
    assert caught.value.code == "entry-size"


def test_a_bundle_of_another_count_is_refused():
    data = encode_bundle([b"abc", b"de"])
    for wrong, count in (
        (data, 1),
        (data, 3),
        (data[:-1], 2),
        (data + b"\x00", 2),
        (data[:4], 1),
        (b"\x00", 1),
    ):
        with pytest.raises(InvalidInput) as caught:
            parse_bundle(wrong, count)
        assert caught.value.code == "bundle-form"

# SPDX-License-Identifier: Apache-2.0
"""Real penalty rows through a catalogue item of their own: data alone, no code, and every refusal explained."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from node.readers.opening import open_table
from node.records.catalogue import load_item
from node.records.chunks import parse_chunk
from node.records.headers import find_header, map_headers
from node.records.rows import RowValidator, ValidRow
from node.records.rules import RULES, render_refusal
from node.service.jobs import iterate_refusals
from tests.support.node_world import NodeWorld
from tests.support.shared import shared_path

ITEM = Path(__file__).parents[1] / "support" / "items" / "nfra-penalty.json"
ISSUER = "11520100000000019P"


@pytest.fixture(scope="module")
def outcome():
    """Every row of the file with what became of it, by row number."""
    item = load_item(ITEM.read_bytes())
    path = shared_path("data/nfra-penalties/penalties.csv")
    with open_table(path, find_header=partial(find_header, item)) as table:
        header_map = map_headers(item, table.header)
        validator = RowValidator(item, header_map, issuer=ISSUER, today="2026-05-01")
        return {
            chunk.first_row + place: (row, validator.check(row, chunk.first_row + place))
            for chunk in map(parse_chunk, table.chunks)
            for place, row in enumerate(chunk.rows)
        }


def test_every_row_is_accepted_or_refused_by_a_rule_that_has_a_text(outcome):
    refusals = [result for _, result in outcome.values() if not isinstance(result, ValidRow)]
    counts = Counter(tuple(refusal.rule for refusal in result) for result in refusals)
    print("\naccepted", len(outcome) - len(refusals), "refused", dict(counts))  # noqa: T201  shown with -s
    assert len(outcome) == 912
    assert counts == {
        # The regulator in the party's column and a date in the penalty's: the columns of the source slid.
        ("columns-shifted",): 376,
        # The regulator in the party's column alone.
        ("foreign-value",): 23,
        # Branches closed by an announcement that names neither facts nor kind of penalty.
        ("field-required", "field-required"): 5,
        # "…及相关责任人": more than one party in a row.
        ("several-subjects",): 7,
        # Kind 罚款, amount missing.
        ("field-required",): 2,
    }
    for result in refusals:
        for refusal in result:
            assert refusal.rule in RULES
            assert render_refusal(refusal, "zh").startswith(f"第 {refusal.row} 行")


def test_refusals_tell_nothing_of_the_values(outcome):
    for row, result in outcome.values():
        if isinstance(result, ValidRow):
            continue
        text = "".join(render_refusal(refusal, language) for refusal in result for language in ("zh", "en"))
        assert not [cell for cell in row if len(cell) > 3 and cell in text]


def test_accepted_rows_have_a_name_as_subject_and_are_known_by_content(outcome):
    accepted = [result for _, result in outcome.values() if isinstance(result, ValidRow)]
    assert len(accepted) == 912 - 376 - 23 - 5 - 7 - 2
    assert {row.subject_type for row in accepted} == {"name"}
    assert not any(row.numbered for row in accepted)
    assert len({row.identity for row in accepted}) == len(accepted)


def test_values_are_normalised(outcome):
    first = outcome[2][1]
    assert first.values[4:6] == ["罚款", "200000"]
    assert first.values[9] == "2026-04-27"
    second = outcome[3][1]
    assert second.values[4] == "警告;罚款"


class OneFile:
    """Uploads of a node whose every import is this file."""

    def __init__(self, path):
        self._path = path

    def open_file(self, job, item):
        return open_table(self._path, find_header=partial(find_header, item), start_row=job.last_row + 1)


def order_import(world, item):
    job_id = world.services.importer.new_job_id()
    world.services.importer.order(
        job_id=job_id,
        item=item.key,
        file_name="penalties.csv",
        file_digest="00" * 32,
        file_bytes=364_139,
        officer="li",
        corrections=False,
    )
    return world.services.importer.run_job(job_id)


def test_a_node_takes_the_file_in_and_a_second_time_changes_nothing(outcome):
    item = load_item(ITEM.read_bytes())
    path = shared_path("data/nfra-penalties/penalties.csv")
    with NodeWorld(items=[item]) as world:
        world.uploads = OneFile(path)
        world.restart()
        world.join()
        job = order_import(world, item)
        assert (job.error, job.read, job.accepted, job.duplicate, job.refused) == (None, 912, 499, 0, 413)
        assert job.flagged == 499
        found = {row.row: row.rule for row in iterate_refusals(world.store, job.id)}
        assert found.keys() == {
            row for row, (_, result) in outcome.items() if not isinstance(result, ValidRow)
        }
        assert Counter(found.values())["columns-shifted"] == 376
        size = world.records.size()
        again = order_import(world, item)
        assert (again.accepted, again.duplicate, again.refused) == (0, 499, 413)
        assert world.records.size() == size
        assert {line.disclosure for line in world.lines()} == {"open"}

# SPDX-License-Identifier: Apache-2.0
"""Measures reading and row validation: ``python -m tests.bench.bench_rows [ROWS]``.

Prints microseconds of processor time a row for the check alone, and rows a second for each reader with nothing done to the rows.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import date
from functools import partial
from pathlib import Path

from consortium.samples.codes import build_uscc
from consortium.samples.files import store_samples
from consortium.samples.records import Unit
from node.readers.opening import open_table
from node.readers.table import Limits
from node.records.catalogue import load_builtin_items
from node.records.chunks import parse_chunk
from node.records.headers import find_header, map_headers
from node.records.rows import RowValidator

TODAY = date(2026, 6, 1)
MARKET = Unit(build_uscc("11", "999900", "00000001"), "云州市市场监督管理局", "云市监")
TRANSPORT = Unit(build_uscc("11", "999900", "00000002"), "云州市交通运输局", "云交运")


def main() -> None:
    """Measure with as many rows as the first argument says, 20,000 by default."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as folder:
        for sample in store_samples(Path(folder), MARKET, TRANSPORT, today=TODAY, rows=rows):
            item = load_builtin_items()[sample.item]
            for limits in (Limits(), Limits(whole_sheet_bytes=1)):
                if sample.path.suffix == ".csv" and limits != Limits():
                    continue
                start = time.perf_counter()
                with open_table(sample.path, find_header=partial(find_header, item), limits=limits) as table:
                    chunks = [parse_chunk(chunk) for chunk in table.chunks]
                    header_map = map_headers(item, table.header)
                seconds = time.perf_counter() - start
                streamed = " streamed" if limits != Limits() else ""
                _say(f"{sample.path.name}{streamed}: read {sample.rows / seconds:,.0f} rows/s")
            validator = RowValidator(item, header_map, issuer=sample.issuer, today=TODAY.isoformat())
            start = time.process_time()
            accepted = sum(
                len(validator.check_all(chunk.rows, chunk.first_row)[0].places) for chunk in chunks
            )
            seconds = time.process_time() - start
            _say(
                f"{sample.path.name}: check {seconds / sample.rows * 1e6:.1f} µs/row, {accepted} of {sample.rows} accepted"
            )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()

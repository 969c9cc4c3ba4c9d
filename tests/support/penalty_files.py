# SPDX-License-Identifier: Apache-2.0
"""Files of clean penalty rows for imports into real nodes."""

from __future__ import annotations

import csv
import io

from tests.support.rows import PENALTY, PENALTY_ROW

HEADER = [field.zh for field in PENALTY.fields]


def penalty_row(number, **changes):
    """A clean row with a document number of its own, in the order of the item's fields."""
    values = PENALTY_ROW | {"CF_WSH": f"云市监罚〔2026〕{number}号"} | changes
    return [values.get(code, "") for code in PENALTY.field_codes]


def csv_text(rows, header=HEADER):
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def store_penalties(path, numbers, *, encoding="gbk", **changes):
    """Store a CSV file with one clean row for each number."""
    path.write_bytes(csv_text(penalty_row(number, **changes) for number in numbers).encode(encoding))
    return path

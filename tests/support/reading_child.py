# SPDX-License-Identifier: Apache-2.0
"""Reads one file of penalties in a process of its own, ``python -m tests.support.reading_child PATH``, and says how it went.

Its peak memory and that of the process which it starts for a workbook are those of reading alone.
"""

from __future__ import annotations

import json
import resource
import sys
from functools import partial
from pathlib import Path

from node.errors import NodeError
from node.readers.opening import open_table
from node.records.chunks import parse_chunk
from node.records.headers import find_header
from tests.support.rows import PENALTY


def main():
    code, rows, refused = None, 0, {}
    # Far more than any machine of this test holds would be needed otherwise: the limit makes a leak fail at once.
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    try:
        with open_table(Path(sys.argv[1]), find_header=partial(find_header, PENALTY)) as table:
            for chunk in map(parse_chunk, table.chunks):
                for row in chunk.rows:
                    rows += bool(row) and not isinstance(row, str)
                    if isinstance(row, str):
                        refused[row] = refused.get(row, 0) + 1
    except NodeError as error:
        code = error.code
    # Not ru_maxrss for this process itself: Linux hands that of the program which started it on.
    status = Path("/proc/self/status").read_text()
    own = int(status.split("VmHWM:", 1)[1].split()[0])
    peaks = [kib * 1024 for kib in (own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)]
    sys.stdout.write(json.dumps({"code": code, "rows": rows, "refused": refused, "peaks": peaks}))


if __name__ == "__main__":
    main()

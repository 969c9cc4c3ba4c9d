# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from node.core.recent import Recent


def test_the_last_values_are_kept():
    recent = Recent(2)
    assert recent.find("a") is None
    recent.put("a", 1)
    recent.put("b", 2)
    recent.put("a", 3)
    assert (recent.find("a"), recent.find("b")) == (3, 2)
    recent.put("c", 4)
    assert [recent.find(key) for key in "abc"] == [None, 2, 4]


def test_threads_share_it():
    recent = Recent(8)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: recent.put(n, n), range(1_000)))
    assert sum(recent.find(n) is not None for n in range(1_000)) == 8

# SPDX-License-Identifier: Apache-2.0
"""The home directory of a node for measuring, and files of rows for it to import."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from cli.init import create_home
from consortium.network import store_network
from consortium.samples.codes import build_uscc
from consortium.samples.mess import write_date, write_loosely
from consortium.samples.records import Unit, build_penalty
from consortium.samples.sheets import store_xlsx
from consortium.samples.stream import SeededStream
from node.bootstrap import open_node
from node.chain.network import Network
from node.config import load_settings
from node.core.types import MemberCode
from node.records.catalogue import load_builtin_items

if TYPE_CHECKING:
    from pathlib import Path

MEMBER = MemberCode(build_uscc("11", "520100", "00800001"))
UNIT = Unit(str(MEMBER), "样例市市场监督管理局", "样市监")
ITEM = load_builtin_items()["penalty:2018"]
DECIDED_BEFORE = date(2026, 6, 1)
WEAK_SCRYPT_N = 1 << 12
"""For homes of which only the work behind the start is measured."""


def make_home(directory: Path, *, scrypt_n: int = WEAK_SCRYPT_N) -> Path:
    """Create a home whose chain is never asked."""
    home = directory / "home"
    create_home(
        home,
        member=MEMBER,
        name_zh=UNIT.name,
        name_en="",
        roles=["issuer"],
        passphrase_file=None,
        network=None,
        port=0,
        anchor_period_seconds=300,
        scrypt_n=scrypt_n,
    )
    network = Network(
        domain="bench.example",
        chain_id=20260,
        engine="anvil",
        rpc=("http://127.0.0.1:9",),
        gas_price_wei=None,
        signers=None,
        depth_blocks=None,
        member_registry=bytes(19) + b"\x01",
        anchor_log=bytes(19) + b"\x02",
        deployed_block=1,
        deployed_block_hash=bytes(32),
        anchor_limit_seconds=14_400,
        members=(),
    )
    store_network(home / "network.json", network)
    return home


@contextmanager
def running_node(home: Path):
    """Open the node of a home in this process, without server and loops, and wait for its workers."""
    settings = load_settings(home)
    passphrase = settings.path(settings.passphrase_file).read_text().strip()
    with open_node(settings, passphrase) as node:
        node.pool.warm()
        yield node


def penalty_records(count: int, seed: str = "bench"):
    """Yield clean penalty rows of 30 fields, the same ones for the same seed."""
    stream = SeededStream(seed)
    for number in range(count):
        yield number, build_penalty(1_000 + number, UNIT, DECIDED_BEFORE, stream)


def store_penalties(path: Path, count: int) -> Path:
    """Store penalty rows as .csv (GB18030) or .xlsx, loosely written, every one of them to be accepted."""
    header = [field.zh for field in ITEM.fields]
    codes = ITEM.field_codes

    def lines():
        yield header
        for number, record in penalty_records(count):
            write_loosely(record, "CF", number)
            if path.suffix == ".xlsx":
                yield [record.get(code, "") for code in codes]
            else:
                cells = (record.get(code, "") for code in codes)
                yield [
                    write_date(cell, number + place) if isinstance(cell, date) else cell
                    for place, cell in enumerate(cells)
                ]

    if path.suffix == ".xlsx":
        store_xlsx(path, lines())
    else:
        with path.open("w", encoding="gb18030", newline="") as file:
            csv.writer(file).writerows(lines())
    return path

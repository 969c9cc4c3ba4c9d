# SPDX-License-Identifier: Apache-2.0
"""Court, market regulation and tax office of ``make demo-exchange``: their accounts, the rules they vote on, the penalties they have."""

from __future__ import annotations

import os
from functools import partial
from hashlib import sha256
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from cli.demo.stage import DOMAIN, Department
from cli.demo.world import StepFailedError
from cli.home import open_client
from cli.language import say
from cli.output import print_line
from consortium.samples.codes import build_uscc
from consortium.samples.records import build_penalty
from consortium.samples.sheets import store_csv
from consortium.samples.stream import SeededStream
from node.access.catalogue import ListedItem, encode_catalogue
from node.access.purposes import load_sample_purposes
from node.config import load_settings
from node.core.clock import SystemClock
from node.core.uscc import parse_uscc
from node.records.catalogue import load_builtin_items
from node.service.tokens import add_token, new_token
from node.storage.keyfiles import store_private
from node.storage.tokenfile import TokenFile

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from cli.demo.world import World

DEPARTMENTS: Final = {
    "court": Department("筑城市中级人民法院", "Intermediate Court", "00800003", ("consumer",), "筑法"),
    "market": Department("筑城市市场监督管理局", "Market Regulation", "00800001", ("issuer",), "筑市监"),
    "tax": Department("筑城市税务局", "Tax Office", "00800004", ("issuer",), "筑税"),
}
PROVIDERS: Final = ("market", "tax")
ITEM: Final = "penalty:2018"
ENTERPRISE: Final = build_uscc("91", "520100", "MA000012")
ENTERPRISE_NAME: Final = "筑城恒泰商贸有限公司"
ABOUT_ENTERPRISE: Final = {"market": 2, "tax": 0}
"""How many of a department's penalties are about the enterprise."""
ROWS: Final = 12


def code_of(name: str) -> str:
    """Give the USCC of a department."""
    return DEPARTMENTS[name].unit.code


def build_settings(port: int) -> str:
    """Build the lines by which a node on this machine is reached by the others."""
    return f'public_url = "http://127.0.0.1:{port}"\nplain_peers = true\n'


def make_tokens(world: World) -> None:
    """Make the accounts that the demonstration uses, each with its token in a file."""
    for name in DEPARTMENTS:
        settings = load_settings(world.home(name))
        file = TokenFile(settings.path(settings.keys_dir))
        for role in ("administrator", "auditor", "officer"):
            text, entry = new_token(f"{name}-{role}", role, None, os.urandom)
            now = SystemClock().now_seconds()
            file.change(partial(add_token, entry=entry, now_seconds=now))
            path = token_file(world, name, role)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            store_private(path, text.encode() + b"\n")


def token_file(world: World, name: str, role: str) -> Path:
    """Give the file with a token of a department's account."""
    return world.directory / "tokens" / f"{name}-{role}.token"


def decide_rules(world: World) -> None:
    """Have all three vote on what may be asked, and why; each keeps the document that it votes for.

    Raises:
        StepFailedError: Three votes do not decide.
    """
    item = resources.files("node.records").joinpath("items", f"{ITEM.replace(':', '-')}.json").read_bytes()
    listed = ListedItem(ITEM, sha256(item).digest(), parse_uscc(code_of("market")), None)
    documents = {
        ("item", ITEM): item,
        ("purposes", "exchange"): load_sample_purposes(),
        ("catalogue", "exchange"): encode_catalogue(DOMAIN, "交换目录", "exchange catalogue", [listed]),
    }
    folder = world.directory / "documents"
    folder.mkdir()
    for (kind, name), data in documents.items():
        file = folder / f"{kind}.json"
        file.write_bytes(data)
        proposal: Any = None
        for voter in DEPARTMENTS:
            with open_client(world.home(voter), token_file(world, voter, "administrator")) as client:
                digest = client.upload("/api/v1/documents", file, {"kind": kind})["digest"]
                if proposal is None:
                    body = {"kind": kind, "name": name, "digest": digest, "from_block": 0}
                    proposal = client.post("/api/v1/documents/proposals", body)
                else:
                    proposal = client.post(f"/api/v1/documents/proposals/{proposal['id']}/vote")
        if not proposal["executed"]:
            raise StepFailedError(f"three votes of three did not decide on the {kind}")
        print_line(say(f"  三票通过：{kind} {name}", f"  decided with three votes: {kind} {name}"))
    for name in DEPARTMENTS:
        with open_client(world.home(name), token_file(world, name, "administrator")) as client:
            client.post("/api/v1/documents/refresh")


def store_penalties(file: Path, name: str, today: date) -> None:
    """Store a department's penalties, the first few of them about the enterprise."""
    stream = SeededStream(f"exchange/{name}")
    fields = load_builtin_items()[ITEM].fields
    rows: list[list[str]] = [[field.zh for field in fields]]
    for number in range(ROWS):
        record = build_penalty(number + 1, DEPARTMENTS[name].unit, today, stream)
        if number < ABOUT_ENTERPRISE[name]:
            record |= {
                "CF_XDR_MC": ENTERPRISE_NAME,
                "CF_XDR_LB": "法人及非法人组织",
                "CF_XDR_SHXYM": ENTERPRISE,
                "CF_XDR_ZJLX": "",
                "CF_XDR_ZJHM": "",
            }
        rows.append([str(record.get(field.code, "")) for field in fields])
    store_csv(file, rows, encoding="utf-8-sig")

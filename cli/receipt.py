# SPDX-License-Identifier: Apache-2.0
"""``ironcage receipt``: was it honoured? And if nobody shows it: demand it on the chain."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.address import ADDRESS
from cli.home import DEFAULT_HOME, HomeOption, JsonOption, TokenOption, open_client
from cli.language import LANGUAGE, say
from cli.output import (
    REFUSED,
    UNAVAILABLE,
    print_json,
    print_line,
    print_text,
    reported,
    require_file,
    require_writable,
)
from cli.verify import FORK_SUFFIX, RECEIPT_SUFFIXES
from node.errors import InvalidInput

if TYPE_CHECKING:
    from node.access.receipt import Receipt
    from node.chain.promises import RpcReceiptReader
    from node.client.api import NodeClient
    from node.evidence.policy import Policy
    from node.evidence.promises import ReceiptFile
    from node.evidence.ruling import Ruling
    from node.log.fork import ForkProof

POLL_SECONDS = 5.0
app = typer.Typer(no_args_is_help=True, help=say("回执：核查与质询", "receipts: check and demand"))
FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help=say("回执文件（JWS 或 *.receipt.json）", "the receipt: a JWS alone, or a *.receipt.json"),
    ),
]


@app.command(help=say("核查回执是否已履行", "check whether a receipt was honoured"))
def check(
    file: FileArgument,
    policy: Annotated[Path, typer.Option(help=say("你自己的信任策略文件", "your own policy file"))],
    node: Annotated[
        str | None,
        typer.Option(
            help=say(
                "签发成员的节点地址：向它取包含证明",
                "address of the signer's node: it is asked for the proof",
            )
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help=say("取得的证明写入此目录", "directory for the proof that was fetched")
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Check a receipt under a policy, and ask the signer's node for what is missing."""
    from node.chain.promises import RpcReceiptReader
    from node.client.api import NodeClient
    from node.evidence.policy import MAX_POLICY_BYTES, parse_policy
    from node.evidence.promises import MAX_FILE_BYTES

    with reported(as_json=as_json):
        trusted = parse_policy(require_file(policy, max_bytes=MAX_POLICY_BYTES))
        data = require_file(file, max_bytes=MAX_FILE_BYTES)
        if trusted.chain.rpc is None:
            raise InvalidInput(
                "policy-no-rpc", "whether a receipt was honoured stands on the chain: the policy names no RPC"
            )
        require_writable(out or Path("proof"))
        with RpcReceiptReader(trusted.chain.rpc) as reader:
            ruling, written = _judge(data, trusted, reader), None
            if node is not None and ruling.finding.name == "unshown":
                with NodeClient(node, language=LANGUAGE, tls_ca=ADDRESS.tls_ca) as client:
                    ruling, written = _ask_for_proof(data, trusted, reader, client, (file, out or Path()))
    _print_ruling(file, ruling, written, as_json=as_json)
    # What the node showed may be the fork proof itself: it holds, and the receipt was not honoured.
    raise SystemExit(ruling.verdict.exit_code if ruling.convicts is None else REFUSED)


@app.command(help=say("在链上质询回执所指的条目", "demand on the chain what a receipt promised"))
def demand(
    file: FileArgument,
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    *,
    wait: Annotated[
        bool,
        typer.Option("--wait", help=say("等到答复或记为违约", "wait for the answer or the default")),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Demand an entry through the own running node; the same command again takes the next step."""
    from cli.progress import LiveLine
    from node.access.receipt import read_receipt
    from node.evidence.promises import MAX_FILE_BYTES, parse_receipt_file

    with reported(as_json=as_json):
        receipt = read_receipt(parse_receipt_file(require_file(file, max_bytes=MAX_FILE_BYTES)).receipt)[1]
        body = {"log": receipt.log, "index": receipt.idx}
        with open_client(home, token_file) as client:
            standing = client.post("/api/v1/demands", body)
            if wait and standing["state"] in {"open", "overdue"}:
                with LiveLine() as line:
                    while standing["state"] in {"open", "overdue"}:
                        line.tell(_describe_wait(standing))
                        time.sleep(POLL_SECONDS)
                        standing = client.post("/api/v1/demands", body)
    convicts = _convicts(standing, receipt)
    if as_json:
        print_json(standing | {"convicts": receipt.iss if convicts else None})
    else:
        print_line(_describe_standing(standing, receipt))
    if convicts:
        raise SystemExit(REFUSED)
    raise SystemExit(0 if standing["state"] == "answered" else UNAVAILABLE)


def _judge(data: bytes, policy: Policy, reader: RpcReceiptReader) -> Ruling:
    from node.core.clock import SystemClock
    from node.evidence.receipts import verify_receipt_file

    return verify_receipt_file(data, policy, now_seconds=SystemClock().now_seconds(), chain=reader)


def _ask_for_proof(
    data: bytes, policy: Policy, reader: RpcReceiptReader, client: NodeClient, places: tuple[Path, Path]
) -> tuple[Ruling, Path]:
    """Have the signer's node show the entry: its inclusion, or the proof that another one stands there."""
    from node.core.clock import SystemClock
    from node.evidence.forks import verify_fork_file
    from node.evidence.promises import encode_receipt_file, parse_receipt_file
    from node.log.fork import ForkProof, encode_fork

    shown = _fetch_shown(parse_receipt_file(data), policy, reader, client)
    file, directory = places
    stem = file.name
    for suffix in RECEIPT_SUFFIXES:
        stem = stem.removesuffix(suffix)
    if isinstance(shown, ForkProof):
        proof = encode_fork(shown)
        target = directory / (stem + FORK_SUFFIX)
        ruling = verify_fork_file(proof, policy, now_seconds=SystemClock().now_seconds())
    else:
        proof = encode_receipt_file(shown)
        target = directory / f"{stem}-shown{RECEIPT_SUFFIXES[0]}"
        ruling = _judge(proof, policy, reader)
    target.write_bytes(proof)
    return ruling, target


def _fetch_shown(
    file: ReceiptFile, policy: Policy, reader: RpcReceiptReader, client: NodeClient
) -> ReceiptFile | ForkProof:
    """Fetch what stands at the promised place, under the first anchor that covers it."""
    from dataclasses import replace

    from node.access.receipt import read_receipt
    from node.client.tiles import RemoteTiles
    from node.core.types import LeafHash
    from node.errors import Unavailable
    from node.evidence.build import build_reference
    from node.log.checkpoint import log_id, parse_origin, parse_signed_checkpoint
    from node.log.fork import ForkProof, Form, LeafProof
    from node.log.merkle import HASH_BYTES
    from node.log.proof import TlogProof, encode_tlog_proof, parse_tlog_proof
    from node.log.tree import TILE_WIDTH, build_inclusion_path

    receipt = read_receipt(file.receipt)[1]
    origin, chain = parse_origin(receipt.log), policy.chain
    cover = reader.first_cover(chain.contract, log_id(receipt.log), receipt.idx)
    if cover is None:
        raise Unavailable("receipt-unshown", f"no anchor covers entry {receipt.idx} any more: ask again")
    # The smallest published checkpoint over the anchor's last entry is the anchor's own.
    text = client.get_text(f"/log/{origin.kind}/{origin.n}/proof/{cover.size - 1}")
    note = parse_tlog_proof(text).checkpoint_note
    tree, _ = parse_signed_checkpoint(note)
    if (tree.origin, tree.size, tree.root) != (receipt.log, cover.size, cover.root):
        raise Unavailable("receipt-unshown", f"the node does not show the checkpoint of anchor {cover.i}")
    tiles = RemoteTiles(client, origin, cover.size)
    path = tuple(build_inclusion_path(tiles, receipt.idx, cover.size))
    tile, place = divmod(receipt.idx, TILE_WIDTH)
    leaf = LeafHash(tiles.read_tile(0, tile)[place * HASH_BYTES : (place + 1) * HASH_BYTES])
    if leaf != receipt.leaf:
        return ForkProof(Form.RECEIPT, note, file.receipt, receipt.idx, LeafProof(leaf, path))
    reference = build_reference(
        cover, origin=receipt.log, chain_id=chain.id, contract=chain.contract, tx=bytes(HASH_BYTES)
    )
    inclusion = encode_tlog_proof(TlogProof(receipt.idx, path, note))
    return replace(file, inclusion=inclusion, anchor=reference)


def _print_ruling(file: Path, ruling: Ruling, written: Path | None, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {"file": str(file), "proof": None if written is None else str(written), **ruling.build_object()}
        )
        return
    print_text(ruling.render("zh" if LANGUAGE == "zh" else "en"))
    if written is not None:
        print_line(say(f"证明已写入 {written}", f"proof written to {written}"))


def _convicts(standing: dict[str, Any], receipt: Receipt) -> bool:
    from node.core.encoding import encode_b64u

    other = standing["leaf"] is not None and standing["leaf"] != encode_b64u(receipt.leaf)
    return standing["state"] == "defaulted" or other


def _describe_wait(standing: dict[str, Any]) -> str:
    if standing["state"] == "overdue":
        return say(
            f"已逾期，区块 {standing['default_block']} 起可记为违约",
            f"overdue; a default from block {standing['default_block']} on",
        )
    due = _time(standing["due_at"])
    return say(f"等待答复，期限 {due}（链上时间）", f"waiting for the answer, due {due} by the chain's time")


def _describe_standing(standing: dict[str, Any], receipt: Receipt) -> str:
    place = say(f"日志 {receipt.log} 第 {receipt.idx} 条", f"entry {receipt.idx} of log {receipt.log}")
    if standing["state"] == "defaulted":
        return say(
            f"★ {place}：质询未获答复，已记为违约，{receipt.iss} 应负责",
            f"*** {place}: the demand stayed unanswered, which is recorded as default and convicts {receipt.iss} ***",
        )
    if _convicts(standing, receipt):
        return say(
            f"★ {place}：答复表明该处是另一条，回执定责于 {receipt.iss}",
            f"*** {place}: the answer shows another entry; the receipt convicts {receipt.iss} ***",
        )
    if standing["state"] == "answered":
        return say(f"{place}：已答复，正是所承诺的条目", f"{place}: answered, it is the promised entry")
    again = say("；稍后再次运行同一命令", "; run the same command again later")
    if standing["done"] == "demand":
        return place + say("：已提出质询，", ": demanded, ") + _describe_wait(standing) + again
    return place + say("：", ": ") + _describe_wait(standing) + again


def _time(seconds: int) -> str:
    from node.evidence.report import iso_time

    return iso_time(seconds)

# SPDX-License-Identifier: Apache-2.0
"""``ironcage policy``: write a trust file from what nodes and chain say, to be read by a person; show one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cli.address import ADDRESS
from cli.home import DEFAULT_HOME, HomeOption, TokenOption, open_client
from cli.language import LANGUAGE, say
from cli.output import print_line, print_table, reported, require_file, require_writable
from node.errors import Unavailable, Verification

if TYPE_CHECKING:
    from node.core.types import MemberCode
    from node.evidence.policy import Policy, TrustedKey, TrustedLog
    from node.ports import AnchorChain

MONTHS_TRUSTED = 12
SECONDS_PER_MONTH = 30 * 86_400
_NONE = "—"
app = typer.Typer(no_args_is_help=True, help=say("信任策略", "trust policies"))


@app.command(
    help=say(
        "从节点与链生成策略文件；使用前请人工核对其中的密钥",
        "write a policy from nodes and chain; read its keys before you rely on it",
    )
)
def export(
    home: HomeOption = DEFAULT_HOME,
    token_file: TokenOption = None,
    node: Annotated[
        list[str] | None, typer.Option(help=say("节点地址，可多次", "address of a node; may be repeated"))
    ] = None,
    level: Annotated[str, typer.Option(help="signed, logged, anchored, final")] = "anchored",
    rpc: Annotated[
        str | None, typer.Option(help=say("验证时询问的链节点", "chain node to ask when verifying"))
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(help=say("另外要求，如 ml-dsa-44", "further demand, such as ml-dsa-44")),
    ] = None,
    validator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="0x…",
            help=say(
                "clique、qbft 链的验证者地址，可多次；请从链外可靠渠道取得",
                "address of a validator of a clique or qbft chain, from a source you trust; may be repeated",
            ),
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=say("输出文件", "file to write"))] = None,
) -> None:
    """Write a policy file."""
    from node.evidence.policy import encode_policy

    with reported():
        if out is not None:
            require_writable(out)
        policy = build_policy(
            home,
            token_file=token_file,
            nodes=node or [],
            level=level,
            rpc=rpc,
            require=require or [],
            validators=validator or [],
        )
        data = encode_policy(policy) + b"\n"
        if out is None:
            print_line(data.decode().rstrip())
            return
        out.write_bytes(data)
    print_line(
        say(
            f"策略已写入 {out}，请核对其中的密钥。",
            f"policy written to {out}; read its keys before you rely on it.",
        )
    )


@app.command(help=say("显示一份策略", "show a policy"))
def show(file: Annotated[Path, typer.Argument(help=say("策略文件", "policy file"))]) -> None:
    """Show what a policy trusts and demands."""
    from datetime import UTC, datetime
    from hashlib import sha256

    from node.core.encoding import encode_b64u, encode_hex
    from node.evidence.policy import MAX_POLICY_BYTES, parse_policy
    from node.evidence.report import LEVELS

    with reported():
        policy = parse_policy(require_file(file, max_bytes=MAX_POLICY_BYTES))
    demand, chain = policy.demand, policy.chain
    needs = ", ".join(sorted(demand.require)) or _NONE
    level = demand.level.text
    named = say(f"{LEVELS[level].zh} {level}", level)
    print_line(f"{say('要求的证明程度', 'demanded level')}: {named}  {say('另外要求', 'also')}: {needs}")
    age, interval = (_seconds_text(value) for value in (demand.max_status_age, demand.max_interval))
    print_line(
        f"{say('状态最长时效', 'greatest age of a status')}: {age}  "
        f"{say('时间区间最宽', 'widest time interval')}: {interval}"
    )
    print_line(
        f"{say('链', 'chain')}: {chain.engine} {chain.id}  AnchorLog {chain.contract}  RPC {chain.rpc or _NONE}"
    )
    print_line(f"{say('可信区块', 'trusted block')}: {chain.block}  {encode_hex(chain.hash)}")
    until = datetime.fromtimestamp(chain.trusted_until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print_line(f"{say('信任截止', 'trusted until')}: {until}")
    validators = ", ".join(chain.validators) or _NONE
    print_line(f"{say('验证者', 'validators')}: {validators}")
    print_table(
        (
            say("日志", "log"),
            say("所有者", "owner"),
            say("算法", "algorithm"),
            say("密钥的 SHA-256", "SHA-256 of key"),
        ),
        [
            (log.text, log.owner, algorithm, sha256(key.public).hexdigest())
            for log in policy.logs
            for algorithm, key in (("Ed25519", log.ed25519), ("ML-DSA-44", log.ml_dsa_44))
        ],
        fold=False,
    )
    columns = (
        say("成员", "member"),
        say("用途", "kind"),
        say("自区块", "from"),
        say("至区块", "to"),
        say("密钥（b64u）", "key (b64u)"),
    )
    rows = [
        (
            k.member,
            k.kind,
            *(_NONE if n is None else n for n in (k.from_block, k.to_block)),
            encode_b64u(k.public),
        )
        for k in policy.keys
    ]
    print_table(columns, rows, fold=False)


def _seconds_text(value: int | None) -> str:
    return _NONE if value is None else f"{value} s"


def build_policy(
    home: Path,
    *,
    token_file: Path | None,
    nodes: list[str],
    level: str,
    rpc: str | None,
    require: list[str],
    validators: list[str],
) -> Policy:
    """Build a policy from what nodes say of themselves, each key compared with the chain's registry.

    Args:
        home: Home directory with the network file; its own node is asked when no other is named.
        token_file: Token for that node; None for the home's own.
        nodes: Addresses of the nodes whose logs are to be trusted.
        level: Demanded level.
        rpc: Chain node that verification is to ask, or None.
        require: Further demands.
        validators: Addresses of the validators, none on anvil; the chain is not asked, it could name any.

    Raises:
        Verification: A node says other keys than the chain has for it.
    """
    from node.bootstrap import load_network, open_chain
    from node.client.api import NodeClient
    from node.config import load_settings
    from node.core.clock import SystemClock
    from node.core.encoding import encode_hex
    from node.core.types import MemberCode
    from node.crypto.secp256k1 import parse_address
    from node.evidence.policy import (
        Demand,
        Level,
        Policy,
        TrustedChain,
        encode_policy,
        parse_level,
        parse_policy,
    )

    settings = load_settings(home)
    network = load_network(settings)
    described: list[_Described] = []
    for url in nodes:
        with NodeClient(url, language=LANGUAGE, tls_ca=ADDRESS.tls_ca) as client:
            described.append(_read_description(client.get("/api/v1/node")))
    if not nodes:
        with open_client(home, token_file) as client:
            described.append(_read_description(client.get("/api/v1/node")))
    with open_chain(settings, network) as chain:
        logs = [log for node in described for log in _trusted_logs(chain, node)]
        keys = [key for node in described for key in read_trusted_keys(chain, MemberCode(node.member))]
    trust = TrustedChain(
        id=network.chain_id,
        engine=network.engine,
        contract=encode_hex(network.anchor_log),
        block=network.deployed_block,
        hash=network.deployed_block_hash,
        validators=tuple(encode_hex(parse_address(text)) for text in validators),
        trusted_until=SystemClock().now_seconds() + MONTHS_TRUSTED * SECONDS_PER_MONTH,
        rpc=rpc,
    )
    wanted = parse_level(level)
    demand = Demand(level=wanted, require=frozenset(require))
    if wanted < Level.ANCHORED:
        # Below that level no time is proven, so none can be demanded.
        demand = demand._replace(max_status_age=None, max_interval=None)
    policy = Policy(logs=tuple(logs), keys=tuple(keys), chain=trust, demand=demand)
    # What a verifier would refuse to read is not written.
    return parse_policy(encode_policy(policy))


class _Described(NamedTuple):
    """What a node says of itself, as far as it is asked: its member, and origin and vkeys of each log."""

    member: str
    logs: list[tuple[str, str, str]]


def _read_description(answer: Any) -> _Described:
    try:
        logs = [(log["origin"], *log["vkeys"]) for log in (*answer["logs"], *answer["earlier_logs"])]
        texts = [answer["member"], *(text for log in logs for text in log)]
        if not all(isinstance(text, str) for text in texts) or any(len(log) != 3 for log in logs):  # noqa: PLR2004 - origin, two keys
            raise TypeError
        return _Described(answer["member"], logs)
    except (KeyError, TypeError):
        raise Unavailable(
            "node-answer", "what answers there does not describe a node: is this address a node's?"
        ) from None


def _trusted_logs(chain: AnchorChain, node: _Described) -> list[TrustedLog]:
    from hashlib import sha256

    from node.crypto.note import parse_vkey
    from node.evidence.policy import TrustedLog
    from node.log.checkpoint import log_id, parse_origin

    trusted = []
    for text, *vkeys in node.logs:
        ed25519, ml_dsa = map(parse_vkey, vkeys)
        # The id is computed: a node must not lend the keys of one log to another.
        origin, info = parse_origin(text), chain.log_info(log_id(text))
        if (
            info is None
            or not info.member == node.member == origin.member
            or info.ed25519 != ed25519.public
            or info.ml_dsa_44_digest != sha256(ml_dsa.public).digest()
        ):
            raise Verification(
                "policy-log-key",
                f"the chain does not have the keys that the node of {node.member} says for its log {text}",
            )
        trusted.append(TrustedLog(origin, text, origin.member, ed25519, ml_dsa))
    return trusted


def read_trusted_keys(chain: AnchorChain, member: MemberCode) -> list[TrustedKey]:
    """Read a member's keys from the registry, each up to the block from which it was declared compromised."""
    from node.evidence.policy import TrustedKey
    from node.ports import KeyKind

    kinds = (("record", KeyKind.RECORD), ("node", KeyKind.NODE))
    trusted = []
    for word, kind in kinds:
        for period in chain.keys(member, kind):
            end, compromised = period.to_block, chain.compromised_from(member, kind, period.key)
            if compromised is not None and (end is None or compromised < end):
                end = compromised
                _warn_of_compromised(member, word, period.key, compromised)
            # A key that was declared compromised from its first block on is trusted nowhere.
            if end is None or end > period.from_block:
                trusted.append(TrustedKey(member, word, period.key, period.from_block, end))
    return trusted


def _warn_of_compromised(member: MemberCode, kind: str, key: bytes, block: int) -> None:
    from node.crypto.ed25519 import key_id16

    kid = key_id16(key)
    sys.stderr.write(
        say(
            f"警告：成员 {member} 的 {kind} 密钥 {kid} 已被宣布自区块 {block} 起失密，策略只信任其此前的签名。\n",
            f"warning: the {kind} key {kid} of {member} was declared compromised from block {block} on; "
            "the policy trusts it for earlier blocks only.\n",
        )
    )

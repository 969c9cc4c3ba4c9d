# SPDX-License-Identifier: Apache-2.0
"""``ironcage key``: the node's own keys, as the files have them and as the chain knows them, and their rotation.

A key is rotated while the node is stopped. A new record or node key is registered by the node's next start and signs
from then on; the old one stays valid on the chain for what it signed. A new exchange key is registered likewise; the one
before it still opens requests that are on their way. A new operator key is announced to the chain by the
old one and takes over 24 hours later (MemberRegistry); the same command, run again, finishes it. The keys of a log change
only with a successor log.
"""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.home import DEFAULT_HOME, HomeOption, JsonOption
from cli.language import say
from cli.output import print_json, print_line, print_table, reported
from node.errors import Conflict, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.chain.evm import EvmChain
    from node.config import Settings
    from node.crypto.secp256k1 import OperatorKey
    from node.ports import Member

app = typer.Typer(no_args_is_help=True, help=say("本节点的密钥", "the node's own keys"))

_WAIT_SECONDS: Final = 120
_POLL_SECONDS: Final = 0.2


class Rotated(StrEnum):
    """Keys that can be rotated by themselves."""

    RECORD = "record"
    NODE = "node"
    EXCHANGE = "exchange"
    OPERATOR = "operator"


@app.command(
    "list", help=say("密钥及其在链上的有效期", "the keys, and since when they are valid on the chain")
)
def list_keys(home: HomeOption = DEFAULT_HOME, *, as_json: JsonOption = False) -> None:
    """List the registered keys of this member, from the chain, and mark those that this node holds."""
    from node.bootstrap import load_network, open_chain
    from node.config import load_settings
    from node.core.types import MemberCode
    from node.ports import KeyKind

    with reported(as_json=as_json):
        settings = load_settings(home)
        held = _read_public_keys(settings)
        with open_chain(settings, load_network(settings)) as chain:
            member = _find_member(chain, settings)
            found = [
                {
                    "kind": kind.name.lower().replace("_", "-"),
                    "key": period.key.hex(),
                    "from_block": period.from_block,
                    "to_block": period.to_block,
                    "here": held.get(kind) == period.key if kind in held else None,
                }
                for kind in KeyKind
                for period in chain.keys(MemberCode(settings.member), kind)
            ]
        answer = {
            "operator": member.operator,
            "pending_operator": member.pending_operator,
            "rotation_at": member.rotation_at,
            "keys": found,
        }
    if as_json:
        print_json(answer)
        return
    print_line(say("操作密钥地址：", "operator: ") + member.operator)
    if member.pending_operator is not None and member.rotation_at is not None:
        print_line(_describe_pending(member.pending_operator, member.rotation_at))
    columns = (
        say("种类", "kind"),
        say("自区块", "from block"),
        say("至区块", "to block"),
        "SHA-256 / key",
        "",
    )
    here = say("本机", "here")
    rows = [
        (k["kind"], k["from_block"], k["to_block"] or "", k["key"], here if k["here"] else "") for k in found
    ]
    print_table(columns, rows, fold=False)


@app.command(help=say("更换密钥（节点须已停止）", "rotate a key; the node must be stopped"))
def rotate(
    key: Annotated[Rotated, typer.Argument(help=say("哪一把密钥", "which key"))],
    home: HomeOption = DEFAULT_HOME,
    *,
    as_json: JsonOption = False,
) -> None:
    """Rotate a key. For the operator key: announce it, and once 24 hours have passed finish it with the same command."""
    from node.config import load_settings

    with reported(as_json=as_json):
        settings = load_settings(home)
        with _stopped(settings):
            if key is Rotated.OPERATOR:
                answer = _rotate_operator(settings)
            elif key is Rotated.EXCHANGE:
                answer = _rotate_exchange(settings)
            else:
                from node.serving import load_passphrase
                from node.storage.keyfiles import replace_signing_key

                old, new = replace_signing_key(
                    settings.path(settings.keys_dir),
                    key.value,
                    load_passphrase(settings),
                    secrets.token_bytes,
                )
                answer = {"key": key.value, "state": "replaced", "old": old, "new": new}
    if as_json:
        print_json(answer)
    else:
        print_line(_describe(answer))


def _describe(answer: dict[str, str | int]) -> str:
    old, new = answer["old"], answer["new"]
    if answer["state"] == "announced":
        return _describe_pending(str(new), int(answer["rotation_at"]))
    if answer["key"] == Rotated.OPERATOR.value:
        return say(f"操作密钥已更换：{old} → {new}", f"the operator key was replaced: {old} → {new}")
    return say(
        f"密钥 {answer['key']} 已更换：{old} → {new}。请启动节点，由它在链上登记新密钥。",
        f"key {answer['key']} was replaced: {old} → {new}. Start the node: it registers the new key on the chain.",
    )


def _describe_pending(address: str, rotation_at: int) -> str:
    at = datetime.fromtimestamp(rotation_at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return say(
        f"新操作密钥 {address} 已在链上公告，{at} 生效。在此之前照常启动节点；生效后停止节点，再运行一次本命令。",
        f"the new operator key {address} is announced and takes over at {at}. Until then start the node as ever; after it "
        "stop the node and run this command again.",
    )


@contextmanager
def _stopped(settings: Settings) -> Iterator[None]:
    """Make sure that no node runs on this home for as long as the context lasts."""
    from node.bootstrap import hold_store

    try:
        with hold_store(settings):
            yield
    except Unavailable as error:
        if error.code != "store-locked":
            raise
        raise Unavailable("store-locked", "the node runs: stop it, then rotate its keys") from None


def _read_public_keys(settings: Settings) -> dict[object, bytes]:
    from node.ports import KeyKind
    from node.serving import load_passphrase
    from node.storage.keyfiles import load_exchange_key, load_signing_key

    directory, passphrase = settings.path(settings.keys_dir), load_passphrase(settings)
    held: dict[object, bytes] = {
        kind: load_signing_key(directory, name, passphrase).public
        for kind, name in ((KeyKind.RECORD, "record"), (KeyKind.NODE, "node"))
    }
    with suppress(NotFound):  # an older release made no exchange key; the next start does
        held[KeyKind.EXCHANGE] = sha256(load_exchange_key(directory, passphrase).public).digest()
    return held


def _find_member(chain: EvmChain, settings: Settings) -> Member:
    from node.core.types import MemberCode
    from node.errors import AccessDenied

    member = chain.member(MemberCode(settings.member))
    if member is None:
        raise AccessDenied("member-unknown", f"member {settings.member} is not in the chain's registry")
    return member


def _rotate_exchange(settings: Settings) -> dict[str, str | int]:
    from cli.init import DEFAULT_SCRYPT_N
    from node.serving import load_passphrase
    from node.storage.keyfiles import replace_exchange_key

    directory, passphrase = settings.path(settings.keys_dir), load_passphrase(settings)
    old, new = replace_exchange_key(directory, passphrase, secrets.token_bytes, scrypt_n=DEFAULT_SCRYPT_N)
    return {"key": Rotated.EXCHANGE.value, "state": "replaced", "old": old, "new": new}


def _rotate_operator(settings: Settings) -> dict[str, str | int]:
    """Do the next step of an operator key's rotation: announce it, say when it takes over, or finish it."""
    from cli.init import DEFAULT_SCRYPT_N
    from node.bootstrap import load_network, open_chain
    from node.serving import load_passphrase
    from node.storage.keyfiles import (
        adopt_next_operator,
        create_next_operator,
        find_next_operator,
        load_operator,
        set_next_operator_aside,
    )

    directory, passphrase = settings.path(settings.keys_dir), load_passphrase(settings)
    operator, following = load_operator(directory, passphrase), find_next_operator(directory, passphrase)
    with open_chain(settings, load_network(settings), operator) as chain:
        member = _find_member(chain, settings)
        if following is not None and member.operator == following.address:
            adopt_next_operator(directory)
            return _answer("replaced", operator, following.address)
        if member.operator != operator.address:
            raise Conflict(
                "operator-differs",
                f"the chain has operator {member.operator} for this member, the key file is of {operator.address}",
            )
        if following is None or member.pending_operator != following.address:
            if member.pending_operator is not None:
                raise Conflict(
                    "rotation-pending",
                    f"another operator key, {member.pending_operator}, is announced already: whoever holds the recovery "
                    "key can cancel it",
                )
            # The announcement of one that is there may be under way: it is announced again, not replaced.
            if following is not None and not _announce(chain, settings, following):
                # It was announced once and cancelled, and the chain takes no address twice. Its file is kept.
                set_next_operator_aside(directory, following.address)
                following = None
            if following is None:
                following = create_next_operator(
                    directory, passphrase, secrets.token_bytes, scrypt_n=DEFAULT_SCRYPT_N
                )
                _announce(chain, settings, following)
            member = _find_member(chain, settings)
    return _answer("announced", operator, following.address) | {"rotation_at": member.rotation_at or 0}


def _answer(state: str, operator: OperatorKey, new: str) -> dict[str, str | int]:
    return {"key": Rotated.OPERATOR.value, "state": state, "old": operator.address, "new": new}


def _announce(chain: EvmChain, settings: Settings, following: OperatorKey) -> bool:
    """Announce an operator key; False when the chain takes this address no more.

    Raises:
        Conflict: ``rotation-reverted``, for any other reason.
        Unavailable: It is not known yet what became of the announcement; the same key is announced again next time.
    """
    signed = chain.sign_rotate_operator(following.address, chain.next_nonce())
    chain.send(signed.raw)
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        outcome = chain.find_outcome(signed.tx_hash)
        if outcome is not None and outcome.final:
            break
        if time.monotonic() > deadline:
            raise Unavailable(
                "transaction-slow",
                "the announcement is under way and not final yet: run this command again later",
            )
        time.sleep(_POLL_SECONDS)
    if outcome.status == 1 or _find_member(chain, settings).pending_operator == following.address:
        return True
    if "UnusableAddress" in (outcome.revert_reason or ""):
        return False
    raise Conflict("rotation-reverted", f"the chain refused the new operator key: {outcome.revert_reason}")

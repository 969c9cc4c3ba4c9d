# SPDX-License-Identifier: Apache-2.0
"""Put the three contracts on a chain and write down where they are: the network file.

1. check that the chain answers with the id that is wanted
2. MemberRegistry with its founders                     the deployer keeps no right of its own in any of them
3. AnchorLog with the domain and the registry's address
4. DocumentRegistry with the registry's address
5. take the block of the last as the trusted block of the network
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from contracts import load_artifact
from node.chain.abi import ContractAbi
from node.chain.account import ChainAccount
from node.chain.contracts import encode_code
from node.chain.network import DEFAULT_ANCHOR_LIMIT_SECONDS, Network, build_network_member
from node.chain.profile import build_profile
from node.chain.rpc import CallReverted
from node.crypto.secp256k1 import parse_address
from node.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.chain.account import Settled
    from node.chain.rpc import Rpc
    from node.core.clock import Clock
    from node.core.types import MemberCode
    from node.crypto.secp256k1 import OperatorKey
    from node.ports import Role

DEPLOY_TIMEOUT_SECONDS: Final = 120.0

_GAS_MARGIN: Final = 5
"""A fifth is added to the estimate."""


@dataclass(frozen=True, slots=True)
class Founder:
    """A member from the start.

    Attributes:
        code: Its USCC.
        name: As its own people call it.
        operator: Address of its operator key, EIP-55.
        recovery: Address of its recovery key, EIP-55, another one.
        roles: What it takes part as.
        governing: Whether it votes; at least one founder must.
    """

    code: MemberCode
    name: str
    operator: str
    recovery: str
    roles: Role
    governing: bool


@dataclass(frozen=True, slots=True)
class ChainChoice:
    """The chain to deploy on.

    Attributes:
        chain_id: Its id.
        engine: Its engine (docs/chain.md, Engine profiles).
        rpc: Addresses of chain nodes for the network file.
        gas_price_wei: Instead of the engine's own price, or None.
        signers: Number of Clique signers, or None.
        depth_blocks: Blocks on top that settle a block of engine other, or None.
    """

    chain_id: int
    engine: str
    rpc: tuple[str, ...] = ()
    gas_price_wei: int | None = None
    signers: int | None = None
    depth_blocks: int | None = None


def deploy_network(
    rpc: Rpc,
    choice: ChainChoice,
    deployer: OperatorKey,
    *,
    domain: str,
    founders: Sequence[Founder],
    clock: Clock,
    sleep: Callable[[float], None],
) -> Network:
    """Deploy the contracts, wait until they are final, and build the network file's content.

    Args:
        rpc: A chain node.
        choice: Which chain it should be.
        deployer: Pays for the deployment and has no right afterwards; any funded account.
        domain: Exchange domain, 1 to 63 of a-z, 0-9, dot and hyphen.
        founders: The first members, at least one of them governing.
        clock: For the time limit.
        sleep: Waits some seconds between two looks.

    Raises:
        InvalidInput: ``founders`` when there is none or none governs; codes of the network file.
        Conflict: ``chain-wrong-id`` when another chain answers, ``transaction-reverted`` when a contract refuses
            its founders or domain.
        Unavailable: The chain is away, or not done in time.
    """
    _check_founders(founders)
    chain_id = rpc.chain_id()
    if chain_id != choice.chain_id:
        raise Conflict("chain-wrong-id", f"another chain answers: got id {chain_id}, want {choice.chain_id}")
    profile = build_profile(
        choice.engine,
        gas_price_wei=choice.gas_price_wei,
        signers=choice.signers,
        depth_blocks=choice.depth_blocks,
    )
    account = ChainAccount(rpc, choice.chain_id, profile, deployer)

    def deploy(name: str, *values: Any) -> tuple[bytes, Settled]:
        artifact = load_artifact(name)
        abi = ContractAbi(artifact.abi)
        data = artifact.bytecode + abi.encode_constructor(*values)
        try:
            estimate = rpc.estimate_gas(None, data, sender=account.address)
        except CallReverted as reverted:
            reason = abi.describe_reason(reverted.data)
            raise Conflict("transaction-reverted", f"{name} refuses to be deployed: {reason}") from None
        signed = account.sign(None, data, gas=estimate + estimate // _GAS_MARGIN, nonce=account.next_nonce())
        settled = account.wait_final(
            signed,
            clock=clock,
            sleep=sleep,
            timeout_seconds=DEPLOY_TIMEOUT_SECONDS,
            describe=abi.describe_reason,
        )
        assert settled.receipt.contract is not None, "a creation that succeeded has an address"
        return settled.receipt.contract, settled

    registry, _ = deploy("MemberRegistry", [_founder_values(founder) for founder in founders])
    anchor_log, _ = deploy("AnchorLog", registry, domain)
    document_registry, settled = deploy("DocumentRegistry", registry)
    return Network(
        domain=domain,
        chain_id=choice.chain_id,
        engine=choice.engine,
        rpc=choice.rpc,
        gas_price_wei=choice.gas_price_wei,
        signers=choice.signers,
        depth_blocks=choice.depth_blocks,
        member_registry=registry,
        anchor_log=anchor_log,
        document_registry=document_registry,
        deployed_block=settled.receipt.block,
        deployed_block_hash=settled.receipt.block_hash,
        anchor_limit_seconds=DEFAULT_ANCHOR_LIMIT_SECONDS,
        members=tuple(
            build_network_member(
                founder.code,
                founder.name,
                parse_address(founder.operator),
                [str(role.name).lower() for role in founder.roles],
            )
            for founder in founders
        ),
    )


def _check_founders(founders: Sequence[Founder]) -> None:
    if not any(founder.governing for founder in founders):
        raise InvalidInput(
            "founders", f"no founder governs: got {len(founders)} founders, want one that votes"
        )


def _founder_values(founder: Founder) -> tuple[bytes, bytes, bytes, int, bool]:
    return (
        encode_code(founder.code),
        parse_address(founder.operator),
        parse_address(founder.recovery),
        int(founder.roles),
        founder.governing,
    )

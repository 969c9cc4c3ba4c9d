# SPDX-License-Identifier: Apache-2.0
"""The network file: which chain and contracts a consortium stands on (docs/chain.md, The network file).

Canonical JSON, handed to every member out of band. It holds nothing secret, and it is trusted: who changes it
chooses the contracts and the chain. Parsing and encoding are pure; who reads the file is the caller's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.chain.account import check_chain_id
from node.chain.profile import EngineProfile, build_profile
from node.chain.transport import parse_rpc_url
from node.core.canonical import check_members, encode_json, parse_json
from node.core.encoding import MAX_SAFE_INTEGER, encode_hex, parse_hex
from node.core.types import MemberCode
from node.core.uscc import parse_uscc
from node.errors import InvalidInput
from node.ports import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NETWORK_BYTES: Final = 256 * 1024
DEFAULT_ANCHOR_LIMIT_SECONDS: Final = 4 * 3600
"""Age of a member's last anchor past which nothing is released to others, unless the network agrees otherwise."""

_VERSION: Final = 1
_DOMAIN: Final = re.compile(r"[a-z0-9.-]{1,63}")
_ADDRESS_BYTES: Final = 20
_HASH_BYTES: Final = 32
_MAX_NAME_CHARACTERS: Final = 200
_MAX_RPC: Final = 16
_ROLES: Final = {role: str(role.name).lower() for role in Role}


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """Which chain and contracts a client should find.

    Attributes:
        chain_id: Id that signatures carry.
        profile: Of the chain's engine.
        domain: Exchange domain, fixed in the contracts.
        member_registry: Address, 20 bytes.
        anchor_log: Address, 20 bytes.
        trusted_block: Height of the block that tells this chain from others.
        trusted_block_hash: Its hash, 32 bytes.
        document_registry: Address, 20 bytes; None for contracts of a release that had none, nor members' endpoints.
    """

    chain_id: int
    profile: EngineProfile
    domain: str
    member_registry: bytes
    anchor_log: bytes
    trusted_block: int
    trusted_block_hash: bytes
    document_registry: bytes | None = None


@dataclass(frozen=True, slots=True)
class NetworkMember:
    """A founder, for people and for tools that start its node; the registry on the chain decides.

    Attributes:
        code: Its USCC.
        name: As its own people call it.
        operator: Address of its operator key, 20 bytes.
        roles: What it takes part as.
    """

    code: MemberCode
    name: str
    operator: bytes
    roles: Role


@dataclass(frozen=True, slots=True)
class Network:
    """The content of a network file.

    Attributes:
        domain: Exchange domain.
        chain_id: Id of the chain.
        engine: Name of its engine.
        rpc: Addresses of chain nodes that members may use, possibly none.
        gas_price_wei: Instead of the engine's own price, or None.
        signers: Number of Clique signers, or None.
        depth_blocks: Blocks on top that settle a block of engine other, or None.
        member_registry: Address, 20 bytes.
        anchor_log: Address, 20 bytes.
        deployed_block: Height of the block in which the last of the contracts was deployed.
        deployed_block_hash: Its hash, 32 bytes.
        anchor_limit_seconds: Age of an anchor past which nothing is released to others.
        members: The founders.
        document_registry: Address, 20 bytes; None when the network was deployed by a release that had none.
    """

    domain: str
    chain_id: int
    engine: str
    rpc: tuple[str, ...]
    gas_price_wei: int | None
    signers: int | None
    depth_blocks: int | None
    member_registry: bytes
    anchor_log: bytes
    deployed_block: int
    deployed_block_hash: bytes
    anchor_limit_seconds: int
    members: tuple[NetworkMember, ...]
    document_registry: bytes | None = None

    def settings(self) -> ChainSettings:
        """Give what the chain client needs."""
        profile = build_profile(
            self.engine,
            gas_price_wei=self.gas_price_wei,
            signers=self.signers,
            depth_blocks=self.depth_blocks,
        )
        return ChainSettings(
            self.chain_id,
            profile,
            self.domain,
            self.member_registry,
            self.anchor_log,
            self.deployed_block,
            self.deployed_block_hash,
            self.document_registry,
        )


def encode_network(network: Network) -> bytes:
    """Encode as the canonical content of a network file."""
    chain: dict[str, Any] = {"id": network.chain_id, "engine": network.engine, "rpc": network.rpc}
    optional = {
        "gas_price": network.gas_price_wei,
        "signers": network.signers,
        "depth": network.depth_blocks,
    }
    chain.update({name: value for name, value in optional.items() if value is not None})
    addresses = {
        "member_registry": network.member_registry,
        "anchor_log": network.anchor_log,
        "document_registry": network.document_registry,
    }
    return encode_json(
        {
            "v": _VERSION,
            "domain": network.domain,
            "chain": chain,
            "contracts": {
                name: encode_hex(address) for name, address in addresses.items() if address is not None
            },
            "deployed_block": network.deployed_block,
            "deployed_block_hash": encode_hex(network.deployed_block_hash),
            "anchor_limit_seconds": network.anchor_limit_seconds,
            "members": [
                {
                    "code": member.code,
                    "name": member.name,
                    "operator": encode_hex(member.operator),
                    "roles": _name_roles(member.roles),
                }
                for member in network.members
            ],
        }
    )


def parse_network(data: bytes) -> Network:
    """Parse the content of a network file.

    Args:
        data: Its bytes, whole; a newline at the end is allowed.

    Raises:
        InvalidInput: A ``json-…`` code when it is not strict JSON, ``network-file`` when a member of it is
            missing, unknown or malformed, ``chain-engine``, ``chain-id``, ``chain-url``, ``hex`` or a code of
            ``parse_uscc`` for the value concerned.
    """
    root = check_members(
        parse_json(data, max_bytes=MAX_NETWORK_BYTES, what="network file"),
        "network file",
        required=(
            "v",
            "domain",
            "chain",
            "contracts",
            "deployed_block",
            "deployed_block_hash",
            "anchor_limit_seconds",
            "members",
        ),
    )
    if root["v"] != _VERSION or isinstance(root["v"], bool):
        raise InvalidInput("network-file", f"network file has an unknown version: want {_VERSION}")
    domain = _text(root["domain"], "domain")
    if not _DOMAIN.fullmatch(domain):
        raise InvalidInput("network-file", "domain is malformed: want 1 to 63 of a-z, 0-9, dot and hyphen")
    contracts = check_members(
        root["contracts"],
        "contracts",
        required=("member_registry", "anchor_log"),
        optional=("document_registry",),
    )
    chain = check_members(
        root["chain"], "chain", required=("id", "engine", "rpc"), optional=("gas_price", "signers", "depth")
    )
    network = Network(
        domain=domain,
        chain_id=_number(chain["id"], "chain id"),
        engine=_text(chain["engine"], "engine"),
        rpc=_parse_urls(chain["rpc"]),
        gas_price_wei=_optional_number(chain, "gas_price"),
        signers=_optional_number(chain, "signers"),
        depth_blocks=_optional_number(chain, "depth"),
        member_registry=_address(contracts["member_registry"], "member_registry"),
        anchor_log=_address(contracts["anchor_log"], "anchor_log"),
        document_registry=_optional_address(contracts, "document_registry"),
        deployed_block=_number(root["deployed_block"], "deployed_block"),
        deployed_block_hash=parse_hex(
            _text(root["deployed_block_hash"], "deployed_block_hash"), length=_HASH_BYTES
        ),
        anchor_limit_seconds=_number(root["anchor_limit_seconds"], "anchor_limit_seconds", least=1),
        members=_parse_network_members(root["members"]),
    )
    check_chain_id(network.chain_id)
    network.settings()
    return network


def build_network_member(code: str, name: str, operator: bytes, roles: Sequence[str]) -> NetworkMember:
    """Build a founder's entry from its parts.

    Args:
        code: USCC.
        name: 1 to 200 characters.
        operator: Address, 20 bytes.
        roles: Of issuer, consumer, auditor, regulator, gateway; each once.

    Raises:
        InvalidInput: ``network-file``, or a code of ``parse_uscc``.
    """
    if not 0 < len(name) <= _MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidInput(
            "network-file", f"member name is malformed: want 1 to {_MAX_NAME_CHARACTERS} printable characters"
        )
    by_name = {text: role for role, text in _ROLES.items()}
    if len(set(roles)) != len(roles) or not set(roles) <= set(by_name):
        raise InvalidInput("network-file", f"roles are malformed: want some of {', '.join(by_name)}")
    mask = Role(0)
    for role in roles:
        mask |= by_name[role]
    return NetworkMember(MemberCode(parse_uscc(code)), name, operator, mask)


def _name_roles(mask: Role) -> list[str]:
    """Name roles in their one order."""
    return [name for role, name in _ROLES.items() if role in mask]


def _parse_network_members(value: Any) -> tuple[NetworkMember, ...]:
    members = []
    for entry in _list(value, "members"):
        fields = check_members(entry, "member", required=("code", "name", "operator", "roles"))
        roles = [_text(role, "role") for role in _list(fields["roles"], "roles")]
        operator = _address(fields["operator"], "operator")
        member = build_network_member(
            _text(fields["code"], "code"), _text(fields["name"], "name"), operator, roles
        )
        if roles != _name_roles(member.roles):
            raise InvalidInput(
                "network-file", f"roles are out of order: want them as in {', '.join(_ROLES.values())}"
            )
        members.append(member)
    if len({member.code for member in members}) != len(members):
        raise InvalidInput("network-file", "a member stands twice in the network file")
    return tuple(members)


def _parse_urls(value: Any) -> tuple[str, ...]:
    urls = _list(value, "rpc")
    if len(urls) > _MAX_RPC:
        raise InvalidInput(
            "network-file", f"too many RPC addresses: got {len(urls)}, want at most {_MAX_RPC}"
        )
    for url in urls:
        parse_rpc_url(_text(url, "rpc"))
    return tuple(urls)


def _address(value: Any, name: str) -> bytes:
    return parse_hex(_text(value, name), length=_ADDRESS_BYTES)


def _optional_address(contracts: dict[str, Any], name: str) -> bytes | None:
    return _address(contracts[name], name) if name in contracts else None


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput("network-file", f"{name} is malformed: want a string")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInput("network-file", f"{name} is malformed: want an array")
    return value


def _number(value: Any, name: str, *, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= MAX_SAFE_INTEGER:
        raise InvalidInput("network-file", f"{name} is malformed: want an integer from {least}")
    return value


def _optional_number(chain: dict[str, Any], name: str) -> int | None:
    return _number(chain[name], name) if name in chain else None

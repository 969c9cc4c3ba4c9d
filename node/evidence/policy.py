# SPDX-License-Identifier: Apache-2.0
"""The verifier's own trust file: whose keys, which logs, which chain, and what is demanded (protocol §5).

Whoever writes a policy decides what its reader believes. It is therefore parsed as strictly as evidence, and
a policy that contradicts itself is refused as a whole instead of being read in one of its two senses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from node.core.canonical import check_members, encode_json, parse_json
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64u, encode_hex, parse_b64u, parse_hex
from node.core.members import check_integer, check_list, check_text
from node.core.uscc import parse_uscc
from node.crypto.ed25519 import check_ed25519_key, key_id16
from node.crypto.note import ED25519, MLDSA44, VKey, encode_vkey, parse_vkey
from node.errors import InvalidInput
from node.log.checkpoint import Origin, parse_origin

if TYPE_CHECKING:
    from node.core.types import MemberCode
    from node.log.interval import Interval

MAX_POLICY_BYTES: Final = 4 * 1024 * 1024
"""Greatest size of a policy file in bytes: some 1,000 members with two logs each."""

DEFAULT_AGE_SECONDS: Final = 86_400
DEFAULT_MIN_VALIDATORS: Final = 4

ENGINES: Final = ("anvil", "clique", "qbft")
REQUIREMENTS: Final = ("certificate", "ml-dsa-44")
_KEY_BYTES: Final = {"record": 32, "node": 32, "exchange": 1216}
_MAX_ITEMS: Final = 100_000
_BLS_KEY_BYTES: Final = 48
_URL = re.compile(r"https?://[!-~]{1,2040}")


class Level(IntEnum):
    """What is proven about a record; each level holds all that the ones below it hold."""

    NONE = 0
    SIGNED = 1
    LOGGED = 2
    ANCHORED = 3
    FINAL = 4

    @property
    def text(self) -> str:
        """The level as files and reports spell it."""
        return self.name.lower()


def parse_level(text: object) -> Level:
    """Parse the level of a demand: signed, logged, anchored or final.

    Raises:
        InvalidInput: ``policy-level`` for anything else; nobody can demand ``none``.
    """
    for level in Level:
        if level is not Level.NONE and text == level.text:
            return level
    raise InvalidInput("policy-level", "demanded level is unknown: want signed, logged, anchored or final")


class TrustedLog(NamedTuple):
    """A log that the verifier believes, by its origin."""

    origin: Origin
    text: str
    owner: MemberCode
    ed25519: VKey
    ml_dsa_44: VKey


class TrustedKey(NamedTuple):
    """A member's key with the blocks [from_block, to_block) in which it is valid; None means no bound."""

    member: MemberCode
    kind: str
    public: bytes
    from_block: int | None
    to_block: int | None

    def valid_within(self, interval: Interval) -> bool:
        """Tell whether the key was valid at some block of the interval."""
        return interval.allows_key(self.from_block, self.to_block)


class TrustedChain(NamedTuple):
    """The chain that the verifier believes, from one block on."""

    id: int
    engine: str
    contract: str
    block: int
    hash: bytes
    validators: tuple[str, ...]
    trusted_until: int
    min_validators: int = DEFAULT_MIN_VALIDATORS
    rpc: str | None = None

    @property
    def depth_blocks(self) -> int:
        """Blocks that must follow a block before its engine calls it final (chain-engines.md).

        On Clique any floor(n/2)+1 consecutive blocks have as many distinct signers.
        """
        return len(self.validators) // 2 + 1 if self.engine == "clique" else 0


class CertificateTrust(NamedTuple):
    """The BLS keys of governing members by USCC, and how many of them must have signed."""

    members: tuple[tuple[MemberCode, bytes], ...]
    threshold: int


class Demand(NamedTuple):
    """What evidence must reach. An age of None is not demanded; ages are in seconds."""

    level: Level = Level.ANCHORED
    max_status_age: int | None = DEFAULT_AGE_SECONDS
    max_interval: int | None = DEFAULT_AGE_SECONDS
    require: frozenset[str] = frozenset()


DEFAULT_DEMAND: Final = Demand()


@dataclass(frozen=True, slots=True)
class Policy:
    """A verifier's trust. Build it with ``parse_policy``, which checks that it does not contradict itself."""

    logs: tuple[TrustedLog, ...]
    keys: tuple[TrustedKey, ...]
    chain: TrustedChain
    demand: Demand = DEFAULT_DEMAND
    certificates: CertificateTrust | None = None
    _log_of: dict[str, TrustedLog] = field(init=False, repr=False, compare=False, hash=False)
    _keys_of: dict[tuple[str, str, str], list[TrustedKey]] = field(
        init=False, repr=False, compare=False, hash=False
    )

    def __post_init__(self) -> None:
        """Index logs and keys, and refuse a policy that names one of them in two senses."""
        logs: dict[str, TrustedLog] = {}
        for log in self.logs:
            if logs.setdefault(log.text, log) is not log:
                raise InvalidInput("policy-log-twice", f"log {log.text} stands in the policy twice")
        if len({log.ed25519.public for log in self.logs}) + len(
            {log.ml_dsa_44.public for log in self.logs}
        ) != 2 * len(self.logs):
            raise InvalidInput(
                "policy-log-key-twice", "two logs of the policy share a key: want one pair a log"
            )
        keys: dict[tuple[str, str, str], list[TrustedKey]] = {}
        for key in self.keys:
            same = keys.setdefault((key.member, key.kind, key_id16(key.public)), [])
            if same and same[0].public != key.public:
                raise InvalidInput("policy-kid-twice", f"two {key.kind} keys of {key.member} share a kid")
            same.append(key)
        object.__setattr__(self, "_log_of", logs)
        object.__setattr__(self, "_keys_of", keys)

    def find_log(self, origin: str) -> TrustedLog | None:
        """Find the log of this origin."""
        return self._log_of.get(origin)

    def find_keys(self, member: str, kind: str, kid: str) -> list[TrustedKey]:
        """Find a member's key by kid: one public key, once for each range of blocks in which it is valid."""
        return self._keys_of.get((member, kind, kid), [])


def parse_policy(data: bytes | str) -> Policy:
    """Parse a policy file.

    Args:
        data: The file, JSON of at most 4 MiB; line breaks and indentation are allowed, since no signature
            covers it.

    Raises:
        InvalidInput: ``json-…`` and ``policy-…`` codes, one for each rule.
    """
    members = check_members(
        parse_json(data, max_bytes=MAX_POLICY_BYTES, max_depth=8, what="policy"),
        "policy",
        required=("v", "logs", "keys", "chain", "demand"),
        optional=("certificates",),
    )
    if members["v"] != 1 or type(members["v"]) is not int:
        raise InvalidInput("policy-version", "policy has a version that is not known here: want 1")
    return Policy(
        logs=tuple(_parse_log(log) for log in check_list(members["logs"], "logs", max_items=_MAX_ITEMS)),
        keys=tuple(_parse_key(key) for key in check_list(members["keys"], "keys", max_items=_MAX_ITEMS)),
        chain=_parse_chain(members["chain"]),
        demand=_parse_demand(members["demand"]),
        certificates=_parse_certificates(members["certificates"]) if "certificates" in members else None,
    )


def encode_policy(policy: Policy) -> bytes:
    """Encode a policy as canonical JSON, every default written out."""
    chain = policy.chain
    members: dict[str, Any] = {
        "v": 1,
        "logs": [
            {
                "origin": log.text,
                "owner": log.owner,
                "ed25519": encode_vkey(log.ed25519),
                "ml_dsa_44": encode_vkey(log.ml_dsa_44),
            }
            for log in policy.logs
        ],
        "keys": [
            {
                "member": key.member,
                "kind": key.kind,
                "key": encode_b64u(key.public),
                "from": key.from_block,
                "to": key.to_block,
            }
            for key in policy.keys
        ],
        "chain": {
            "id": chain.id,
            "engine": chain.engine,
            "contract": chain.contract,
            "block": chain.block,
            "hash": encode_hex(chain.hash),
            "validators": list(chain.validators),
            "trusted_until": chain.trusted_until,
            "min_validators": chain.min_validators,
        },
        "demand": _encode_demand(policy.demand),
    }
    if chain.rpc is not None:
        members["chain"]["rpc"] = chain.rpc
    if policy.certificates is not None:
        members["certificates"] = {
            "members": [{"uscc": uscc, "bls": encode_b64u(bls)} for uscc, bls in policy.certificates.members],
            "threshold": policy.certificates.threshold,
        }
    return encode_json(members)


def encode_tlog_policy(policy: Policy) -> str:
    """Encode the logs of a policy as C2SP tlog-policy text for third-party verifiers.

    The operator's own ML-DSA-44 line says nothing that the operator did not say already, so it never counts
    as a witness: it is a comment, and the quorum is ``none``.
    """
    lines = ["# c2sp.org/tlog-policy: the logs of an Ironcage policy", ""]
    for log in policy.logs:
        lines.append(f"log {encode_vkey(log.ed25519)}")
        lines.append(f"# the operator's own ML-DSA-44 line, not a witness: {encode_vkey(log.ml_dsa_44)}")
    return "\n".join([*lines, "", "quorum none", ""])


def _parse_log(value: Any) -> TrustedLog:
    members = check_members(value, "log", required=("origin", "owner", "ed25519", "ml_dsa_44"))
    text = check_text(members["origin"], "origin")
    origin = parse_origin(text)
    if check_text(members["owner"], "owner") != origin.member:
        raise InvalidInput("policy-log-owner", f"owner of log {text} is not the member that its origin names")
    return TrustedLog(
        origin,
        text,
        origin.member,
        _parse_log_key(members["ed25519"], text, ED25519),
        _parse_log_key(members["ml_dsa_44"], text, MLDSA44),
    )


def _parse_log_key(value: Any, origin: str, algorithm: int) -> VKey:
    key = parse_vkey(check_text(value, "vkey"))
    if key.name != origin:
        raise InvalidInput("policy-vkey-name", f"a vkey of log {origin} has another name: want the origin")
    if key.algorithm != algorithm:
        raise InvalidInput(
            "policy-vkey-type", f"a vkey of log {origin} has type {key.algorithm:#04x}, want {algorithm:#04x}"
        )
    return key


def _parse_key(value: Any) -> TrustedKey:
    members = check_members(value, "key", required=("member", "kind", "key", "from", "to"))
    kind = check_text(members["kind"], "kind")
    if kind not in _KEY_BYTES:
        raise InvalidInput("policy-key-kind", f"kind of key is unknown: want {', '.join(sorted(_KEY_BYTES))}")
    public = parse_b64u(check_text(members["key"], "key"), length=_KEY_BYTES[kind])
    if kind != "exchange":
        check_ed25519_key(public)
    bounds = [
        None if members[name] is None else check_integer(members[name], name) for name in ("from", "to")
    ]
    if bounds[0] is not None and bounds[1] is not None and bounds[0] >= bounds[1]:
        raise InvalidInput("policy-key-range", "a key is valid at no block: want from below to")
    return TrustedKey(parse_uscc(check_text(members["member"], "member")), kind, public, bounds[0], bounds[1])


def _parse_chain(value: Any) -> TrustedChain:
    members = check_members(
        value,
        "chain",
        required=("id", "engine", "contract", "block", "hash", "validators", "trusted_until"),
        optional=("min_validators", "rpc"),
    )
    engine = check_text(members["engine"], "engine")
    if engine not in ENGINES:
        raise InvalidInput("policy-engine", f"chain engine is unknown: want {', '.join(ENGINES)}")
    validators = tuple(
        parse_address(item) for item in check_list(members["validators"], "validators", max_items=_MAX_ITEMS)
    )
    if (engine == "anvil") != (not validators):
        raise InvalidInput(
            "policy-validators", "validators do not fit the engine: want none on anvil, else some"
        )
    if len(set(validators)) != len(validators):
        raise InvalidInput("policy-validator-twice", "a validator stands in the policy twice")
    rpc = members.get("rpc")
    if "rpc" in members and not _URL.fullmatch(check_text(rpc, "rpc")):
        raise InvalidInput("policy-rpc", "rpc is not a URL: want http:// or https:// and ASCII, no spaces")
    return TrustedChain(
        id=check_integer(members["id"], "id", least=1),
        engine=engine,
        contract=parse_address(members["contract"]),
        block=check_integer(members["block"], "block"),
        hash=parse_hex(check_text(members["hash"], "hash"), length=32),
        validators=validators,
        trusted_until=check_integer(members["trusted_until"], "trusted_until", most=MAX_TIME),
        min_validators=check_integer(
            members.get("min_validators", DEFAULT_MIN_VALIDATORS), "min_validators", least=1
        ),
        rpc=rpc,
    )


def _parse_certificates(value: Any) -> CertificateTrust:
    members = check_members(value, "certificates", required=("members", "threshold"))
    signers = []
    for item in check_list(members["members"], "members", max_items=_MAX_ITEMS):
        signer = check_members(item, "certificate member", required=("uscc", "bls"))
        signers.append(
            (
                parse_uscc(check_text(signer["uscc"], "uscc")),
                parse_b64u(check_text(signer["bls"], "bls"), length=_BLS_KEY_BYTES),
            )
        )
    if len({uscc for uscc, _ in signers}) != len(signers) or len({bls for _, bls in signers}) != len(signers):
        raise InvalidInput(
            "policy-certificate-twice", "a certificate member or key stands in the policy twice"
        )
    threshold = check_integer(members["threshold"], "threshold", least=1)
    # More than two thirds must sign (protocol §9); a lower threshold would let a minority certify.
    if not 2 * len(signers) < 3 * threshold <= 3 * len(signers):
        raise InvalidInput(
            "policy-threshold", "certificate threshold is wrong: want more than 2/3 of the members"
        )
    return CertificateTrust(tuple(signers), threshold)


def _parse_demand(value: Any) -> Demand:
    members = check_members(
        value, "demand", required=(), optional=("level", "max_status_age", "max_interval", "require")
    )
    level = parse_level(members.get("level", Level.ANCHORED.text))
    # Levels below prove no time: an age can be demanded there only by writing it down.
    default = DEFAULT_AGE_SECONDS if level >= Level.ANCHORED else None
    require = [
        check_text(item, "require")
        for item in check_list(members.get("require", []), "require", max_items=len(REQUIREMENTS))
    ]
    if any(item not in REQUIREMENTS for item in require) or len(set(require)) != len(require):
        raise InvalidInput(
            "policy-require", f"require is wrong: want some of {', '.join(REQUIREMENTS)}, each once"
        )
    return Demand(
        level,
        check_integer(members["max_status_age"], "max_status_age")
        if "max_status_age" in members
        else default,
        check_integer(members["max_interval"], "max_interval") if "max_interval" in members else default,
        frozenset(require),
    )


def _encode_demand(demand: Demand) -> dict[str, Any]:
    members: dict[str, Any] = {"level": demand.level.text, "require": sorted(demand.require)}
    for name, age in (("max_status_age", demand.max_status_age), ("max_interval", demand.max_interval)):
        if age is not None:
            members[name] = age
        elif demand.level >= Level.ANCHORED:
            raise InvalidInput("policy-age", f"{name} is missing: level {demand.level.text} always has one")
    return members


def parse_address(value: object) -> str:
    """Parse an address: 0x and 40 lower-case hex digits.

    Raises:
        InvalidInput: ``json-text`` or ``hex``.
    """
    text = check_text(value, "address")
    parse_hex(text, length=20)
    return text

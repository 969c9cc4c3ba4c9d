# SPDX-License-Identifier: Apache-2.0
"""The node's keys on disk: one file a key, encrypted under one passphrase, 0600 in a 0700 directory.

    operator.json  recovery.json                 secp256k1, keystore v3
    record.pem  node.pem                         Ed25519, encrypted PKCS#8
    records-<n>.pem  records-<n>.ml-dsa.pem      the pair of keys of one log, Ed25519 and ML-DSA-44
    access-<n>.pem   access-<n>.ml-dsa.pem
    wrapping.json  index.json                    32-byte symmetric keys, keystore v3
    exchange.json                                seed of the exchange key, keystore v3
    exchange.before.json                         the one before it: requests sealed to it may still be on their way
    operator.next.json                           while the operator key is rotated: the one that takes over

``recovery.json`` is to be moved to a cold place after ``init``; the node never reads it.
"""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.crypto.ed25519 import Ed25519Signer
from node.crypto.hpke import ExchangeKey
from node.crypto.keyfile import encode_private_key, parse_private_key
from node.crypto.keystore import encode_keystore, parse_keystore
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.secp256k1 import OperatorKey
from node.errors import Conflict, Fatal, InvalidInput, NotFound, Unavailable, Verification
from node.storage.files import OsFiles, replace_file
from node.storage.room import describe_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from node.crypto.keyfile import KeyKind

SECRET_BYTES: Final = 32
PRIVATE_DIRECTORY: Final = 0o700
LOG_NAMES: Final = ("records", "access")
_NEXT_OPERATOR: Final = "operator.next.json"
_EXCHANGE: Final = "exchange"
_EXCHANGE_BEFORE: Final = "exchange.before"


@dataclass(frozen=True, slots=True)
class LogKeyPair:
    """The keys that sign one log's checkpoints."""

    ed25519: Ed25519Signer
    ml_dsa_44: MlDsa44Signer


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """All keys that a running node holds; the wrapping key is in the key process. Has no printable form.

    Of its exchange keys the newest comes first.
    """

    operator: OperatorKey
    record_seed: bytes
    node: Ed25519Signer
    logs: Mapping[str, LogKeyPair]
    index: bytes
    exchange: tuple[ExchangeKey, ...] = ()

    def __repr__(self) -> str:
        """Show nothing."""
        return "NodeKeys(…)"


def create_keys(directory: Path, passphrase: str, random: Callable[[int], bytes], *, scrypt_n: int) -> str:
    """Create every key of a new node.

    Args:
        directory: Where; created with mode 0700, must not hold keys yet.
        passphrase: Encrypts all files.
        random: Source of secrets.
        scrypt_n: Work factor of the keystore files.

    Returns:
        The operator's address.

    Raises:
        Conflict: There are keys already.
    """
    require_no_keys(directory)
    make_private_directory(directory)
    operator = random(SECRET_BYTES)
    for name, secret in (
        ("operator", operator),
        ("recovery", random(SECRET_BYTES)),
        ("wrapping", random(SECRET_BYTES)),
        ("index", random(SECRET_BYTES)),
        (_EXCHANGE, random(SECRET_BYTES)),
    ):
        _store(directory / f"{name}.json", encode_keystore(secret, passphrase, n=scrypt_n))
    for name in ("record", "node"):
        _store(directory / f"{name}.pem", encode_private_key("ed25519", random(SECRET_BYTES), passphrase))
    for log in LOG_NAMES:
        create_log_keys(directory, log, 0, passphrase, random)
    return OperatorKey(operator).address


def make_private_directory(directory: Path) -> None:
    """Make a directory for its owner alone, and its name durable: keys that others were told of must not go with it.

    Raises:
        OSError: The system refused.
    """
    directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    OsFiles().sync_dir(str(directory.parent))
    # The home directory was made a moment ago, too; below a directory that this account may not read somebody else made it.
    with suppress(PermissionError):
        OsFiles().sync_dir(str(directory.parent.parent))


def require_no_keys(directory: Path) -> None:
    """Make sure that keys can be created in a directory, which need not exist.

    Raises:
        Conflict: There are keys already.
    """
    if any(directory.glob("*.json")) or any(directory.glob("*.pem")):
        raise Conflict(
            "keys-exist",
            f"key directory {directory} holds keys already; if they are of an init that was broken off, "
            "take the directory away and begin again",
        )


def create_log_keys(
    directory: Path, log: str, number: int, passphrase: str, random: Callable[[int], bytes]
) -> None:
    """Create the pair of keys of one log; ``find_newest_log_keys`` finds it once both files are there."""
    ed25519 = encode_private_key("ed25519", random(SECRET_BYTES), passphrase)
    ml_dsa = encode_private_key("ml-dsa-44", random(SECRET_BYTES), passphrase)
    _store(directory / f"{log}-{number}.ml-dsa.pem", ml_dsa)
    _store(directory / f"{log}-{number}.pem", ed25519)


def has_log_keys(directory: Path, log: str, number: int) -> bool:
    """Tell whether both key files of a log are there."""
    return all((directory / f"{log}-{number}{end}").is_file() for end in (".pem", ".ml-dsa.pem"))


def load_log_keys(directory: Path, log: str, number: int, passphrase: str) -> LogKeyPair:
    """Load the pair of keys of one log.

    Raises:
        NotFound: A key file is missing.
        Fatal: A key file can be read by others.
        InvalidInput, Verification: A file is damaged or the passphrase is wrong.
    """
    ed25519, ml_dsa = directory / f"{log}-{number}.pem", directory / f"{log}-{number}.ml-dsa.pem"
    return LogKeyPair(
        Ed25519Signer(_load_pem("ed25519", ed25519, passphrase)),
        MlDsa44Signer(_load_pem("ml-dsa-44", ml_dsa, passphrase)),
    )


def find_newest_log_keys(directory: Path) -> dict[str, int]:
    """Find the greatest number for which each log has a key file; 0 where it has none."""
    return {
        log: max(
            (
                int(number)
                for path in directory.glob(f"{log}-*.pem")
                if (number := path.name.removeprefix(f"{log}-").removesuffix(".pem")).isdecimal()
            ),
            default=0,
        )
        for log in LOG_NAMES
    }


def load_keys(directory: Path, passphrase: str, numbers: Mapping[str, int]) -> NodeKeys:
    """Load the keys of a node that is to run, but the wrapping key.

    Args:
        directory: Where they are.
        passphrase: As given at creation.
        numbers: Succession number of each log.

    Raises:
        NotFound: A key file is missing.
        Fatal: A key file or the directory can be read by others.
        InvalidInput, Verification: A file is damaged or the passphrase is wrong.
    """
    _check_private(directory)
    pems: dict[str, KeyKind] = {"record": "ed25519", "node": "ed25519"}
    for log, n in numbers.items():
        pems |= {f"{log}-{n}": "ed25519", f"{log}-{n}.ml-dsa": "ml-dsa-44"}
    # Deriving the key of a file takes up to half a second, in which other threads run; the largest come first.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        keystores = {
            name: threads.submit(_load_keystore, directory / f"{name}.json", passphrase)
            for name in ("operator", "index", *_exchange_files(directory))
        }
        seeds = {
            name: threads.submit(_load_pem, kind, directory / f"{name}.pem", passphrase)
            for name, kind in pems.items()
        }
    return NodeKeys(
        operator=OperatorKey(keystores["operator"].result()),
        record_seed=seeds["record"].result(),
        node=Ed25519Signer(seeds["node"].result()),
        logs={
            log: LogKeyPair(
                Ed25519Signer(seeds[f"{log}-{n}"].result()),
                MlDsa44Signer(seeds[f"{log}-{n}.ml-dsa"].result()),
            )
            for log, n in numbers.items()
        },
        index=keystores["index"].result(),
        exchange=tuple(ExchangeKey(keystores[name].result()) for name in _exchange_files(directory)),
    )


def _exchange_files(directory: Path) -> list[str]:
    return [name for name in (_EXCHANGE, _EXCHANGE_BEFORE) if (directory / f"{name}.json").is_file()]


def ensure_exchange_key(
    directory: Path, passphrase: str, random: Callable[[int], bytes], *, scrypt_n: int
) -> bool:
    """Create the exchange key of a home that an older release made, unless it is there; True when it was created.

    Raises:
        NotFound, Fatal, InvalidInput, Verification: The passphrase does not open the other keys; nothing was changed.
        Unavailable: ``key-not-stored``.
    """
    if (directory / f"{_EXCHANGE}.json").is_file():
        return False
    # A key under another passphrase than the rest would never be opened again.
    load_signing_key(directory, "node", passphrase)
    _store(directory / f"{_EXCHANGE}.json", encode_keystore(random(SECRET_BYTES), passphrase, n=scrypt_n))
    return True


def load_exchange_key(directory: Path, passphrase: str) -> ExchangeKey:
    """Load the exchange key.

    Raises:
        NotFound, Fatal, InvalidInput, Verification: As ``load_keys``.
    """
    return ExchangeKey(_load_keystore(directory / f"{_EXCHANGE}.json", passphrase))


def replace_exchange_key(
    directory: Path, passphrase: str, random: Callable[[int], bytes], *, scrypt_n: int
) -> tuple[str, str]:
    """Put a new exchange key in the place of the old one, which opens until the next replacement what was sealed to it.

    Returns:
        The ids (``kid``) of the old key and of the new one.

    Raises:
        NotFound, Fatal, InvalidInput, Verification: The old key cannot be opened; nothing was changed.
    """
    old, seed = load_exchange_key(directory, passphrase), random(SECRET_BYTES)
    _store(directory / f"{_EXCHANGE_BEFORE}.json", _load(directory / f"{_EXCHANGE}.json"))
    _store(directory / f"{_EXCHANGE}.json", encode_keystore(seed, passphrase, n=scrypt_n))
    return old.kid, ExchangeKey(seed).kid


def load_signing_key(directory: Path, name: str, passphrase: str) -> Ed25519Signer:
    """Load the record or node key.

    Args:
        directory: Where the keys are.
        name: ``record`` or ``node``.
        passphrase: As given at creation.

    Raises:
        NotFound, Fatal, InvalidInput, Verification: As ``load_keys``.
    """
    return Ed25519Signer(_load_pem("ed25519", directory / f"{name}.pem", passphrase))


def replace_signing_key(
    directory: Path, name: str, passphrase: str, random: Callable[[int], bytes]
) -> tuple[str, str]:
    """Put a new record or node key in the place of the old one, which is gone then.

    Returns:
        The ids (``kid``) of the old key and of the new one.

    Raises:
        NotFound, Fatal, InvalidInput, Verification: The old key cannot be opened; nothing was changed.
    """
    old, seed = load_signing_key(directory, name, passphrase), random(SECRET_BYTES)
    _store(directory / f"{name}.pem", encode_private_key("ed25519", seed, passphrase))
    return old.kid, Ed25519Signer(seed).kid


def load_operator(directory: Path, passphrase: str) -> OperatorKey:
    """Load the operator key.

    Raises:
        NotFound, Fatal, InvalidInput, Verification: As ``load_keys``.
    """
    return OperatorKey(_load_keystore(directory / "operator.json", passphrase))


def find_next_operator(directory: Path, passphrase: str) -> OperatorKey | None:
    """Find the operator key that is to take over; None when none is under way."""
    path = directory / _NEXT_OPERATOR
    return OperatorKey(_load_keystore(path, passphrase)) if path.is_file() else None


def create_next_operator(
    directory: Path, passphrase: str, random: Callable[[int], bytes], *, scrypt_n: int
) -> OperatorKey:
    """Create the operator key that is to take over, durably, before anybody hears of it."""
    secret = random(SECRET_BYTES)
    _store(directory / _NEXT_OPERATOR, encode_keystore(secret, passphrase, n=scrypt_n))
    return OperatorKey(secret)


def set_next_operator_aside(directory: Path, address: str) -> None:
    """Keep an operator key that will not take over under the name of its address."""
    (directory / _NEXT_OPERATOR).replace(directory / f"operator.{address.lower()}.json")
    OsFiles().sync_dir(str(directory))


def adopt_next_operator(directory: Path) -> None:
    """Let the next operator key be the operator key."""
    (directory / _NEXT_OPERATOR).replace(directory / "operator.json")
    OsFiles().sync_dir(str(directory))


def load_wrapping_key(directory: Path, passphrase: str) -> bytes:
    """Load the key under which secrets are wrapped, 32 bytes.

    Raises:
        NodeError: As for ``load_keys``.
    """
    return _load_keystore(directory / "wrapping.json", passphrase)


def store_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner reads, durably and whole.

    Raises:
        Unavailable: ``key-not-stored``; the file that was there before still is.
    """
    _store(path, data)


def load_private(path: Path) -> bytes:
    """Read a file that only its owner may read.

    Raises:
        NotFound: It is not there.
        Fatal: Others can read it.
        Unavailable: ``key-unreadable``.
    """
    return _load(path)


def _store(path: Path, data: bytes) -> None:
    try:
        replace_file(OsFiles(), str(path), data)
    except OSError as error:
        raise Unavailable(
            "key-not-stored", f"{path.name} cannot be written to {path.parent}: {describe_failure(error)}"
        ) from error


def _load(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise NotFound("key-missing", f"key file {path.name} is missing in {path.parent}")
        _check_private(path)
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(
            "key-unreadable", f"{path.name} in {path.parent} cannot be read: got {error.strerror}"
        ) from error


def _load_keystore(path: Path, passphrase: str) -> bytes:
    with _named(path):
        return parse_keystore(_load(path), passphrase)


def _load_pem(kind: KeyKind, path: Path, passphrase: str) -> bytes:
    with _named(path):
        return parse_private_key(kind, _load(path), passphrase)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say of which file an error speaks: whoever has to put one back has fourteen of them."""
    try:
        yield
    except (InvalidInput, Verification) as error:
        raise type(error)(error.code, f"{path.name} in {path.parent}: {error.message}") from None


def _check_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise Fatal(
            "key-readable", f"{path.name} can be read by others: mode is {mode:o}, want {mode & 0o700:o}"
        )

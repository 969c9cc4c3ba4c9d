# SPDX-License-Identifier: Apache-2.0
"""C2SP signed notes: a text and signature lines, each by a named key (logs-and-proofs §1.2, §1.4).

Two kinds of line are made and verified here: Ed25519 over the text (type 0x01), and the ML-DSA-44
cosignature (type 0x06), which signs a tree head in the binary form ``subtree/v1`` instead of the text.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.core.encoding import encode_b64, parse_b64, require_text
from node.crypto import ed25519, mldsa
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.mldsa import MlDsa44Signer

ED25519 = 0x01
MLDSA44 = 0x06
MAX_SIGNATURES = 100

_KEY_ID_BYTES = 4
_TIMESTAMP_BYTES = 8
_HASH_BYTES = 32
_MAX_U64 = 2**64 - 1
_MAX_NAME_BYTES = 255
_SUBTREE_LABEL = b"subtree/v1\n\0"
_KEY_BYTES = {ED25519: ed25519.KEY_BYTES, MLDSA44: mldsa.KEY_BYTES}
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_LINE = re.compile(r"— (\S+) ([A-Za-z0-9+/=]+)")
_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line.

    Attributes:
        name: Name of the key.
        key_id: 4 bytes; with the name it tells which key.
        blob: What follows the key id; its form depends on the kind of key.
    """

    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and its signature lines in order."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class VKey:
    """A public key as verifiers write it down.

    Attributes:
        name: Name of the key; for a log its origin.
        key_id: 4 bytes, computed from name, algorithm and key.
        algorithm: ED25519 or MLDSA44.
        public: The raw public key.
    """

    name: str
    key_id: bytes
    algorithm: int
    public: bytes


def build_vkey(name: str, algorithm: int, public: bytes) -> VKey:
    """Build the verifier key of a named public key.

    Args:
        name: Printable, without white space and plus signs, at most 255 bytes.
        algorithm: ED25519 or MLDSA44.
        public: Raw key of the algorithm's length.

    Raises:
        InvalidInput: ``note-key-name``, ``vkey-algorithm``, ``vkey-length``, and the codes of
            ``check_ed25519_key``.
    """
    if not name.isprintable():
        # Messages show the names of keys that a verifier trusts; foreign lines may be named as they like.
        raise InvalidInput("note-key-name", "key name is malformed: want printable characters")
    _check_name(name)
    if algorithm not in _KEY_BYTES:
        raise InvalidInput(
            "vkey-algorithm", f"key type is not supported: got {algorithm:#04x}, want 0x01 or 0x06"
        )
    if len(public) != _KEY_BYTES[algorithm]:
        raise InvalidInput(
            "vkey-length",
            f"key of {name} has the wrong length: got {len(public)} bytes, want {_KEY_BYTES[algorithm]}",
        )
    if algorithm == ED25519:
        ed25519.check_ed25519_key(public)
    return VKey(name, _key_id(name, algorithm, public), algorithm, public)


def parse_vkey(text: str) -> VKey:
    """Parse ``<name>+<key id>+<base64 of type and key>`` and check that the key id is the key's own.

    Raises:
        InvalidInput: ``vkey-form``, ``vkey-id`` for a key id of another key, and as :func:`build_vkey`.
    """
    require_text(text, "vkey-form")
    match = _VKEY.fullmatch(text)
    if match is None:
        raise InvalidInput("vkey-form", "verifier key is malformed: want name+key id+base64")
    name, key_id, encoded = match.groups()
    data = parse_b64(encoded)
    if not data:
        raise InvalidInput("vkey-form", "verifier key is empty")
    vkey = build_vkey(name, data[0], data[1:])
    if vkey.key_id.hex() != key_id:
        raise InvalidInput(
            "vkey-id", f"verifier key of {name} has a wrong key id: got {key_id}, want {vkey.key_id.hex()}"
        )
    return vkey


def encode_vkey(vkey: VKey) -> str:
    """Encode a verifier key as text."""
    return f"{vkey.name}+{vkey.key_id.hex()}+{encode_b64(bytes([vkey.algorithm]) + vkey.public)}"


def parse_note(data: str | bytes) -> Note:
    """Parse a signed note; no signature is verified.

    Args:
        data: UTF-8 text, untrusted; the caller bounds its size.

    Raises:
        InvalidInput: ``note-encoding`` when it is not UTF-8, ``note-form`` for control characters, a missing
            blank line or a malformed signature line, ``note-signatures`` for none or too many of them.
    """
    if not isinstance(data, str | bytes):
        raise InvalidInput("note-form", f"note is not text: got {type(data).__name__}")
    try:
        text = data if isinstance(data, str) else data.decode()
        text.encode()
    except UnicodeError:
        raise InvalidInput("note-encoding", "note is not UTF-8") from None
    if _CONTROL.search(text):
        raise InvalidInput("note-form", "note holds a control character")
    # The last blank line separates, so that a text may itself hold blank lines or another note.
    body, separator, lines = text.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise InvalidInput("note-form", "note is malformed: want a text, a blank line and signature lines")
    signatures = lines[:-1].split("\n")
    if len(signatures) > MAX_SIGNATURES:
        raise InvalidInput(
            "note-signatures",
            f"note has too many signatures: got {len(signatures)}, want at most {MAX_SIGNATURES}",
        )
    return Note(body + "\n", tuple(_parse_line(line) for line in signatures))


def _parse_line(line: str) -> NoteSignature:
    match = _LINE.fullmatch(line)
    if match is None:
        raise InvalidInput("note-form", "signature line is malformed: want a dash, a name and base64")
    name, encoded = match.groups()
    _check_name(name)
    data = parse_b64(encoded)
    if len(data) <= _KEY_ID_BYTES:
        raise InvalidInput(
            "note-form", f"signature line is too short: got {len(data)} bytes, want more than {_KEY_ID_BYTES}"
        )
    return NoteSignature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def encode_note(note: Note) -> str:
    """Encode a note with its signature lines.

    Raises:
        InvalidInput: ``note-form`` when the text does not end in a newline or holds control characters,
            ``note-signatures`` when there is no line.
    """
    _check_text(note.text)
    if not 0 < len(note.signatures) <= MAX_SIGNATURES:
        raise InvalidInput(
            "note-signatures", f"note has {len(note.signatures)} signatures: want 1 to {MAX_SIGNATURES}"
        )
    lines = (f"— {line.name} {encode_b64(line.key_id + line.blob)}\n" for line in note.signatures)
    return note.text + "\n" + "".join(lines)


def sign_note(text: str, name: str, signer: Ed25519Signer) -> NoteSignature:
    """Sign a note's text with an Ed25519 key (type 0x01).

    Args:
        text: The text, ending in a newline.
        name: Name of the key; for a log its origin.
        signer: The key.
    """
    _check_text(text)
    vkey = build_vkey(name, ED25519, signer.public)
    return NoteSignature(name, vkey.key_id, signer.sign(text.encode()))


def sign_subtree(
    signer: MlDsa44Signer,
    *,
    name: str,
    timestamp_seconds: int,
    origin: str,
    start: int,
    end: int,
    root: bytes,
) -> NoteSignature:
    """Sign a subtree with an ML-DSA-44 key (type 0x06).

    Args:
        signer: The key.
        name: Name of the cosigner.
        timestamp_seconds: Time of signing.
        origin: Origin of the log.
        start: Index of the first entry covered.
        end: Index after the last entry covered; for a checkpoint its size.
        root: 32 bytes, root of the entries from start to end.
    """
    message = encode_subtree_message(
        name=name, timestamp_seconds=timestamp_seconds, origin=origin, start=start, end=end, root=root
    )
    vkey = build_vkey(name, MLDSA44, signer.public)
    return NoteSignature(
        name, vkey.key_id, timestamp_seconds.to_bytes(_TIMESTAMP_BYTES, "big") + signer.sign(message)
    )


def encode_subtree_message(
    *, name: str, timestamp_seconds: int, origin: str, start: int, end: int, root: bytes
) -> bytes:
    """Encode what an ML-DSA-44 cosignature signs (tlog-cosignature ``subtree/v1``).

    Raises:
        InvalidInput: ``subtree-message`` when a value does not fit its field.
    """
    names = (name.encode(), origin.encode())
    if len(root) != _HASH_BYTES or not all(0 < len(each) <= _MAX_NAME_BYTES for each in names):
        raise InvalidInput(
            "subtree-message", "subtree is malformed: want names of 1 to 255 bytes and a hash of 32"
        )
    if not 0 <= timestamp_seconds <= _MAX_U64 or not 0 <= start <= end <= _MAX_U64:
        raise InvalidInput(
            "subtree-message", "subtree is malformed: want unsigned 64-bit numbers, start at most end"
        )
    return b"".join(
        (
            _SUBTREE_LABEL,
            bytes([len(names[0])]) + names[0],
            timestamp_seconds.to_bytes(8, "big"),
            bytes([len(names[1])]) + names[1],
            start.to_bytes(8, "big"),
            end.to_bytes(8, "big"),
            root,
        )
    )


def find_signatures(note: Note, vkey: VKey) -> list[NoteSignature]:
    """Return the lines that claim to be by this key, which may be none."""
    return [line for line in note.signatures if line.name == vkey.name and line.key_id == vkey.key_id]


def verify_note_signature(text: str, line: NoteSignature, vkey: VKey) -> None:
    """Verify an Ed25519 line over a note's text.

    Args:
        text: The text of the note as received.
        line: A line that names this key, untrusted.
        vkey: A trusted key of type ED25519.

    Raises:
        InvalidInput: ``vkey-algorithm`` for a key of another type.
        Verification: ``note-key`` when the line names another key, ``ed25519-signature``.
    """
    _check_line(line, vkey, ED25519)
    ed25519.verify_ed25519(vkey.public, text.encode(), line.blob)


def verify_subtree(line: NoteSignature, vkey: VKey, *, origin: str, start: int, end: int, root: bytes) -> int:
    """Verify an ML-DSA-44 line over a subtree and return its timestamp in seconds.

    Args:
        line: A line that names this key, untrusted.
        vkey: A trusted key of type MLDSA44.
        origin: Origin of the log, from the checkpoint.
        start: Index of the first entry covered.
        end: Index after the last entry covered.
        root: 32 bytes.

    Raises:
        InvalidInput: ``vkey-algorithm`` for a key of another type, ``subtree-message``.
        Verification: ``note-key`` when the line names another key, ``ml-dsa-44-signature``.
    """
    _check_line(line, vkey, MLDSA44)
    timestamp_seconds = int.from_bytes(line.blob[:_TIMESTAMP_BYTES], "big")
    message = encode_subtree_message(
        name=vkey.name, timestamp_seconds=timestamp_seconds, origin=origin, start=start, end=end, root=root
    )
    mldsa.verify_mldsa44(vkey.public, message, line.blob[_TIMESTAMP_BYTES:])
    return timestamp_seconds


def verify_note(note: Note, vkeys: list[VKey] | tuple[VKey, ...]) -> tuple[VKey, ...]:
    """Verify every Ed25519 line by a known key and return the keys that signed, in the order given.

    Lines by unknown keys are ignored; lines of other types are verified by their own function.

    Raises:
        Verification: ``note-unsigned`` when no known key has signed, ``ed25519-signature`` when one line by a
            known key does not hold.
    """
    signed = []
    for vkey in vkeys:
        if vkey.algorithm != ED25519:
            continue
        lines = find_signatures(note, vkey)
        for line in lines:
            verify_note_signature(note.text, line, vkey)
        if lines:
            signed.append(vkey)
    if not signed:
        raise Verification(
            "note-unsigned", f"note is not signed by a known key: got {len(note.signatures)} lines by others"
        )
    return tuple(signed)


def _check_line(line: NoteSignature, vkey: VKey, algorithm: int) -> None:
    if vkey.algorithm != algorithm:
        raise InvalidInput(
            "vkey-algorithm",
            f"key {vkey.name} is of another type: got {vkey.algorithm:#04x}, want {algorithm:#04x}",
        )
    if (line.name, line.key_id) != (vkey.name, vkey.key_id):
        raise Verification(
            "note-key", f"signature line names another key: want {vkey.name} {vkey.key_id.hex()}"
        )


def _check_text(text: str) -> None:
    if not text.endswith("\n") or _CONTROL.search(text):
        raise InvalidInput(
            "note-form", "note text is malformed: want a final newline and no control characters"
        )


def _check_name(name: str) -> None:
    if (
        not name
        or "+" in name
        or any(character.isspace() for character in name)
        or len(name.encode()) > _MAX_NAME_BYTES
    ):
        raise InvalidInput(
            "note-key-name", "key name is malformed: want 1 to 255 bytes without white space and plus signs"
        )


def _key_id(name: str, algorithm: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:_KEY_ID_BYTES]

# SPDX-License-Identifier: Apache-2.0
"""The answer of an exchange (protocol §8): the records, their status, and the provider's own event with its receipt.

An asker checks it in this order (docs/protocol/exchange.md) before it believes or shows anything:

    1  form and signature, under a node key of the provider        verify_answer
    2  provider, asker and request                                 verify_answer
    3  the event: receipt, leaf, openings = the request            verify_answer
    4  the records disclose exactly what the event says            verify_answer
    5  records and status themselves                               node.evidence.answered
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeVar

from node.access.box import MAX_ANSWER_BYTES
from node.access.event import digest_of
from node.access.logged import LoggedEvent, encode_logged, parse_logged, verify_logged
from node.access.question import covers, parse_items
from node.access.receipt import MAX_SKEW_SECONDS
from node.access.request import asked_values, find_differences, parse_note_origin
from node.core.canonical import check_members
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64, encode_b64u, parse_b64, parse_b64u
from node.core.members import check_integer, check_list, check_text
from node.core.uscc import parse_member
from node.crypto.jws import verify_jws
from node.crypto.token import build_token, parse_token, token_digest
from node.errors import InvalidInput, Verification
from node.log.checkpoint import MAX_CHECKPOINT
from node.log.merkle import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.access.logged import OpenedEvent
    from node.access.request import AnyRequest, Request
    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.jws import Jws

TYP: Final = "exchange-answer+jwt"
OK: Final = "ok"
NONE: Final = "none"
PARTIAL: Final = "partial"
DENY: Final = "deny"
RESULTS: Final = (OK, NONE, PARTIAL, DENY)
MAX_RECORDS: Final = 1_000
MAX_PATH: Final = 24
"""Greatest length of a path in a status head: it covers at most 2^24 lists."""

_CODE: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_MAX_CODE_CHARS: Final = 64
NAMES: Final = (
    "iss",
    "aud",
    "iat",
    "req",
    "result",
    "code",
    "found",
    "withheld",
    "as_of",
    "records",
    "status",
    "grant",
    "checkpoint",
)
GRANT: Final = "grant"
_SEALED: Final = "sealed"


_A = TypeVar("_A", bound="Answer")


@dataclass(frozen=True, slots=True)
class StatusProof:
    """The state of one status list, with its place in a status head; nothing of it is verified.

    Attributes:
        list: Status list token.
        index: Number of the list in the head.
        path: Its path in the head, hashes of 32 bytes, leaf sibling first.
        head: Status head token.
    """

    list: str
    index: int
    path: tuple[bytes, ...]
    head: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says; nothing of it is verified until ``verify_answer`` returned it.

    Attributes:
        iss: The provider.
        aud: The asker.
        iat: Second at which it was signed.
        req: SHA-256 of the request JWS, 32 bytes.
        result: ``ok`` (all that was found), ``none`` (nothing was found), ``partial`` (some of it) or ``deny``.
        code: Why some or all is not given; None for ``ok`` and ``none``.
        found: How many records there are: given and withheld.
        withheld: How many of them are not given.
        as_of: Signed checkpoint of the provider's records log that was searched.
        records: Presentations, SD-JWT.
        released: What they disclose, as ``released_of`` names it.
        status: One for each status list of the records.
        grant: The provider's own event; a ``deny`` event when denied.
        checkpoint: The provider's newest signed access-log checkpoint.
        digest: SHA-256 of the JWS.
    """

    iss: MemberCode
    aud: MemberCode
    iat: int
    req: bytes
    result: str
    code: str | None
    found: int
    withheld: int
    as_of: str
    records: tuple[str, ...]
    released: tuple[list[Any], ...]
    status: tuple[StatusProof, ...]
    grant: LoggedEvent
    checkpoint: str
    digest: bytes


def released_of(records: Sequence[str]) -> list[list[Any]]:
    """Name by digest what presentations disclose: the value of the salted name ``released``.

    Args:
        records: SD-JWT presentations: JWT and disclosures, a tilde behind each.

    Returns:
        For each record, in the order given, [SHA-256 of its JWT, sorted digests of its disclosures], b64u.

    Raises:
        InvalidInput: ``answer-record`` for a text that is not ASCII or does not end with a tilde.
    """
    released: list[list[Any]] = []
    for text in records:
        jwt, *disclosures = text.split("~")
        if not text.isascii() or not disclosures or disclosures.pop() or not all(disclosures):
            raise InvalidInput(
                "answer-record", "record of an answer is no presentation: want a tilde behind each part"
            )
        digest = encode_b64u(sha256(jwt.encode("ascii")).digest())
        released.append([digest, sorted(map(digest_of, disclosures))])
    return released


def build_answer(
    *,
    signer: Ed25519Signer,
    iss: str,
    aud: str,
    iat: int,
    req: bytes,
    result: str,
    found: int,
    withheld: int,
    as_of: str,
    records: Sequence[str],
    status: Sequence[StatusProof],
    grant: LoggedEvent,
    checkpoint: str,
    code: str | None = None,
) -> str:
    """Build an answer. The caller logged its event: the receipt is at hand.

    Args:
        signer: The provider's node key.
        iss: USCC of the provider.
        aud: USCC of the asker.
        iat: Now, in seconds.
        req: SHA-256 of the request JWS.
        result: One of ``RESULTS``.
        found: Number of records there are, 0 when denied.
        withheld: Number of them that are not given.
        as_of: Signed checkpoint of the records log that was searched.
        records: Presentations.
        status: One for each status list of the records.
        grant: The provider's event, with the openings of ``select_openings``.
        checkpoint: The provider's newest signed access-log checkpoint.
        code: Why some or all is not given.

    Raises:
        InvalidInput: As ``parse_answer``: it contradicts itself and must not be signed.
    """
    payload = {
        "iss": iss,
        "aud": aud,
        "iat": iat,
        "req": encode_b64u(req),
        "result": result,
        "code": code,
        "found": found,
        "withheld": withheld,
        "as_of": as_of,
        "records": list(records),
        "status": encode_status(status),
        "grant": encode_logged(grant),
        "checkpoint": checkpoint,
    }
    token, jws = build_token(TYP, payload, signer, max_bytes=MAX_ANSWER_BYTES)
    parse_answer(token, jws)
    return token


def encode_status(status: Sequence[StatusProof]) -> list[dict[str, Any]]:
    """Give the member of an answer with the states of status lists."""
    return [
        {"list": one.list, "index": one.index, "path": list(map(encode_b64, one.path)), "head": one.head}
        for one in status
    ]


def parse_answer(token: str, jws: Jws | None = None) -> Answer:
    """Parse an answer; nothing is verified.

    Args:
        token: Compact JWS, untrusted, at most 8 MiB.
        jws: The same as ``parse_token`` gave it; by default it is parsed here.

    Raises:
        InvalidInput: ``answer-result`` when result, code, numbers and records do not fit each other,
            ``answer-record`` for a text that is no presentation or a record that stands twice, ``answer-status`` for
            a status without a record or a list that stands twice, ``answer-as-of`` and ``answer-checkpoint`` for notes
            that are not of iss's logs, and the codes of the members.
    """
    jws = jws or parse_token(token, typ=TYP, max_bytes=MAX_ANSWER_BYTES)
    answer = Answer(**parse_claims(check_members(jws.payload, "answer", required=NAMES), token))
    check_answer(answer)
    return answer


def parse_claims(claims: Mapping[str, Any], token: str) -> dict[str, Any]:
    """Parse the claims that answers of every kind have, for the attributes of ``Answer``.

    Raises:
        InvalidInput: The codes of the members.
    """
    records, released = _parse_records(claims["records"])
    return {
        "iss": parse_member(check_text(claims["iss"], "iss")),
        "aud": parse_member(check_text(claims["aud"], "aud")),
        "iat": check_integer(claims["iat"], "iat", most=MAX_TIME),
        "req": parse_b64u(check_text(claims["req"], "req"), length=HASH_BYTES),
        "result": check_text(claims["result"], "result"),
        "code": parse_code(claims["code"]),
        "found": check_integer(claims["found"], "found"),
        "withheld": check_integer(claims["withheld"], "withheld"),
        "as_of": check_text(claims["as_of"], "as_of", max_chars=MAX_CHECKPOINT),
        "records": records,
        "released": released,
        "status": _parse_status(claims["status"]),
        "grant": parse_logged(claims["grant"], GRANT),
        "checkpoint": check_text(claims["checkpoint"], "checkpoint", max_chars=MAX_CHECKPOINT),
        "digest": token_digest(token),
    }


def parse_code(value: Any) -> str | None:
    """Parse why something is not given; None where nothing is withheld.

    Raises:
        InvalidInput: ``answer-result`` and ``json-…`` codes.
    """
    if value is None:
        return None
    code = check_text(value, "code", max_chars=_MAX_CODE_CHARS)
    if not _CODE.fullmatch(code):
        raise InvalidInput(
            "answer-result", "code of an answer is none: want words of a-z and 0-9 with hyphens"
        )
    return code


def check_answer(answer: Answer) -> None:
    """Refuse an answer that contradicts itself.

    Raises:
        InvalidInput: ``answer-result``, ``answer-status``, ``answer-as-of``, ``answer-checkpoint``.
    """
    _check_result(answer)
    if len(answer.status) > len(answer.records) or len({one.list for one in answer.status}) < len(
        answer.status
    ):
        raise InvalidInput("answer-status", "answer has a status without a record, or one status list twice")
    origin = parse_note_origin(answer.as_of)
    if (origin.member, origin.kind) != (answer.iss, "records"):
        raise InvalidInput("answer-as-of", f"as_of is not of a records log of {answer.iss}")
    origin = parse_note_origin(answer.checkpoint)
    if (origin.member, origin.kind) != (answer.iss, "access"):
        raise InvalidInput("answer-checkpoint", f"checkpoint is not of an access log of {answer.iss}")


def verify_answer(
    token: str,
    *,
    request: Request,
    find_key: Callable[[str], bytes],
    log: str,
    now_seconds: int,
    anchor_limit_seconds: int | None = None,
) -> Answer:
    """Verify that an answer is the provider's to this request, logged, and discloses exactly what its event says.

    Left to the caller: signatures and consistency of ``as_of`` and ``checkpoint``, the age of the log's last anchor,
    and records and status themselves (``node.evidence.answered``).

    Args:
        token: Content of the box, untrusted.
        request: The request that this node sent.
        find_key: Returns the node key (32 bytes) of the provider by ``kid``, valid now, or raises.
        log: Origin of the provider's open access log, from the registry.
        now_seconds: This node's clock.
        anchor_limit_seconds: The network's limit; None leaves ``anchor_by`` to the caller.

    Raises:
        InvalidInput: As ``parse_answer``; ``opening-…``.
        Verification: ``ed25519-signature``, ``jws-key``, ``answer-iss``, ``answer-aud``, ``answer-req``,
            ``answer-time``, ``answer-event`` when the event is not of this request and result, ``answer-differs`` when an opening says
            something else than the request, ``answer-released`` when the records disclose other digests than the
            event says, the codes of ``verify_logged``, or what ``find_key`` raises.
    """
    answer, opened = verify_shown(
        token,
        typ=TYP,
        parse=parse_answer,
        request=request,
        find_key=find_key,
        log=log,
        now_seconds=now_seconds,
        anchor_limit_seconds=anchor_limit_seconds,
    )
    event = opened.event
    want: tuple[str, bytes | None, bytes | None] = (
        DENY if answer.result == DENY else GRANT,
        answer.req,
        None,
    )
    if request.sealed is not None and answer.result != DENY:
        want = (_SEALED, None, token_digest(request.sealed))
    if (event.kind, event.req, event.warrant) != want or event.rid != request.rid:
        raise Verification("answer-event", f"event of kind {event.kind} is not the one of this answer")
    is_silent = request.sealed is not None and answer.result == DENY and _is_silent(answer, opened.values)
    if not is_silent:
        check_values(answer, opened.values, request)
    if (opened.values["released"] is None) is not (answer.result == DENY):
        raise Verification("answer-event", "event does not say what was released")
    # 4: nothing else is disclosed than the event says
    if answer.result != DENY:
        _check_released(answer, event.n, opened.values["released"])
    return answer


def verify_shown(
    token: str,
    *,
    typ: str,
    parse: Callable[[str, Jws], _A],
    request: AnyRequest,
    find_key: Callable[[str], bytes],
    log: str,
    now_seconds: int,
    anchor_limit_seconds: int | None,
) -> tuple[_A, OpenedEvent]:
    """Verify what answers of every kind have in common: signature, parties, time, and the provider's promised event.

    Args:
        token: Content of the box, untrusted.
        typ: Which kind of answer it must be.
        parse: Reads its claims.
        request: The request that this node sent.
        find_key: As for ``verify_answer``.
        log: As for ``verify_answer``.
        now_seconds: This node's clock.
        anchor_limit_seconds: The network's limit.

    Returns:
        The answer and its event; whether that is the one of this answer is left to the caller.

    Raises:
        InvalidInput, Verification: As ``verify_answer``, its steps 1 to 3.
    """
    # 1: form and signature
    jws = parse_token(token, typ=typ, max_bytes=MAX_ANSWER_BYTES)
    public = find_key(jws.header["kid"])
    verify_jws(jws, public)
    answer = parse(token, jws)
    # 2: whose answer, for whom, to what
    if answer.iss != request.aud:
        raise Verification("answer-iss", f"answer is by another member: got {answer.iss}, want {request.aud}")
    if answer.aud != request.iss:
        raise Verification(
            "answer-aud", f"answer is for another member: got {answer.aud}, want {request.iss}"
        )
    if answer.req != request.digest:
        raise Verification("answer-req", "answer is to another request")
    if not request.iat - MAX_SKEW_SECONDS <= answer.iat <= now_seconds + MAX_SKEW_SECONDS:
        raise Verification(
            "answer-time",
            f"answer was signed {answer.iat - request.iat} seconds after the request, {answer.iat - now_seconds} "
            "seconds from now: compare the clocks",
        )
    # 3: the provider's event
    opened = verify_logged(
        answer.grant,
        public=public,
        iss=answer.iss,
        aud=answer.aud,
        log=log,
        now_seconds=now_seconds,
        anchor_limit_seconds=anchor_limit_seconds,
    )
    return answer, opened


def check_values(answer: Answer, values: Mapping[str, Any], request: AnyRequest) -> None:
    """Refuse an event that opens something else than the request says; what was released is left to the caller.

    Raises:
        Verification: ``answer-differs``, ``answer-event``.
    """
    want = {**asked_values(request), "peer": answer.aud}
    differing = find_differences(values, want, but=("rule", "released", "items"))
    if values["items"] is None or not covers(request.items, parse_items(values["items"])):
        differing.append("items")
    if differing:
        raise Verification(
            "answer-differs", f"event says something else than the request about {', '.join(differing)}"
        )
    if values["rule"] is None:
        raise Verification("answer-event", "event does not say by which rule")


def _is_silent(answer: Answer, values: Mapping[str, Any]) -> bool:
    """Tell whether a refusal names its rule alone, as that of a question under a warrant does: its subject is not told."""
    said = {name for name, value in values.items() if value is not None}
    return said == {"peer", "rule"} and values["peer"] == answer.aud


def _check_released(answer: Answer, n: int, released: list[list[Any]]) -> None:
    # A look counts once even where nothing was found.
    if n != max(1, len(answer.records)) or sorted(answer.released) != sorted(
        [digest, sorted(digests)] for digest, digests in released
    ):
        raise Verification(
            "answer-released", "records disclose something else than the event says was released"
        )


def _check_result(answer: Answer) -> None:
    given = len(answer.records)
    fits = {
        OK: given > 0 and answer.withheld == 0 and answer.code is None,
        NONE: given == answer.withheld == 0 and answer.code is None,
        PARTIAL: answer.withheld > 0 and answer.code is not None,
        DENY: given == answer.withheld == 0 and answer.code is not None,
    }
    if not fits.get(answer.result) or answer.found != given + answer.withheld:
        raise InvalidInput(
            "answer-result",
            f"result, code and numbers of an answer do not fit: {answer.found} found, {answer.withheld} withheld, "
            f"{given} given",
        )


def _parse_records(value: Any) -> tuple[tuple[str, ...], tuple[list[Any], ...]]:
    records = tuple(
        check_text(text, "record", max_chars=MAX_ANSWER_BYTES)
        for text in check_list(value, "records", max_items=MAX_RECORDS)
    )
    released = tuple(released_of(records))
    if len({digest for digest, _ in released}) < len(records):
        raise InvalidInput("answer-record", "one record stands twice in an answer")
    return records, released


def _parse_status(value: Any) -> tuple[StatusProof, ...]:
    status = []
    for entry in check_list(value, "status", max_items=MAX_RECORDS):
        members = check_members(entry, "status", required=("list", "index", "path", "head"))
        path = check_list(members["path"], "path", max_items=MAX_PATH)
        status.append(
            StatusProof(
                list=check_text(members["list"], "list"),
                index=check_integer(members["index"], "index"),
                path=tuple(parse_b64(check_text(node, "path"), length=HASH_BYTES) for node in path),
                head=check_text(members["head"], "head"),
            )
        )
    return tuple(status)

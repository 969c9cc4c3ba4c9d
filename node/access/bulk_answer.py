# SPDX-License-Identifier: Apache-2.0
"""The answer about many subjects (docs/protocol/exchange.md, Bulk): what was found for each line, and the provider's own lines.

``records`` are those of all lines, in the order of the lines; each line names its own by digest. The lines are those of
the provider's event, so that what is given and what is logged are the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.access.answer import (
    DENY,
    NAMES,
    Answer,
    check_answer,
    check_values,
    encode_status,
    parse_claims,
    parse_code,
    verify_shown,
)
from node.access.box import MAX_ANSWER_BYTES
from node.access.bulk import Line, hash_lines, parse_line
from node.access.bulk_request import MAX_ASKED
from node.access.event import BULK
from node.access.logged import encode_logged
from node.access.opening import MAX_OPENING_BYTES
from node.core.canonical import check_members
from node.core.encoding import encode_b64u
from node.core.members import check_integer, check_list, check_text
from node.crypto.token import build_token, parse_token
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.access.answer import StatusProof
    from node.access.bulk_request import BulkRequest
    from node.access.logged import LoggedEvent
    from node.access.question import AskedSubject
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.jws import Jws

TYP: Final = "exchange-bulk-answer+jwt"


@dataclass(frozen=True, slots=True)
class AnsweredLine:
    """What an answer says about one subject.

    Attributes:
        text: Line of the provider's event, a disclosure.
        line: The same, read.
        withheld: Records about the subject that are not given.
        code: Why not; None where nothing is withheld.
    """

    text: str
    line: Line
    withheld: int
    code: str | None


@dataclass(frozen=True, slots=True)
class BulkAnswer(Answer):
    """What an answer about many subjects says; nothing of it is verified until ``verify_bulk_answer`` returned it.

    Result, code and numbers are those of all lines together; ``code`` of a partial answer is that of one of its lines.

    Attributes:
        lines: One for each line of the request, in its order; none when denied.
    """

    lines: tuple[AnsweredLine, ...]

    def subjects(self) -> list[AskedSubject]:
        """Give, for each of ``records``, the subject of the line that names it."""
        return [one.line.subject for one in self.lines for _ in one.line.released or ()]


def build_bulk_answer(
    *,
    signer: Ed25519Signer,
    iss: str,
    aud: str,
    iat: int,
    req: bytes,
    result: str,
    lines: Sequence[tuple[str, int, str | None]],
    as_of: str,
    records: Sequence[str],
    status: Sequence[StatusProof],
    grant: LoggedEvent,
    checkpoint: str,
    code: str | None = None,
) -> str:
    """Build an answer about many subjects. The caller logged its event: receipt and lines are at hand.

    Args:
        signer: The provider's node key.
        iss: USCC of the provider.
        aud: USCC of the asker.
        iat: Now, in seconds.
        req: SHA-256 of the request JWS.
        result: ``ok``, ``none``, ``partial`` or ``deny``.
        lines: Of each line of the provider's event its text, how many records are withheld, and why.
        as_of: Signed checkpoint of the records log that was searched.
        records: Presentations, in the order of the lines that name them.
        status: One for each status list of the records.
        grant: The provider's event, with the openings of ``select_openings``.
        checkpoint: The provider's newest signed access-log checkpoint.
        code: Why some or all is not given.

    Raises:
        InvalidInput: As ``parse_bulk_answer``: it contradicts itself and must not be signed.
    """
    withheld = sum(count for _, count, _ in lines)
    payload = {
        "iss": iss,
        "aud": aud,
        "iat": iat,
        "req": encode_b64u(req),
        "result": result,
        "code": code,
        "found": len(records) + withheld,
        "withheld": withheld,
        "as_of": as_of,
        "lines": [{"line": text, "withheld": count, "code": why} for text, count, why in lines],
        "records": list(records),
        "status": encode_status(status),
        "grant": encode_logged(grant),
        "checkpoint": checkpoint,
    }
    token, jws = build_token(TYP, payload, signer, max_bytes=MAX_ANSWER_BYTES)
    parse_bulk_answer(token, jws)
    return token


def parse_bulk_answer(token: str, jws: Jws | None = None) -> BulkAnswer:
    """Parse an answer about many subjects; nothing is verified.

    Args:
        token: Compact JWS, untrusted, at most 8 MiB.
        jws: The same as ``parse_token`` gave it; by default it is parsed here.

    Raises:
        InvalidInput: ``answer-line`` when the lines do not fit each other, the records or the result, and the codes of
            ``parse_answer`` and of lines.
    """
    jws = jws or parse_token(token, typ=TYP, max_bytes=MAX_ANSWER_BYTES)
    claims = check_members(jws.payload, "bulk answer", required=(*NAMES, "lines"))
    answer = BulkAnswer(lines=_parse_lines(claims["lines"]), **parse_claims(claims, token))
    check_answer(answer)
    named = [pair for one in answer.lines for pair in one.line.released or ()]
    if (
        bool(answer.lines) is (answer.result == DENY)
        or sum(one.withheld for one in answer.lines) != answer.withheld
        or len(named) != len(answer.records)
    ):
        raise InvalidInput("answer-line", "lines, records and numbers of an answer do not fit each other")
    return answer


def verify_bulk_answer(
    token: str,
    *,
    request: BulkRequest,
    find_key: Callable[[str], bytes],
    log: str,
    now_seconds: int,
    anchor_limit_seconds: int | None = None,
) -> BulkAnswer:
    """Verify that an answer is the provider's to this request, logged, and discloses exactly what its lines say.

    Args:
        token: Content of the box, untrusted.
        request: The request that this node sent.
        find_key: As for ``verify_answer``.
        log: Origin of the provider's open access log, from the registry.
        now_seconds: This node's clock.
        anchor_limit_seconds: The network's limit; None leaves ``anchor_by`` to the caller.

    Raises:
        InvalidInput: As ``parse_bulk_answer``; ``opening-…``.
        Verification: As ``verify_answer``; ``answer-subjects`` when its lines are not about the subjects of the request, one
            for one; ``answer-event`` also when the lines are not those of the event.
    """
    answer, opened = verify_shown(
        token,
        typ=TYP,
        parse=parse_bulk_answer,
        request=request,
        find_key=find_key,
        log=log,
        now_seconds=now_seconds,
        anchor_limit_seconds=anchor_limit_seconds,
    )
    event = opened.event
    want: tuple[str, int | None, bytes | None] = (DENY, event.n, None)
    if answer.result != DENY:
        root = hash_lines([one.text for one in answer.lines]).root
        want = (BULK, len(answer.lines), root)
    if (event.kind, event.n, event.set_root) != want or (event.req, event.rid) != (answer.req, request.rid):
        raise Verification("answer-event", f"event of kind {event.kind} is not the one of this answer")
    check_values(answer, opened.values, request)
    if opened.values["released"] is not None:
        raise Verification("answer-event", "event says by itself what was released: want its lines to say it")
    if answer.result != DENY:
        _check_lines(answer, request)
    return answer


def _check_lines(answer: BulkAnswer, request: BulkRequest) -> None:
    if [one.line.subject for one in answer.lines] != [line.subject for line in request.lines]:
        raise Verification("answer-subjects", "lines of an answer are about other subjects than the request")
    named = [pair for one in answer.lines for pair in one.line.released or ()]
    if named != list(answer.released):
        raise Verification(
            "answer-released", "records disclose something else than the event says was released"
        )


def _parse_lines(value: Any) -> tuple[AnsweredLine, ...]:
    lines = []
    for entry in check_list(value, "lines", max_items=MAX_ASKED):
        members = check_members(entry, "line", required=("line", "withheld", "code"))
        text = check_text(members["line"], "line", max_chars=2 * MAX_OPENING_BYTES)
        line, code = parse_line(text), parse_code(members["code"])
        withheld = check_integer(members["withheld"], "withheld")
        if line.released is None or (withheld > 0) is not (code is not None):
            raise InvalidInput(
                "answer-line", "a line of an answer does not say what was released, or withheld and why"
            )
        lines.append(AnsweredLine(text, line, withheld, code))
    return tuple(lines)

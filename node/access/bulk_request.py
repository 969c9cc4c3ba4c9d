# SPDX-License-Identifier: Apache-2.0
"""The request about many subjects (docs/protocol/exchange.md, Bulk): one signed message, one event, one line a subject.

It shows the asker's own lines as they stand under ``set`` of its event, so that what is asked and what is logged are
the same bytes. Who the second approver is stands in the ``officer`` opening, which stays at home; that there is one the
asker says by its signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.access.box import MAX_REQUEST_BYTES
from node.access.bulk import Line, hash_lines, parse_line
from node.access.event import BULK
from node.access.logged import encode_logged
from node.access.opening import MAX_OPENING_BYTES
from node.access.question import encode_items
from node.access.request import AnyRequest, check_common, parse_common
from node.core.canonical import check_members
from node.core.encoding import encode_b64u
from node.core.members import check_list, check_text
from node.crypto.token import build_token, parse_token
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.access.event import ParsedEvent
    from node.access.logged import LoggedEvent
    from node.access.question import AskedSubject, ItemQuery
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.jws import Jws

TYP: Final = "exchange-bulk-request+jwt"
MAX_ASKED: Final = 500
"""Most lines of one request."""
MAX_LINES_CHARS: Final = 100_000
"""Most characters of all its lines together, so that it fits its envelope whatever else it says."""
_NAMES: Final = (
    "iss",
    "aud",
    "iat",
    "exp",
    "rid",
    "lines",
    "approved",
    "items",
    "purpose",
    "basis",
    "case",
    "reply",
    "ask",
    "received",
    "checkpoint",
)


@dataclass(frozen=True, slots=True)
class BulkRequest(AnyRequest):
    """A request about many subjects: never sealed, and never on a consent.

    Attributes:
        texts: The lines of the asker's event, disclosures, in order.
        lines: The same, read: different subjects, all of one type.
        approved: Whether a second person approved it.
    """

    texts: tuple[str, ...]
    lines: tuple[Line, ...]
    approved: bool

    def subject_value(self) -> None:
        """Give ``subject`` as the events about this request must have it: each line has its own."""

    def is_logged_as(self, event: ParsedEvent) -> bool:
        """Tell whether what stands in the open of an event is that of the asker's own event about this request."""
        return (event.kind, event.req, event.rid, event.n, event.set_root) == (
            BULK,
            None,
            self.rid,
            len(self.texts),
            hash_lines(self.texts).root,
        )


def build_bulk_request(
    *,
    signer: Ed25519Signer,
    iss: str,
    aud: str,
    iat: int,
    exp: int,
    rid: bytes,
    texts: Sequence[str],
    approved: bool,
    items: Sequence[ItemQuery],
    purpose: str,
    basis: str | None,
    case: str | None,
    reply: bytes,
    ask: LoggedEvent,
    checkpoint: str,
    received: Sequence[LoggedEvent] = (),
) -> tuple[str, BulkRequest]:
    """Build a request about many subjects, and give it as it reads. The caller logged its event: receipt and lines are at hand.

    Args:
        signer: The asker's node key.
        iss: USCC of the asker.
        aud: USCC of the provider.
        iat: Now, in seconds.
        exp: At most 300 seconds later.
        rid: That of the asker's event, 16 bytes.
        texts: Its lines, 1 to 500.
        approved: Whether a second person approved it, who stands in the event.
        items: Ascending by vct, fields ascending.
        purpose: Code of the purpose.
        basis: Legal basis, or None.
        case: Case number, or None.
        reply: Public half of a one-time exchange key.
        ask: The asker's bulk event, with the openings of ``select_openings``.
        checkpoint: The asker's newest signed access-log checkpoint.
        received: As for ``build_request``.

    Raises:
        InvalidInput: As ``parse_bulk_request``: it contradicts itself and must not be signed.
    """
    payload = {
        "iss": iss,
        "aud": aud,
        "iat": iat,
        "exp": exp,
        "rid": encode_b64u(rid),
        "lines": list(texts),
        "approved": approved,
        "items": encode_items(items),
        "purpose": purpose,
        "basis": basis,
        "case": case,
        "reply": encode_b64u(reply),
        "ask": encode_logged(ask),
        "received": list(map(encode_logged, received)),
        "checkpoint": checkpoint,
    }
    token, jws = build_token(TYP, payload, signer, max_bytes=MAX_REQUEST_BYTES)
    return token, parse_bulk_request(token, jws)


def parse_bulk_request(token: str, jws: Jws | None = None) -> BulkRequest:
    """Parse the claims of a request about many subjects; nothing is verified.

    Args:
        token: Compact JWS, at most 256 KiB.
        jws: The same as ``parse_token`` gave it; by default it is parsed here.

    Raises:
        InvalidInput: As ``check_lines``, ``bulk-asked`` for a line that knows the answer, ``bulk-approved``, and the codes
            of ``parse_request`` and of lines.
    """
    jws = jws or parse_token(token, typ=TYP, max_bytes=MAX_REQUEST_BYTES)
    claims = check_members(jws.payload, "bulk request", required=_NAMES)
    texts = tuple(
        check_text(text, "line", max_chars=2 * MAX_OPENING_BYTES)
        for text in check_list(claims["lines"], "lines", max_items=MAX_ASKED)
    )
    lines = tuple(map(parse_line, texts))
    check_lines(texts, [line.subject for line in lines])
    if any(line.released is not None for line in lines):
        raise InvalidInput("bulk-asked", "a line of a request says what was released: want null")
    if type(claims["approved"]) is not bool:
        raise InvalidInput("bulk-approved", "approved of a bulk request is neither true nor false")
    request = BulkRequest(
        sealed=None,
        consent=None,
        texts=texts,
        lines=lines,
        approved=claims["approved"],
        **parse_common(claims, token),
    )
    check_common(request)
    return request


def check_lines(texts: Sequence[str], subjects: Sequence[AskedSubject]) -> None:
    """Refuse lines that no request about many subjects has.

    Args:
        texts: The lines; with salts of zeros, where there are none yet.
        subjects: About whom they are.

    Raises:
        InvalidInput: ``bulk-lines`` unless there are 1 to 500, of 100,000 characters at most, ``bulk-subjects`` for a
            subject that stands twice, or subjects of more than one type.
    """
    if not 0 < len(texts) <= MAX_ASKED or sum(map(len, texts)) > MAX_LINES_CHARS:
        raise InvalidInput(
            "bulk-lines",
            f"question has {len(texts)} lines with {sum(map(len, texts))} characters: want 1 to {MAX_ASKED} lines, and "
            f"at most {MAX_LINES_CHARS} characters",
        )
    if len(set(subjects)) < len(subjects) or len({subject.type for subject in subjects}) > 1:
        raise InvalidInput("bulk-subjects", "a subject stands twice, or subjects are of more than one type")

# SPDX-License-Identifier: Apache-2.0
"""Import jobs as the store keeps them: the order, its progress, its report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgpack

from node.core.ids import parse_uuid7, parse_uuid7_ms
from node.errors import InvalidInput, NotFound
from node.service import layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.ports import Reads
    from node.service.transaction import Transaction

QUEUED: Final = "queued"
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"
UNFINISHED: Final = (QUEUED, RUNNING)
ROWS_BEYOND: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Job:
    """One import.

    Attributes:
        id: UUIDv7.
        item: Catalogue item, ``<item>:<version>``.
        file_name: As the operator called it; for the report only.
        file_digest: SHA-256 of the file, hex.
        file_bytes: Size of the file.
        officer: Account that ordered it.
        corrections: Whether changed rows are issued as corrections instead of refused.
        state: queued, running, done or failed.
        created_ms: When it was ordered, milliseconds.
        finished_ms: When it ended; 0 before.
        first_index: Size of the records log when the import began; records from there on were issued since.
        last_row: Row number up to which everything is durable; the import resumes behind it.
        read: Data rows read.
        accepted: Records issued, corrections among them.
        corrected: Records that superseded another.
        duplicate: Rows that are in the log already, with the same content.
        refused: Rows refused.
        flagged: Accepted rows that someone should look at.
        warnings: Codes with a place, e.g. a column that is not in the catalogue item.
        error: Code and message of what ended a failed job.
    """

    id: str
    item: str
    file_name: str
    file_digest: str
    file_bytes: int
    officer: str
    corrections: bool
    state: str
    created_ms: int
    finished_ms: int = 0
    first_index: int = 0
    last_row: int = 0
    read: int = 0
    accepted: int = 0
    corrected: int = 0
    duplicate: int = 0
    refused: int = 0
    flagged: int = 0
    warnings: tuple[str, ...] = ()
    error: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """Why a row was refused: where, by which rule, and what class of value was there (never the value)."""

    row: int
    column: str | None
    rule: str
    value_class: str


def store_job(transaction: Transaction, job: Job) -> None:
    """Write a job in this commit."""
    transaction.put(layout.job_key(parse_uuid7(job.id)), msgpack.packb(asdict(job)))


def parse_job(data: bytes) -> Job:
    """Decode a stored job."""
    fields: dict[str, Any] = msgpack.unpackb(data)
    fields["warnings"] = tuple(fields["warnings"])
    fields["error"] = tuple(fields["error"]) if fields["error"] else None
    return Job(**fields)


def get_job(reads: Reads, job_id: str) -> Job:
    """Get a job.

    Raises:
        NotFound: There is none with this id.
    """
    try:
        found = reads.get(layout.job_key(parse_uuid7(job_id)))
    except InvalidInput:
        found = None
    if found is None:
        raise NotFound("import-unknown", "no import with this id")
    return parse_job(found)


def list_jobs(reads: Reads, *, limit: int) -> list[Job]:
    """List the newest jobs, newest first."""
    scan = reads.scan(layout.job_key(b""), layout.stop_of(b"j"), reverse=True, limit=limit)
    return [parse_job(data) for _, data in scan]


def find_newest_ms(reads: Reads) -> int:
    """Find the milliseconds in the greatest id of a job; 0 when there is none."""
    return max((parse_uuid7_ms(job.id) for job in list_jobs(reads, limit=1)), default=0)


def unfinished_jobs(reads: Reads) -> list[Job]:
    """List the jobs that have not ended, oldest first."""
    jobs = (parse_job(data) for _, data in reads.scan(layout.job_key(b""), layout.stop_of(b"j")))
    return [job for job in jobs if job.state in UNFINISHED]


def store_refusals(transaction: Transaction, job_id: str, refusals: list[list[Any]]) -> None:
    """Write the refused rows of one chunk in this commit."""
    if refusals:
        key = layout.refusals_key(parse_uuid7(job_id), refusals[0][0])
        transaction.put(key, msgpack.packb(refusals))


def iterate_refusals(reads: Reads, job_id: str, *, after: int = 0) -> Iterator[RefusedRow]:
    """Go through the refused rows of a job behind a row, in the order of the file.

    Args:
        reads: The store.
        job_id: The import.
        after: Only rows with a greater number; what lies before them is not read.
    """
    job = parse_uuid7(job_id)
    start = layout.refusals_key(job, 0)
    behind = layout.refusals_key(job, min(max(after, 0) + 1, ROWS_BEYOND))
    # A chunk stands under its first refused row: the last one that begins at or before ``after`` may reach beyond.
    start = next((key for key, _ in reads.scan(start, behind, reverse=True, limit=1)), start)
    for _, data in reads.scan(start, layout.refusals_key(job, ROWS_BEYOND)):
        for item in msgpack.unpackb(data):
            if item[0] > after:
                yield RefusedRow(*item)


def failed(job: Job, code: str, message: str, now_ms: int) -> Job:
    """The job as it stands when something ended it."""
    return replace(job, state=FAILED, error=(code, message), finished_ms=now_ms)

# SPDX-License-Identifier: Apache-2.0
"""The groups of measurements, and how much of each is done."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.anchors import GROWTHS, SIZES, measure_anchors
from tests.bench.audit import measure_audit
from tests.bench.engine import measure_engine, measure_proofs
from tests.bench.evidence import measure_evidence
from tests.bench.exchange import measure_exchange
from tests.bench.growth import measure_growth, say_to_terminal
from tests.bench.homes import store_penalties
from tests.bench.imports import measure_import, measure_reading, measure_stages
from tests.bench.restart import measure_restart

SHORT_ENTRY_BYTES, RECORD_BYTES = 700, 2_400
CALLERS = 1_000


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    rows: int = 60_000
    stage_chunks: int = 40
    alone: int = 1_000
    entries: int = 100_000
    proof_sizes: tuple[int, ...] = (10**5, 10**6, 10**7)
    proofs: int = 5_000
    verifications: int = 200
    commands: int = 9
    evidence_files: int = 10_000
    anchor_sizes: tuple[int, ...] = SIZES
    anchor_growths: tuple[int, ...] = GROWTHS
    restart_entries: int = 100_000
    starts: int = 3
    growth_rows: int = 10_000_000
    audit_events: int = 1_000_000
    exchange_questions: int = 200
    exchange_clients: int = 32
    exchange_seconds: float = 8.0
    exchange_events: int = 100

    @classmethod
    def quick(cls):
        return cls(
            rows=1_000,
            stage_chunks=1,
            alone=20,
            entries=2_000,
            proof_sizes=(3_000,),
            proofs=20,
            verifications=2,
            commands=1,
            evidence_files=100,
            anchor_sizes=(1_000, 10_000),
            anchor_growths=(1,),
            restart_entries=1_000,
            starts=1,
            growth_rows=2_000,
            audit_events=3_000,
            exchange_questions=10,
            exchange_clients=2,
            exchange_seconds=0.2,
            exchange_events=3,
        )


def _import(scratch, scale):
    files = [store_penalties(scratch / f"rows.{kind}", scale.rows) for kind in ("csv", "xlsx")]
    return {
        **{file.suffix[1:]: measure_import(scratch, file, scale.rows) for file in files},
        "read_us": {file.suffix[1:]: measure_reading(file, scale.rows) for file in files},
        "stages": measure_stages(scratch, files[0], chunks=scale.stage_chunks),
    }


def _log(scratch, scale):
    return {
        "engines": [
            measure_engine(
                scratch, alone=scale.alone, entries=scale.entries, callers=CALLERS, entry_bytes=entry_bytes
            )
            for entry_bytes in (SHORT_ENTRY_BYTES, RECORD_BYTES)
        ]
    }


def _proofs(scratch, scale):
    return {"trees": [measure_proofs(scratch, size, proofs=scale.proofs) for size in scale.proof_sizes]}


def _evidence(scratch, scale):
    return measure_evidence(
        scratch, verifications=scale.verifications, commands=scale.commands, files=scale.evidence_files
    )


def _anchors(scratch, scale):
    return measure_anchors(scratch, scale.anchor_sizes, scale.anchor_growths)


def _restart(scratch, scale):
    return measure_restart(scratch, scale.restart_entries, starts=scale.starts)


def _growth(scratch, scale):
    return measure_growth(scratch, scale.growth_rows, starts=scale.starts, say=say_to_terminal)


def _audit(scratch, scale):
    return measure_audit(scratch, scale.audit_events)


def _exchange(scratch, scale):
    return measure_exchange(
        scratch,
        questions=scale.exchange_questions,
        clients=scale.exchange_clients,
        seconds=scale.exchange_seconds,
        events=scale.exchange_events,
    )


GROUPS = {
    "import": _import,
    "log": _log,
    "proofs": _proofs,
    "evidence": _evidence,
    "anchors": _anchors,
    "restart": _restart,
    "growth": _growth,
    "audit": _audit,
    "exchange": _exchange,
}
ON_REQUEST = {"growth", "audit"}
"""Take half an hour, and some minutes for making the logs: measured when they are named, and in a quick run."""

# SPDX-License-Identifier: Apache-2.0
"""Import of a department's file: end to end, and each stage alone."""

from __future__ import annotations

import os
import resource
import time
from functools import partial
from itertools import islice

from node.crypto.ed25519 import Ed25519Signer
from node.crypto.wrap import wrap_secret
from node.readers.opening import open_table
from node.records.chunks import CHUNK_ROWS
from node.records.chunks import parse_chunk as parse_rows
from node.records.headers import find_header, map_headers
from node.records.issue import Drafts, Issuer
from node.records.names import StatusUri, Vct, encode_status_uri
from node.records.rows import RowValidator
from node.records.sealed import seal_packed
from node.service.deciding import append_records, decide
from node.service.identities import Identities
from node.service.issuing import ChunkIssuer, IssueTask, encode_task, parse_chunk
from node.service.keeping import LocalKeeper
from tests.bench.homes import ITEM, MEMBER, make_home, running_node
from tests.bench.processes import MIB, disk_bytes, measured

DOMAIN = "bench.example"
TODAY = "2999-12-31"
JTI = "019a0000-0000-7000-8000-000000000000"
SECRET = bytes(32)
NONCE = bytes(12)
KIND = 1
SIGNATURE_CHARACTERS = 87
"""A dot and 86 characters of base64url stand behind what was signed."""
STAGE_CHUNKS = 40


def time_import(node, file, rows):
    """Import a file of that many good rows into an open node; the job's id, and what the import itself used."""
    importer = node.services.importer
    job_id = importer.new_job_id()
    with file.open("rb") as source:
        upload = node.uploads.store(job_id, source)
    importer.order(
        job_id=job_id,
        item=ITEM.key,
        file_name=file.name,
        file_digest=upload.digest,
        file_bytes=upload.size_bytes,
        officer="bench",
        corrections=False,
    )
    with measured() as usage:
        job = importer.run_job(job_id)
    assert (job.state, job.accepted) == ("done", rows), job
    return job_id, usage


def measure_import(scratch, file, rows):
    """Import a file into a new node: real store, real worker processes, everything durable and acknowledged."""
    home = make_home(scratch / f"import-{file.suffix[1:]}")
    with running_node(home) as node:
        _, usage = time_import(node, file, rows)
        stored = disk_bytes(home / "data" / "store")
    return {
        "rows": rows,
        "file_bytes": file.stat().st_size,
        "seconds": round(usage.wall_seconds, 2),
        "rows_per_second": round(rows / usage.wall_seconds),
        "cpu_us_per_row": round(usage.cpu_seconds / rows * 1e6, 1),
        "node_cpu_us_per_row": round(usage.own_cpu_seconds / rows * 1e6, 1),
        "rows_per_cpu_second": round(rows / usage.cpu_seconds),
        "anonymous_mib": round(usage.peak_bytes / MIB),
        "anonymous_mib_by_process": [round(size / MIB) for size in usage.peak_by_process],
        "disk_bytes_per_record": round(stored / rows),
    }


def measure_reading(file, rows):
    """Microseconds a row that a reader takes, its child process included, with nothing done to the rows."""
    before = _all_cpu_seconds()
    with open_table(file, find_header=partial(find_header, ITEM)) as table:
        for _ in table.chunks:
            pass
    return round((_all_cpu_seconds() - before) / rows * 1e6, 2)


def measure_stages(scratch, file, *, chunks=STAGE_CHUNKS):
    """Processor time a row in each stage alone, one after the other in this process, chunk by chunk."""
    with open_table(file, find_header=partial(find_header, ITEM)) as table:
        packed = list(islice(table.chunks, chunks))
        header = table.header
    stages = Stages([len(parse_rows(chunk).rows) for chunk in packed])
    parsed = stages.run("unpack", parse_rows, packed)
    validator = RowValidator(ITEM, map_headers(ITEM, header), issuer=MEMBER, today=TODAY)
    valid = stages.run("validate", partial(_validate_all, validator), parsed)
    signer = Ed25519Signer(bytes(32))
    issuer = Issuer(MEMBER, Vct(DOMAIN, ITEM.name, ITEM.version), ITEM.field_codes, signer)
    issued = stages.run("issue", partial(_issue_all, issuer), valid)
    stages.run(
        "sign", lambda entries: [signer.sign(entry[:-SIGNATURE_CHARACTERS]) for entry in entries], issued
    )
    stages.run("seal", _seal_each, valid)
    worker = ChunkIssuer(
        domain=DOMAIN,
        member=MEMBER,
        record_seed=bytes(32),
        wrap_all=LocalKeeper(bytes(32), os.urandom).wrap_all,
        index_key=bytes(32),
        items={ITEM.key: ITEM},
        random=os.urandom,
    )
    drawn = iter(range(CHUNK_ROWS * chunks))
    places = [[(0, place) for place in islice(drawn, CHUNK_ROWS)] for _ in packed]
    tasks = [
        encode_task(IssueTask(ITEM.key, header, chunk, taken, [], TODAY, 1_790_000_000_000))
        for chunk, taken in zip(packed, places, strict=True)
    ]
    answers = stages.run("worker", worker.issue, tasks)
    home = make_home(scratch / "stages")
    with running_node(home) as node, measured() as usage:
        identities = Identities(node.services.store, int, bool)
        write = partial(_write, node.services, identities)
        stages.run("write", write, list(zip(answers, places, strict=True)), cpu=False)
    return stages.found | {
        "bytes_from_worker": round(sum(map(len, answers)) / stages.rows),
        "write_cpu_us": round(usage.cpu_seconds / stages.rows * 1e6, 2),
    }


class Stages:
    """Microseconds a row of each stage: the median chunk, and the best one, which was disturbed least."""

    def __init__(self, sizes):
        self._sizes = sizes
        self.rows = sum(sizes)
        self.found = {}

    def run(self, name, work, chunks, *, cpu=True):
        """Do the work of a stage on every chunk; by processor time of this thread, or by the clock."""
        clock = time.thread_time if cpu else time.perf_counter
        results, costs = [], []
        for chunk, rows in zip(chunks, self._sizes, strict=True):
            start = clock()
            results.append(work(chunk))
            costs.append((clock() - start) / rows * 1e6)
        self.found[name] = {
            "best_us": round(min(costs), 2),
            "median_us": round(sorted(costs)[len(costs) // 2], 2),
        }
        return results


def _validate_all(validator, chunk):
    valid, refusals = validator.check_all(chunk.rows, chunk.first_row)
    assert not refusals
    return valid


def _issue_all(issuer, rows):
    count, uri = len(rows.places), encode_status_uri(StatusUri(DOMAIN, MEMBER, 0))
    drafts = Drafts(
        subjects=rows.subjects,
        columns=rows.columns,
        jtis=[JTI] * count,
        places=[(uri, 1)] * count,
        secrets=[SECRET] * count,
    )
    return [issued.jwt for issued in issuer.issue_all(drafts, 1_790_000_000)]


def _seal_each(rows):
    for packed in rows.packed:
        seal_packed(SECRET, JTI, packed)
        wrap_secret(SECRET, SECRET, JTI, NONCE)


def _write(services, identities, answer_and_places):
    """What the node's own process does with a worker's answer, up to the durable commit."""
    answer, places = answer_and_places
    chunk = parse_chunk(answer)
    new = decide(chunk, identities.find_all(chunk.identities), lambda _: None).new
    assert len(new) == len(chunk.rows)
    services.sequencer.run(
        lambda transaction: append_records(transaction, chunk, new, places, KIND), entries=len(new)
    )


def _all_cpu_seconds():
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime

# SPDX-License-Identifier: Apache-2.0
"""Routes that show the logs: C2SP tlog-tiles, the node, anchors, health and metrics."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from node.api.auth import OPEN, Auditor, IsStaff, Operator, Staff
from node.api.models import DECIMAL, AnchorView, anchor_view
from node.api.problems import Responses, errors, language_of
from node.api.state import services_of, state_of
from node.core.encoding import MAX_SAFE_INTEGER
from node.core.texts import title_of
from node.errors import AccessDenied, InvalidInput, NotFound, Unavailable
from node.log.tiles import BundleName, parse_tile_path
from node.service.drafting import Purpose
from node.service.layout import LogKind, log_kind

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
IMMUTABLE = "public, max-age=31536000, immutable"
_PLACE = (
    r"(x(00[1-9]|0[1-9][0-9]|[1-9][0-9]{2})/(x[0-9]{3}/){0,3})?[0-9]{3}"
    r"(\.p/([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?"
)
# Described, not checked here: node.log.tiles parses the path and says in its own words what is wrong.
BundlePath = Annotated[
    str,
    PathParameter(
        description="`<index>[.p/<width>]` as tlog-tiles writes it.",
        json_schema_extra={"pattern": f"^{_PLACE}$"},
    ),
]
TilePath = Annotated[
    str,
    PathParameter(
        description="`<level>/<index>[.p/<width>]` as tlog-tiles writes it.",
        json_schema_extra={"pattern": f"^([0-9]|[1-5][0-9]|6[0-3])/{_PLACE}$"},
    ),
]
api = APIRouter(prefix="/api/v1", responses=errors(500, 503))
log = APIRouter(tags=["log"], responses=errors(400, 404, 500, 503))
health = APIRouter(tags=["health"], responses=errors(500))


def _sends(media_type: str, what: str, more: Responses | None = None) -> dict[str, Any]:
    """Describe a route whose answer is not JSON."""
    plain = media_type.partition(";")[0]
    sent: Responses = {200: {"description": what, "content": {plain: {"schema": {"type": "string"}}}}}
    return {"response_class": Response, "responses": sent | (more or {})}


@api.get("/node", tags=["node"])
def show_node(request: Request, is_staff: IsStaff) -> dict[str, Any]:
    """Say who this node is, its public keys, and how far its logs have come. Open to all; reasons in full with a token."""
    described: dict[str, Any] = services_of(request).describe()
    if not is_staff:
        described["state"] = _entitled(request, described["state"])
        described["demands"] = [_entitled(request, demand) for demand in described["demands"]]
    return described


@api.post("/anchors", tags=["anchors"], responses=errors(401, 403, 409, 413))
def anchor_now(request: Request, caller: Operator) -> list[AnchorView]:
    """Publish and anchor both logs now, and wait until the chain has settled it."""
    del caller
    state = state_of(request)
    state.services.require_ready_to_anchor()
    anchors = state.services.anchorer.anchor_now(sleep=state.sleep)
    return [anchor_view(kind.text, stored) for kind, stored in anchors.items()]


@api.get("/anchors", tags=["anchors"], responses=errors(400, 401, 403))
def list_anchors(
    request: Request, caller: Staff, limit: Annotated[int, Query(ge=1, le=1000), DECIMAL] = 20
) -> list[AnchorView]:
    """List the newest anchors of both logs."""
    del caller
    views = []
    for kind, reader in services_of(request).readers.items():
        newest = reader.find_anchor()
        last = newest.anchor.i if newest else 0
        for i in range(last, max(0, last - limit), -1):
            found = reader.find_anchor(i)
            if found is not None:
                views.append(anchor_view(kind.text, found))
    return views


@log.get("/log/{kind}/{number}/checkpoint", dependencies=[OPEN], **_sends(TEXT, "A signed note."))
def show_checkpoint(request: Request, kind: str, number: str) -> Response:
    """The newest signed checkpoint (C2SP tlog-checkpoint). Open to all."""
    reader = _reader(request, kind, number)
    found = reader.find_checkpoint()
    if found is None:
        raise NotFound("checkpoint-unknown", "this log has published no checkpoint yet")
    return Response(found[1], media_type=TEXT, headers={"Cache-Control": "no-cache"})


@log.get("/log/{kind}/{number}/proof/{index}", dependencies=[OPEN], **_sends(TEXT, "A tlog-proof."))
def show_proof(
    request: Request,
    kind: str,
    number: str,
    index: Annotated[int, PathParameter(ge=0, le=MAX_SAFE_INTEGER), DECIMAL],
) -> Response:
    """Inclusion proof of an entry under the first published checkpoint that covers it (C2SP tlog-proof). Open to all."""
    reader = _reader(request, kind, number)
    found = reader.first_checkpoint_over(index) if 0 <= index < reader.published_size() else None
    if found is None:
        raise NotFound("entry-unpublished", "no published checkpoint covers an entry with this index")
    return Response(reader.tlog_proof(index, found[0]), media_type=TEXT)


@log.get(
    "/log/access/{number}/tile/entries/{path:path}",
    **_sends(BYTES, "Entries, each behind its length in two bytes.", errors(401, 403, 409)),
)
def show_access_entries(request: Request, number: str, path: BundlePath, caller: Auditor) -> Response:
    """An entry bundle of the access log (C2SP tlog-tiles), for auditors; the fetch itself is logged."""
    reader = _reader(request, LogKind.ACCESS.text, number)
    name = _parse_bundle_name(reader, path)
    services_of(request).require_ready_to_sign()
    why = Purpose(officer=caller.name, purpose="audit")
    services_of(request).access.log_look("audit", why, [])
    bundle = reader.bundle(name.index, name.width)
    return Response(bundle, media_type=BYTES)


@log.get(
    "/log/records/{number}/tile/entries/{path:path}",
    dependencies=[OPEN],
    **_sends(BYTES, "Entries, each behind its length in two bytes."),
)
def show_record_entries(request: Request, number: str, path: BundlePath) -> Response:
    """An entry bundle of the records log (C2SP tlog-tiles), as far as it is published. Open to all."""
    reader = _reader(request, LogKind.RECORDS.text, number)
    name = _parse_bundle_name(reader, path)
    bundle = reader.bundle(name.index, name.width)
    return Response(bundle, media_type=BYTES, headers={"Cache-Control": IMMUTABLE})


@log.get("/log/{kind}/{number}/tile/{path:path}", dependencies=[OPEN], **_sends(BYTES, "Hashes of 32 bytes."))
def show_tile(request: Request, kind: str, number: str, path: TilePath) -> Response:
    """A tile of hashes (C2SP tlog-tiles). Open to all."""
    reader = _reader(request, kind, number)
    name = parse_tile_path(f"tile/{path}")
    if isinstance(name, BundleName):
        raise AccessDenied("entries-closed", "entry bundles are for auditors")
    span = 256**name.level
    _require_published(reader.published_size() // span, name.index, name.width)
    tile = reader.tile(name.level, name.index, name.width)
    return Response(tile, media_type=BYTES, headers={"Cache-Control": IMMUTABLE})


@health.get("/healthz", dependencies=[OPEN], responses=errors(503))
def healthz(request: Request) -> dict[str, str]:
    """Whether the process works; the code and its title when it does not. Open to all."""
    fatal = services_of(request).sequencer.fatal
    if fatal is not None:
        raise Unavailable(fatal.code, fatal.message)
    return {"status": "ok"}


@health.get("/readyz", dependencies=[OPEN], responses=errors(503))
def readyz(request: Request) -> dict[str, object]:
    """Whether the node takes work; the code and its title when it does not. Open to all."""
    state = services_of(request).state()
    if state["mode"] in {"stopped", "read-only"}:
        raise Unavailable(str(state["code"]), str(state["reason"]))
    return _entitled(request, state)


@health.get("/metrics", dependencies=[OPEN], **_sends(CONTENT_TYPE_LATEST, "Prometheus text format."))
def metrics(request: Request) -> Response:
    """Prometheus metrics: sizes and ages, no personal data. Open to all who reach the port."""
    services = services_of(request)
    registry = CollectorRegistry()
    size = Gauge("ironcage_log_entries", "Entries of a log", ["log", "stage"], registry=registry)
    for kind, reader in services.readers.items():
        size.labels(kind.text, "integrated").set(reader.size())
        size.labels(kind.text, "published").set(reader.published_size())
        size.labels(kind.text, "anchored").set(reader.anchored_size())
    state = services.state()
    age = Gauge("ironcage_unanchored_seconds", "Age of the oldest newest anchor", registry=registry)
    age.set(float("nan") if state["unanchored_seconds"] is None else float(str(state["unanchored_seconds"])))
    forks = Gauge("ironcage_forked_members", "Members of whom a fork is proven", registry=registry)
    forks.set(0 if services.gossip is None else len(services.gossip.list_forks()))
    demands = Gauge("ironcage_unanswered_demands", "Demands on own logs without answer", registry=registry)
    demands.set(len(services.demands.unanswered))
    mode = Gauge("ironcage_mode", "1 for the mode the node is in", ["mode"], registry=registry)
    mode.labels(str(state["mode"])).set(1)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _entitled(request: Request, told: dict[str, Any]) -> dict[str, Any]:
    """Put the title of its code in the place of a reason, which may name a file or an address of this machine."""
    code = told["code"]
    return told | {"reason": None if code is None else title_of(code, language_of(request))}


def _reader(request: Request, kind: str, number: str) -> Any:
    found = log_kind(kind)
    if found is not None:
        for reader in services_of(request).logs[found].readers:
            if number == str(reader.number):
                return reader
    raise NotFound("log-unknown", "this node has no such log: want records or access and a succession number")


def _parse_bundle_name(reader: Any, path: str) -> BundleName:
    name = parse_tile_path(f"tile/entries/{path}")
    if not isinstance(name, BundleName):
        raise InvalidInput("tile-path", "path is not that of an entry bundle")
    _require_published(reader.published_size(), name.index, name.width)
    return name


def _require_published(published: int, index: int, width: int) -> None:
    if index * 256 + width > published:
        raise NotFound("tile-unknown", "the published log does not reach that far")

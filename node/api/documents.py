# SPDX-License-Identifier: Apache-2.0
"""Routes of shared documents: given to anybody by digest, added and voted on by staff (docs/protocol/documents.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field, StringConstraints

from node.api.auth import OPEN, Administrator, Staff
from node.api.models import DECIMAL, Body, known_form
from node.api.problems import errors
from node.api.state import services_of, state_of
from node.core.encoding import MAX_SAFE_INTEGER
from node.service.documents import MAX_DOCUMENT_BYTES, spell_document

if TYPE_CHECKING:
    from node.ports import DocumentVersion, Proposal
    from node.service.documents import Documents

router = APIRouter(prefix="/api/v1", tags=["documents"], responses=errors(401, 403, 500, 503))
shared = APIRouter(tags=["documents"], responses=errors(404, 500, 503))

DigestText = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
KindText = Annotated[str, StringConstraints(pattern="^[a-z0-9-]{1,32}$")]
NameText = Annotated[str, StringConstraints(pattern="^[a-z0-9.:-]{1,64}$")]
Block = Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER)]
IMMUTABLE = "public, max-age=31536000, immutable"
BYTES = "application/octet-stream"


class DocumentView(BaseModel):
    """A version of a shared document, as the chain had it last."""

    kind: str
    name: str
    version: int
    digest: str | None = Field(description="SHA-256; null where this version withdraws the document.")
    since_block: int = Field(description="First block in which it holds.")
    decided_block: int
    proposal: int
    in_force: bool = Field(description="Whether it is the one in force now.")
    held: bool = Field(description="Whether this node has its bytes.")


class ProposalView(BaseModel):
    """A proposal about a shared document."""

    id: int
    kind: str
    name: str
    version: int
    digest: str | None = Field(description="SHA-256; null to withdraw the document.")
    from_block: int = Field(description="First block in which it is to hold, 0 for that of the decision.")
    executed: bool
    votes: int
    needed: int
    expires_at: int = Field(description="Chain time in seconds from which no vote counts.")
    held: bool = Field(description="Whether this node has the bytes.")


class AddedView(BaseModel):
    """A document that this node keeps now."""

    digest: str
    size: int = Field(description="Bytes.")


class ProposeBody(Body):
    """What to put to the vote."""

    kind: KindText
    name: NameText
    digest: DigestText | None = Field(
        description="SHA-256 of a document that this node has; null to withdraw."
    )
    from_block: Block = Field(0, description="First block in which it is to hold, 0 for at once.")


@shared.get(
    "/documents/{digest}",
    dependencies=[OPEN],
    response_class=Response,
    responses={
        200: {"description": "Its bytes.", "content": {BYTES: {"schema": {"type": "string"}}}},
        **errors(400),
    },
)
def give_document(
    request: Request, digest: Annotated[DigestText, PathParameter(description="SHA-256 as hex.")]
) -> Response:
    """A shared document by its digest. Open to all: these are the network's rules, and no personal data is in them."""
    data = _documents(request).get(bytes.fromhex(digest))
    return Response(data, media_type=BYTES, headers={"Cache-Control": IMMUTABLE})


@router.get("/documents")
def list_documents(request: Request, caller: Staff) -> list[DocumentView]:
    """List all versions of all shared documents, as the chain had them last."""
    del caller
    documents = _documents(request)
    return [_view(documents, version) for version in documents.versions()]


@router.post("/documents", responses=errors(400, 409, 413), dependencies=[Depends(known_form)])
def add_document(
    request: Request,
    file: Annotated[
        UploadFile, File(description=f"The document: at most {MAX_DOCUMENT_BYTES} bytes, the form included.")
    ],
    caller: Administrator,
    kind: Annotated[
        KindText | None,
        Form(description="With a kind that is canonical JSON, the file is put into that spelling."),
    ] = None,
) -> AddedView:
    """Keep a document, so that others get it from here. Nothing is decided by that."""
    del caller
    data = file.file.read(MAX_DOCUMENT_BYTES + 1)
    if kind is not None:
        data = spell_document(kind, data)
    digest = _documents(request).add(data)
    return AddedView(digest=digest.hex(), size=len(data))


@router.get("/documents/proposals", responses=errors(409))
def list_proposals(request: Request, caller: Staff) -> list[ProposalView]:
    """List the proposals about documents that can still be voted on, from the chain."""
    del caller
    documents = _documents(request)
    return [_proposal_view(documents, proposal) for proposal in documents.proposals()]


@router.post("/documents/proposals", responses=errors(400, 404, 409, 413))
def propose_document(request: Request, body: ProposeBody, caller: Administrator) -> ProposalView:
    """Propose the next version of a document in this member's name, with its vote."""
    del caller
    state, documents = state_of(request), _documents(request)
    state.services.require_ready_to_anchor()
    digest = None if body.digest is None else bytes.fromhex(body.digest)
    proposal = documents.propose(body.kind, body.name, digest, from_block=body.from_block, sleep=state.sleep)
    return _proposal_view(documents, proposal)


@router.post("/documents/proposals/{proposal}/vote", responses=errors(400, 404, 409, 413))
def vote(
    request: Request,
    proposal: Annotated[int, PathParameter(ge=1, le=MAX_SAFE_INTEGER), DECIMAL],
    caller: Administrator,
) -> ProposalView:
    """Vote for a proposal in this member's name; the deciding vote carries it out."""
    del caller
    state, documents = state_of(request), _documents(request)
    state.services.require_ready_to_anchor()
    return _proposal_view(documents, documents.vote(proposal, state.sleep))


@router.post("/documents/refresh", responses=errors(409))
def refresh(request: Request, caller: Administrator) -> list[DocumentView]:
    """Ask the chain now, and get from other nodes what is missing here."""
    del caller
    services = services_of(request)
    services.documents.refresh(services.document_source)
    documents = services.documents
    return [_view(documents, version) for version in documents.versions()]


def _documents(request: Request) -> Documents:
    return services_of(request).documents


def _view(documents: Documents, version: DocumentVersion) -> DocumentView:
    return DocumentView(
        kind=version.kind,
        name=version.name,
        version=version.version,
        digest=None if version.digest is None else version.digest.hex(),
        since_block=version.since_block,
        decided_block=version.decided_block,
        proposal=version.proposal,
        in_force=documents.find(version.kind, version.name) == version,
        held=version.digest is not None and documents.has(version.digest),
    )


def _proposal_view(documents: Documents, proposal: Proposal) -> ProposalView:
    draft = proposal.document
    assert draft is not None, "of all proposals those about documents were asked for"
    return ProposalView(
        id=proposal.id,
        kind=draft.kind,
        name=draft.name,
        version=draft.version,
        digest=None if draft.digest is None else draft.digest.hex(),
        from_block=draft.from_block,
        executed=proposal.executed,
        votes=proposal.votes,
        needed=proposal.needed,
        expires_at=proposal.expires_at,
        held=draft.digest is not None and documents.has(draft.digest),
    )

# SPDX-License-Identifier: Apache-2.0
"""The access logs of other members' nodes, as an auditor reads them: checkpoint and entry bundles (C2SP tlog-tiles).

Bundles are asked for some in advance, so that the way to the node and back costs little. What is full never changes and
may be kept on disk: an audit that was broken off, and the next one, then ask for the rest only. Nothing that is kept is
believed: it is held against the chain like what comes from the node.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from node.errors import AccessDenied, InvalidInput, NodeError, NotFound, Unavailable
from node.log.checkpoint import parse_origin, parse_signed_checkpoint
from node.log.tiles import entries_path, parse_bundle
from node.log.tree import TILE_WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from node.client.api import NodeClient

AHEAD: Final = 4
"""Bundles that are asked for before they are needed."""


class Budget(NamedTuple):
    """How much of the receipts that a node holds is read: a hostile one would go on for ever.

    Attributes:
        pages: Most pages; an honest node of ten million looks has ten thousand.
        characters: Most of all receipts together.
        seconds: Longest that reading them may take.
    """

    pages: int = 50_000
    characters: int = 16 << 30
    seconds: float = 3_600.0


HELD: Final = Budget()


def fetch_access_logs(client: NodeClient) -> tuple[str, list[str]]:
    """Ask a node whose it is and which access logs it has had, oldest first.

    Raises:
        Unavailable: ``node-away``, or ``node-answer`` when what answers does not describe a node.
    """
    answer = client.get("/api/v1/node")
    try:
        logs = (*answer["earlier_logs"], *answer["logs"])
        origins = [log["origin"] for log in logs if log["kind"] == "access"]
        member = answer["member"]
        numbered = sorted((parse_origin(origin).n, origin) for origin in origins)
        if any(parse_origin(origin).member != member for origin in origins):
            raise TypeError
    except (KeyError, TypeError, AttributeError, InvalidInput):
        raise Unavailable(
            "node-answer", "what answers there does not describe a node: is this address a node's?"
        ) from None
    return member, [origin for _, origin in numbered]


def fetch_receipts(client: NodeClient, now: Callable[[], float], budget: Budget = HELD) -> Iterator[str]:
    """Fetch the receipts that a node holds from other members, as far as it shows them; nothing of them is verified here.

    Args:
        client: The node, with an auditor's token.
        now: A clock that is never put back, seconds.
        budget: How much is read at most.

    Raises:
        Unavailable: ``receipts-endless``: there is no end of them; those before it were given.
    """
    after: int | None = None
    pages, characters, end = 0, 0, now() + budget.seconds
    while True:
        pages += 1
        if pages > budget.pages or characters > budget.characters or now() > end:
            raise Unavailable(
                "receipts-endless",
                f"node shows receipts without end: want at most {budget.pages} pages, {budget.characters} characters, "
                f"{budget.seconds:g} seconds",
            )
        try:
            page = client.post("/api/v1/access/receipts", {"after": after})
            receipts, following = page["receipts"], page["next"]
        except (NodeError, KeyError, TypeError):
            # Not to this auditor, a node of an earlier version, or one that is away, which the reading of its log says.
            return
        if not isinstance(receipts, list):
            return
        texts = [receipt for receipt in receipts if isinstance(receipt, str)]
        characters += sum(map(len, texts))
        yield from texts
        if type(following) is not int or following <= (-1 if after is None else after):
            return
        after = following


class AccessLogReader:
    """Reads one access log; a ``LogSource`` of ``node.cage``.

    Args:
        client: The node, with an auditor's token.
        origin: The log.
        keep: Directory for full bundles, None to keep none.
        openings: Whether to ask for what events were about, too.
    """

    def __init__(
        self, client: NodeClient, origin: str, *, keep: Path | None = None, openings: bool = False
    ) -> None:
        parsed = parse_origin(origin)
        self._client = client
        self._origin = origin
        self._path = f"/log/access/{parsed.n}"
        self._keep = None if keep is None else keep / f"{parsed.domain}-{parsed.member}-{parsed.n}"
        self._openings = openings
        self._size = 0
        self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="bundles")
        self._coming: dict[tuple[int, int], Future[bytes]] = {}

    @property
    def origin(self) -> str:
        """Name of the log."""
        return self._origin

    def close(self) -> None:
        """Ask for no more."""
        self._pool.shutdown(cancel_futures=True)

    def fetch_checkpoint(self) -> str:
        """Fetch the newest signed checkpoint; nothing of it is verified here."""
        note = self._client.get_text(f"{self._path}/checkpoint")
        self._size = parse_signed_checkpoint(note)[0].size
        return note

    def fetch_entries(self, start: int, stop: int) -> list[bytes]:
        """Fetch entries of one bundle.

        Raises:
            InvalidInput: ``bundle-form``.
            NodeError: The node's own error.
        """
        bundle, first = divmod(start, TILE_WIDTH)
        width = stop - bundle * TILE_WIDTH
        for number in range(bundle, bundle + AHEAD):
            ahead = min(TILE_WIDTH, self._size - number * TILE_WIDTH)
            # Only in advance of the way through the log; a single bundle for a proof comes alone.
            if number == bundle or (ahead > 0 and first == 0 and stop - start == TILE_WIDTH):
                self._order(number, width if number == bundle else ahead)
        data = self._coming.pop((bundle, width)).result()
        return parse_bundle(data, width)[first:]

    def fetch_openings(self, start: int, stop: int) -> list[list[str]] | None:
        """Fetch the openings of entries, where the node gives them to this auditor; None where it does not."""
        if not self._openings:
            return None
        body: dict[str, Any] = {"log": parse_origin(self._origin).n, "start": start, "stop": stop}
        try:
            answer = self._client.post("/api/v1/access/openings", body)
        except (AccessDenied, NotFound):
            # Not to this auditor, or a node of an earlier version: said in the report, and not asked again.
            self._openings = False
            return None
        return _parse_openings(answer, stop - start)

    def _order(self, bundle: int, width: int) -> None:
        if (bundle, width) not in self._coming:
            self._coming[bundle, width] = self._pool.submit(self._load, bundle, width)

    def _load(self, bundle: int, width: int) -> bytes:
        path = entries_path(bundle, width)
        kept = None if self._keep is None or width < TILE_WIDTH else self._keep / path
        if kept is not None and kept.is_file():
            return kept.read_bytes()
        data = self._client.get_bytes(f"{self._path}/{path}")
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = kept.with_name(kept.name + ".part")
            part.write_bytes(data)
            part.replace(kept)
        return data


def _parse_openings(answer: Any, count: int) -> list[list[str]]:
    if not (
        isinstance(answer, list)
        and len(answer) == count
        and all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in answer)
    ):
        raise Unavailable("node-answer", "the node's answer does not give the openings of those entries")
    return answer

# SPDX-License-Identifier: Apache-2.0
"""How questions ended, on its way to whom they were asked of (protocol section 8, docs/adr/0023).

    1  the commit of a ``receive`` queues its openings, sealed         killed: it is queued, or there is no ``receive``
    2  the next request to that provider takes at most sixteen         killed, or no answer: they are taken again
    3  the commit of the ``receive`` of a verified answer drops them   killed before: told once more, which changes nothing

Event and receipt are read from the log and signed once more; what stands in a log that was succeeded is not told any more.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.access.logged import LoggedEvent, select_openings
from node.access.received import MAX_RECEIVED, select_received
from node.errors import Conflict, NotFound, Verification
from node.service.exchange.ledger import drop_untold, list_untold, put_untold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from node.core.types import EntryIndex, MemberCode
    from node.crypto.hpke import ExchangeKey
    from node.ports import Reads
    from node.service.looking import AccessLog, Also
    from node.service.reading import Logs
    from node.service.transaction import Transaction

MAX_ONE_CHARS: Final = 32 * 1024
"""Longest openings of one event that go along; a question of thousands of fields is not told of."""
MAX_TOLD_CHARS: Final = 48 * 1024
"""Most that goes along with one request, events and receipts included. A request holds 256 KiB of base64, which is 192
KiB of text; of that 100,000 characters may be lines about many subjects, and 16 KiB a consent."""
_LABEL: Final = b"ironcage/v1/untold"
_NONCE_BYTES: Final = 12
_KID_CHARS: Final = 16


class Told(NamedTuple):
    """What goes along with a request: the places of the events, and the events."""

    places: tuple[int, ...]
    events: tuple[LoggedEvent, ...]


NOTHING: Final = Told((), ())


class Untold:
    """The queue; safe to use from any thread.

    Args:
        reads: The store.
        logs: This node's access logs.
        access: Signs their receipts once more.
        keys: This node's exchange keys, the newest first; what is queued is sealed under keys made from theirs.
        random: Source of unpredictable bytes.
    """

    def __init__(
        self,
        reads: Reads,
        logs: Logs,
        access: AccessLog,
        keys: Sequence[ExchangeKey],
        random: Callable[[int], bytes],
    ) -> None:
        self._reads = reads
        self._logs = logs
        self._access = access
        self._ciphers = {key.kid: AESGCM(key.derive(_LABEL)) for key in keys}
        self._kid = keys[0].kid
        self._random = random
        self._guard = threading.Lock()
        self._under_way: set[int] = set()
        # The oldest place last seen of each provider: events only get greater ones, so nothing is below it any more. What
        # was dropped from there stands in LevelDB's buffer, 10,000 questions of it, and a scan would pass all of it.
        self._oldest: dict[MemberCode, int] = {}

    def queue(self, provider: MemberCode, openings: Sequence[str]) -> Also:
        """Give what queues an event in its own commit.

        Args:
            provider: Whom it is told.
            openings: The ten disclosures of the event, in the order of ``SALTED_NAMES``.
        """
        shown = select_received(select_openings(openings))
        if sum(map(len, shown)) > MAX_ONE_CHARS:
            return lambda _transaction, _index: None
        nonce, plain = self._random(_NONCE_BYTES), msgpack.packb(shown)

        def put(transaction: Transaction, index: EntryIndex) -> None:
            place = self._logs.open.place(index)
            box = self._ciphers[self._kid].encrypt(nonce, plain, _bound(provider, place))
            put_untold(transaction, provider, place, self._kid.encode("ascii") + nonce + box)

        return put

    def take(self, provider: MemberCode) -> Told:
        """Take what a provider was not told yet and no other request is carrying; to be given back.

        Raises:
            Unavailable: ``anchor-limit``: no receipt is signed now.
        """
        places: list[int] = []
        events: list[LoggedEvent] = []
        room = MAX_TOLD_CHARS
        with self._guard:
            waiting = list_untold(
                self._reads,
                provider,
                first=self._oldest.get(provider, 0),
                limit=MAX_RECEIVED + len(self._under_way),
            )
            if waiting:
                self._oldest[provider] = waiting[0][0]
            for place, data in waiting:
                if place in self._under_way:
                    continue
                shown = self._show(provider, place, data)
                room -= 0 if shown is None else _chars(shown)
                if room < 0 or len(events) == MAX_RECEIVED:
                    break
                # What cannot be shown any more is dropped with the others.
                places.append(place)
                if shown is not None:
                    events.append(shown)
            self._under_way.update(places)
        return Told(tuple(places), tuple(events))

    def give_back(self, told: Told) -> None:
        """Let another request take what this one carried."""
        with self._guard:
            self._under_way.difference_update(told.places)

    @staticmethod
    def drop(transaction: Transaction, provider: MemberCode, places: Iterable[int]) -> None:
        """Take off the queue what a provider was told."""
        for place in places:
            drop_untold(transaction, provider, place)

    def _show(self, provider: MemberCode, place: int, data: bytes) -> LoggedEvent | None:
        cipher = self._ciphers.get(data[:_KID_CHARS].decode("ascii"))
        if cipher is None:
            return None
        nonce, box = data[_KID_CHARS : _KID_CHARS + _NONCE_BYTES], data[_KID_CHARS + _NONCE_BYTES :]
        try:
            openings = msgpack.unpackb(cipher.decrypt(nonce, box, _bound(provider, place)))
            event, receipt = self._access.receipt_again(*self._logs.locate(place))
        except (InvalidTag, Conflict, NotFound, Verification):
            return None
        return LoggedEvent(event, tuple(openings), receipt)


def _chars(shown: LoggedEvent) -> int:
    return len(shown.event) + len(shown.receipt) + sum(map(len, shown.open))


def _bound(provider: MemberCode, place: int) -> bytes:
    return provider.encode("ascii") + place.to_bytes(8, "big")

# SPDX-License-Identifier: Apache-2.0
"""The shared documents in force, read once for as long as they are (docs/protocol/policy.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.access.catalogue import parse_catalogue
from node.access.names import parse_member_names
from node.access.purposes import parse_purposes
from node.errors import Verification
from node.service.documents import CATALOGUE, MEMBERS, PURPOSES
from node.service.exchange.permits import Rules
from node.service.policy import load_classes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.access.names import Name
    from node.core.types import MemberCode
    from node.service.documents import Documents


class RuleBook:
    """Gives purposes, catalogue and names as the chain names them; safe to use from any thread.

    Args:
        documents: The shared documents.
        domain: Exchange domain; a catalogue of another one is none.
    """

    def __init__(self, documents: Documents, domain: str) -> None:
        self._documents = documents
        self._domain = domain
        self._read: tuple[tuple[bytes | None, bytes | None], Rules] | None = None
        self._names: tuple[bytes | None, Mapping[MemberCode, Name]] | None = None

    def find(self) -> Rules | None:
        """Give the rules in force; None where the network has none.

        Raises:
            Unavailable: ``document-nowhere``: the chain names a document that this node has not got yet.
            InvalidInput, Verification, NotFound: One of them cannot be read, or a file of the catalogue is missing.
        """
        purposes, catalogue = self._documents.find(*PURPOSES), self._documents.find(*CATALOGUE)
        if purposes is None or catalogue is None:
            return None
        digests = purposes.digest, catalogue.digest
        read = self._read
        if read is not None and read[0] == digests:
            return read[1]
        purposes_data, catalogue_data = self._documents.load(*PURPOSES), self._documents.load(*CATALOGUE)
        if purposes_data is None or catalogue_data is None:
            return None
        listed = parse_catalogue(catalogue_data)
        if listed.domain != self._domain:
            raise Verification(
                "catalogue-domain", f"exchange catalogue is of domain {listed.domain}, want {self._domain}"
            )
        schemas = {item.schema for item in listed.items.values()}
        files = {digest: self._documents.get(digest) for digest in schemas if self._documents.has(digest)}
        rules = Rules(parse_purposes(purposes_data), load_classes(listed, files))
        self._read = digests, rules
        return rules

    def find_names(self) -> Mapping[MemberCode, Name]:
        """Give the names of members in force; none where the network has none.

        Raises:
            Unavailable: ``document-nowhere``: the chain names a document that this node has not got yet.
            InvalidInput: It cannot be read.
        """
        version, read = self._documents.find(*MEMBERS), self._names
        if version is None:
            return {}
        if read is None or read[0] != version.digest:
            data = self._documents.load(*MEMBERS)
            read = self._names = version.digest, {} if data is None else parse_member_names(data)
        return read[1]

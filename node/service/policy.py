# SPDX-License-Identifier: Apache-2.0
"""What a node decides by: the shared documents put together with the catalogue items that it has (docs/protocol/policy.md)."""

from __future__ import annotations

from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING

from node.access.decision import ItemClasses
from node.errors import NotFound, Verification
from node.records.catalogue import REFUSED, load_item
from node.records.names import Vct, encode_vct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.access.catalogue import ExchangeCatalogue
    from node.records.catalogue import CatalogueItem


def classes_of(item: CatalogueItem) -> ItemClasses:
    """Give the disclosure classes of a catalogue item and its fields, as a decision needs them."""
    persons = item.subject.natural_persons
    return ItemClasses(
        key=item.key,
        disclosure=item.disclosure_class,
        persons=None if persons is None or persons.disclosure == REFUSED else persons.disclosure,
        fields=MappingProxyType({field.code: field.disclosure for field in item.fields}),
    )


def load_classes(catalogue: ExchangeCatalogue, files: Mapping[bytes, bytes]) -> Mapping[str, ItemClasses]:
    """Load the classes of all items of an exchange catalogue, by ``vct``.

    Args:
        catalogue: The catalogue in force.
        files: The items' files by the SHA-256 under which they were fetched; untrusted.

    Raises:
        NotFound: ``document-missing``: the file of an item is not there.
        Verification: ``document-digest`` for a file with another digest, ``catalogue-other-item`` for one that
            describes another item than the catalogue says.
        InvalidInput: As ``load_item``.
    """
    classes: dict[str, ItemClasses] = {}
    for key, listed in catalogue.items.items():
        data = files.get(listed.schema)
        if data is None:
            raise NotFound("document-missing", f"the file of catalogue item {key} is not here")
        if sha256(data).digest() != listed.schema:
            raise Verification("document-digest", f"the file of catalogue item {key} has another digest")
        item = load_item(data)
        if item.key != key:
            raise Verification(
                "catalogue-other-item", f"the file listed as catalogue item {key} describes another"
            )
        classes[encode_vct(Vct(catalogue.domain, item.name, item.version))] = classes_of(item)
    return MappingProxyType(classes)

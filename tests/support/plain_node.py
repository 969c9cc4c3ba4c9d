# SPDX-License-Identifier: Apache-2.0
"""What a node's logs must hold, kept in plain dictionaries: the model that property tests compare a node with."""

from __future__ import annotations

from tests.support.imports import WRONG_CODE
from tests.support.node_world import FIRST_ROW, penalty


class PlainNode:
    """Amount and state of each document number.

    Attributes:
        amounts: Amount of the valid or withdrawn record of a document number.
        withdrawn: Numbers whose record was withdrawn.
        issued: Document number of each record in the log, in its order, superseded ones among them.
    """

    def __init__(self):
        self.amounts = {}
        self.withdrawn = set()
        self.issued = []

    @property
    def valid(self):
        """Amounts of the records that are in force."""
        return {number: amount for number, amount in self.amounts.items() if number not in self.withdrawn}

    def forget(self, number):
        """Erase what a document number stands for: the same row is a new record afterwards."""
        del self.amounts[number]
        self.withdrawn.discard(number)

    def take(self, rows, *, corrections):
        """Import a file.

        Args:
            rows: (document number, amount, whether the credit code is wrong) of each.
            corrections: Whether changed rows are taken as corrections.

        Returns:
            How many rows are accepted, corrections and duplicates, and (row, column, rule) of each refused one.
        """
        accepted = corrected = duplicate = 0
        refused, here = [], set()
        for place, (number, amount, wrong) in enumerate(rows, FIRST_ROW):
            known = self.amounts.get(number)
            if wrong:
                refused.append((place, "CF_XDR_SHXYM", "uscc-check-digit"))
            elif known == amount:
                duplicate += 1
            elif known is None or (corrections and number not in here and number not in self.withdrawn):
                corrected += known is not None
                accepted += 1
                self.amounts[number] = amount
                self.issued.append(number)
                here.add(number)
            else:
                final = corrections and number not in here
                refused.append((place, None, "record-withdrawn" if final else "record-changed"))
        return accepted, corrected, duplicate, refused


def cells_of(number, amount, wrong):
    """The cells of a row of the model."""
    changes = {"CF_NR": f"罚款{amount}万元", "CF_NR_FK": str(amount)}
    return penalty(number, **changes, **({"CF_XDR_SHXYM": WRONG_CODE} if wrong else {}))


def number_and_amount(values):
    """Document number and amount of a record's values."""
    return int(values["CF_WSH"].split("〕")[1][:-1]), int(values["CF_NR_FK"])

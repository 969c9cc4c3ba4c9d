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


class PlainImport:
    """One order, taken as far as the node has taken it.

    Args:
        plain: What the records of the file become part of.
        job_id: The node's job.
        rows: (document number, amount, whether the credit code is wrong) of each.
        corrections: Whether changed rows are taken as corrections.

    Attributes:
        taken: How many rows are taken.
        accepted: How many of them are records now, corrections among them.
        corrected: How many of them correct a record.
        duplicate: How many of them are known.
        refused: (row, column, rule) of each refused one.
    """

    def __init__(self, plain, job_id, rows, *, corrections):
        self.job_id, self.rows, self.corrections = job_id, rows, corrections
        self.taken = self.accepted = self.corrected = self.duplicate = 0
        self.refused = []
        self._plain = plain
        self._here = set()

    def take_until(self, last_row):
        """Take the rows up to this row of the file."""
        while self.taken < len(self.rows) and self.taken + FIRST_ROW <= last_row:
            self._take(self.taken + FIRST_ROW, *self.rows[self.taken])
            self.taken += 1

    def _take(self, place, number, amount, wrong):
        plain, is_new = self._plain, number not in self._here
        known = plain.amounts.get(number)
        if wrong:
            self.refused.append((place, "CF_XDR_SHXYM", "uscc-check-digit"))
        elif known == amount:
            self.duplicate += 1
        elif known is None or (self.corrections and is_new and number not in plain.withdrawn):
            self.corrected += known is not None
            self.accepted += 1
            plain.amounts[number] = amount
            plain.issued.append(number)
            self._here.add(number)
        else:
            final = self.corrections and is_new
            self.refused.append((place, None, "record-withdrawn" if final else "record-changed"))


def cells_of(number, amount, wrong):
    """The cells of a row of the model."""
    changes = {"CF_NR": f"罚款{amount}万元", "CF_NR_FK": str(amount)}
    return penalty(number, **changes, **({"CF_XDR_SHXYM": WRONG_CODE} if wrong else {}))


def number_and_amount(values):
    """Document number and amount of a record's values."""
    return int(values["CF_WSH"].split("〕")[1][:-1]), int(values["CF_NR_FK"])

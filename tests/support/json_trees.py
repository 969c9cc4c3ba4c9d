# SPDX-License-Identifier: Apache-2.0
"""Files that are wrong in one member: copies of JSON trees with that member changed."""

from __future__ import annotations

import copy
from functools import reduce
from operator import getitem


def changed_tree(tree, path, value=...):
    """A copy of a tree with the member at a path set, or deleted when the value is left out."""
    tree = copy.deepcopy(tree)
    *parents, name = path
    holder = reduce(getitem, parents, tree)
    if value is ...:
        del holder[name]
    else:
        holder[name] = value
    return tree

# SPDX-License-Identifier: Apache-2.0
"""Expects one of our errors by class and code."""

from __future__ import annotations

from contextlib import contextmanager

import pytest


@contextmanager
def raises_code(error_type, code):
    """Expect exactly this class (no subclass) with this code, and yield pytest's record of it."""
    with pytest.raises(error_type) as caught:
        yield caught
    assert type(caught.value) is error_type
    assert caught.value.code == code

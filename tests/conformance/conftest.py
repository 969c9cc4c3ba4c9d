# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tests.support.anvil import anvil  # noqa: F401  a fixture is found by its name

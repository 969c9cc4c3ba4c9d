# SPDX-License-Identifier: Apache-2.0
"""The numbers of the record profile (protocol §1a), apart from issuing, which loads more than a verifier needs."""

from __future__ import annotations

from typing import Final

RECORD_TYP: Final = "credit-record+sd-jwt"
DIGEST_STEP: Final = 8
"""``_sd`` is filled up with decoys to a multiple of this."""
MAX_DISCLOSURES: Final = 248
"""Greatest number of disclosures, the subject included; every place in ``_sd`` then fits one byte below 255."""
ABSENT: Final = 255
"""Mark in ``positions`` for a field that has no disclosure."""

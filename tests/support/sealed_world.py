# SPDX-License-Identifier: Apache-2.0
"""A discipline commission that asks in secret, a market regulator that answers, and the inspector who holds what both sealed."""

from __future__ import annotations

from consortium.samples.codes import build_uscc
from node.ports import Role
from node.service.drafting import Purpose
from tests.support.exchange_world import COURT, MARKET, ExchangeWorld

INSPECTOR = build_uscc("11", "520100", "00700009")
"""Issues warrants, and holds what is sealed under them."""
ROLES = {COURT: Role.CONSUMER | Role.REGULATOR, MARKET: Role.ISSUER, INSPECTOR: Role.REGULATOR}
DAY = 86_400
WHY = Purpose("wang", "discipline", "supervision-law-18", "2026-监-3")


class SealedWorld(ExchangeWorld):
    """Three nodes; the one of the inspector is a party like the others. Use as a context manager."""

    def __init__(self, members=(COURT, MARKET, INSPECTOR), roles=ROLES):
        super().__init__(members, roles)

    @property
    def depository(self):
        return self.exchanges[INSPECTOR].depository

    def issue(self, *, by=INSPECTOR, asker=COURT, looks=3, seconds=10 * DAY, open_seconds=20 * DAY):
        """Have the inspector issue a warrant."""
        now = self.clock.now_seconds()
        token, _ = self.exchanges[by].depository.issue(asker, looks, now + seconds, now + open_seconds, WHY)
        return token

    def order(self, **changes):
        """A question that the sample purposes allow under a warrant."""
        question = {"purpose": "discipline-inspection", "basis": "supervision-law-18", "case": "2026-监-3"}
        return super().order(**(question | changes))

# SPDX-License-Identifier: Apache-2.0
"""All fuzz targets, by name."""

from __future__ import annotations

from tests.fuzz import (
    cage_targets,
    chain_targets,
    core_targets,
    deposit_targets,
    edge_targets,
    evidence_targets,
    exchange_targets,
    log_targets,
    look_targets,
    many_targets,
    outer_targets,
    policy_targets,
    proof_targets,
    record_targets,
    revocation_targets,
)

_TARGETS = [
    target
    for module in (
        core_targets,
        log_targets,
        record_targets,
        evidence_targets,
        proof_targets,
        look_targets,
        exchange_targets,
        many_targets,
        deposit_targets,
        revocation_targets,
        policy_targets,
        chain_targets,
        edge_targets,
        cage_targets,
        outer_targets,
    )
    for target in module.TARGETS
]
TARGETS = {target.name: target for target in _TARGETS}
assert len(TARGETS) == len(_TARGETS), "two targets have one name"

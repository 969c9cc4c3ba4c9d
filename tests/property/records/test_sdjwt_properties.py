# SPDX-License-Identifier: Apache-2.0
"""RFC 9901 over claims of any shape, of which any part may be disclosed selectively."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import NodeError
from node.records.disclosure import open_disclosures
from node.records.sdjwt import present_sd_jwt
from tests.support.sdjwt import Discloser, b64u, sign, verify

NAMES = st.text(max_size=6).filter(
    lambda name: name not in {"_sd", "...", "_sd_alg", "exp", "nbf", "iat", "aud"}
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4)
)
CLAIMS = st.dictionaries(NAMES, VALUES, max_size=5)


def _paths(value, path=()):
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in steps:
        yield (*path, step)
        yield from _paths(member, (*path, step))


@st.composite
def _hidden(draw):
    """Claims, the token that hides some of them, and where each disclosure belongs."""
    claims = draw(CLAIMS)
    places = list(_paths(claims))
    chosen = draw(st.sets(st.sampled_from(places))) if places else set()
    discloser = Discloser()
    payload = discloser.hide(copy.deepcopy(claims), chosen.__contains__)
    return claims, payload, discloser


def _without(value, hidden, path=()):
    """The value without what stands at a hidden place."""
    if isinstance(value, dict):
        return {
            name: _without(member, hidden, (*path, name))
            for name, member in value.items()
            if (*path, name) not in hidden
        }
    if isinstance(value, list):
        return [
            _without(member, hidden, (*path, index))
            for index, member in enumerate(value)
            if (*path, index) not in hidden
        ]
    return value


@given(_hidden())
def test_all_disclosures_give_the_claims_back(case):
    claims, payload, discloser = case
    verified = verify("~".join((sign(payload), *discloser.disclosures, "")))
    assert verified.claims == claims
    assert verified.withheld == ()


@given(_hidden(), st.data())
def test_a_connected_selection_gives_the_claims_without_the_rest(case, data):
    claims, payload, discloser = case
    text = "~".join((sign(payload), *discloser.disclosures, ""))
    dropped = data.draw(st.sets(st.sampled_from(discloser.disclosures))) if discloser.disclosures else set()
    hidden = {discloser.parents[disclosure] for disclosure in dropped}
    kept = {
        disclosure
        for disclosure, place in discloser.parents.items()
        if not any(place[:length] in hidden for length in range(1, len(place) + 1))
    }
    assert verify(present_sd_jwt(text, kept)).claims == _without(claims, hidden)


@given(_hidden(), st.data())
def test_a_disclosure_without_its_parent_is_refused(case, data):
    _, payload, discloser = case
    nested = [
        (child, parent)
        for child, place in discloser.parents.items()
        for parent, above in discloser.parents.items()
        if len(above) < len(place) and place[: len(above)] == above
    ]
    if nested:
        _, parent = data.draw(st.sampled_from(nested))
        kept = [disclosure for disclosure in discloser.disclosures if disclosure != parent]
        with pytest.raises(NodeError):
            verify("~".join((sign(payload), *kept, "")))


ANY_NAMES = st.sampled_from(["_sd", "...", "_sd_alg", "a", "b", b64u(bytes(32))])
ANY_VALUES = st.recursive(
    SCALARS | st.just(b64u(bytes(32))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_NAMES, inner, max_size=3),
)


@given(
    st.dictionaries(ANY_NAMES, ANY_VALUES, max_size=4),
    st.lists(st.text(alphabet="AWyJhIl0", max_size=12), max_size=3),
)
def test_any_payload_and_disclosures_end_in_claims_or_one_of_our_errors(payload, disclosures):
    try:
        opened = open_disclosures(payload, disclosures)
    except NodeError:
        return
    assert not {"_sd", "...", "_sd_alg"} & {step for path in _paths(opened.claims) for step in path}

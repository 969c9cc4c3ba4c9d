# SPDX-License-Identifier: Apache-2.0
"""Schemathesis: requests made from the OpenAPI description, good and bad ones, against a node with its store on the disk.

Its checks: no fault of the server, status codes, content types and forms of answers as described, bad requests
refused and good ones taken, tokens demanded where they are described, methods as described.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from node.service.tokens import ROLES
from tests.support.api_world import new_app

SHORT, LONG = 2, 12
schema = schemathesis.openapi.from_dict(new_app().openapi())
# Good by their form and refused for what they say: a check digit, a field that this record has not, a blank ground, an
# empty range, an origin of no log, a file that is no document, 1.0 for a block.
JUDGED_BY_CONTENT = {
    "/api/v1/access",
    "/api/v1/access/openings",
    "/api/v1/access/receipts",
    "/api/v1/ask",
    "/api/v1/consents",
    "/api/v1/consents/revoke",
    "/api/v1/consents/search",
    "/api/v1/demands",
    "/api/v1/documents",
    "/api/v1/documents/proposals",
    "/api/v1/held/{member}",
    "/api/v1/records/find",
    "/api/v1/records/search",
    "/api/v1/records/{leaf}/erase",
    "/api/v1/sealed",
    "/api/v1/subjects/looks",
    "/api/v1/warrants",
    "/exchange/v1",
}


def tried(examples):
    """Run a test for every operation with as many random requests beside those that cover the description.

    It needs a parameter: the operation alone does not stand in the ids of its tests.
    """

    def decorate(test):
        limited = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=examples == SHORT,
            suppress_health_check=list(HealthCheck),
        )
        return schema.parametrize()(limited(test))

    return decorate


def is_text_after_all(case):
    """Whether a kind that is bad for being no text is sent in a form, where all is text: false is the kind `false`.

    A list is sent as so many fields: of none there is no kind, and only of two or more there is one too many.
    """
    form = case.body if case.media_type == "multipart/form-data" and isinstance(case.body, dict) else {}
    kind = form.get("kind")
    return isinstance(kind, int | float) or (isinstance(kind, list) and len(kind) <= 1)


def check(case, world, port, role, excluded=()):
    headers = {} if role is None else {"Authorization": f"Bearer {world.tokens[role]}"}
    excluded = [*excluded, *([positive_data_acceptance] if case.operation.path in JUDGED_BY_CONTENT else [])]
    if is_text_after_all(case):
        excluded.append(negative_data_rejection)
    answer = case.call_and_validate(
        base_url=f"http://127.0.0.1:{port}", headers=headers, excluded_checks=excluded
    )
    assert answer.headers["x-request-id"], "an answer that did not pass the edge"


@pytest.mark.parametrize("role", ["administrator"])
@tried(SHORT)
def test_answers_are_as_described(case, role, world, port):
    check(case, world, port, role)


@pytest.mark.slow
@pytest.mark.parametrize("role", [None, *ROLES])
@tried(LONG)
def test_answers_are_as_described_for_every_role(case, role, world, port):
    check(case, world, port, role)


@pytest.mark.slow
@pytest.mark.parametrize("role", ["administrator"])
@tried(LONG)
def test_answers_about_records_that_are_there(case, role, world, port):
    """The random leaf of a request names no record; here it names one, and what is asked is judged by its content."""
    if "leaf" in (case.path_parameters or {}):
        case.path_parameters["leaf"] = world.leaves()[len(case.operation.label) % 40]
    # A leaf that was bad on purpose is good now.
    check(case, world, port, role, [positive_data_acceptance, negative_data_rejection])
    assert world.node.services.sequencer.fatal is None

# SPDX-License-Identifier: Apache-2.0
"""The description of the API is complete: a client can be written from it alone."""

import re

import pytest

JSON = "application/json"
PROBLEM = "application/problem+json"


@pytest.fixture
def operations(world):
    return [
        (method, path, operation)
        for path, methods in world.described["paths"].items()
        for method, operation in methods.items()
    ]


def test_it_is_served_as_it_is_built(world):
    assert world.get("/openapi.json").json() == world.described
    assert world.described["info"]["version"] == "0"


def test_every_route_says_what_it_does(operations):
    for _, path, operation in operations:
        assert operation["summary"], path
        assert operation["description"].strip().endswith("."), path
        assert len(operation["tags"]) == 1, path
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(set(names)) == len(names)


def test_every_answer_has_a_form(world, operations):
    for _, path, operation in operations:
        good = [status for status in operation["responses"] if status.startswith("2")]
        assert len(good) == 1, path
        content = operation["responses"][good[0]]["content"]
        assert len(content) == 1, path
        if JSON in content:
            assert resolved(world, content[JSON]["schema"]), path


def resolved(world, schema):
    """Follow references; an empty schema says nothing."""
    if "$ref" in schema:
        return world.described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]["properties"]
    if schema.get("type") == "array":
        return resolved(world, schema["items"])
    return schema.get("type")


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/log/{kind}/{number}/checkpoint", "text/plain"),
        ("/log/{kind}/{number}/proof/{index}", "text/plain"),
        ("/log/{kind}/{number}/tile/{path}", "application/octet-stream"),
        ("/log/access/{number}/tile/entries/{path}", "application/octet-stream"),
        ("/log/records/{number}/tile/entries/{path}", "application/octet-stream"),
        ("/metrics", "text/plain"),
        ("/api/v1/node", JSON),
        ("/healthz", JSON),
    ],
)
def test_media_types(world, path, media_type):
    assert list(world.described["paths"][path]["get"]["responses"]["200"]["content"]) == [media_type]


def test_errors_are_problems(world, operations):
    for _, path, operation in operations:
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert answer["content"] == {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}, (
                    path,
                    status,
                )
                assert answer["description"]
    schema = world.described["components"]["schemas"]["Problem"]
    assert sorted(schema["required"]) == ["code", "detail", "status", "title", "type"]


SEARCHES = {"/api/v1/records/search", "/api/v1/access"}
"""Posted, so that what is looked for stands in no log of addresses; they write nothing."""


def test_errors_that_are_always_possible_are_documented(operations):
    for method, path, operation in operations:
        documented = operation["responses"].keys()
        assert "500" in documented, path
        if operation.get("security"):
            assert {"401", "403"} <= documented, path
        if operation.get("requestBody"):
            assert {"400", "413"} <= documented, path
        if "{leaf}" in path or "{job_id}" in path or "{kind}" in path:
            assert {"400", "404"} <= documented, path
        if method == "post" and path not in SEARCHES:
            assert {"409", "503"} <= documented, path


def test_nothing_of_the_framework_shows(world):
    text = str(world.described)
    assert "HTTPValidationError" not in text
    assert "'422': {'description': 'Validation Error'" not in text


def test_bodies_refuse_unknown_members(world):
    schemas = world.described["components"]["schemas"]
    bodies = [name for name in schemas if re.fullmatch(r"\w+Body", name)]
    assert len(bodies) >= 6
    for name in bodies:
        assert schemas[name]["additionalProperties"] is (name == "CorrectBody" and False)


def test_parameters_have_bounds(world):
    parameters = world.described["paths"]["/api/v1/imports"]["get"]["parameters"]
    schema = parameters[0]["schema"]
    assert (schema["type"], schema["minimum"], schema["maximum"], schema["default"]) == (
        "integer",
        1,
        1000,
        20,
    )

"""OpenAPI document: every body has a valid example, and every problem is shown."""

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.api.openapi.examples import build_example
from serve_app.files.faults import Fault, Place
from serve_app.problems.catalogue import INTERNAL_ERROR, KINDS, UNVERIFIED_PLAN
from serve_app.settings import read_settings
from tests.support.fakes import render_no_metrics

NOBODY: Any = None
SETTINGS = read_settings({"auth": "keys"})
DOCUMENT: dict[str, Any] = api_app(SETTINGS, Ports(NOBODY, NOBODY, {}, render_no_metrics)).openapi()
PROBLEM = "application/problem+json"
ANNOTATIONS = ("title", "description", "default", "examples", "format")


def bodies() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the place, the media type and the description of each body."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            place = f"{method.upper()} {path}"
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                yield f"{place} request", media_type, content
            for status, answer in operation["responses"].items():
                for media_type, content in answer.get("content", {}).items():
                    yield f"{place} {status}", media_type, content


BODIES = [
    pytest.param(*body[1:], id=f"{body[0]} {body[1]}")
    for body in bodies()
    if not any(kind in body[1] for kind in ("spreadsheetml", "apache"))  # which no text can show
]


def test_the_document_is_of_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")


@pytest.mark.parametrize(("media_type", "content"), BODIES)
def test_every_body_has_an_example_that_its_schema_allows(
    media_type: str, content: dict[str, Any]
) -> None:
    examples = [each["value"] for each in content.get("examples", {}).values()]
    examples += [content["example"]] if "example" in content else []

    assert examples
    if "json" in media_type and "schema" in content:
        schema = DOCUMENT | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
        for example in examples:
            jsonschema.validate(
                example, schema | content["schema"], jsonschema.Draft202012Validator
            )


def test_every_kind_of_problem_is_shown_by_a_route_that_can_answer_it() -> None:
    shown = {
        slug
        for _, media_type, content in bodies()
        if media_type == PROBLEM
        for slug in content["examples"]
    }

    of_no_route = {"unknown-route", "method-not-allowed"}
    assert shown == KINDS.keys() - of_no_route


def test_every_kind_of_problem_has_an_example_of_its_kind() -> None:
    for kind in KINDS.values():
        assert build_example(kind)["type"] == kind.uri
        assert kind.status < 500 or kind in {INTERNAL_ERROR, UNVERIFIED_PLAN} or kind.status > 501


def test_the_place_of_a_fault_in_a_file_is_described() -> None:
    fault = Fault(Place("book.xlsx", "Prices", 4, "Close"), "n/a", "a price is a number")
    described = DOCUMENT["components"]["schemas"]["ErrorPlace"]["properties"]

    assert fault.members.keys() <= described.keys()


def test_every_link_leads_to_an_operation_that_takes_the_id_and_from_a_place_that_has_it() -> None:
    operations = [each for methods in DOCUMENT["paths"].values() for each in methods.values()]
    taken = {each["operationId"]: each["parameters"] for each in operations if "parameters" in each}
    links = [
        (answer, link)
        for operation in operations
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]

    assert len(links) > 30
    for answer, link in links:
        ((parameter, expression),) = link["parameters"].items()
        required = {each["name"] for each in taken[link["operationId"]] if each["in"] == "path"}
        assert required == {parameter}
        body = answer["content"]["application/json"]["example"]
        assert jsonpointer(body, expression.removeprefix("$response.body#"))


def jsonpointer(value: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        value = value[int(step) if isinstance(value, list) else step]
    return value


def schemas(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON Schema in a part of the document, except in examples and defaults."""
    if isinstance(value, list):
        for each in value:
            yield from schemas(each)
    elif isinstance(value, dict):
        yield value
        for name in ("properties", "$defs"):
            yield from schemas(list(value.get(name, {}).values()))
        for name in ("anyOf", "allOf", "oneOf", "items", "additionalProperties"):
            yield from schemas(value.get(name))


def test_every_schema_is_written_in_words_of_json_schema() -> None:
    operations = [each for methods in DOCUMENT["paths"].values() for each in methods.values()]
    parameters = [each for operation in operations for each in operation.get("parameters", ())]
    contents = [content["schema"] for _, _, content in bodies() if "schema" in content]
    components = [*DOCUMENT["components"]["schemas"].values()]
    words = {*jsonschema.Draft202012Validator.VALIDATORS, *ANNOTATIONS}

    found = [*schemas([*components, *contents, *(each["schema"] for each in parameters)])]
    assert len(found) > 400
    assert [schema for schema in found if not schema.keys() <= words] == []
    limits = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "const"}
    numbers = [each["schema"] for each in parameters if each["schema"].get("type") == "integer"]
    assert all(limits & schema.keys() for schema in numbers)


def test_no_answer_has_the_shape_of_the_framework() -> None:
    assert "HTTPValidationError" not in DOCUMENT["components"]["schemas"]


def test_the_route_of_the_document_keeps_no_application_that_nobody_uses() -> None:
    app = weakref.ref(api_app(SETTINGS, Ports(NOBODY, NOBODY, {}, render_no_metrics)))
    gc.collect()
    assert app() is None

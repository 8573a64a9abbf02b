"""OpenAPI: the problems a route can answer, and the shape they share."""

from collections import defaultdict
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field

from serve_app.api import problems
from serve_app.api.examples import example_of
from serve_app.api.problems import Kind

MEDIA_TYPE = "application/problem+json"
DESCRIPTION = """Keeps investment models and rebalances the portfolios that follow them: the whole-share
holdings closest to the model, as a trade list, exact to the last share.

Every error is one shape, `application/problem+json`, and its `type` is a page of this service."""


class ErrorPlace(BaseModel):
    """One value that breaks a rule."""

    pointer: str | None = Field(None, description="JSON pointer into the body")
    parameter: str | None = Field(None, description="name of a parameter or header")
    detail: str


class Problem(BaseModel):
    """RFC 9457: what went wrong; further members depend on the type."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    correlation_id: str
    errors: list[ErrorPlace] | None = None


def refuses(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """The problem answers of a route, beside those that every route has."""
    by_status: dict[int, list[Kind]] = defaultdict(list)
    for kind in (*kinds, problems.BAD_REQUEST, problems.INTERNAL, problems.STORAGE_DOWN):
        by_status[kind.status].append(kind)
    return {status: _documented(of_status) for status, of_status in sorted(by_status.items())}


def documented(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the application, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        )
        own = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        parts = own.pop("$defs")
        schema["components"]["schemas"] |= {"Problem": own, **parts}
        app.openapi_schema = schema
    return app.openapi_schema


def _documented(kinds: list[Kind]) -> dict[str, Any]:
    examples = {kind.slug: {"summary": kind.title, "value": example_of(kind)} for kind in kinds}
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
    title = "; ".join(kind.title for kind in kinds)
    return {"description": title, "content": {MEDIA_TYPE: content}}

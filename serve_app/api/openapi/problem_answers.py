"""Problem answers of routes in the OpenAPI document, and their shared shape."""

from collections import defaultdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from serve_app.api.openapi.examples import build_example
from serve_app.problems import catalogue
from serve_app.problems.catalogue import ProblemKind

MEDIA_TYPE = "application/problem+json"


class ErrorPlace(BaseModel):
    """One value that breaks a rule, and its place in the body, a parameter or a file."""

    pointer: str | None = Field(None, description="JSON pointer into the body")
    parameter: str | None = Field(None, description="name of the parameter or header")
    file: str | None = None
    sheet: str | None = Field(None, description="sheet of a workbook")
    row: int | None = Field(None, ge=1, description="as a spreadsheet program counts them")
    column: str | None = Field(None, description="head of the column")
    value: str | None = Field(None, description="text of the value in the file, shortened")
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457); further members depend on the type."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    correlation_id: str
    errors: list[ErrorPlace] | None = None


def refuses(*kinds: ProblemKind) -> dict[int | str, dict[str, Any]]:
    """List the problem answers of a route, with those of every route."""
    by_status: dict[int, list[ProblemKind]] = defaultdict(list)
    of_all = (
        catalogue.BAD_REQUEST,
        catalogue.INTERNAL_ERROR,
        catalogue.STORAGE_UNAVAILABLE,
        catalogue.DEADLINE_EXCEEDED,
    )
    for kind in (*kinds, *of_all):
        by_status[kind.status].append(kind)
    return {status: describe_answer(of_status) for status, of_status in sorted(by_status.items())}


def describe_answer(kinds: list[ProblemKind]) -> dict[str, Any]:
    """Build a problem answer of the document, with an example of each kind."""
    examples = {kind.code: {"summary": kind.title, "value": build_example(kind)} for kind in kinds}
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
    title = "; ".join(kind.title for kind in kinds)
    return {"description": title, "content": {MEDIA_TYPE: content}}

"""Responses to errors, as application/problem+json."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from optimization.errors import shorten
from serve_app.api.schemas.optimize import MAX_ERRORS
from serve_app.call_context import correlation_id
from serve_app.json_text import Json, encode
from serve_app.problems import catalogue
from serve_app.problems.catalogue import ProblemKind
from serve_app.problems.documents import problem
from serve_app.problems.error_table import (
    build_headers,
    find_kind,
    format_detail,
    list_members,
)
from serve_app.problems.pointers import json_pointer

PORTFOLIO, PORTFOLIO_PATH = "{portfolio_id}", "{portfolio_id:path}"  # an id may have slashes

logger = logging.getLogger(__name__)


def answer_error(error: Exception, path: str) -> Response:
    """Answer an error; an unforeseen error is logged, and its answer shows nothing of it."""
    kind = find_kind(error)
    if kind is catalogue.INTERNAL_ERROR:
        logger.error("unexpected error at %s", path, exc_info=error)
    return error_answer(error, kind, path)


def error_answer(error: Exception, kind: ProblemKind, path: str) -> Response:
    """Build the response to an error of this kind."""
    detail, headers = format_detail(error, kind), build_headers(error, kind)
    return response(kind, detail, path, list_members(error), headers)


def response(
    kind: ProblemKind,
    detail: str,
    path: str,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Build the response of a problem."""
    own = {"instance": path, "correlation_id": correlation_id.get()}
    body = problem(kind, detail, {**(members or {}), **own})
    return Response(encode(body), kind.status, headers, "application/problem+json")


async def answer_invalid(request: Request, error: Exception) -> Response:
    """Answer parameters or a body that violate their schema."""
    assert isinstance(error, RequestValidationError)
    return invalid_answer(error.errors(), request.url.path)


def invalid_answer(entries: Sequence[Mapping[str, Any]], path: str) -> Response:
    """Answer violations as the framework lists them, up to a number of them."""
    errors = [_invalid(entry) for entry in entries[:MAX_ERRORS]]
    detail = "; ".join(f"{_place(entry)}: {entry['detail']}" for entry in errors[:3])
    return response(_find_invalid_kind(entries), detail, path, {"errors": errors})


async def answer_http(request: Request, error: Exception) -> Response:
    """Answer a refusal of the framework: unknown route, method not allowed ..."""
    assert isinstance(error, HTTPException)
    headers = {**(error.headers or {})}
    if error.status_code == catalogue.METHOD_NOT_ALLOWED.status:
        headers["Allow"] = ", ".join(_methods(request))
    return http_answer(error.status_code, request.url.path, headers)


def http_answer(status: int, path: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a status that needs no further detail."""
    kind = catalogue.OF_STATUS.get(status, catalogue.BAD_REQUEST)
    return response(kind, f"{kind.title}.", path, headers=headers)


def _methods(request: Request) -> list[str]:
    """List all methods of a path, because the router knows only its first matching route."""
    paths: Mapping[str, Mapping[str, Any]] = request.app.openapi()["paths"]
    methods = {
        method.upper()
        for template, operations in paths.items()
        if compile_path(template.replace(PORTFOLIO, PORTFOLIO_PATH))[0].match(request.url.path)
        for method in operations
    }
    return sorted(methods) or ["GET"]


def _find_invalid_kind(entries: Sequence[Mapping[str, Any]]) -> ProblemKind:
    if any(entry["loc"][0] == "path" for entry in entries):
        return catalogue.BAD_ID
    unreadable = any(entry["type"] == "json_invalid" for entry in entries)
    return catalogue.NOT_JSON if unreadable else catalogue.INVALID_REQUEST


def _invalid(entry: Mapping[str, Any]) -> Json:
    place, *path = entry["loc"]
    if place != "body":
        name = ".".join(shorten(str(step)) for step in path)
        return {"parameter": name, "detail": entry["msg"]}
    if entry["type"] == "json_invalid":  # its path is an offset into the text
        return {"pointer": "", "detail": f"invalid JSON: {entry['ctx']['error']} at {path[0]}"}
    unknown = entry["type"] == "extra_forbidden"
    detail = "unknown field" if unknown else entry["msg"]
    # Pydantic's mark of an invalid key is left out. The place is shortened, because a name may fill
    # the whole body.
    steps = [shorten(str(step)) for step in path if step != "[key]"]
    return {"pointer": json_pointer(steps), "detail": detail}


def _place(entry: Json) -> str:
    return entry.get("parameter") or entry.get("pointer") or "the body"

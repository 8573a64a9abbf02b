"""Errors into application/problem+json answers, wherever in a request they appear."""

import logging
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from optimization.errors import OptionsConflictError, PricesMissingError, RuleError, shown
from serve_app.api import problems
from serve_app.api.problems import Kind, NotAcceptableError, NotReadyError, kind_of, problem
from serve_app.correlation import correlation_id
from serve_app.upstream.errors import SecurityUnknownError, UpstreamUnavailableError
from serve_app.wire.optimize import MOST_ERRORS
from serve_app.wire.text import Json, encoded
from storage.errors import (
    HandOverInProgressError,
    OrdersInDoubtError,
    RunEndedError,
    RunGoesOnError,
    StaleVersionError,
)

LONGEST_NAME = 60
RETRY_AFTER_S = 2
LOOK_AGAIN_S = 10
WIRE_NAMES = {"targets": "positions", "portfolio_ids": "portfolios", "weight": "target"}
WIRE_BANDS = {"low": "low_drift", "high": "high_drift"}
# What is shown of other errors: the member, and the attribute that it is.
MEMBERS: Mapping[type[Exception], tuple[str, str]] = {
    UpstreamUnavailableError: ("upstream", "upstream"),
    NotReadyError: ("failing", "failing"),
    NotAcceptableError: ("offered", "offered"),
    OrdersInDoubtError: ("orders_in_doubt", "count"),
    RunGoesOnError: ("run_id", "run_id"),
}

logger = logging.getLogger(__name__)


class Refusals:
    """Answers every error that the routes let through; what the table does not know is a 500."""

    def __init__(self, app: ASGIApp, more: Mapping[type[BaseException], Kind]) -> None:
        self.app = app
        self.more = more

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            if started or scope["type"] != "http":
                raise  # half an answer cannot be taken back: the connection has to break
            await answer_of(error, scope["path"], self.more)(scope, receive, send)


def answer_of(
    error: Exception, path: str, more: Mapping[type[BaseException], Kind] | None = None
) -> Response:
    """The answer to an error; nothing of an unknown one is shown, it is logged."""
    kind = kind_of(error, more)
    if kind is problems.INTERNAL:
        logger.error("unexpected error at %s", path, exc_info=error)
        return response(kind, "The cause is in the log, under the correlation id.", path)
    return response(kind, _sentence(error), path, members_of(error), _headers(kind, error))


def response(
    kind: Kind,
    detail: str,
    path: str,
    members: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A whole answer that is a problem."""
    own = {"instance": path, "correlation_id": correlation_id.get()}
    body = problem(kind, detail, {**(members or {}), **own})
    return Response(encoded(body), kind.status, headers, "application/problem+json")


async def answer_invalid(request: Request, error: Exception) -> Response:
    """The answer to parameters or a body that the wire models refuse."""
    assert isinstance(error, RequestValidationError)
    found: Sequence[Mapping[str, Any]] = error.errors()
    errors = [_invalid(entry) for entry in found[:MOST_ERRORS]]
    kind = _kind_of_invalid(found)
    detail = "; ".join(f"{_place(entry)}: {entry['detail']}" for entry in errors[:3])
    return response(kind, detail, request.url.path, {"errors": errors})


async def answer_http(request: Request, error: Exception) -> Response:
    """The answer to what the framework itself refuses: no such route, another method ..."""
    assert isinstance(error, HTTPException)
    kind = problems.OF_STATUS.get(error.status_code, problems.BAD_REQUEST)
    headers = {**(error.headers or {})}
    if kind is problems.NO_METHOD:
        headers["Allow"] = ", ".join(_methods(request))
    return response(kind, f"{kind.title}.", request.url.path, headers=headers)


def members_of(error: Exception) -> Json:
    """What a program needs to know of an error beyond its sentence."""
    match error:
        case RuleError():
            return {"errors": [{"pointer": pointer_of(error.field), "detail": error.rule}]}
        case PricesMissingError() | SecurityUnknownError():
            return {"securities": list(error.security_ids)}
        case OptionsConflictError():
            return {"options": list(error.options)}
        case RunEndedError():
            return {"run_id": error.run_id, **(error.problem.members if error.problem else {})}
        case StaleVersionError():
            return {"expected_version": error.expected, "actual_version": error.actual}
        case _:
            named = (names for kind, names in MEMBERS.items() if isinstance(error, kind))
            return {member: getattr(error, attribute) for member, attribute in named}


def pointer_of(field: Sequence[str | int]) -> str:
    """The JSON pointer of a value in the body, given its path in the domain.

    >>> pointer_of(("targets", 3, "band", "low"))
    '/positions/3/low_drift'
    """
    steps: list[str] = []
    for before, step in zip(("", *field), field, strict=False):
        if step == "band":
            continue
        names = WIRE_BANDS if before == "band" else WIRE_NAMES
        steps.append(names.get(str(step), str(step)))
    return _pointer(steps)


def _pointer(steps: Sequence[str]) -> str:
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)


def _methods(request: Request) -> list[str]:
    """Every method of a path; the router knows only those of the first route that matches."""
    paths: Mapping[str, Mapping[str, Any]] = request.app.openapi()["paths"]
    found = {
        method.upper()
        for template, operations in paths.items()
        if compile_path(template)[0].match(request.url.path)
        for method in operations
    }
    return sorted(found) or ["GET"]


def _kind_of_invalid(found: Sequence[Mapping[str, Any]]) -> Kind:
    if any(entry["loc"][0] == "path" for entry in found):
        return problems.BAD_ID
    unreadable = any(entry["type"] == "json_invalid" for entry in found)
    return problems.NOT_JSON if unreadable else problems.INVALID


def _invalid(entry: Mapping[str, Any]) -> Json:
    place, *path = entry["loc"]
    if place != "body":
        return {"parameter": ".".join(str(step) for step in path), "detail": entry["msg"]}
    if entry["type"] == "json_invalid":  # path is an offset then
        return {"pointer": "", "detail": f"not JSON: {entry['ctx']['error']} at {path[0]}"}
    unknown = entry["type"] == "extra_forbidden"
    detail = "there is no such field" if unknown else entry["msg"]
    # "[key]" is pydantic's mark of a key that breaks a rule; a name may be as long as the body
    steps = [_shortened(str(step)) for step in path if step != "[key]"]
    return {"pointer": _pointer(steps), "detail": detail}


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


def _place(entry: Json) -> str:
    return entry.get("parameter") or entry.get("pointer") or "the body"


def _sentence(error: Exception) -> str:
    """What the error says, in the names of the JSON."""
    if isinstance(error, RuleError):
        return f"{pointer_of(error.field)} is {shown(error.value)}: {error.rule}"
    return str(error)


def _headers(kind: Kind, error: Exception) -> dict[str, str]:
    if isinstance(error, NotAcceptableError):
        return {"Vary": "Accept"}
    return {"Retry-After": str(_retry_after_s(error))} if _passes(kind) else {}


def _passes(kind: Kind) -> bool:
    """Whether the same request may succeed a little later."""
    return kind.status == 503 or kind in {problems.IN_PROGRESS, problems.HANDING_OVER}


def _retry_after_s(error: Exception) -> int:
    match error:
        case UpstreamUnavailableError():
            return max(1, ceil(error.retry_after_s))
        case OrdersInDoubtError():
            return error.retry_after_s
        case HandOverInProgressError():
            return min(error.leased_for_s, LOOK_AGAIN_S)
        case _:
            return RETRY_AFTER_S

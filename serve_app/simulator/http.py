"""JSON responses, pages and searches, as the simulated services share them."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

MAX_BODY_BYTES = 16_000_000
JSON = "application/json"

Endpoint = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")


def json_response(value: Any, status: int = 200) -> Response:
    """Return a value as JSON; decimals are numbers with their own digits."""
    return Response(orjson.dumps(value, default=_number), status, media_type=JSON)


def constant_endpoint(value: Any, status: int = 200) -> Endpoint:
    """Make an endpoint that always answers the same."""
    body = orjson.dumps(value)

    async def endpoint(_: Request) -> Response:
        return Response(body, status, media_type=JSON)

    return endpoint


def read_page(query: Mapping[str, str], total: int) -> tuple[int, int, dict[str, Any]]:
    """Limit, offset and the pagination member of the FastAPI and Spring services."""
    limit = int(query.get("limit", 50))
    offset = int(query.get("offset", 0))
    if not (1 <= limit <= 1000 and offset >= 0):
        raise ValueError("limit is from 1 to 1000, offset from 0")
    pagination = {
        "totalElements": total,
        "totalPages": -(-total // limit),
        "currentPage": offset // limit,
        "pageSize": limit,
        "hasNext": offset + limit < total,
        "hasPrevious": offset > 0,
    }
    return limit, offset, pagination


def find_search_fault(
    query: Mapping[str, str], field: str, accepted: re.Pattern[str]
) -> str | None:
    """Say why the FastAPI services refuse a search by ``field`` or by a part of it, if they do."""
    exact, like = query.get(field), query.get(f"{field}_like")
    if exact is not None and like is not None:
        return f"Only one search parameter allowed: {field} or {field}_like"
    value = exact if exact is not None else like
    if value is not None and accepted.fullmatch(value) is None:
        return f"Invalid {field} format"
    return None


def search_page(
    query: Mapping[str, str], matches: Sequence[T], member: str, body: Callable[[T], Any]
) -> Response:
    """Return the page of a search that a query asks for, as the FastAPI services do."""
    try:
        limit, offset, pagination = read_page(query, len(matches))
    except ValueError as error:
        return json_response({"detail": [{"loc": ["query", "limit"], "msg": str(error)}]}, 422)
    rows = [body(match) for match in matches[offset : offset + limit]]
    return json_response({member: rows, "pagination": pagination})


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    raise TypeError(type(value).__name__)

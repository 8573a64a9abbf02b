"""JSON responses and pages, as the simulated services share them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

MAX_BODY_BYTES = 16_000_000
JSON = "application/json"

Endpoint = Callable[[Request], Awaitable[Response]]


def json_response(value: Any, status: int = 200) -> Response:
    """Return a value as JSON."""
    return Response(orjson.dumps(value), status, media_type=JSON)


def constant(value: Any, status: int = 200) -> Endpoint:
    """Make an endpoint that always answers the same."""
    body = orjson.dumps(value)

    async def endpoint(_: Request) -> Response:
        return Response(body, status, media_type=JSON)

    return endpoint


def paged(query: Mapping[str, str], total: int) -> tuple[int, int, dict[str, Any]]:
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

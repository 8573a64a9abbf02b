"""A small ASGI application: routes by method and path, whole bodies in, JSON out."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

import orjson
from starlette.types import Receive, Scope, Send

MAX_BODY_BYTES = 16_000_000
JSON = (b"content-type", b"application/json")


class Question(NamedTuple):
    """A request: the variable parts of its path, its query, its body."""

    parts: tuple[str, ...]
    query: Mapping[str, str]
    body: bytes


class Answer(NamedTuple):
    """A response whose body is JSON already."""

    status: int
    body: bytes
    kind: tuple[bytes, bytes] = JSON


Handler = Callable[[Question], Answer]
Routes = Mapping[str, Handler]
"""``GET /path/{}`` -> its handler; ``{}`` stands for one variable part."""


def answer(value: Any, status: int = 200) -> Answer:
    """A value as JSON."""
    return Answer(status, orjson.dumps(value))


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


class Router:
    """The ASGI application of all routes; it waits ``latency_s`` before each answer."""

    def __init__(self, services: Iterable[Routes], latency_s: float = 0.0) -> None:
        self._latency_s = latency_s
        self._plain: dict[str, Handler] = {}
        self._patterns: dict[tuple[str, int], list[tuple[tuple[str, ...], Handler]]] = {}
        for routes in services:
            for route, handler in routes.items():
                # /health/live belongs to two services, which answer it alike
                self._plain.setdefault(route, handler)
                steps = tuple(route.split("/"))
                if "{}" in steps:
                    self._patterns.setdefault((steps[0], len(steps)), []).append((steps, handler))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method: str = scope["method"]
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        handler, parts = self._found(f"{method} {path.decode('latin-1')}")
        query_string: bytes = scope["query_string"]
        query = dict(parse_qsl(query_string.decode("latin-1"))) if query_string else {}
        body = b"" if method == "GET" else await _body(receive)
        if self._latency_s > 0:
            await asyncio.sleep(self._latency_s)
        status, content, kind = handler(Question(parts, query, body))
        headers = [kind, (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _found(self, route: str) -> tuple[Handler, tuple[str, ...]]:
        if handler := self._plain.get(route):
            return handler, ()
        asked = route.split("/")
        for steps, handler in self._patterns.get((asked[0], len(asked)), ()):
            pairs = tuple(zip(steps, asked, strict=True))
            if all(step in ("{}", part) for step, part in pairs):
                return handler, tuple(unquote(part) for step, part in pairs if step == "{}")
        return _no_route, ()


def _no_route(_: Question) -> Answer:
    return answer({"detail": "Not Found"}, 404)


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY_BYTES:  # what is longer is cut, and is then no JSON
            chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)

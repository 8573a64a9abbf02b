"""Number and duration of requests, as plain ASGI."""

import time
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"


class RequestWatch(Protocol):
    """Counter of requests."""

    def begun(self) -> None:
        """Note the start of a request."""
        ...

    def ended(self, method: str, route: str, status: str, milliseconds: float) -> None:
        """Note the end of a request; the status is "none" if the client hung up."""
        ...


class Measured:
    """Reports every request to a watch, by the template of its route to bound the labels."""

    def __init__(self, app: ASGIApp, watch: RequestWatch) -> None:
        self.app = app
        self.watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = "none"

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        begin = time.perf_counter()
        self.watch.begun()
        try:
            await self.app(scope, receive, note_status)
        finally:
            milliseconds = (time.perf_counter() - begin) * 1000
            method = scope["method"] if scope["method"] in METHODS else OTHER
            self.watch.ended(method, route_of(scope), status, milliseconds)


def route_of(scope: Scope) -> str:
    """Find the template of the route of a request, such as /api/v1/model/{model_id}."""
    route = scope.get("route")
    return getattr(route, "path", None) or scope.get("root_path") or OTHER

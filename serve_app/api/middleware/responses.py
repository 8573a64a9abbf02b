"""Forms of responses, as plain ASGI: headers, compression, problems and measurement."""

import time
from contextlib import suppress
from typing import Final, Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import (
    DEFAULT_EXCLUDED_CONTENT_TYPES,
    GZipResponder,
    IdentityResponder,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.content_negotiation import accepts
from serve_app.api.etags import compressed_etag
from serve_app.api.media_types import PARQUET, XLSX
from serve_app.api.problem_responses import answer_error
from serve_app.api.response_headers import CORRELATION_ID, REQUEST_ID
from serve_app.call_context import (
    choose_correlation_id,
    choose_traceparent,
    correlation_id,
    principal,
    request_id,
    traceparent,
)
from serve_app.observability.traces import span

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    # Pages of other sites can neither embed an answer nor keep a handle to a window that shows it.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
YEAR_S = 31_536_000
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "other"
GZIP_LEVEL: Final = 4  # 1.5 times the time of the fastest level, and two thirds of its output
MIN_COMPRESSED_BYTES: Final = 2_000
COMPRESSED_ALREADY: Final = (XLSX, PARQUET)
AS_THEY_ARE: Final = (*DEFAULT_EXCLUDED_CONTENT_TYPES, *COMPRESSED_ALREADY)


class RequestHeaders:
    """Reads or makes the ids of a request, and sets the headers of its answer.

    A trailing slash names the same resource, without a redirect; HEAD is answered as GET is.
    X-Request-ID is left to the server in front if that server sets it, otherwise the answer would
    have the header twice.
    """

    def __init__(self, app: ASGIApp, server_answers_request_id: bool = False) -> None:
        self.app = app
        self.server_answers_request_id = server_answers_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        correlation_id.set(choose_correlation_id(headers.get(CORRELATION_ID)))
        request_id.set(choose_correlation_id(headers.get(REQUEST_ID)))
        traceparent.set(choose_traceparent(headers.get("traceparent")))
        principal.set("")  # because the context may be that of an earlier request
        path = scope["path"].rstrip("/") or "/"
        secure = _is_secure(scope, headers)

        async def complete_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer_headers = MutableHeaders(scope=message)
                if not self.server_answers_request_id:
                    answer_headers[REQUEST_ID] = request_id.get()
                _complete(answer_headers, secure)
            await send(message)

        if scope["method"] == "HEAD":
            await _answer_head({**scope, "path": path}, receive, complete_and_send, self.app)
        else:
            await self.app({**scope, "path": path}, receive, complete_and_send)


class _HeadAnsweredError(Exception):
    """Stops an answer to HEAD, whose body is discarded."""


async def _answer_head(scope: Scope, receive: Receive, send: Send, app: ASGIApp) -> None:
    """Answer like GET without the body; a stream ends with its first part."""

    async def send_without_body(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        await send({"type": "http.response.body", "body": b""})
        if message.get("more_body", False):
            raise _HeadAnsweredError

    with suppress(_HeadAnsweredError):
        await app({**scope, "method": "GET"}, receive, send_without_body)


def _complete(headers: MutableHeaders, secure: bool) -> None:
    headers[CORRELATION_ID] = correlation_id.get()
    for name, value in SECURITY.items():
        headers.setdefault(name, value)
    if secure:
        headers["Strict-Transport-Security"] = f"max-age={YEAR_S}; includeSubDomains"


def _is_secure(scope: Scope, headers: Headers) -> bool:
    return "https" in (scope.get("scheme"), headers.get("x-forwarded-proto"))


class RequestWatch(Protocol):
    """Counter of requests."""

    def note_begin(self) -> None:
        """Note the start of a request."""
        ...

    def note_end(self, method: str, route: str, status: str, milliseconds: float) -> None:
        """Note the end of a request; the status is "none" if the client hung up."""
        ...


class RequestMeasurement:
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
        method = scope["method"] if scope["method"] in METHODS else OTHER
        self.watch.note_begin()
        try:
            with span("request", is_request=True) as request_span:
                await self.app(scope, receive, note_status)
                request_span.describe(f"{method} {find_route(scope)}", http_status=status)
        finally:
            milliseconds = (time.perf_counter() - begin) * 1000
            self.watch.note_end(method, find_route(scope), status, milliseconds)


def find_route(scope: Scope) -> str:
    """Find the template of the route of a request, such as /api/v1/model/{model_id}."""
    route = scope.get("route")
    return getattr(route, "path_format", None) or scope.get("root_path") or OTHER


class Compression:
    """Compresses answers of more than 2 kB part by part, except event streams and packed files.

    A compressed answer has an ETag of its own, because it is another representation.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def tag_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                _tag(MutableHeaders(scope=message))
            await send(message)

        codings = ",".join(Headers(scope=scope).getlist("accept-encoding"))
        responder: ASGIApp
        if accepts(codings, "gzip"):
            responder = GZipResponder(
                self.app, MIN_COMPRESSED_BYTES, GZIP_LEVEL, exclude_content_types=AS_THEY_ARE
            )
        else:
            responder = IdentityResponder(
                self.app, MIN_COMPRESSED_BYTES, exclude_content_types=AS_THEY_ARE
            )
        await responder(scope, receive, tag_and_send)


def _tag(headers: MutableHeaders) -> None:
    if headers.get("content-encoding") == "gzip" and "etag" in headers:
        headers["etag"] = compressed_etag(headers["etag"])


class ErrorResponses:
    """Answers every error that a route raises; an error outside the table is a 500."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def note_start(message: Message) -> None:
            nonlocal has_started
            has_started = has_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, note_start)
        except Exception as error:
            if has_started or scope["type"] != "http":
                raise  # to break the connection, because half an answer cannot be taken back
            await answer_error(error, scope["path"])(scope, receive, send)

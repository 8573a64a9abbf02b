"""Ids and security headers of every response, as plain ASGI."""

from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.response_headers import CORRELATION_ID, REQUEST_ID
from serve_app.call_context import accepted_or_new, correlation_id, request_id

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
YEAR_S = 31_536_000


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
        offered = Headers(scope=scope)
        correlation_id.set(accepted_or_new(offered.get(CORRELATION_ID)))
        request_id.set(accepted_or_new(offered.get(REQUEST_ID)))
        path = scope["path"].rstrip("/") or "/"
        secure = _is_secure(scope, offered)

        async def complete_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if not self.server_answers_request_id:
                    headers[REQUEST_ID] = request_id.get()
                _complete(headers, secure)
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

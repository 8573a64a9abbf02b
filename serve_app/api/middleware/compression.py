"""Compression of answers with gzip if the caller accepts it, as plain ASGI."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import (
    DEFAULT_EXCLUDED_CONTENT_TYPES,
    GZipResponder,
    IdentityResponder,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.content_negotiation import accepts
from serve_app.api.etags import compressed_etag

LEVEL = 4  # 1.5 times the time of the fastest level, and two thirds of its output
MIN_COMPRESSED_BYTES = 2_000
COMPRESSED_ALREADY = ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",)
AS_THEY_ARE = (*DEFAULT_EXCLUDED_CONTENT_TYPES, *COMPRESSED_ALREADY)


class Compression:
    """Compresses answers of more than 2 kB part by part, except event streams and workbooks.

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
                self.app, MIN_COMPRESSED_BYTES, LEVEL, exclude_content_types=AS_THEY_ARE
            )
        else:
            responder = IdentityResponder(
                self.app, MIN_COMPRESSED_BYTES, exclude_content_types=AS_THEY_ARE
            )
        await responder(scope, receive, tag_and_send)


def _tag(headers: MutableHeaders) -> None:
    if headers.get("content-encoding") == "gzip" and "etag" in headers:
        headers["etag"] = compressed_etag(headers["etag"])

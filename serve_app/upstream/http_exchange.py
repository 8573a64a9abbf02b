"""HTTP exchange: one request and its response, read up to a bound."""

from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiohttp
import httpx

from serve_app.upstream.response_body import read_body
from serve_app.upstream.retry_policy import CutShortError

TRANSPORT_ERRORS = (httpx.HTTPError, aiohttp.ClientError, OSError)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None

    @property
    def path(self) -> str:
        """Path of the URL, for messages."""
        return unquote(urlsplit(self.url).path)


@dataclass(frozen=True, slots=True)
class Response:
    """Response whose body was read; the body is empty if the status was not accepted."""

    request: Request
    status_code: int
    content: bytes
    retry_after: str | None  # the header


@dataclass(frozen=True, slots=True)
class ResponseStream:
    """Response whose body is still to be read, and then closed."""

    status: int
    headers: Mapping[str, str]
    parts: AsyncIterable[bytes]
    close: Callable[[], Awaitable[None]]


class Transport(Protocol):
    """Connections to one upstream."""

    async def send(self, request: Request) -> ResponseStream:
        """Send a request; return its response once the head is here."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


async def exchange(
    transport: Transport, request: Request, accept: Collection[int] | None, max_bytes: int
) -> Response:
    """Send a request and read the body of the response if its status is accepted; None accepts any.

    Raises CutShortError if the body breaks off, UnreadableError if the body is too large or in an
    encoding that was not accepted, and errors of the transport before a response begins.
    """
    stream = await transport.send(request)
    try:
        is_accepted = accept is None or stream.status in accept
        body = await read_body(stream.parts, stream.headers, max_bytes) if is_accepted else b""
    except TRANSPORT_ERRORS as error:
        detail = f"the answer of {request.path} broke off"
        raise CutShortError(detail, False, None) from error
    finally:
        await stream.close()
    return Response(request, stream.status, body, stream.headers.get("Retry-After"))

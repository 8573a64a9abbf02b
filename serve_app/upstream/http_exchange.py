"""HTTP exchange: one request and its response, read up to a bound."""

from collections.abc import Collection

import aiohttp
import httpx

from serve_app.upstream.response_body import read_body
from serve_app.upstream.retry_policy import CutShortError

# With aiohttp's errors, because its httpx transport passes those on that it does not map.
TRANSPORT_ERRORS = (httpx.HTTPError, aiohttp.ClientError, OSError)


def plain_transport() -> httpx.AsyncBaseTransport:
    """Make the transport of a client that posts: a new connection for every request, no retries.

    httpx-aiohttp reports a connection that broke after the request as one that was never made, and
    a kept connection may break at its next use: in both cases it is unknown if a POST was sent.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(limits=limits, retries=0, trust_env=False)


async def exchange(
    transport: httpx.AsyncBaseTransport,
    request: httpx.Request,
    wanted: Collection[int] | None,
    max_bytes: int,
) -> httpx.Response:
    """Send a request and read the body of the response if its status is ``wanted``; None is any.

    Raises CutShortError if the body breaks off, UnreadableError if the body is too large or in an
    encoding that was not accepted, and errors of the transport before a response begins.
    """
    streamed = await transport.handle_async_request(request)
    status = streamed.status_code
    try:
        is_wanted = wanted is None or status in wanted
        body = await read_body(streamed, max_bytes) if is_wanted else b""
    except TRANSPORT_ERRORS as error:
        detail = f"the answer of {request.url.path} broke off"
        raise CutShortError(detail, False, None) from error
    finally:
        await streamed.aclose()
    wait = streamed.headers.get("Retry-After")
    headers = {} if wait is None else {"Retry-After": wait}
    return httpx.Response(status, headers=headers, content=body, request=request)

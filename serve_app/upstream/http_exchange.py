"""Exchange: one request and its answer, with a bound on what is read of it."""

from collections.abc import Collection

import aiohttp
import httpx

from serve_app.upstream.response_body import read_body
from serve_app.upstream.retry_policy import CutShortError

# aiohttp's own errors pass the httpx transport where it has no mapping for them.
TRANSPORT_ERRORS = (httpx.HTTPError, aiohttp.ClientError, OSError)


def plain_transport() -> httpx.AsyncBaseTransport:
    """The transport for a client that posts: a new connection for every request, no retries.

    httpx-aiohttp takes a connection that broke after the request went out for one that was not made,
    and one that was kept may break at its next use: both would leave open whether a POST went out.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(limits=limits, retries=0, trust_env=False)


async def exchange(
    http: httpx.AsyncClient,
    request: httpx.Request,
    wanted: Collection[int] | None,
    max_bytes: int,
) -> httpx.Response:
    """Send a request and read the body of its answer where the status is ``wanted``, or any.

    Raises CutShortError if the body breaks off, UnreadableError if it is too large or its encoding is
    not the one that was asked for, and what the transport raises before an answer begins.
    """
    streamed = await http.send(request, stream=True)
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

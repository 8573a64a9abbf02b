"""HTTP transports: kept connections for reads, a new connection for each write."""

import ssl

import aiohttp
import httpx

from serve_app.upstream.http_exchange import Request, ResponseStream

# Less than 5 s, because uvicorn and gunicorn close idle connections then.
KEEP_ALIVE_S = 4.0


class KeptConnections:
    """Transport that keeps its connections, and may repeat a request on a new one.

    Redirects and cookies are ignored, because no upstream needs them.
    """

    def __init__(
        self, max_connections: int, connect_s: float, context: ssl.SSLContext | None = None
    ) -> None:
        self._max_connections = max_connections
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s)
        # The context is made here, because that takes milliseconds of the first request otherwise.
        self._ssl = context or httpx.create_ssl_context(trust_env=False)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> ResponseStream:
        """Send a request; return its response once the head is here."""
        session = self._session or self._open()
        response = await session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
        )

        async def close() -> None:
            # The release closes the connection if the body was not read to its end.
            response.release()

        return ResponseStream(response.status, response.headers, response.content.iter_any(), close)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        # The first request opens the session, because a session belongs to its event loop.
        connector = aiohttp.TCPConnector(
            limit=self._max_connections,
            keepalive_timeout=KEEP_ALIVE_S,
            ssl=self._ssl,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self._session


class HttpxTransport:
    """Transport through one of httpx."""

    def __init__(self, transport: httpx.AsyncBaseTransport, connect_s: float = 1.0) -> None:
        self._transport = transport
        self._extensions = {"timeout": httpx.Timeout(None, connect=connect_s).as_dict()}

    async def send(self, request: Request) -> ResponseStream:
        """Send a request; return its response once the head is here."""
        response = await self._transport.handle_async_request(
            httpx.Request(
                request.method,
                request.url,
                headers=request.headers,
                content=request.body,
                extensions=self._extensions,
            )
        )
        return ResponseStream(
            response.status_code, response.headers, response.aiter_raw(), response.aclose
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


def single_use_transport(connect_s: float, context: ssl.SSLContext | None = None) -> HttpxTransport:
    """Make a transport with a new connection for every request, which is sent at most once.

    A kept connection may break at its next use, and aiohttp repeats a PUT on a new one: in both
    cases it is unknown if the request was sent. The errors of httpx tell if no connection was made.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    transport = httpx.AsyncHTTPTransport(
        verify=context or True, limits=limits, retries=0, trust_env=False
    )
    return HttpxTransport(transport, connect_s)

"""Request observer: reports each attempt of an upstream request to a callback."""

import asyncio
import time
from collections.abc import Callable

from serve_app.upstream.http_exchange import Request, ResponseStream, Transport

CallObserver = Callable[[str, str, float], None]
"""Callback with the name of the upstream, the outcome and the seconds until the response began.

The outcome is "answered", "failed" or "given up".
"""


class WatchedTransport:
    """Transport that wraps another one and reports its requests."""

    def __init__(self, upstream: str, transport: Transport, observer: CallObserver) -> None:
        self._upstream = upstream
        self._transport = transport
        self._observer = observer

    async def send(self, request: Request) -> ResponseStream:
        """Send a request and report its outcome and duration."""
        begin = time.perf_counter()
        outcome = "failed"
        try:
            response = await self._transport.send(request)
            outcome = "answered" if response.status < 500 else "failed"
        except asyncio.CancelledError:
            outcome = "given up"
            raise
        finally:
            self._observer(self._upstream, outcome, time.perf_counter() - begin)
        return response

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

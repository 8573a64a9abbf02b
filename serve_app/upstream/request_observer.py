"""Requests to upstreams, each try for itself, told to whoever counts them."""

import asyncio
import time
from collections.abc import Callable

import httpx

CallObserver = Callable[[str, str, float], None]
"""Takes the upstream's name, "answered", "failed" or "given up", and the seconds until its answer began."""


class WatchedTransport(httpx.AsyncBaseTransport):
    """Sends what another transport sends, and tells of it."""

    def __init__(
        self, upstream: str, transport: httpx.AsyncBaseTransport, told: CallObserver
    ) -> None:
        self._upstream = upstream
        self._transport = transport
        self._told = told

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One try."""
        begin = time.perf_counter()
        outcome = "failed"
        try:
            response = await self._transport.handle_async_request(request)
            outcome = "answered" if response.status_code < 500 else "failed"
        except asyncio.CancelledError:
            outcome = "given up"
            raise
        finally:
            self._told(self._upstream, outcome, time.perf_counter() - begin)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

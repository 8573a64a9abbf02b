"""Serves the simulated market on a port of this machine."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from serve_app.simulator.app import market_app
from serve_app.simulator.world import Market


class _Guest(uvicorn.Server):
    """A server in somebody else's event loop, whose signals are not its business."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def run(
    market: Market,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    latency_s: float = 0.0,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until the process is told to stop; ``ready`` learns the URL (port 0 is a free one)."""
    with _listen(host, port) as listener:
        if ready is not None:
            ready(_url(listener))
        uvicorn.Server(_config(market, latency_s)).run(sockets=[listener])


@asynccontextmanager
async def serve_in_loop(
    market: Market, host: str = "127.0.0.1", port: int = 0, *, latency_s: float = 0.0
) -> AsyncGenerator[str]:
    """Serve in this event loop for as long as the block runs; gives the URL."""
    with _listen(host, port) as listener:
        server = _Guest(_config(market, latency_s))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield _url(listener)
        finally:
            server.should_exit = True
            await task


def _config(market: Market, latency_s: float) -> uvicorn.Config:
    return uvicorn.Config(
        market_app(market, latency_s),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )


def _listen(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), backlog=512)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"

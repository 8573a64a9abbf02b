"""The application on a real port, for blocking callers, and the command line on it."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from click.testing import Result
from fastapi import FastAPI
from typer.testing import CliRunner

from serve_app.cli import cli
from tests.support.certificates import Files

Ordergen = Callable[..., Awaitable[Result]]


class EmbeddedServer(uvicorn.Server):
    """Server that leaves signal handling to pytest."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


WIDE = {"COLUMNS": "200"}


@asynccontextmanager
async def serve(app: FastAPI, tls: Files | None = None) -> AsyncGenerator[str]:
    """Serve the application from this event loop and yield its URL, https with ``tls``."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        ssl_certfile=tls and tls.certificate,
        ssl_keyfile=tls and tls.key,
    )
    scheme = "http" if tls is None else "https"
    server = EmbeddedServer(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


def connect_ordergen(url: str) -> Ordergen:
    """Return a function that runs `ordergen` on a wide terminal."""

    async def run(*arguments: str, stdin: str | None = None) -> Result:
        runner = CliRunner(env={**WIDE, "ORDERGEN_URL": url})
        return await asyncio.to_thread(runner.invoke, cli, arguments, stdin)

    return run

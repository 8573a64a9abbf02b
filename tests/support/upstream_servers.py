"""Upstreams of the tests: real HTTP servers whose responses a test writes byte by byte."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from inspect import isawaitable

import httpx

from serve_app.upstream.circuit_breaker import Breaker
from serve_app.upstream.credentials import Credentials
from serve_app.upstream.http_client import Client
from serve_app.upstream.http_exchange import Transport
from serve_app.upstream.request_observer import CallObserver
from serve_app.upstream.retry_policy import Policy

Answer = httpx.Response | bytes
Handler = Callable[[httpx.Request], Answer | Awaitable[Answer]]

EAGER = Policy(backoff_s=0.0, breaker_threshold=100)
opened = AsyncExitStack()
"""What a test opened; conftest.py closes it."""


def start_client(
    handler: Handler,
    policy: Policy = EAGER,
    upstream: str = "pricing",
    observer: CallObserver | None = None,
    breaker: Breaker | None = None,
    transport: Transport | None = None,
    credentials: Credentials | None = None,
) -> Client:
    """Start a server and a client of the server, both for the duration of the test."""
    url = start_server(handler)
    client = Client(upstream, url, policy, transport, observer, breaker, credentials)
    opened.push_async_callback(client.close)
    return client


def start_server(handler: Handler, tls: ssl.SSLContext | None = None) -> str:
    """Start a server, and return its address."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    serving = asyncio.get_running_loop().create_task(_serve(listener, handler, tls))
    opened.push_async_callback(_end, serving)
    scheme = "http" if tls is None else "https"
    return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"


def respond(body: bytes, *headers: str, length: int | None = None, status: str = "200 OK") -> bytes:
    """Build the bytes of a response, with a Content-Length that may be wrong."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _serve(listener: socket.socket, handler: Handler, tls: ssl.SSLContext | None) -> None:
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(_converse(reader, writer, handler)))

    server = await asyncio.start_server(accept, sock=listener, ssl=tls)
    try:
        await asyncio.Event().wait()
    finally:
        server.close()
        for connection in connections:
            await _end(connection)


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler
) -> None:
    """Respond until the client leaves; bytes are sent unchanged, an error drops the connection."""
    try:
        while True:
            answer = handler(await _request(reader))
            answer = await answer if isawaitable(answer) else answer
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
                return
            head = f"{answer.status_code} {answer.reason_phrase}"
            names = ("retry-after", "content-encoding")
            headers = [
                f"{name}: {answer.headers[name]}" for name in names if name in answer.headers
            ]
            writer.write(respond(answer.content, *headers, status=head))
            await writer.drain()
    except asyncio.IncompleteReadError:
        pass  # the client left
    except (httpx.HTTPError, OSError):
        writer.transport.abort()
    finally:
        writer.close()


async def _request(reader: asyncio.StreamReader) -> httpx.Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines if line)
    body = await reader.readexactly(
        int(headers.get("Content-Length", headers.get("content-length", 0)))
    )
    return httpx.Request(method, f"http://upstream{target}", headers=headers, content=body)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])

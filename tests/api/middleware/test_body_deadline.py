"""Bodies that do not arrive in time."""

import asyncio
import re
from typing import Any

import httpx
from fastapi import FastAPI

from serve_app.api.middleware.requests import Bounds, RequestBodies
from tests.support.command_server import serve

JSON = {"content-type": "application/json"}


class Impatient:
    """Application with the middleware around it, with a deadline of 0.2 s."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await RequestBodies(self.app, Bounds(1_000_000), 0.2)(scope, receive, send)


async def answer_to_half(url: str, path: str) -> bytes:
    """Send the first of the 100 bytes of a body, and return the response."""
    where = httpx.URL(url)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    head = f"POST {path} HTTP/1.1\r\nHost: {where.host}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    async with asyncio.timeout(30):
        answer = await reader.readuntil(b"}")
    writer.close()
    return answer


async def test_a_body_that_does_not_end_is_a_408_on_every_route_that_reads_one(
    app: FastAPI,
) -> None:
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    reading = [path for path, methods in paths.items() if "requestBody" in methods.get("post", {})]
    assert len(reading) > 5
    async with serve(Impatient(app)) as url:  # pyright: ignore[reportArgumentType]
        for path in reading:
            filled = re.sub(r"\{\w+\}", "0" * 24, path)
            answer = await answer_to_half(url, filled)
            assert answer.startswith(b"HTTP/1.1 408 "), (path, answer)
            assert b"/problems/body-too-slow" in answer


async def test_the_deadline_ends_with_the_body(app: FastAPI) -> None:
    async with (
        serve(Impatient(app)) as url,  # pyright: ignore[reportArgumentType]
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client,
    ):
        assert (await client.get("/health/live")).status_code == 200
        answer = await client.post("/api/v1/models", content=b"{}", headers=JSON)
        assert answer.status_code == 422

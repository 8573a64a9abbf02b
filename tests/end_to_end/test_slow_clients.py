"""Slow or numerous clients on loopback: they are disconnected, and other clients do not notice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest

from serve_app.settings import Settings
from tests.end_to_end.book import Book
from tests.end_to_end.calls import WITHIN_S, add_model, fund_portfolio, make_model, rebalance_model
from tests.end_to_end.conftest import CLIENT_TIMEOUT_S, CONNECTIONS

pytestmark = pytest.mark.cluster

HEAD = b"POST /api/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
HALF_A_HEAD = HEAD
HALF_A_BODY = HEAD + b"Content-Length: 100\r\n\r\n{"
SLOTS = 200  # max_ongoing_requests of an Ingress, which half-sent bodies took before
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Crowd:
    """Client connections that end with the test."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.host, settings.port
        self._open: list[Connection] = []

    async def send(self, count: int, text: bytes) -> list[Connection]:
        """Open ``count`` connections, as far as accepted, and send the text on each."""
        before = len(self._open)
        for _ in range(count):
            with suppress(ConnectionResetError):
                reader, writer = await asyncio.open_connection(*self._address)
                self._open.append((reader, writer))
                writer.write(text)
        return self._open[before:]

    async def close(self) -> None:
        for _, writer in self._open:
            writer.close()


async def end_of(reader: asyncio.StreamReader) -> bytes:
    """Read until the connection is closed; nothing from a refused connection."""
    async with asyncio.timeout(WITHIN_S):
        with suppress(ConnectionResetError):
            return await reader.read()
    return b""


@pytest.fixture
async def crowd(service: Settings) -> AsyncIterator[Crowd]:
    crowd = Crowd(service)
    yield crowd
    await crowd.close()


@pytest.mark.parametrize("text", [HALF_A_HEAD, HALF_A_BODY], ids=["heads", "bodies"])
async def test_half_sent_requests_are_ended_and_do_not_keep_others_out(
    http: httpx.AsyncClient, crowd: Crowd, text: bytes
) -> None:
    connections = await crowd.send(SLOTS + 60, text)
    for path in ("/health/live", "/api/v1/models", "/api/v1/rebalances"):
        assert (await http.get(path)).status_code == 200
    for reader, _ in connections:
        assert (await end_of(reader)).startswith(b"HTTP/1.1 408 ")


async def test_a_client_with_too_many_connections_is_refused_more(
    http: httpx.AsyncClient, crowd: Crowd
) -> None:
    assert (await http.get("/health/live")).status_code == 200  # and keeps its connection
    connections = await crowd.send(CONNECTIONS + 40, HALF_A_HEAD)
    ends = [await end_of(reader) for reader, _ in connections]
    refusals = CONNECTIONS + 40 - len(ends) + ends.count(b"")
    assert refusals >= 40
    assert all(end.startswith(b"HTTP/1.1 408 ") for end in ends if end)
    assert (await http.get("/health/live")).status_code == 200


async def test_an_answer_that_takes_longer_than_a_client_may_be_silent_is_not_cut(
    http: httpx.AsyncClient, book: Book
) -> None:
    portfolio_id = fund_portfolio(book)
    model = await add_model(http, make_model(book, [portfolio_id]))
    with book.delay(f"/api/v1/portfolios/{portfolio_id}/summary", 1.5 * CLIENT_TIMEOUT_S):
        (outcome,) = await rebalance_model(http, model["model_id"])
    assert outcome["status"] == "REBALANCED"

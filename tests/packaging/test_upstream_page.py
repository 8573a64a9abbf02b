"""The exchanges of docs/how-to/connect-your-services.md, sent and read by the service's clients."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import httpx
import pytest

from optimization.domain.outcome import Side
from serve_app.upstream.errors import HoldingsMissingError
from serve_app.upstream.holdings.pages import PagedAccountingService
from serve_app.upstream.holdings.source import Balance
from serve_app.upstream.holdings.summaries import AccountingService
from serve_app.upstream.http_client import Client
from serve_app.upstream.http_transports import HttpxTransport
from serve_app.upstream.order_service import Accepted, NewOrder, OrderService, Placed, Refused
from serve_app.upstream.portfolio_names import PortfolioService
from serve_app.upstream.prices import PricingService
from serve_app.upstream.retry_policy import Policy
from serve_app.upstream.securities import SecurityService

PAGE = Path(__file__).parents[2] / "docs/how-to/connect-your-services.md"
BLOCK = re.compile(r"```http\n(.*?)```", re.DOTALL)
CASH = "683b6d9f4dac253441dd99ec"
EMPTY = "683b6d9f4dac253441dd9900"
STRANGERS = [f"683b6d9f4dac253441dd99{number:02}" for number in range(30)]
FIRST, SECOND, THIRD, UNKNOWN = (
    "3ef72f691c5758e59e004b2a",
    "df89294d349dca66897253b1",
    "f052d01bb09b11721c62a214",
    "f052d01bb09b11721c62a2ff",
)
AT = datetime(2026, 11, 26, 7, tzinfo=UTC)
POLICY = Policy(backoff_s=0.0)


class Exchange(NamedTuple):
    body: Any
    status: int
    answer: str


def exchanges() -> dict[str, Exchange]:
    """Extract the exchanges of the page, by method and path."""
    pairs: dict[str, Exchange] = {}
    blocks = [block.partition("\n\n") for block in BLOCK.findall(PAGE.read_text())]
    for (request, _, body), (status, _, answer) in zip(blocks[::2], blocks[1::2], strict=True):
        payload = json.loads(body) if body else None
        pairs[request.strip()] = Exchange(payload, int(status.split()[1]), answer)
    return pairs


class DocumentedUpstreams(httpx.AsyncBaseTransport):
    """Transport that responds as the page shows, and records the requests."""

    def __init__(self) -> None:
        self.exchanges = exchanges()
        self.asked: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        route = f"{request.method} {unquote(request.url.raw_path.decode())}"
        route = re.sub("|".join(STRANGERS), EMPTY, route)
        exchange = self.exchanges[route]
        self.asked.add(route)
        payload = await request.aread()
        assert (json.loads(payload) if payload else None) == exchange.body
        answer = httpx.ByteStream(exchange.answer.encode())
        return httpx.Response(exchange.status, stream=answer, request=request)


@pytest.fixture
def upstreams() -> DocumentedUpstreams:
    return DocumentedUpstreams()


@pytest.fixture
async def client(upstreams: DocumentedUpstreams) -> AsyncIterator[Client]:
    async with Client("documented", "http://upstream", POLICY, HttpxTransport(upstreams)) as client:
        yield client


async def test_every_request_of_the_page_is_sent_and_every_answer_read(
    upstreams: DocumentedUpstreams, client: Client
) -> None:
    assert await PricingService(client, 5.0).read_snapshot() is not None
    await holdings_are_read(client)
    assert await SecurityService(client).read_tickers([FIRST, THIRD, UNKNOWN]) == {
        FIRST: "AEEV",
        THIRD: "QFT",
    }
    await names_are_read(client)
    await orders_are_sent_looked_up_and_cancelled(client)
    for upstream in (
        AccountingService(client),
        PricingService(client, 5.0),
        SecurityService(client),
        OrderService(client, "Default"),
    ):
        assert (await upstream.check_health()).is_healthy

    assert upstreams.asked == upstreams.exchanges.keys()


async def holdings_are_read(client: Client) -> None:
    balances = await AccountingService(client).read_holdings([CASH, EMPTY])
    holdings = {FIRST: Decimal(137), THIRD: Decimal("0.25")}
    assert balances[CASH] == Balance(CASH, Decimal("2022943.57"), holdings)
    assert isinstance(balances[EMPTY], HoldingsMissingError)
    by_pages = await PagedAccountingService(client).read_holdings([CASH, *STRANGERS])
    assert by_pages[CASH] == balances[CASH]


async def names_are_read(client: Client) -> None:
    assert await PortfolioService(client).read_names([CASH]) == {CASH: "Portfolio 24"}
    names = await PortfolioService(client).read_names([CASH, *STRANGERS])
    assert names == {**dict.fromkeys(STRANGERS), CASH: "Portfolio 24"}
    assert await PortfolioService(client).search_by_name("folio 24", 100) == {CASH: "Portfolio 24"}


async def orders_are_sent_looked_up_and_cancelled(client: Client) -> None:
    orders = OrderService(client, "Default")
    batch = [NewOrder(CASH, FIRST, Side.BUY, 19326), NewOrder(CASH, SECOND, Side.SELL, 12)]
    results = await orders.place(batch, AT)
    assert results == (Accepted(101), Refused("Security is not traded today"))
    assert await orders.read_placed(AT) == {(CASH, FIRST): Placed(101, "NEW")}
    await orders.cancel([101])

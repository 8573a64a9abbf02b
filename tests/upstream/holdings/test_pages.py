"""Holdings by pages are the same as one by one, whatever happens between the pages."""

import httpx
import pytest

from serve_app.simulator import Market, market_app
from serve_app.upstream.errors import HoldingsMissingError, UpstreamUnavailableError
from serve_app.upstream.holdings.pages import PagedAccountingService
from serve_app.upstream.holdings.source import Balance, BalanceOrError, HoldingsSource
from serve_app.upstream.holdings.summaries import POLICY, AccountingService
from serve_app.upstream.http_client import Client
from serve_app.upstream.http_transports import HttpxTransport
from tests.support.flaky_order_service import unread_response
from tests.support.upstream_servers import start_client

BOOK = Market(seed=5, portfolios=400)


class Counted(httpx.AsyncBaseTransport):
    """Market that counts requests; posts one of ``between`` before each page after the first."""

    def __init__(self, market: Market = BOOK) -> None:
        self.app = httpx.ASGITransport(market_app(market))
        self.pages = 0
        self.summaries = 0
        self.between: list[object] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.summaries += request.url.path.endswith("/summary")
        if "sortby" in request.url.params:
            self.pages += 1
            if self.pages > 1 and self.between:
                await self._post(self.between.pop())
        return await self.app.handle_async_request(request)

    async def _post(self, transaction: object) -> None:
        async with httpx.AsyncClient(transport=self.app, base_url="http://market") as client:
            answer = await client.post("/api/v1/transactions", json=[transaction])
            assert answer.status_code == 201


def sources(transport: httpx.AsyncBaseTransport) -> tuple[HoldingsSource, HoldingsSource]:
    client = Client("accounting", "http://market", POLICY, HttpxTransport(transport))
    return PagedAccountingService(client), AccountingService(client)


def comparable(found: object) -> dict[str, object]:
    assert isinstance(found, dict)
    outcomes: dict[str, BalanceOrError] = found
    return {key: one if isinstance(one, Balance) else type(one) for key, one in outcomes.items()}


async def test_pages_give_what_single_questions_give_with_fewer_requests() -> None:
    transport = Counted()
    paged, single = sources(transport)
    wanted = [*BOOK.portfolio_ids(), "0" * 24]

    found = await paged.read_holdings(wanted)
    asked = transport.summaries

    assert comparable(found) == comparable(await single.read_holdings(wanted))
    assert isinstance(found["0" * 24], HoldingsMissingError)
    assert list(found) == wanted
    assert transport.pages == 8
    assert asked < 30


@pytest.mark.parametrize("count", [0, 1, 14, 40])
async def test_a_small_part_of_the_book_is_asked_for_one_by_one(count: int) -> None:
    transport = Counted()
    paged, _ = sources(transport)

    found = await paged.read_holdings(BOOK.portfolio_ids(count))

    assert len(found) == transport.summaries == count
    assert transport.pages <= 1


async def test_a_row_that_comes_between_two_pages_makes_every_portfolio_be_asked_again() -> None:
    transport = Counted()
    transport.between.append(
        {
            "portfolioId": BOOK.portfolio_id(0),
            "securityId": "f" * 24,
            "sourceId": "between",
            "transactionType": "IN",
            "quantity": "5",
            "price": "1",
            "transactionDate": "20261123",
        }
    )
    paged, _ = sources(transport)

    found = await paged.read_holdings(BOOK.portfolio_ids())

    assert transport.summaries == 400
    first = found[BOOK.portfolio_id(0)]
    assert isinstance(first, Balance)
    assert first.holdings["f" * 24] == 5


async def test_a_page_that_cannot_be_read_costs_time_only() -> None:
    class Broken(Counted):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if "sortby" in request.url.params:
                body = {"balances": [{"id": 1}], "pagination": {"total": 1}}
                return unread_response(httpx.Response(200, json=body, request=request))
            return await super().handle_async_request(request)

    paged, single = sources(Broken())
    wanted = BOOK.portfolio_ids(30)

    assert comparable(await paged.read_holdings(wanted)) == comparable(
        await single.read_holdings(wanted)
    )


async def test_a_service_that_is_down_ends_the_paging() -> None:
    client = start_client(lambda _: httpx.Response(503), upstream="accounting")

    with pytest.raises(UpstreamUnavailableError):
        await PagedAccountingService(client).read_holdings(BOOK.portfolio_ids(100))

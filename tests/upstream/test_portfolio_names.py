"""Names of portfolios: few calls, cached, and never waited for long."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from serve_app.simulator import Market, market_app
from serve_app.upstream.errors import UpstreamContractError, UpstreamUnavailableError
from serve_app.upstream.http_client import Client
from serve_app.upstream.http_transports import HttpxTransport
from serve_app.upstream.portfolio_names import PortfolioService
from serve_app.upstream.retry_policy import Policy

EAGER = Policy(backoff_s=0.0, concurrency=8)
NOBODY = "0" * 24


class Service(httpx.AsyncBaseTransport):
    """Simulated portfolio service that counts requests and can be spoilt."""

    def __init__(self, market: Market) -> None:
        self._market = httpx.ASGITransport(market_app(market))
        self.asked = Counter[str]()
        self.spoil: Callable[[httpx.Request], httpx.Response | None] = lambda _: None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked["page" if request.url.path.endswith("/portfolios") else "single"] += 1
        return self.spoil(request) or await self._market.handle_async_request(request)


@pytest.fixture
def market() -> Market:
    return Market(seed=3, portfolios=1500)


@pytest.fixture
def service(market: Market) -> Service:
    return Service(market)


def answer_with(status: int, body: object) -> httpx.Response:
    return httpx.Response(status, stream=httpx.ByteStream(json.dumps(body).encode()))


def portfolios(service: Service, within_s: float = 60.0) -> PortfolioService:
    return PortfolioService(
        Client("portfolio", "http://portfolios", EAGER, HttpxTransport(service)), within_s
    )


async def test_a_few_names_are_read_one_by_one_and_remembered(
    market: Market, service: Service
) -> None:
    ids = (*market.portfolio_ids(3), NOBODY, "not-an-id")
    names = portfolios(service)

    found = [await names.read_names(ids) for _ in range(2)]

    expected = {each: f"Portfolio {n}" for n, each in enumerate(ids[:3], 1)}
    assert found == [{**expected, NOBODY: None, "not-an-id": None}] * 2
    assert list(found[0]) == list(ids)
    assert service.asked == {"single": 4}


async def test_many_names_are_read_by_pages_and_remembered(
    market: Market, service: Service
) -> None:
    ids = market.portfolio_ids(100)
    names = portfolios(service)

    found = [
        await names.read_names(ids),
        await names.read_names(market.portfolio_ids(100, start=700)),
    ]

    assert found[0] == {each: f"Portfolio {n}" for n, each in enumerate(ids, 1)}
    assert None not in found[1].values()
    assert service.asked == {"page": 2}


async def test_what_the_pages_skip_is_read_by_itself(market: Market, service: Service) -> None:
    ids = market.portfolio_ids(30)

    def without_rows(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/portfolios"):
            return None
        return answer_with(200, {"portfolios": [], "pagination": {"hasNext": True}})

    service.spoil = without_rows
    found = await portfolios(service).read_names(ids)

    assert None not in found.values()
    assert service.asked == {"page": 1, "single": 30}


@pytest.mark.parametrize("count", [3, 50])
@pytest.mark.parametrize(
    ("status", "body"), [(503, {}), (418, {}), (200, {"portfolios": 1, "name": 5}), (200, [])]
)
async def test_a_service_that_is_down_or_odd_leaves_names_out(
    market: Market, service: Service, count: int, status: int, body: object
) -> None:
    ids = market.portfolio_ids(count)
    service.spoil = lambda _: answer_with(status, body)

    assert await portfolios(service).read_names(ids) == dict.fromkeys(ids)


async def test_names_that_were_found_in_time_are_answered(market: Market) -> None:
    ids = market.portfolio_ids(2)
    never = asyncio.Event()

    class Slow(Service):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith(ids[1]):
                await never.wait()
            return await super().handle_async_request(request)

    found = await portfolios(Slow(market), within_s=3.0).read_names(ids)

    assert found == {ids[0]: "Portfolio 1", ids[1]: None}


async def test_portfolios_are_found_by_a_part_of_their_name_in_any_case(
    market: Market, service: Service
) -> None:
    found = await portfolios(service).search_by_name("FOLIO 149", 5)

    newest = {
        market.portfolio_id(number - 1): f"Portfolio {number}" for number in range(1499, 1494, -1)
    }
    assert list(found.items()) == list(newest.items())
    assert service.asked == {"page": 1}


async def test_a_service_that_ignores_the_part_finds_nobody_else(service: Service) -> None:
    rows = [
        {"portfolioId": NOBODY, "name": "Somebody"},
        {"portfolioId": "1" * 24, "name": "An IRA"},
    ]
    service.spoil = lambda _: answer_with(200, {"portfolios": rows, "pagination": {}})

    assert await portfolios(service).search_by_name("ira", 5) == {"1" * 24: "An IRA"}


@pytest.mark.parametrize(
    ("status", "error"),
    [(503, UpstreamUnavailableError), (404, UpstreamContractError), (400, UpstreamContractError)],
)
async def test_a_search_that_fails_is_an_error_and_not_nobody(
    service: Service, status: int, error: type[Exception]
) -> None:
    service.spoil = lambda _: answer_with(status, {"detail": "no"})

    with pytest.raises(error):
        await portfolios(service).search_by_name("ira", 5)


async def test_a_search_without_an_answer_ends_in_time(market: Market) -> None:
    class Silent(Service):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            return await super().handle_async_request(request)

    with pytest.raises(UpstreamUnavailableError, match=r"within 0\.2 s"):
        await portfolios(Silent(market), within_s=0.2).search_by_name("ira", 5)

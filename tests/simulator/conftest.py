"""The simulated market, fresh for each test."""

from collections.abc import AsyncIterator

import httpx
import pytest

from serve_app.simulator import Market, market_app


@pytest.fixture(scope="session")
def market() -> Market:
    """1,500 portfolios hold every kind there is."""
    return Market(seed=3, portfolios=1500)


@pytest.fixture
def transport(market: Market) -> httpx.ASGITransport:
    return httpx.ASGITransport(market_app(market))


@pytest.fixture
async def http(transport: httpx.ASGITransport) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url="http://market", transport=transport) as client:
        yield client

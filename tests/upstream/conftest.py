"""Fixtures of upstream clients: the simulated market on a real port, and closed connections."""

from collections.abc import AsyncIterator

import pytest

from serve_app.simulator import Market, serve_in_loop
from tests.support.upstream_servers import opened


@pytest.fixture(scope="session")
def market() -> Market:
    """Market of 1,500 portfolios, because they include every kind of holding."""
    return Market(seed=3, portfolios=1500)


@pytest.fixture(scope="session")
async def market_url(market: Market) -> AsyncIterator[str]:
    async with serve_in_loop(market) as url:
        yield url


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    await opened.aclose()

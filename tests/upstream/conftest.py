"""The simulated market on a real port, and the end of what a test opened."""

from collections.abc import AsyncIterator

import pytest

from serve_app.simulator import Market, serving
from tests.support.upstream_servers import opened


@pytest.fixture(scope="session")
def market() -> Market:
    """1,500 portfolios hold every kind there is."""
    return Market(seed=3, portfolios=1500)


@pytest.fixture(scope="session")
async def market_url(market: Market) -> AsyncIterator[str]:
    async with serving(market) as url:
        yield url


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    await opened.aclose()

"""The simulated market on a real port."""

from collections.abc import AsyncIterator

import pytest

from serve_app.market import Market, serving


@pytest.fixture(scope="session")
def market() -> Market:
    """1,500 portfolios hold every kind there is."""
    return Market(seed=3, portfolios=1500)


@pytest.fixture(scope="session")
async def market_url(market: Market) -> AsyncIterator[str]:
    async with serving(market) as url:
        yield url

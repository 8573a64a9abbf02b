"""Upstream clients against the simulated market over HTTP: both sides keep the same contract."""

from decimal import Decimal

import pytest

from serve_app.simulator import Market
from serve_app.upstream import portfolio_names, prices, securities
from serve_app.upstream.errors import HoldingsMissingError
from serve_app.upstream.holdings import summaries
from serve_app.upstream.holdings.source import Balance
from serve_app.upstream.holdings.summaries import AccountingService
from serve_app.upstream.http_client import Client
from serve_app.upstream.portfolio_names import PortfolioService
from serve_app.upstream.prices import PricingService
from serve_app.upstream.securities import SecurityService


async def test_holdings_are_what_the_market_derives(market: Market, market_url: str) -> None:
    wanted = market.portfolio_ids(300)

    async with Client("accounting", market_url, summaries.POLICY) as client:
        found = await AccountingService(client).read_holdings(wanted)

    assert tuple(found) == wanted
    for number, portfolio_id in enumerate(wanted):
        if market.rows(number):
            assert found[portfolio_id] == balance_of(market, number)
        else:
            assert isinstance(found[portfolio_id], HoldingsMissingError)


def balance_of(market: Market, number: int) -> Balance:
    rows = market.rows(number)
    cash = sum((Decimal(row.long) for row in rows if row.security_id is None), Decimal(0))
    net = {row.security_id: Decimal(row.long - row.short) for row in rows if row.security_id}
    held = {security: shares for security, shares in net.items() if shares}
    return Balance(market.portfolio_id(number), cash, held)


async def test_every_priced_security_of_a_strategy_has_ticker_and_price(
    market: Market, market_url: str
) -> None:
    wanted = market.strategies[0].weights
    async with (
        Client("security", market_url, securities.POLICY) as security_client,
        Client("pricing", market_url, prices.POLICY) as pricing_client,
    ):
        tickers = await SecurityService(security_client).read_tickers(wanted)
        snapshot = await PricingService(pricing_client, 5.0).read_snapshot()

    assert tickers.keys() == wanted.keys()
    assert all(snapshot.prices[ticker] > 0 for ticker in tickers.values())
    assert all(price.as_tuple().exponent == -2 for price in snapshot.prices.values())


async def test_some_securities_have_no_price_and_some_prices_no_security(
    market: Market, market_url: str
) -> None:
    listed = [listing.security_id for listing in market.listings() if listing.security_id]
    async with (
        Client("security", market_url, securities.POLICY) as security_client,
        Client("pricing", market_url, prices.POLICY) as pricing_client,
    ):
        tickers = set((await SecurityService(security_client).read_tickers(listed)).values())
        priced = (await PricingService(pricing_client, 5.0).read_snapshot()).prices.keys()

    assert tickers - priced
    assert priced - tickers


async def test_an_unknown_security_is_left_out(market_url: str) -> None:
    async with Client("security", market_url, securities.POLICY) as client:
        assert await SecurityService(client).read_tickers(["f" * 24, "Z" * 24]) == {}


async def test_portfolios_have_names(market: Market, market_url: str) -> None:
    async with Client("portfolio", market_url, portfolio_names.POLICY) as client:
        names = PortfolioService(client)

        assert await names.read_name(market.portfolio_id(4)) == "Portfolio 5"
        assert await names.read_name("0" * 24) is None


@pytest.mark.parametrize(
    "health", [summaries.HEALTH, prices.HEALTH, securities.HEALTH, portfolio_names.HEALTH]
)
async def test_every_service_says_that_it_is_well(health: str, market_url: str) -> None:
    async with Client("any", market_url, summaries.POLICY) as client:
        assert (await client.check_health(health)).is_healthy

"""The served application over a simulated market in its own process, without a Ray cluster."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from serve_app.simulator import Market
from serve_app.upstream.errors import HoldingsMissingError
from serve_app.upstream.holdings.source import Balance, BalanceOrError
from serve_app.upstream.order_service import Placed
from serve_app.upstream.prices import PriceSnapshot

# Bands of one percentage point, and bands that are narrower than one share of a small portfolio.
WIDE, TIGHT = "0.01", "0.0001"
CENT: Final = Decimal("0.01")


@dataclass
class MarketUpstreams:
    """Every upstream, answered from a market; ``pause_s`` slows each look at holdings."""

    market: Market
    pause_s: float = 0.0
    tickers: dict[str, str] = field(default_factory=dict[str, str])
    search_error: Exception | None = None  # of a portfolio service that does not find names
    prices: dict[str, Decimal] = field(default_factory=dict[str, Decimal])

    def __post_init__(self) -> None:
        self.prices = {listing.ticker: cents * CENT for listing, cents in self.market.prices(0)}
        self.tickers = {
            listing.security_id: listing.ticker
            for listing in self.market.listings()
            if listing.security_id
        }

    async def read_snapshot(self) -> PriceSnapshot:
        return PriceSnapshot("now", datetime.now(UTC), self.prices)

    async def read_tickers(self, security_ids: Iterable[str]) -> Mapping[str, str]:
        return {
            security_id: self.tickers[security_id]
            for security_id in security_ids
            if security_id in self.tickers
        }

    async def find_ids(self, ticker: str) -> tuple[str, ...]:
        return tuple(
            security_id
            for security_id, known_ticker in self.tickers.items()
            if known_ticker == ticker.upper()
        )

    async def read_holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, BalanceOrError]:
        await asyncio.sleep(self.pause_s)
        return {portfolio_id: self._holdings(portfolio_id) for portfolio_id in portfolio_ids}

    async def read_placed(self, _: datetime) -> Mapping[tuple[str, str], Placed]:
        return {}

    async def read_names(self, portfolio_ids: Iterable[str]) -> Mapping[str, str | None]:
        numbers = {portfolio_id: self.market.number(portfolio_id) for portfolio_id in portfolio_ids}
        return {
            portfolio_id: None if number is None else f"Account {number + 1}"
            for portfolio_id, number in numbers.items()
        }

    async def search_by_name(self, part: str, limit: int) -> Mapping[str, str]:
        if self.search_error:
            raise self.search_error
        names = {
            self.market.portfolio_id(number): f"Account {number + 1}"
            for number in range(self.market.portfolios)
        }
        matches = [item for item in names.items() if part.casefold() in item[1].casefold()]
        return dict(matches[:limit])

    def _holdings(self, portfolio_id: str) -> BalanceOrError:
        number = self.market.number(portfolio_id)
        rows = () if number is None else self.market.rows(number)
        if not rows:
            return HoldingsMissingError(portfolio_id)
        cash = sum((Decimal(row.long) for row in rows if row.security_id is None), Decimal())
        holdings = {
            row.security_id: Decimal(row.long - row.short) for row in rows if row.security_id
        }
        holdings = {security_id: shares for security_id, shares in holdings.items() if shares}
        return Balance(portfolio_id, cash, holdings)


def make_models(market: Market, count: int) -> list[dict[str, object]]:
    """Build the bodies of models of the market's strategies; the last one has tight bands."""
    strategies = market.strategies[:count]
    return [
        {
            "name": strategy.name,
            "positions": [
                {
                    "security_id": security_id,
                    "target": str(weight),
                    "low_drift": TIGHT if place == count - 1 else WIDE,
                    "high_drift": TIGHT if place == count - 1 else WIDE,
                }
                for security_id, weight in strategy.weights.items()
            ],
            "portfolios": [
                market.portfolio_id(number)
                for number in range(place, market.portfolios, len(market.strategies))
            ],
        }
        for place, strategy in enumerate(strategies)
    ]

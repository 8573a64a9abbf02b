"""Who is out of band: holdings and prices fetched as for a rebalance, then measured instead of solved."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal

from optimization import (
    BandStatus,
    DriftSummary,
    Model,
    Portfolio,
    PortfolioDrift,
    PricedTarget,
    measure_drift,
)
from optimization.errors import RuleError
from serve_app.chunks.fetch import UNPRICED, ChunkInputs, fetch_chunk, price_model
from serve_app.chunks.outcomes import failed_outcome
from serve_app.problems.errors import PortfolioDataError
from serve_app.resources import Resources
from serve_app.upstream.errors import HoldingsMissingError, UpstreamContractError
from serve_app.upstream.holdings.source import Found

FORESEEN = (HoldingsMissingError, UpstreamContractError, *UNPRICED)


class DriftMeter:
    """Measures portfolios of stored models, in one process and its event loop; stores nothing."""

    def __init__(self, resources: Resources) -> None:
        self._with = resources

    async def of_portfolio(
        self, portfolio_id: str, model_id: str | None
    ) -> tuple[Model, PortfolioDrift]:
        """The drift of one portfolio from the named model, or from the newest that it follows.

        Raises what a portfolio of a larger call would have as its refusal.
        """
        model = await self._with.models.followed_by(portfolio_id, model_id)
        try:
            securities, portfolios = await self._fetched(model)
            portfolio = _portfolio(portfolio_id, portfolios.balances[0], portfolios.prices)
            return model, measure_drift(securities, portfolio)
        except RuleError as error:
            raise PortfolioDataError(error.field, error.value, error.rule) from error

    async def of_model(
        self, model_id: str, offset: int, limit: int
    ) -> tuple[tuple[DriftSummary, ...], int]:
        """One page of the portfolios that follow a model, in its order, and how many there are."""
        model, total = await self._with.models.followers(model_id, offset, limit)
        if model is None:
            return (), total
        try:
            securities, portfolios = await self._fetched(model)
        except UNPRICED as error:
            return tuple(_failed(each, error) for each in model.portfolio_ids), total
        # A page of 1,000 takes a fraction of a second, which the event loop need not wait for.
        return await asyncio.to_thread(_measured, securities, portfolios), total

    async def _fetched(self, model: Model) -> tuple[tuple[PricedTarget, ...], ChunkInputs]:
        snapshot = await self._with.prices.snapshot()
        securities = await price_model(model, self._with.securities, snapshot)
        sources = self._with.holdings, self._with.securities
        return securities, await fetch_chunk(securities, model.portfolio_ids, *sources, snapshot)


def _measured(
    securities: tuple[PricedTarget, ...], portfolios: ChunkInputs
) -> tuple[DriftSummary, ...]:
    pairs = zip(portfolios.portfolio_ids, portfolios.balances, strict=True)
    return tuple(_summary(securities, *pair, portfolios.prices) for pair in pairs)


def _summary(
    securities: tuple[PricedTarget, ...],
    portfolio_id: str,
    balance: Found,
    prices: Mapping[str, Decimal],
) -> DriftSummary:
    try:
        return measure_drift(securities, _portfolio(portfolio_id, balance, prices)).summary
    except FORESEEN as error:
        return _failed(portfolio_id, error)


def _portfolio(portfolio_id: str, balance: Found, prices: Mapping[str, Decimal]) -> Portfolio:
    if isinstance(balance, Exception):
        raise balance
    return Portfolio(portfolio_id, balance.cash, balance.holdings, prices)


def _failed(portfolio_id: str, error: Exception) -> DriftSummary:
    refusal = failed_outcome(portfolio_id, error).refusal
    return DriftSummary(portfolio_id, BandStatus.FAILED, refusal=refusal)

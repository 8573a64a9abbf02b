"""Drift: holdings and prices are fetched as for a rebalance, then measured instead of solved."""

import asyncio
from collections.abc import Mapping, Sequence
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
from serve_app.chunks.solve import failed_outcome
from serve_app.problems.errors import PortfolioDataError
from serve_app.resources import Resources
from serve_app.upstream.errors import (
    HoldingsMissingError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from serve_app.upstream.holdings.source import BalanceOrError
from serve_app.upstream.prices import PriceSnapshot

FORESEEN = (HoldingsMissingError, UpstreamContractError, UpstreamUnavailableError, *UNPRICED)


class DriftMeter:
    """Measures the drift of portfolios from stored models; stores nothing."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def measure_portfolio(
        self, portfolio_id: str, model_id: str | None
    ) -> tuple[Model, PortfolioDrift]:
        """Measure one portfolio against the named model, or the newest model that it follows.

        Raises the error that a page of portfolios would report as the refusal of the portfolio.
        """
        model = await self._resources.models.find_followed(portfolio_id, model_id)
        try:
            securities, portfolios = await self._fetch(model)
            portfolio = _build_portfolio(portfolio_id, portfolios.balances[0], portfolios.prices)
            return model, measure_drift(securities, portfolio)
        except RuleError as error:
            raise PortfolioDataError(error.field, error.value, error.rule) from error

    async def measure_portfolios(
        self, model_id: str, offset: int, limit: int
    ) -> tuple[tuple[DriftSummary, ...], int]:
        """Measure one page of the portfolios that follow a model; also return their number."""
        model, total = await self._resources.models.read_followers(model_id, offset, limit)
        if model is None:
            return (), total
        try:
            securities, portfolios = await self._fetch(model)
        except UNPRICED as error:
            return summarize_failures(model.portfolio_ids, error), total
        # A thread, because a page of 1,000 would block the event loop for a noticeable time.
        return await asyncio.to_thread(_summarize, securities, portfolios), total

    async def _fetch(self, model: Model) -> tuple[tuple[PricedTarget, ...], ChunkInputs]:
        snapshot = await self._resources.prices.read_snapshot()
        securities = await price_model(model, self._resources.securities, snapshot)
        sources = self._resources.holdings, self._resources.securities
        return securities, await fetch_chunk(securities, model.portfolio_ids, *sources, snapshot)


async def measure_followers(
    resources: Resources,
    snapshot: PriceSnapshot,
    tries: int,
    securities: tuple[PricedTarget, ...],
    portfolio_ids: Sequence[str],
) -> tuple[DriftSummary, ...]:
    """Measure portfolios against a model with prices, in a process that has no other work.

    Missing holdings are fetched up to ``tries`` times. Raises UpstreamUnavailableError if an
    upstream is down.
    """
    sources = resources.holdings, resources.securities
    return _summarize(
        securities, await fetch_chunk(securities, portfolio_ids, *sources, snapshot, tries)
    )


def summarize_failures(portfolio_ids: Sequence[str], error: Exception) -> tuple[DriftSummary, ...]:
    """Summarize portfolios that the error prevents from being measured."""
    return tuple(_summarize_failure(portfolio_id, error) for portfolio_id in portfolio_ids)


def _summarize(
    securities: tuple[PricedTarget, ...], portfolios: ChunkInputs
) -> tuple[DriftSummary, ...]:
    pairs = zip(portfolios.portfolio_ids, portfolios.balances, strict=True)
    return tuple(_summarize_portfolio(securities, *pair, portfolios.prices) for pair in pairs)


def _summarize_portfolio(
    securities: tuple[PricedTarget, ...],
    portfolio_id: str,
    balance: BalanceOrError,
    prices: Mapping[str, Decimal],
) -> DriftSummary:
    try:
        return measure_drift(securities, _build_portfolio(portfolio_id, balance, prices)).summary
    except FORESEEN as error:
        return _summarize_failure(portfolio_id, error)


def _build_portfolio(
    portfolio_id: str, balance: BalanceOrError, prices: Mapping[str, Decimal]
) -> Portfolio:
    if isinstance(balance, Exception):
        raise balance
    return Portfolio(portfolio_id, balance.cash, balance.holdings, prices)


def _summarize_failure(portfolio_id: str, error: Exception) -> DriftSummary:
    refusal = failed_outcome(portfolio_id, error).refusal
    return DriftSummary(portfolio_id, BandStatus.FAILED, refusal=refusal)

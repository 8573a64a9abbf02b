"""Calls of the ModelStore deployment about the outcomes and the trades of stored rebalances."""

from optimization import PortfolioOutcome
from serve_app.ports.stored_rebalances import StoredRebalances
from serve_app.resources import Resources
from storage.mongo.sorting import Sort
from storage.rebalances.last_outcomes import LastOutcome
from storage.rebalances.outcome_causes import Causes
from storage.rebalances.outcome_reader import OutcomePage
from storage.rebalances.outcome_search import OutcomeFilter
from storage.rebalances.outcome_totals import OutcomeTotals
from storage.rebalances.rebalance import Rebalance
from storage.rebalances.trade_search import TradeFilter, TradePage
from storage.rebalances.trade_totals import TradeTotals


class OutcomeCalls(StoredRebalances):
    """Outcomes of rebalances, for the deployment that has the resources."""

    _resources: Resources

    async def list_portfolio_outcomes(
        self, rebalance: Rebalance, portfolio_ids: tuple[str, ...], offset: int, limit: int
    ) -> tuple[PortfolioOutcome, ...]:
        """Return one page of the outcomes of these portfolios in a rebalance."""
        return await self._resources.rebalances.list_outcomes_among(
            rebalance, portfolio_ids, offset, limit
        )

    async def list_outcomes(
        self, rebalance: Rebalance, offset: int = 0, limit: int | None = None
    ) -> tuple[PortfolioOutcome, ...]:
        """Return one page of the outcomes of a rebalance, in their order."""
        return await self._resources.rebalances.list_outcomes(rebalance, offset, limit)

    async def search_outcomes(
        self,
        rebalance: Rebalance,
        outcome_filter: OutcomeFilter,
        sort: Sort,
        offset: int,
        limit: int,
    ) -> tuple[tuple[PortfolioOutcome, ...], int]:
        """Return one page of the outcomes that match, and the number of all that do."""
        return await self._resources.rebalances.search_outcomes(
            rebalance, outcome_filter, sort, offset, limit
        )

    async def total_outcomes(self, rebalance: Rebalance) -> OutcomeTotals:
        """Add up the amounts of all outcomes of a rebalance."""
        return await self._resources.rebalances.total_outcomes(rebalance)

    async def search_trades(
        self, rebalance: Rebalance, trade_filter: TradeFilter, sort: Sort, offset: int, limit: int
    ) -> tuple[TradePage, int]:
        """Return one page of the trades that match, and the number of all that do."""
        return await self._resources.rebalances.search_trades(
            rebalance, trade_filter, sort, offset, limit
        )

    async def total_trades(self, rebalance: Rebalance, trade_filter: TradeFilter) -> TradeTotals:
        """Add up the trades that match."""
        return await self._resources.rebalances.total_trades(rebalance, trade_filter)

    async def list_last_outcomes(self, portfolio_ids: tuple[str, ...]) -> tuple[LastOutcome, ...]:
        """Return the newest outcome of each portfolio that has one."""
        return await self._resources.rebalances.list_last_outcomes(portfolio_ids)

    async def list_causes(self, rebalance_ids: tuple[str, ...]) -> Causes:
        """Return why portfolios of these rebalances have no plan."""
        return await self._resources.rebalances.list_causes(rebalance_ids)

    async def read_outcome_page(self, rebalance: Rebalance, first: int) -> OutcomePage:
        """Return the outcomes of a rebalance from an ordinal on, in columns where stored so."""
        return await self._resources.rebalances.read_outcome_page(rebalance, first)

    async def read_outcomes(
        self, rebalance: Rebalance, portfolio_ids: tuple[str, ...]
    ) -> tuple[PortfolioOutcome, ...]:
        """Return the outcomes of some portfolios of a rebalance."""
        return await self._resources.rebalances.list_portfolio_outcomes(rebalance, portfolio_ids)

    async def read_outcome(
        self, rebalance_id: str, portfolio_id: str
    ) -> tuple[Rebalance, PortfolioOutcome]:
        """Return the outcome of one portfolio, and its rebalance."""
        rebalance = await self._resources.rebalances.read(rebalance_id)
        return rebalance, await self._resources.rebalances.read_outcome(rebalance, portfolio_id)

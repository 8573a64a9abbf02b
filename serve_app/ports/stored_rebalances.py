"""Port of the stored rebalances and their outcomes."""

from abc import abstractmethod
from typing import Protocol

from optimization import PortfolioOutcome
from serve_app.ports.port import repeatable
from storage.mongo.sorting import Sort
from storage.rebalances.last_outcomes import LastOutcome
from storage.rebalances.outcome_causes import Causes
from storage.rebalances.outcome_reader import OutcomePage
from storage.rebalances.outcome_search import OutcomeFilter
from storage.rebalances.outcome_totals import OutcomeTotals
from storage.rebalances.rebalance import Rebalance
from storage.rebalances.trade_search import TradeFilter, TradePage
from storage.rebalances.trade_totals import TradeTotals


class StoredRebalances(Protocol):
    """Rebalances, and the outcome of each of their portfolios."""

    @repeatable
    @abstractmethod
    async def read_rebalance(self, rebalance_id: str) -> Rebalance:
        """Return the rebalance; raise NotFoundError if it is not stored."""
        ...

    @repeatable
    @abstractmethod
    async def list_rebalances(
        self, offset: int, limit: int, sort: Sort
    ) -> tuple[tuple[Rebalance, ...], int]:
        """Return one page and the number of all rebalances."""
        ...

    @repeatable
    @abstractmethod
    async def list_portfolio_rebalances(
        self, portfolio_ids: tuple[str, ...], offset: int, limit: int
    ) -> tuple[tuple[tuple[Rebalance, int], ...], int]:
        """Return one page of the rebalances that hold any of these portfolios, the newest first.

        Each rebalance comes with its number of these portfolios, and the page with the number of
        all such rebalances.
        """
        ...

    @abstractmethod
    async def delete_rebalance(self, rebalance_id: str, version: int) -> None:
        """Delete the rebalance of this version; raise OrdersSentError if an order was sent."""
        ...

    @repeatable
    @abstractmethod
    async def read_outcome(
        self, rebalance_id: str, portfolio_id: str
    ) -> tuple[Rebalance, PortfolioOutcome]:
        """Return the outcome of one portfolio, and its rebalance."""
        ...

    @repeatable
    @abstractmethod
    async def read_outcomes(
        self, rebalance: Rebalance, portfolio_ids: tuple[str, ...]
    ) -> tuple[PortfolioOutcome, ...]:
        """Return the outcomes of these portfolios; raise NotFoundError if one is missing."""
        ...

    @repeatable
    @abstractmethod
    async def search_outcomes(
        self,
        rebalance: Rebalance,
        outcome_filter: OutcomeFilter,
        sort: Sort,
        offset: int,
        limit: int,
    ) -> tuple[tuple[PortfolioOutcome, ...], int]:
        """Return one page of the outcomes that match, and the number of all that do."""
        ...

    @repeatable
    @abstractmethod
    async def total_outcomes(self, rebalance: Rebalance) -> OutcomeTotals:
        """Add up the amounts of all outcomes."""
        ...

    @repeatable
    @abstractmethod
    async def search_trades(
        self, rebalance: Rebalance, trade_filter: TradeFilter, sort: Sort, offset: int, limit: int
    ) -> tuple[TradePage, int]:
        """Return one page of the trades that match, and the number of all that do."""
        ...

    @repeatable
    @abstractmethod
    async def total_trades(self, rebalance: Rebalance, trade_filter: TradeFilter) -> TradeTotals:
        """Add up the trades that match."""
        ...

    @repeatable
    @abstractmethod
    async def list_last_outcomes(self, portfolio_ids: tuple[str, ...]) -> tuple[LastOutcome, ...]:
        """Return the newest outcome of each portfolio that has one, in the order of the ids."""
        ...

    @repeatable
    @abstractmethod
    async def list_causes(self, rebalance_ids: tuple[str, ...]) -> Causes:
        """Return why portfolios of these rebalances have no plan."""
        ...

    @repeatable
    @abstractmethod
    async def list_outcomes(
        self, rebalance: Rebalance, offset: int = 0, limit: int | None = None
    ) -> tuple[PortfolioOutcome, ...]:
        """Return one page of the outcomes, in the order of the model's portfolios."""
        ...

    @repeatable
    @abstractmethod
    async def read_outcome_page(self, rebalance: Rebalance, first: int) -> OutcomePage:
        """Return the outcomes from the ordinal ``first`` on, in columns where they are stored so.

        The next page begins at the end of its ordinals.
        """
        ...

    @repeatable
    @abstractmethod
    async def list_portfolio_outcomes(
        self, rebalance: Rebalance, portfolio_ids: tuple[str, ...], offset: int, limit: int
    ) -> tuple[PortfolioOutcome, ...]:
        """Return one page of the outcomes of these portfolios; skip those outside the rebalance."""
        ...

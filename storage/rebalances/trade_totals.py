"""Totals of the trades of a rebalance that match a filter, to be sent by a hand-over or held.

Trades in columns are added up as arrays: shares by security first, then times the price.
"""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from pymongo.asynchronous.database import AsyncDatabase

from optimization import EXACT, PortfolioOutcome, Side
from storage.mongo.connection import Document
from storage.rebalances.outcome_reader import OutcomePage, OutcomeReader
from storage.rebalances.rebalance import Rebalance
from storage.rebalances.trade_search import BlockTrades, TradeFilter, classify_side, compute_amount


@dataclass(slots=True)
class TradeTotal:
    """Number of trades, and the exact sum of quantity times price in currency."""

    transactions: int = 0
    amount: Decimal = Decimal(0)

    def add(self, transactions: int, amount: Decimal) -> None:
        """Add trades and the sum of their amounts."""
        self.transactions += transactions
        self.amount = EXACT.add(self.amount, amount)


@dataclass(slots=True)
class TradeTotals:
    """Totals of the trades that a hand-over would send, by side, and of the trades held back.

    ``portfolios`` is the number of portfolios with a trade that would be sent.
    """

    portfolios: int = 0
    buys: TradeTotal = field(default_factory=TradeTotal)
    sells: TradeTotal = field(default_factory=TradeTotal)
    held: TradeTotal = field(default_factory=TradeTotal)

    def add_outcome(
        self, outcome: PortfolioOutcome, criteria: TradeFilter, *, is_blocked: bool = False
    ) -> None:
        """Add the matching trades of a portfolio; all are held back if the portfolio is blocked."""
        trades = 0
        for drift in outcome.drifts:
            if not criteria.admits(outcome, drift):
                continue
            if is_blocked or criteria.holds(outcome.portfolio_id, drift.security.security_id):
                self.held.add(1, compute_amount(drift))
                continue
            total = self.buys if classify_side(drift) is Side.BUY else self.sells
            total.add(1, compute_amount(drift))
            trades += 1
        self.portfolios += trades > 0

    def add_columns(self, trades: BlockTrades, criteria: TradeFilter) -> None:
        """Add the matching trades of columns."""
        matches = trades.matches(criteria)
        # A filter by hold needs no look-up, because its trades are all held, or none is.
        holds = trades.is_held(criteria) if criteria.is_held is None else np.bool_(criteria.is_held)
        orders, purchases = matches & ~holds, trades.is_purchase()
        for total, selection in (
            (self.buys, orders & purchases),
            (self.sells, orders & ~purchases),
            (self.held, matches & holds),
        ):
            total.add(int(np.count_nonzero(selection)), trades.sum_amounts(selection))
        self.portfolios += len(np.unique(trades.rows[orders]))


class TradeTotalsReader:
    """Totals of the trades in the stored outcomes of one database."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._reader = OutcomeReader(database)

    async def read(self, rebalance: Rebalance, criteria: TradeFilter) -> TradeTotals:
        """Add up the trades of a rebalance that match."""
        totals = TradeTotals()
        if criteria.portfolio_ids:
            for outcome in await self._reader.read_portfolios(rebalance, criteria.portfolio_ids):
                totals.add_outcome(outcome, criteria)
            return totals
        async for page in self._reader.iterate_pages(rebalance):
            await asyncio.to_thread(_add_page, totals, page, criteria)
        return totals


def _add_page(totals: TradeTotals, page: OutcomePage, criteria: TradeFilter) -> None:
    for _, outcome in page.objects:
        totals.add_outcome(outcome, criteria)
    for first, block in page.blocks:
        totals.add_columns(BlockTrades(block.select(page.find_rows(first, block))), criteria)

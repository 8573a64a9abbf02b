"""Search of the trades of a rebalance: by side, security, portfolio, amount, drift and hold.

Trades in columns are sifted as arrays, and only the outcomes that a page shows become objects.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pymongo.asynchronous.database import AsyncDatabase

from optimization import EXACT, BlockOutcome, Drift, PortfolioOutcome, ScaledColumn, Side
from storage.errors import NotFoundError
from storage.mongo.connection import Document
from storage.mongo.sorting import DESCENDING, Sort
from storage.rebalances.outcome_reader import APART, OutcomePage, OutcomeReader
from storage.rebalances.rebalance import Rebalance, may_hold_outcome

SORT_FIELDS: Final = ("amount", "drift")
MAX_SHARES: Final = 2**62  # the largest bound, because bounds are compared as int64
# Digits to which drifts are rounded, because a float may miss a bound that the drift equals.
DRIFT_DIGITS: Final = 12

TradePage = tuple[tuple[PortfolioOutcome, int], ...]
"""Trades, each as its outcome and the place of its security in the drifts of the outcome."""


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Trades that match every given member; None and empty match all.

    Amounts are quantity times price in currency. ``min_drift`` is the least distance of the weight
    before from the target, as a part of market value. ``is_held`` selects by the holds in
    ``held_portfolios`` and ``held_trades``.
    """

    sides: frozenset[Side] = frozenset()
    security_ids: frozenset[str] | None = None
    portfolio_ids: tuple[str, ...] = ()
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    min_drift: Decimal | None = None
    is_held: bool | None = None
    held_portfolios: frozenset[str] = frozenset()
    held_trades: frozenset[tuple[str, str]] = frozenset()

    def admits(self, outcome: PortfolioOutcome, drift: Drift) -> bool:
        """Whether a security of an outcome is a trade that matches."""
        if not drift.change:
            return False
        security_id = drift.security.security_id
        return (
            (not self.sides or classify_side(drift) in self.sides)
            and (self.security_ids is None or security_id in self.security_ids)
            and (not self.portfolio_ids or outcome.portfolio_id in self.portfolio_ids)
            and self._admits_amount(compute_amount(drift))
            and (self.min_drift is None or _measure_drift(outcome, drift) >= float(self.min_drift))
            and self.is_held in {None, self.holds(outcome.portfolio_id, security_id)}
        )

    def holds(self, portfolio_id: str, security_id: str) -> bool:
        """Whether a trade is held, by itself or with its portfolio."""
        is_trade_held = (portfolio_id, security_id) in self.held_trades
        return is_trade_held or portfolio_id in self.held_portfolios

    def _admits_amount(self, amount: Decimal) -> bool:
        low, high = self.min_amount, self.max_amount
        return (low is None or amount >= low) and (high is None or amount <= high)


ALL_TRADES: Final = TradeFilter()


@dataclass(frozen=True, slots=True)
class _Trades:
    """Places of trades: the ordinals of their outcomes, the places in the outcomes, and sort keys.

    ``firsts`` are the first ordinals of the documents of columns that have them, or ``APART``.
    """

    ordinals: NDArray[np.int64]
    firsts: NDArray[np.int64]
    places: NDArray[np.int64]
    keys: NDArray[np.float64]

    @classmethod
    def from_rows(cls, rows: Sequence[tuple[int, int, float]]) -> "_Trades":
        """Make places of trades from rows of ordinal, place and sort key."""
        table = np.array(rows, np.float64).reshape(-1, 3)
        ordinals, places = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
        return cls(ordinals, np.full(len(rows), APART), places, table[:, 2])

    @classmethod
    def concatenate(cls, parts: Sequence["_Trades"]) -> "_Trades":
        names = ("ordinals", "firsts", "places", "keys")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def select_first(self, limit: int, *, descending: bool) -> "_Trades":
        """Select the first trades by key, equal keys by ordinal and place."""
        keys = -self.keys if descending else self.keys
        order = np.lexsort((self.places, self.ordinals, keys))[:limit]
        return self.select(order)

    def select(self, rows: NDArray[np.intp] | slice) -> "_Trades":
        return _Trades(self.ordinals[rows], self.firsts[rows], self.places[rows], self.keys[rows])


class TradeSearch:
    """Search of the trades of the stored outcomes of one database."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._reader = OutcomeReader(database)

    async def read_page(
        self, rebalance: Rebalance, criteria: TradeFilter, sort: Sort, offset: int, limit: int
    ) -> tuple[TradePage, int]:
        """Return a page of the trades that match, and the number of all that do.

        They are sorted by the first field of ``sort``, otherwise by portfolio and security.
        """
        field = sort[0][0] if sort else None
        descending = bool(sort) and sort[0][1] == DESCENDING
        rows = slice(offset, offset + limit)
        if criteria.portfolio_ids or may_hold_outcome(rebalance):
            outcomes = await self._read_few(rebalance, criteria)
            trades = _find_in_objects(enumerate(outcomes), criteria, field)
            few = trades.select_first(rows.stop, descending=descending).select(rows)
            page = zip(few.ordinals.tolist(), few.places.tolist(), strict=True)
            return tuple((outcomes[at], place) for at, place in page), len(trades.ordinals)
        best, total = _Trades.from_rows(()), 0
        async for outcome_page in self._reader.iterate_pages(rebalance):
            trades = await asyncio.to_thread(_find_trades, outcome_page, criteria, field)
            total += len(trades.ordinals)
            # Trades beyond the page are dropped at once, because a book has millions of trades.
            candidates = _Trades.concatenate((best, trades))
            best = candidates.select_first(rows.stop, descending=descending)
        return await self._read_trades(rebalance, best.select(rows)), total

    async def _read_few(
        self, rebalance: Rebalance, criteria: TradeFilter
    ) -> tuple[PortfolioOutcome, ...]:
        if criteria.portfolio_ids:
            return await self._reader.read_portfolios(rebalance, criteria.portfolio_ids)
        return await self._reader.read_ordinals(rebalance, range(1))

    async def _read_trades(self, rebalance: Rebalance, trades: _Trades) -> TradePage:
        firsts = dict(zip(trades.ordinals.tolist(), trades.firsts.tolist(), strict=True))
        outcomes = await self._reader.read_places(rebalance, tuple(firsts.items()))
        if len(outcomes) < len(firsts):  # because the rebalance was removed meanwhile
            raise NotFoundError("rebalance", rebalance.rebalance_id)
        by_ordinal = dict(zip(firsts, outcomes, strict=True))
        page = zip(trades.ordinals.tolist(), trades.places.tolist(), strict=True)
        return tuple((by_ordinal[at], place) for at, place in page)


def _find_trades(page: OutcomePage, criteria: TradeFilter, field: str | None) -> _Trades:
    parts = [_find_in_objects(page.objects, criteria, field)]
    for first, block in page.blocks:
        rows = page.find_rows(first, block)
        plain = block if len(rows) == len(block) else block.select(rows)
        parts.append(_find_in_columns(first, rows, plain, criteria, field))
    return _Trades.concatenate(parts)


def _find_in_objects(
    outcomes: Iterable[tuple[int, PortfolioOutcome]], criteria: TradeFilter, field: str | None
) -> _Trades:
    return _Trades.from_rows(
        [
            (ordinal, place, _compute_sort_key(outcome, drift, field))
            for ordinal, outcome in outcomes
            for place, drift in enumerate(outcome.drifts)
            if criteria.admits(outcome, drift)
        ]
    )


def _find_in_columns(
    first: int,
    rows: NDArray[np.intp],
    block: BlockOutcome,
    criteria: TradeFilter,
    field: str | None,
) -> _Trades:
    table = BlockTrades(block)
    matches = np.flatnonzero(table.matches(criteria))
    key = table.compute_sort_keys(field)
    return _Trades(
        first + rows[table.rows[matches]],
        np.full(len(matches), first),
        table.places[matches],
        key[matches],
    )


class BlockTrades:
    """Trades of plain rows as arrays: rows, places in the outcomes, shares before and traded."""

    def __init__(self, block: BlockOutcome) -> None:
        self._block = block
        self.rows, self._securities, self._shares = block.changes()
        others, width = block.others, len(block.securities)
        self._ids = [security.security_id for security in block.securities] + list(others.ids)
        self._prices = [security.price for security in block.securities] + list(others.prices)
        targets = [float(security.weight) for security in block.securities]
        self._targets = np.array(targets + [0.0] * len(others.ids))
        self.places = self._securities.astype(np.int64)
        before = np.zeros(len(self.rows))
        is_other = self._securities >= width
        of_model = np.flatnonzero(~is_other)
        units = block.before.units[self.rows[of_model], self._securities[of_model]]
        before[of_model] = units.astype(np.float64) / 10.0**block.before.decimals
        if np.any(is_other):
            keys = others.rows.astype(np.int64) * len(others.ids) + others.securities
            order = np.argsort(keys)
            sales = self.rows[is_other] * len(others.ids) + self._securities[is_other] - width
            entries = order[np.searchsorted(keys[order], sales)]
            quantities = others.quantities.units[entries].astype(np.float64)
            before[is_other] = quantities / 10.0**others.quantities.decimals
            starts = np.searchsorted(others.rows, others.rows[entries])
            self.places[is_other] = width + entries - starts
        self._before = before

    def matches(self, criteria: TradeFilter) -> NDArray[np.bool_]:
        """Whether each trade matches."""
        matches = np.ones(len(self.rows), np.bool_)
        if criteria.sides:
            sides = Side.BUY in criteria.sides, Side.SELL in criteria.sides
            matches &= np.where(self.is_purchase(), *sides)
        if criteria.security_ids is not None:
            is_known = [security_id in criteria.security_ids for security_id in self._ids]
            matches &= np.array(is_known, np.bool_)[self._securities]
        if criteria.min_amount is not None or criteria.max_amount is not None:
            matches &= self._has_amount(criteria.min_amount, criteria.max_amount)
        if criteria.min_drift is not None:
            matches &= self.compute_drifts() >= float(criteria.min_drift)
        if criteria.is_held is not None:
            matches &= self.is_held(criteria) == criteria.is_held
        return matches

    def is_purchase(self) -> NDArray[np.bool_]:
        """Whether each trade is a purchase."""
        return (self._shares.units > 0).astype(np.bool_)

    def is_held(self, criteria: TradeFilter) -> NDArray[np.bool_]:
        """Whether each trade is held, by itself or with its portfolio."""
        ids = self._block.portfolio_ids
        is_whole = [portfolio_id in criteria.held_portfolios for portfolio_id in ids]
        holds = np.array(is_whole, np.bool_)[self.rows]
        partly = {portfolio_id for portfolio_id, _ in criteria.held_trades}
        is_partly = np.array([portfolio_id in partly for portfolio_id in ids], np.bool_)[self.rows]
        for at in np.flatnonzero(is_partly & ~holds).tolist():
            trade = ids[self.rows[at]], self._ids[self._securities[at]]
            holds[at] = trade in criteria.held_trades
        return holds

    def sum_amounts(self, selection: NDArray[np.bool_]) -> Decimal:
        """Add up quantity times price of the chosen trades, exactly."""
        units: NDArray[Any] = np.abs(self._shares.units[selection])
        if int(units.max(initial=0)) * len(units) >= MAX_SHARES:
            units = units.astype(np.object_)
        shares = np.zeros(len(self._ids), units.dtype)
        np.add.at(shares, self._securities[selection], units)
        total, column = Decimal(0), ScaledColumn.from_units(shares, self._shares.decimals)
        for at in np.flatnonzero(shares).tolist():
            total = EXACT.fma(column.value(at), self._prices[at], total)
        return total

    def compute_sort_keys(self, field: str | None) -> NDArray[np.float64]:
        """Compute the amount or drift of each trade, by which the trades are sorted."""
        if field is None:
            return np.zeros(len(self.rows))
        return self.compute_amounts() if field == "amount" else self.compute_drifts()

    def compute_amounts(self) -> NDArray[np.float64]:
        """Compute quantity times price of each trade."""
        shares = np.abs(self._shares.units).astype(np.float64) / 10.0**self._shares.decimals
        return shares * np.array([float(price) for price in self._prices])[self._securities]

    def compute_drifts(self) -> NDArray[np.float64]:
        """Compute the distance of each weight before the rebalance from its target."""
        column = self._block.market_value
        value = (column.units.astype(np.float64) / 10.0**column.decimals)[self.rows]
        prices = np.array([float(price) for price in self._prices])[self._securities]
        weight = np.divide(self._before * prices, value, out=np.zeros(len(value)), where=value != 0)
        distance = np.abs(weight - self._targets[self._securities])
        return np.round(distance, DRIFT_DIGITS).astype(np.float64)

    def _has_amount(self, low: Decimal | None, high: Decimal | None) -> NDArray[np.bool_]:
        """Compare shares with the bounds of each security, which are exact."""
        units: NDArray[Any] = np.abs(self._shares.units)
        matches = np.ones(len(units), np.bool_)
        scale = 10**self._shares.decimals
        if low is not None:
            bounds = [ceil(Fraction(low) * scale / Fraction(price)) for price in self._prices]
            matches &= (units >= _clip_bounds(bounds)[self._securities]).astype(np.bool_)
        if high is not None:
            bounds = [floor(Fraction(high) * scale / Fraction(price)) for price in self._prices]
            matches &= (units <= _clip_bounds(bounds)[self._securities]).astype(np.bool_)
        return matches


def _clip_bounds(bounds: Sequence[int]) -> NDArray[np.int64]:
    return np.array([min(bound, MAX_SHARES) for bound in bounds], np.int64)


def classify_side(drift: Drift) -> Side:
    return Side.BUY if drift.change > 0 else Side.SELL


def compute_amount(drift: Drift) -> Decimal:
    return EXACT.multiply(Decimal(drift.trade_quantity), drift.security.price)


def _measure_drift(outcome: PortfolioOutcome, drift: Drift) -> float:
    value = float(outcome.market_value or 0)
    weight = float(drift.original_quantity) * float(drift.security.price) / value if value else 0.0
    return float(np.round(abs(weight - float(drift.security.weight)), DRIFT_DIGITS))


def _compute_sort_key(outcome: PortfolioOutcome, drift: Drift, field: str | None) -> float:
    if field is None:
        return 0.0
    return float(compute_amount(drift)) if field == "amount" else _measure_drift(outcome, drift)

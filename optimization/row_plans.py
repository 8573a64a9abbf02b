"""Row plans: the plans of a PortfolioBlock that are found in arrays, and the rows they answer.

They are the separable optima, and knapsack covers for rows of whole shares whose only binding row
is the cash row. Options that restrict single securities are bounds on lots and stay in arrays: a
direction, a scope, named securities, whole round lots, the maximum of a trade. Coupling options do
not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimization.domain.certificate import CASH_FLOOR, Method
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import PricedTarget
from optimization.errors import SolverInterruptedError
from optimization.exact.binding_rows import BindingRows
from optimization.exact.block import BLOCK_SIZE, Bands, Block
from optimization.exact.block_outcome import METHODS
from optimization.exact.column_builder import ColumnBlock, build_column_block, decimals_alone
from optimization.exact.columns import PortfolioBlock
from optimization.exact.restrictions import keeps_outside, may_trade_away
from optimization.exact.scaled_column import ScaledColumn, parts_to_column
from optimization.exact.scaled_integers import Integers, ModelUnits, fraction_to_decimal
from optimization.exact.verification import violated_constraints
from optimization.explain.binding_constraints import find_binding_rows
from optimization.solvers.cash_rows import CashCovers, find_covers
from optimization.solvers.separable import Separable, compute_drift, relax_block
from optimization.time_budget import TimeBudget

ONE = Decimal(1)
SEPARABLE, COVER = METHODS.index(Method.SEPARABLE), METHODS.index(Method.COVER)


@dataclass(frozen=True, slots=True, eq=False)
class RowPlans:
    """Plans of some rows; a row without an answer has amounts of 0 and no trade."""

    numbers: NDArray[np.intp]  # numbers of the rows in the block
    is_answer: NDArray[np.bool_]
    market_value: ScaledColumn
    cash_after: ScaledColumn
    objective: ScaledColumn
    traded: Integers  # (B, n) shares
    binding: BindingRows  # rows numbered from 0
    method: NDArray[np.int8]  # place in METHODS
    block: Block
    lots: Integers  # (B, n) after the plan; meaningless in rows without an answer


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """Model and options, prepared for the arrays."""

    securities: tuple[PricedTarget, ...]
    options: RebalanceOptions
    units: ModelUnits
    lots: tuple[Decimal, ...]  # shares, whole

    def admits_covers(self, column: ColumnBlock) -> bool:
        """Whether arrays can solve the cash row of these rows: whole shares and no restriction."""
        options, whole = (
            self.options,
            not column.block.remainder.any() and not column.unsellable.any(),
        )
        narrowed = options.restricts or options.fewest_trades
        return whole and self.units.is_decimal and not narrowed

    def shares_in_lot(self, decimals: int) -> list[int] | None:
        """Shares in a lot of each security; None if arrays cannot hold the shares after a trade.

        ``decimals`` are the fewest with which a fraction of a share is written: a lot written with
        more decimals would show in the shares after a trade.
        """
        shares = [int(lot) for lot in self.lots]
        if any(lot != whole for lot, whole in zip(self.lots, shares, strict=True)):
            return None
        exponents = (lot.as_tuple().exponent for lot in self.lots)
        if decimals and any(
            isinstance(exponent, int) and -exponent > decimals for exponent in exponents
        ):
            return None
        return shares


def solve_rows(
    securities: tuple[PricedTarget, ...],
    block: PortfolioBlock,
    options: RebalanceOptions,
    budget: TimeBudget,
    units: ModelUnits | None = None,
) -> Iterator[RowPlans]:
    """Yield the plans of all rows, part by part; nothing if the options rule out arrays.

    Raises SolverInterruptedError if the budget is interrupted.
    """
    if options.couples:
        return
    lots = tuple(options.lots.get(security.security_id, ONE) for security in securities)
    model = _Model(securities, options, units or ModelUnits.from_targets(securities), lots)
    # Skipped, because lots add digits to the unit, which would show in amounts that repeat.
    if any(lot != 1 for lot in lots) and not model.units.is_decimal:
        return
    is_kept, other_prices = (
        _find_kept(block, options),
        ScaledColumn.from_numbers(block.others.prices),
    )
    for numbers, rows in _split_by_fractions(block):
        shares_in_lot = model.shares_in_lot(_count_fewest_digits(block.quantities.select(numbers)))
        if shares_in_lot is None:
            continue
        for first in range(0, len(rows), BLOCK_SIZE):
            if budget.is_interrupted:
                raise SolverInterruptedError
            some = slice(first, min(first + BLOCK_SIZE, len(rows)))
            column = build_column_block(
                model.units, other_prices, rows, some, options.cash_floor, shares_in_lot
            )
            part = _Part(model, column, rows, first)
            yield _solve(part, numbers[some], is_kept[numbers[some]], budget)


def _find_kept(block: PortfolioBlock, options: RebalanceOptions) -> NDArray[np.bool_]:
    """Whether options may keep a holding outside the model of a row from being traded away."""
    others, is_kept = block.others, np.zeros(len(block), dtype=bool)
    if options.limits_trade_size:  # every one, because the market value may decide
        is_kept[others.rows] = True
    elif options.restricts and len(others.rows):
        sold, bought = (
            np.array(
                [may_trade_away(options, security_id, sign) for security_id in others.ids],
                dtype=bool,
            )
            for sign in (1, -1)
        )
        shares, at = others.quantities.split()[0], others.securities
        is_kept[others.rows[((shares > 0) & ~sold[at]) | ((shares < 0) & ~bought[at])]] = True
    return is_kept


def _split_by_fractions(block: PortfolioBlock) -> Iterator[tuple[NDArray[np.intp], PortfolioBlock]]:
    """Yield the rows of whole shares, then those with a fraction of a share, with their numbers.

    Each has its own scale, because fine units overflow int64 at smaller amounts.
    """
    quantities, others = block.quantities, block.others
    numbers = np.arange(len(block))
    fractional = np.zeros(len(block), dtype=bool)
    if quantities.decimals:
        fractional |= (quantities.split()[1] != 0).any(axis=1)
    if others.quantities.decimals:
        fractional[others.rows[others.quantities.split()[1] != 0]] = True
    if not fractional.any():
        yield numbers, _at_coarsest_scale(block)
        return
    for chosen in (numbers[~fractional], numbers[fractional]):
        yield chosen, _at_coarsest_scale(block.select(chosen))


def _count_fewest_digits(shares: ScaledColumn) -> int:
    """Fewest digits after the point with which a fraction of a share is written; 0 without one."""
    if not shares.decimals or not (is_fraction := shares.split()[1] != 0).any():
        return 0
    return shares.decimals if shares.digits is None else int(shares.digits[is_fraction].min())


def _at_coarsest_scale(block: PortfolioBlock) -> PortfolioBlock:
    others = replace(block.others, quantities=block.others.quantities.coarsest())
    cash, quantities = block.cash.coarsest(), block.quantities.coarsest()
    return PortfolioBlock(block.portfolio_ids, cash, quantities, others)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Rows of a block, and their portfolios."""

    model: _Model
    column: ColumnBlock
    portfolios: PortfolioBlock
    first: int  # number of the first row in portfolios

    def in_currency(self, row: int, amount: Fraction) -> Decimal:
        """Convert an amount that may repeat, with the digits of the portfolio as its own block."""
        decimals = decimals_alone(self.model.units, self.portfolios, self.first + row)
        return fraction_to_decimal(amount * 10**decimals, decimals)

    def round_alone(self, row: int, units: int) -> int:
        """Round units down to whole units of the portfolio as its own block."""
        decimals = decimals_alone(self.model.units, self.portfolios, self.first + row)
        scale = 10 ** (self.column.block.decimals - decimals)
        return units // scale * scale


@dataclass(frozen=True, slots=True, eq=False)
class _Plans:
    """Plans of the rows of a part, and whether each is an answer."""

    lots: Integers  # (B, n)
    drift: Integers  # (B,) units / denominator
    cash_after: Integers  # (B,) units
    is_answer: NDArray[np.bool_]
    method: NDArray[np.int8]  # place in METHODS

    def replace_by(self, covers: CashCovers, block: Block) -> "_Plans":
        """Replace the plans of the rows that have a cover."""
        rows = covers.rows
        cash = block.market_value[rows] - block.investable[rows] + covers.slack
        return _Plans(
            _replace(self.lots, rows, covers.lots),
            _replace(self.drift, rows, covers.drifts),
            _replace(self.cash_after, rows, cash),
            _replace(self.is_answer, rows, np.ones(len(rows), dtype=bool)),
            _replace(self.method, rows, np.full(len(rows), COVER, dtype=np.int8)),
        )


def _solve(
    part: _Part, numbers: NDArray[np.intp], is_kept: NDArray[np.bool_], budget: TimeBudget
) -> RowPlans:
    """Solve some rows in arrays, and verify every plan."""
    model, column = part.model, part.column
    block, bands, separable = relax_block(column.block, model.securities, model.lots, model.options)
    plans, floors = _verify_separable(part, block, bands, separable, is_kept), BindingRows.none()
    if model.admits_covers(column):
        covers = find_covers(block, bands, separable, budget)
        if len(covers.rows):
            plans, floors = plans.replace_by(covers, block), _bind_floors(part, covers)
    is_answer, every = plans.is_answer, np.arange(len(numbers))
    bound = is_answer & (separable.clipped | (plans.method == COVER))
    binding = _find_binding(part, block, bands, plans.lots, np.flatnonzero(bound))
    traded = plans.lots - block.before
    if any(lot != 1 for lot in model.lots):
        traded = traded * np.array([int(lot) for lot in model.lots], dtype=traded.dtype)
    traded[~is_answer] = 0
    drift, scale = np.where(is_answer, plans.drift, 0), (block.denominator, block.decimals)
    return RowPlans(
        numbers,
        is_answer,
        ScaledColumn(np.where(is_answer, block.market_value, 0), block.decimals),
        ScaledColumn(np.where(is_answer, plans.cash_after, 0), block.decimals),
        parts_to_column(drift, every, *scale, part.in_currency),
        traded,
        BindingRows.merge([(every, binding), (every, floors)]),
        plans.method,
        block,
        plans.lots,
    )


def _verify_separable(
    part: _Part, block: Block, bands: Bands, separable: Separable, is_kept: NDArray[np.bool_]
) -> _Plans:
    """Separable optima of the rows; those that satisfy every constraint are answers."""
    lots, unsellable = separable.lots, part.column.unsellable
    is_answer = separable.admits & ~is_kept & (separable.invested <= block.investable)
    if part.model.options.restricts:
        is_answer &= ~keeps_outside(block, lots)
    is_answer &= ~violated_constraints(block, lots).any(axis=1)
    drift = compute_drift(block, bands, lots, unsellable)
    cash_after = block.market_value - separable.invested - unsellable
    method = np.full(len(is_answer), SEPARABLE, dtype=np.int8)
    return _Plans(lots, drift, cash_after, is_answer, method)


def _replace(column: NDArray[Any], rows: NDArray[np.intp], values: NDArray[Any]) -> NDArray[Any]:
    replaced = column.astype(np.object_ if values.dtype == np.object_ else column.dtype)
    replaced[rows] = values
    return replaced


def _bind_floors(part: _Part, covers: CashCovers) -> BindingRows:
    """Cash floors that bind the plans found by covers, each with its slack."""
    slacks, decimals = covers.slack, part.column.block.decimals
    if part.model.options.cash_floor and decimals > part.model.units.decimals:
        # Rounded as if alone, because a floor in whole units otherwise depends on other rows.
        pairs = zip(covers.rows.tolist(), slacks.tolist(), strict=True)
        slacks = np.array(
            [part.round_alone(row, units) for row, units in pairs], dtype=slacks.dtype
        )
    places = np.zeros(len(slacks), dtype=np.int32)
    rows = covers.rows.astype(np.int32)
    return BindingRows(rows, places, ScaledColumn(slacks, decimals), (CASH_FLOOR,))


def _find_binding(
    part: _Part, block: Block, bands: Bands, lots: Integers, rows: NDArray[np.intp]
) -> BindingRows:
    """Find the restrictions and bands that bind the plans of some rows."""
    if not len(rows):
        return BindingRows.none()
    model = part.model
    chosen: list[int] = rows.tolist()

    def convert(row: int, amount: Fraction) -> Decimal:
        return part.in_currency(int(rows[row]), amount)

    binding = find_binding_rows(
        block.select_rows(chosen),
        bands.select_rows(chosen),
        lots[rows],
        model.securities,
        model.options,
        convert,
    )
    return replace(binding, rows=rows[binding.rows])

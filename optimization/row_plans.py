"""Row plans: the separable optima of a PortfolioBlock, in arrays, and which of them are answers.

Options that restrict single securities are bounds on lots, so they stay in arrays: a direction, a
scope, named securities, whole round lots. Coupling options rule arrays out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import PricedTarget
from optimization.errors import SolverInterruptedError
from optimization.exact.binding_rows import BindingRows
from optimization.exact.block import BLOCK_SIZE, Block
from optimization.exact.column_builder import ColumnBlock, build_column_block, decimals_alone
from optimization.exact.columns import (
    InCurrency,
    PortfolioBlock,
    ScaledColumn,
    column_of_parts,
)
from optimization.exact.restrictions import keeps_outside, may_trade_away
from optimization.exact.scaled_integers import Integers, ModelUnits, fraction_to_decimal
from optimization.exact.verification import violated_constraints
from optimization.explain.binding_constraints import find_binding_rows
from optimization.solvers.separable import drift_of, relax_block
from optimization.time_budget import TimeBudget

ONE = Decimal(1)


@dataclass(frozen=True, slots=True, eq=False)
class RowPlans:
    """Plans of some rows; those that are no answers have amounts of 0 and no trade."""

    numbers: NDArray[np.intp]  # of the rows in the block
    is_answer: NDArray[np.bool_]
    market_value: ScaledColumn
    cash_after: ScaledColumn
    objective: ScaledColumn
    traded: Integers  # (B, n) shares
    binding: BindingRows  # of these rows, numbered from 0
    block: Block
    lots: Integers  # (B, n) after the plan, of rows with an answer


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """A model under options, as far as arrays need it."""

    securities: tuple[PricedTarget, ...]
    options: RebalanceOptions
    units: ModelUnits
    lots: tuple[Decimal, ...]  # shares, whole

    def shares_in_lot(self, decimals: int) -> list[int] | None:
        """Shares in a lot of each security; None if arrays cannot hold the shares after a trade.

        ``decimals`` are the fewest that a fraction of a share is written with: a lot written with
        more of them would show in the shares after a trade.
        """
        shares = [int(lot) for lot in self.lots]
        if any(lot != whole for lot, whole in zip(self.lots, shares, strict=True)):
            return None
        digits = (lot.as_tuple().exponent for lot in self.lots)
        if decimals and any(isinstance(one, int) and -one > decimals for one in digits):
            return None
        return shares


def solve_rows(
    securities: tuple[PricedTarget, ...],
    block: PortfolioBlock,
    options: RebalanceOptions,
    budget: TimeBudget,
    units: ModelUnits | None = None,
) -> Iterator[RowPlans]:
    """Yield the separable optima of all rows, part by part; none if options rule them out.

    Raises SolverInterruptedError if the budget is interrupted.
    """
    if options.couples:
        return
    lots = tuple(options.lots.get(one.security_id, ONE) for one in securities)
    model = _Model(securities, options, units or ModelUnits.of(securities), lots)
    # Lots add digits to the unit, which shows where an amount repeats.
    if any(lot != 1 for lot in lots) and not model.units.is_decimal:
        return
    is_kept, other_prices = _find_kept(block, options), ScaledColumn.of(block.others.prices)
    for numbers, rows in _alike(block):
        shares_in_lot = model.shares_in_lot(_fewest_digits(block.quantities.select(numbers)))
        if shares_in_lot is None:
            continue
        for first in range(0, len(rows), BLOCK_SIZE):
            if budget.is_interrupted:
                raise SolverInterruptedError
            some = slice(first, min(first + BLOCK_SIZE, len(rows)))
            column = build_column_block(
                model.units, other_prices, rows, some, options.cash_floor, shares_in_lot
            )
            in_currency = partial(_round_alone, securities, rows, first)
            yield _solve(model, column, numbers[some], is_kept[numbers[some]], in_currency)


def _find_kept(block: PortfolioBlock, options: RebalanceOptions) -> NDArray[np.bool_]:
    """Whether a row has a holding outside the model that options keep from being traded away."""
    others, is_kept = block.others, np.zeros(len(block), dtype=bool)
    if options.restricts and len(others.rows):
        sold, bought = (
            np.array([may_trade_away(options, one, sign) for one in others.ids], dtype=bool)
            for sign in (1, -1)
        )
        shares, at = others.quantities.split()[0], others.securities
        is_kept[others.rows[((shares > 0) & ~sold[at]) | ((shares < 0) & ~bought[at])]] = True
    return is_kept


def _alike(block: PortfolioBlock) -> Iterator[tuple[NDArray[np.intp], PortfolioBlock]]:
    """Yield the rows of whole shares, then those with a fraction of a share, with their numbers.

    Each at a scale of its own, because fine units would leave int64 at smaller amounts.
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


def _fewest_digits(shares: ScaledColumn) -> int:
    """Fewest digits after the point that a fraction of a share is written with; 0 without any."""
    if not shares.decimals or not (is_fraction := shares.split()[1] != 0).any():
        return 0
    return shares.decimals if shares.digits is None else int(shares.digits[is_fraction].min())


def _at_coarsest_scale(block: PortfolioBlock) -> PortfolioBlock:
    others = replace(block.others, quantities=block.others.quantities.coarsest())
    cash, quantities = block.cash.coarsest(), block.quantities.coarsest()
    return PortfolioBlock(block.portfolio_ids, cash, quantities, others)


def _solve(
    model: _Model,
    column: ColumnBlock,
    numbers: NDArray[np.intp],
    is_kept: NDArray[np.bool_],
    in_currency: InCurrency,
) -> RowPlans:
    """Solve some rows in arrays, and verify every plan."""
    securities, options = model.securities, model.options
    block, where, separable = relax_block(column.block, securities, model.lots, options)
    lots = separable.lots
    is_answer = separable.admits & ~is_kept & (separable.invested <= block.investable)
    if options.restricts:
        is_answer &= ~keeps_outside(block, lots)
    is_answer &= ~violated_constraints(block, lots).any(axis=1)
    binding, bound = BindingRows.none(), np.flatnonzero(separable.clipped & is_answer)
    if len(bound):
        some = block.select_rows(bound.tolist()), where.select_rows(bound.tolist()), lots[bound]

        def convert(row: int, amount: Fraction) -> Decimal:
            return in_currency(int(bound[row]), amount)

        found = find_binding_rows(*some, securities, options, convert)
        binding = replace(found, rows=bound[found.rows])
    drift = drift_of(block, where, lots, column.kept)
    cash_after = block.market_value - separable.invested - column.kept
    traded = lots - block.before
    if any(lot != 1 for lot in model.lots):
        traded = traded * np.array([int(lot) for lot in model.lots], dtype=traded.dtype)
    traded[~is_answer] = 0
    return RowPlans(
        numbers,
        is_answer,
        ScaledColumn(np.where(is_answer, block.market_value, 0), block.decimals),
        ScaledColumn(np.where(is_answer, cash_after, 0), block.decimals),
        _objective(np.where(is_answer, drift, 0), block, in_currency),
        traded,
        binding,
        block,
        lots,
    )


def _objective(drift: Integers, block: Block, in_currency: InCurrency) -> ScaledColumn:
    """Drift in currency; ``drift`` is in units / denominator."""
    rows = np.arange(len(drift))
    return column_of_parts(drift, rows, block.denominator, block.decimals, in_currency)


def _round_alone(
    securities: Sequence[PricedTarget],
    portfolios: PortfolioBlock,
    first: int,
    row: int,
    amount: Fraction,
) -> Decimal:
    """Convert an amount that may repeat to the digits that the portfolio alone would get."""
    decimals = decimals_alone(securities, portfolios, first + row)
    return fraction_to_decimal(amount * 10**decimals, decimals)

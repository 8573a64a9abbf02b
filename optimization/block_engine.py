"""rebalance_block: answer many portfolios of one model in arrays, from holdings to plans.

The separable optimum answers most portfolios. The rows that it does not answer become objects for
rebalance_all, and their answers are merged back.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import Status
from optimization.domain.portfolio import PricedTarget, find_unpriced
from optimization.engine import BLOCK_SIZE, DEFAULTS, Answer, rebalance_all
from optimization.errors import PricesMissingError, RuleError, SolverInterruptedError
from optimization.exact.block import Block, compute_bands
from optimization.exact.block_outcome import BESIDE, STATUSES, BlockOutcome
from optimization.exact.column_builder import (
    ColumnBlock,
    build_column_block,
    decimals_alone,
)
from optimization.exact.columns import PortfolioBlock, ScaledColumn
from optimization.exact.model_units import ModelUnits
from optimization.exact.scaled_integers import Integers, fraction_to_decimal, narrow, to_units
from optimization.exact.verification import violated_constraints
from optimization.solvers.separable import drift_of, solve
from optimization.time_budget import TimeBudget

IN_BAND, REBALANCED = STATUSES.index(Status.IN_BAND), STATUSES.index(Status.REBALANCED)
ZERO = Decimal(0)


def rebalance_block(
    securities: tuple[PricedTarget, ...],
    block: PortfolioBlock,
    options: RebalanceOptions = DEFAULTS,
    budget: TimeBudget | None = None,
) -> BlockOutcome:
    """Find the plans of a block of portfolios, in arrays as far as their answers are plain.

    ``securities`` is the model at the prices of the block (see ``price_targets``). An answer is the
    one that ``rebalance_all`` gives for the same portfolio, whatever rows stand beside it. The rows
    that need a search share ``budget`` as there.

    Raises PricesMissingError and RuleError if the model does not fit the block, and
    SolverInterruptedError if the budget is interrupted. A portfolio without a plan in time, or
    without a verified plan, has that error in ``beside``.

    >>> from decimal import Decimal
    >>> from optimization.domain.model import DriftBand
    >>> from optimization.exact.columns import OtherHoldings
    >>> band = DriftBand(Decimal("0.05"), Decimal("0.05"))
    >>> fund = PricedTarget("A" * 24, Decimal("31.50"), Decimal("0.9"), band)
    >>> cash = ScaledColumn(np.array([100_000, 900]), 2)
    >>> shares = ScaledColumn(np.array([[0], [25]]), 0)
    >>> accounts = PortfolioBlock(("P" * 24, "Q" * 24), cash, shares, OtherHoldings.none())
    >>> answer = rebalance_block((fund,), accounts)
    >>> answer.after.units.tolist(), [str(answer.cash_after.value(row)) for row in (0, 1)]
    ([[29], [23]], ['86.5', '72.0'])
    """
    _require_match(securities, block)
    budget = budget or TimeBudget()
    paid = block if not options.cash_flow else _add_cash_flow(block, options.cash_flow)
    parts = list(_solve_in_arrays(securities, paid, options, budget))
    beside = np.ones(len(block), dtype=bool)
    for part in parts:
        beside[part.numbers] = ~part.is_plain
    places = np.flatnonzero(beside).tolist()
    answers = list[Answer]()
    if places:
        prices = block.snapshot(securities)
        portfolios = [block.portfolio(place, securities, prices) for place in places]
        answers = rebalance_all(securities, portfolios, options, budget)
    return _outcome(securities, paid, parts, dict(zip(places, answers, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Separable optima of some rows; those that are not plain have amounts of 0 and no trade."""

    numbers: NDArray[np.intp]  # of the rows in the block
    is_plain: NDArray[np.bool_]
    market_value: ScaledColumn
    cash_after: ScaledColumn
    objective: ScaledColumn
    traded: Integers  # (B, n) shares


def _solve_in_arrays(
    securities: tuple[PricedTarget, ...],
    block: PortfolioBlock,
    options: RebalanceOptions,
    budget: TimeBudget,
) -> Iterator[_Part]:
    """Yield the separable optima of all rows, part by part; none if options rule them out."""
    if options.restricts or options.couples:
        return
    model, other_prices = ModelUnits.of(securities), ScaledColumn.of(block.others.prices)
    for numbers, rows in _alike(block):
        for first in range(0, len(rows), BLOCK_SIZE):
            if budget.is_interrupted:
                raise SolverInterruptedError
            some = slice(first, min(first + BLOCK_SIZE, len(rows)))
            column = build_column_block(model, other_prices, rows, some, options.cash_floor)
            in_currency = partial(_round_alone, securities, rows, first)
            yield _solve(column, numbers[some], in_currency)


def _require_match(securities: Sequence[PricedTarget], block: PortfolioBlock) -> None:
    """Refuse a block of another model."""
    ids = [security.security_id for security in securities]
    width = block.quantities.units.shape[1]
    if width != len(ids):
        raise RuleError(("quantities", "shape"), width, f"the model has {len(ids)} securities")
    missing = find_unpriced(ids, {one.security_id: one.price for one in securities})
    if missing:
        raise PricesMissingError(missing)
    common = sorted(set(ids).intersection(block.others.ids))
    if common:
        raise RuleError(("others", "ids"), common[0], "other holdings are outside the model")


def _add_cash_flow(block: PortfolioBlock, flow: Decimal) -> PortfolioBlock:
    exponent = flow.as_tuple().exponent
    assert isinstance(exponent, int)
    cash, decimals = block.cash, max(block.cash.decimals, -exponent)
    units = cash.units.astype(object) * 10 ** (decimals - cash.decimals) + to_units(flow, decimals)
    return replace(block, cash=ScaledColumn(narrow(units), decimals))


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


def _at_coarsest_scale(block: PortfolioBlock) -> PortfolioBlock:
    others = replace(block.others, quantities=block.others.quantities.coarsest())
    cash, quantities = block.cash.coarsest(), block.quantities.coarsest()
    return PortfolioBlock(block.portfolio_ids, cash, quantities, others)


def _solve(
    column: ColumnBlock, numbers: NDArray[np.intp], in_currency: Callable[[int, Fraction], Decimal]
) -> _Part:
    """Solve some rows in arrays, and verify every plan."""
    block = column.block
    where = compute_bands(block)
    separable = solve(block, where)
    lots, admitted = separable.lots, separable.admits & ~separable.clipped
    plain = admitted & (separable.invested <= block.investable)
    plain &= ~violated_constraints(block, lots).any(axis=1)
    drift = drift_of(block, where, lots) + column.kept * block.denominator
    cash_after = block.market_value - separable.invested - column.kept
    traded = lots - block.before
    traded[~plain] = 0
    return _Part(
        numbers,
        plain,
        ScaledColumn(np.where(plain, block.market_value, 0), block.decimals),
        ScaledColumn(np.where(plain, cash_after, 0), block.decimals),
        _objective(drift, plain, block, in_currency),
        traded,
    )


def _objective(
    drift: Integers,
    plain: NDArray[np.bool_],
    block: Block,
    in_currency: Callable[[int, Fraction], Decimal],
) -> ScaledColumn:
    """Drift in currency; ``drift`` is in units / denominator."""
    digits = len(str(block.denominator)) - 1
    if block.denominator == 10**digits:
        return ScaledColumn(np.where(plain, drift, 0), block.decimals + digits)
    parts = block.denominator * 10**block.decimals
    rows = enumerate(zip(plain.tolist(), drift.tolist(), strict=True))
    return ScaledColumn.of(
        in_currency(row, Fraction(units, parts)) if is_plain else ZERO
        for row, (is_plain, units) in rows
    )


def _round_alone(
    securities: Sequence[PricedTarget],
    portfolios: PortfolioBlock,
    first: int,
    row: int,
    drift: Fraction,
) -> Decimal:
    """Convert a drift that may repeat to the digits that the portfolio alone would get."""
    decimals = decimals_alone(securities, portfolios, first + row)
    return fraction_to_decimal(drift * 10**decimals, decimals)


def _outcome(
    securities: tuple[PricedTarget, ...],
    block: PortfolioBlock,
    parts: Sequence[_Part],
    beside: Mapping[int, Answer],
) -> BlockOutcome:
    """Merge the answers of all rows."""
    size = len(block)
    plain = np.zeros(size, dtype=bool)
    traded = np.zeros(size, dtype=bool)
    for part in parts:
        plain[part.numbers] = part.is_plain
        traded[part.numbers] = (part.traded != 0).any(axis=1)
    others = block.others
    traded[others.rows[others.quantities.split()[0] != 0]] = True
    status = np.where(traded, REBALANCED, IN_BAND)
    return BlockOutcome(
        securities=securities,
        portfolio_ids=block.portfolio_ids,
        status=np.where(plain, status, BESIDE).astype(np.int8),
        market_value=_merge(parts, [part.market_value for part in parts], size),
        cash_before=ScaledColumn(np.where(plain, block.cash.units, 0), block.cash.decimals),
        cash_after=_merge(parts, [part.cash_after for part in parts], size),
        objective=_merge(parts, [part.objective for part in parts], size),
        before=block.quantities,
        after=_add_trades(block.quantities, parts),
        others=others,
        beside=beside,
    )


def _merge(parts: Sequence[_Part], columns: Sequence[ScaledColumn], size: int) -> ScaledColumn:
    """One column of all rows at one scale; 0 in rows of no part."""
    decimals = max((column.decimals for column in columns), default=0)
    scaled = [column.at_scale(decimals).units for column in columns]
    fits = all(units.dtype == np.int64 for units in scaled)
    merged = np.zeros(size, dtype=np.int64 if fits else np.object_)
    for part, units in zip(parts, scaled, strict=True):
        merged[part.numbers] = units
    return ScaledColumn(merged, decimals)


def _add_trades(held: ScaledColumn, parts: Sequence[_Part]) -> ScaledColumn:
    scaled = [ScaledColumn(part.traded, 0).at_scale(held.decimals).units for part in parts]
    fits = all(units.dtype == np.int64 for units in scaled)
    after = held.units.copy() if fits else held.units.astype(object)
    for part, units in zip(parts, scaled, strict=True):
        after[part.numbers] += units
    return ScaledColumn(after, held.decimals)

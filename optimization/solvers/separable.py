"""Separable relaxation: a block without coupling rows, and its optimum, solved exactly.

Without coupling rows each security is a problem of its own. With t the target of a position and p
the value of one lot, the drift |t - p z| over whole z is convex and minimal at k = floor(t / p) or
k + 1; clipped to the band and to the options that bind single securities, this is the optimum of
the security. These optima together are the optimum of the whole problem if they keep the cash row,
and always a lower bound.

All amounts depend on the base, market value less trading costs. A caller that knows the costs can
state and solve each portfolio at the base after costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np

from optimization.domain.numbers import EXACT
from optimization.domain.option_values import Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import PricedTarget
from optimization.exact.block import Bands, Block, compute_bands
from optimization.exact.block_builder import build_block, investable_units
from optimization.exact.block_with_ids import BlockWithIds
from optimization.exact.restrictions import apply_scope, restrict_block
from optimization.exact.scaled_integers import INT64_SAFE, Integers, to_decimal


@dataclass(frozen=True, slots=True, eq=False)
class Separable:
    """Separable optimum of a block.

    ``lots`` has shape (B, n). ``admits`` is whether every band of a portfolio admits whole lots;
    otherwise its ``lots`` are meaningless. ``clipped`` is whether a band or a restriction moves a
    security off the lots nearest to its target.
    """

    lots: Integers
    admits: np.ndarray  # shape (B,), bool
    clipped: np.ndarray  # shape (B,), bool
    invested: Integers  # shape (B,), units: value of all positions


def solve(block: Block, bands: Bands) -> Separable:
    """Compute the exact separable optimum; a tie goes to fewer traded lots."""
    lots = nearest_lots(block, bands)
    value = lots * block.lot_value
    outside = (value < bands.lower) | (value > bands.upper)
    if block.least is not None and block.most is not None:
        outside |= (lots < block.least) | (lots > block.most)
    admits = np.ones(block.shape[0], dtype=bool)
    if outside.any():
        admits = _clip(block, bands, lots, outside)
        value = lots * block.lot_value
    clipped = np.logical_or.reduce(outside, axis=1)
    return Separable(lots, admits, clipped, value.sum(axis=1) + block.remainder.sum(axis=1))


def nearest_lots(block: Block, bands: Bands) -> Integers:
    """Whole lots nearest to each target, regardless of bands; shape (B, n).

    k + 1 if 2 (t - k p) > p, else k. A tie goes to the side that trades fewer lots: down if k or
    fewer are held, up otherwise.
    """
    lots = bands.target // block.lot_value
    over = 2 * (bands.target - lots * block.lot_value) - block.lot_value
    up = over > 0
    # Compared in parts of a unit, because only they decide a tie in whole units.
    row, column = np.nonzero((over == 0) | (over == -1))
    over = over[row, column] * block.denominator + 2 * bands.part[row, column]
    up[row, column] = (over > 0) | ((over == 0) & (block.before > lots)[row, column])
    return lots + up


def compute_drift(
    block: Block, bands: Bands, lots: Integers, outside_value: Integers | int = 0
) -> Integers:
    """Total drift sum |t - p z| of each portfolio, in units / denominator, exact; shape (B,).

    ``outside_value`` is value outside the block that stays and has no target, in units; shape (B,).
    """
    distance = bands.target - lots * block.lot_value
    below = distance < 0
    whole = np.abs(distance).sum(axis=1) + outside_value
    part = np.where(below, -bands.part, bands.part).sum(axis=1)
    if whole.dtype != np.object_ and int(whole.max()) * block.denominator >= INT64_SAFE:
        whole = whole.astype(object)
    return whole * block.denominator + part


def _clip(block: Block, bands: Bands, lots: Integers, outside: np.ndarray) -> np.ndarray:
    row, column = np.nonzero(outside)
    lot_value = block.lot_value[column]
    fewest = -(-bands.lower[row, column] // lot_value)
    most = bands.upper[row, column] // lot_value
    if block.least is not None and block.most is not None:
        fewest = np.maximum(fewest, block.least[row, column])
        most = np.minimum(most, block.most[row, column])
    empty = fewest > most
    lots[row, column] = np.minimum(np.maximum(lots[row, column], fewest), most)
    admits = np.ones(block.shape[0], dtype=bool)
    admits[row[empty]] = False
    return admits


@dataclass(frozen=True, eq=False)
class SeparableRelaxation:
    """A block at its base, with bounds of single securities, and its separable optimum."""

    assembled: BlockWithIds
    options: RebalanceOptions
    block: Block
    bands: Bands
    separable: Separable

    @cached_property
    def drifts(self) -> list[int]:
        """Drift of the separable optimum of each portfolio, in units / denominator."""
        return compute_drift(self.block, self.bands, self.separable.lots).tolist()


def relax(
    assembled: BlockWithIds,
    options: RebalanceOptions,
    costs: int = 0,
    *,
    bands_yield: bool = False,
) -> SeparableRelaxation:
    """Relax a block at market value, or a single portfolio at the base after ``costs``.

    Bands hold in the relaxation even if they yield; ``bands_yield`` only lets a scope stop before
    an edge.
    """
    block = assembled.block
    if costs:
        block = _charge_costs(assembled, options, costs)
    columns = assembled.securities, assembled.lots
    parts = relax_block(block, *columns, options, bands_yield=bands_yield)
    return SeparableRelaxation(assembled, options, *parts)


def relax_block(
    block: Block,
    securities: Sequence[PricedTarget],
    lots: Sequence[Decimal],
    options: RebalanceOptions,
    *,
    bands_yield: bool = False,
) -> tuple[Block, Bands, Separable]:
    """Bound a block by the options on single securities; return it, its bands and its optimum.

    ``lots`` are shares in a lot, per column. A block of several portfolios has no minimum trade.
    """
    if options.restricts:
        block = restrict_block(block, securities, lots, options)
    bands = compute_bands(block)
    if options.scope is not Scope.ALL:
        block = apply_scope(block, bands, lots, options, bands_yield=bands_yield)
    return block, bands, solve(block, bands)


def restate(
    relaxed: SeparableRelaxation, row: int, options: RebalanceOptions, *, bands_yield: bool = False
) -> SeparableRelaxation:
    """Relax one portfolio of a block again, at the same base, under other options."""
    model, portfolio = relaxed.assembled.model, relaxed.assembled.portfolios[row]
    units, others = (
        relaxed.assembled.units,
        relaxed.assembled.units.others.price_holdings(portfolio),
    )
    assembled = build_block(model, others, [portfolio], options, units=units)
    # Rescaled, because without lots or costs the amounts of the new block may have fewer digits.
    costs = to_decimal(relaxed.block.costs, relaxed.block.decimals)
    units = int(EXACT.scaleb(costs, assembled.block.decimals))
    return relax(assembled, options, units, bands_yield=bands_yield)


def relax_alone(relaxed: SeparableRelaxation, row: int) -> SeparableRelaxation:
    """Relax one portfolio of a block as a block of its own.

    A search works with floats of amounts in units, and the unit of a block depends on all its
    portfolios: a tie, or the digits of a slack, could otherwise depend on the other rows.
    """
    assembled = relaxed.assembled
    if len(assembled.portfolios) == 1:
        return relaxed
    # Other holdings get no columns, because portfolios only share a block without such columns.
    portfolio, whole = assembled.portfolios[row], assembled.whole[row : row + 1]
    alone = build_block(
        assembled.model, (), [portfolio], relaxed.options, whole, units=assembled.units
    )
    return relax(alone, relaxed.options)


def _charge_costs(assembled: BlockWithIds, options: RebalanceOptions, costs: int) -> Block:
    block, (portfolio,) = assembled.block, assembled.portfolios
    base = EXACT.subtract(portfolio.market_value, to_decimal(costs, block.decimals))
    investable = investable_units(base, options, block.decimals)
    return block.with_costs(costs, np.array([investable], dtype=block.investable.dtype))

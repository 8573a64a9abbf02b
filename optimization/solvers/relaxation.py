"""Separable relaxation: a block under options that bind single securities, without coupling rows.

Everything here depends on the base, market value less trading costs. A caller that knows the costs
can state and solve each portfolio at the base that they leave.
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
from optimization.exact.constraints import constraints_of
from optimization.exact.restrictions import apply_scope, restrict_block
from optimization.exact.scaled_integers import to_decimal
from optimization.solvers.cash_constrained import CashConstrainedProblem
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import Separable, drift_of, solve


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
        return drift_of(self.block, self.bands, self.separable.lots).tolist()

    def coupled_problem(self, row: int) -> CoupledProblem:
        """One portfolio with its coupling constraints."""
        assembled, block = self.assembled, self.block.select_rows([row])
        shortfall = int(self.separable.invested[row]) - int(block.investable[0])
        portfolio, lots = assembled.portfolios[row], self.separable.lots[row]
        cash_problem = CashConstrainedProblem(
            portfolio.portfolio_id, block, self.bands.select_rows([row]), lots, shortfall
        )
        constraints = constraints_of(
            self.options, portfolio, block, assembled.securities, assembled.lots
        )
        return CoupledProblem(cash_problem, constraints)


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
    """Bound a block by the options that restrict single securities; its bands and optimum.

    ``lots`` in shares, per column. A block of several portfolios has no minimum trade.
    """
    if options.restricts:
        block = restrict_block(block, securities, lots, options)
    where = compute_bands(block)
    if options.scope is not Scope.ALL:
        block = apply_scope(block, where, lots, options, bands_yield=bands_yield)
    return block, where, solve(block, where)


def restate(
    relaxed: SeparableRelaxation, row: int, options: RebalanceOptions, *, bands_yield: bool = False
) -> SeparableRelaxation:
    """Relax one portfolio of a block again, at the same base, under other options."""
    model, portfolio = relaxed.assembled.model, relaxed.assembled.portfolios[row]
    units, others = relaxed.assembled.units, relaxed.assembled.units.others.of(portfolio)
    assembled = build_block(model, others, [portfolio], options, units=units)
    # Rescaled, because without lots or costs the amounts of the new block may have fewer digits.
    costs = to_decimal(relaxed.block.costs, relaxed.block.decimals)
    units = int(EXACT.scaleb(costs, assembled.block.decimals))
    return relax(assembled, options, units, bands_yield=bands_yield)


def _charge_costs(assembled: BlockWithIds, options: RebalanceOptions, costs: int) -> Block:
    block, (portfolio,) = assembled.block, assembled.portfolios
    paid = to_decimal(costs, block.decimals)
    left = investable_units(EXACT.subtract(portfolio.market_value, paid), options, block.decimals)
    return block.with_costs(costs, np.array([left], dtype=block.investable.dtype))

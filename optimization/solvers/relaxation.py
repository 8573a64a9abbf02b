"""Relaxation: a block under the options that bind single securities, without the rows that couple them.

Everything here is a function of the base, the amount that weights are fractions of: market value less the
costs of trading. Who knows these costs can state, and solve, each portfolio at the base that they leave.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from optimization.domain.decimals import EXACT
from optimization.domain.options import RebalanceOptions
from optimization.exact.block import Bands, Block, bands
from optimization.exact.block_builder import BlockWithIds, build_block, investable, price_others
from optimization.exact.constraints import constraints_of
from optimization.exact.restrictions import restricted, scoped
from optimization.exact.scaled_integers import to_decimal
from optimization.solvers.cash_constrained import CashConstrainedProblem
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import Separable, drift_of, solve


@dataclass(frozen=True, eq=False)
class SeparableRelaxation:
    """A block at its base, with the bounds of single securities, and the separable optimum."""

    assembled: BlockWithIds
    options: RebalanceOptions
    block: Block
    bands: Bands
    separable: Separable

    @cached_property
    def drifts(self) -> list[int]:
        """The objective of the separable optimum of each portfolio, in units / denominator."""
        return drift_of(self.block, self.bands, self.separable.lots)

    def coupled(self, row: int) -> CoupledProblem:
        """One portfolio under the options that couple securities or trades."""
        assembled, block = self.assembled, self.block.rows([row])
        need = int(self.separable.invested[row]) - int(block.investable[0])
        portfolio, lots = assembled.portfolios[row], self.separable.lots[row]
        tight = CashConstrainedProblem(
            portfolio.portfolio_id, block, self.bands.rows([row]), lots, need
        )
        terms = constraints_of(self.options, portfolio, block, assembled.securities, assembled.lots)
        return CoupledProblem(tight, terms)


def relax(
    assembled: BlockWithIds,
    options: RebalanceOptions,
    costs: int = 0,
    *,
    bands_yield: bool = False,
) -> SeparableRelaxation:
    """The relaxation of a block at market value, or of a single portfolio at the base after ``costs``.

    Bands hold in it even if they yield; only a scope then lets what it moves stop before the edge.
    """
    block = assembled.block
    if costs:
        block = _after_costs(assembled, options, costs)
    if options.restricts:
        block = restricted(block, assembled.securities, assembled.lots, options)
    where = bands(block)
    block = scoped(block, where, assembled.lots, options, bands_yield=bands_yield)
    return SeparableRelaxation(assembled, options, block, where, solve(block, where))


def restate(
    relaxed: SeparableRelaxation, row: int, options: RebalanceOptions, *, bands_yield: bool = False
) -> SeparableRelaxation:
    """The relaxation of one portfolio of a block, at the same base, under other options."""
    model, portfolio = relaxed.assembled.model, relaxed.assembled.portfolios[row]
    assembled = build_block(model, price_others(model, portfolio), [portfolio], options)
    # Without lots or costs amounts may have fewer digits; what is below them is no part of the base then.
    costs = to_decimal(relaxed.block.costs, relaxed.block.decimals)
    units = int(EXACT.scaleb(costs, assembled.block.decimals))
    return relax(assembled, options, units, bands_yield=bands_yield)


def _after_costs(assembled: BlockWithIds, options: RebalanceOptions, costs: int) -> Block:
    block, (portfolio,) = assembled.block, assembled.portfolios
    paid = to_decimal(costs, block.decimals)
    left = investable(EXACT.subtract(portfolio.market_value, paid), options, block.decimals)
    return block.after_costs(costs, np.array([left], dtype=block.investable.dtype))

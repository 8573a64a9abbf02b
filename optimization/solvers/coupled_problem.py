"""Coupled problem: one portfolio with its coupling constraints, and the view from its holdings."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self

import numpy as np

from optimization.exact.block import Bands, Block, lot_limits
from optimization.exact.constraints import BaseFractions, CouplingConstraints, state_constraints
from optimization.exact.evaluation import Evaluation, evaluate
from optimization.exact.fine_lots import lots_per_step
from optimization.exact.scaled_integers import Integers, compute_granularity
from optimization.exact.verification import violated_constraints
from optimization.milp.data import Chosen
from optimization.solvers.cash_constrained import CashConstrainedProblem, crossing_costs
from optimization.solvers.separable import SeparableRelaxation


@dataclass(frozen=True, slots=True, eq=False)
class CoupledProblem:
    """Problem of one portfolio whose constraints couple securities or trades.

    Minimise drift + soft_price * violation + cost over whole lots inside bands and restrictions,
    subject to the limits of ``constraints``; the options decide which of the three terms count.
    ``cash_problem`` has the separable optimum, which solves the problem if it keeps every limit.
    """

    cash_problem: CashConstrainedProblem
    constraints: CouplingConstraints

    @classmethod
    def from_relaxation(cls, relaxed: SeparableRelaxation, row: int) -> Self:
        """State one portfolio of a relaxed block, with the coupling constraints."""
        assembled, block = relaxed.assembled, relaxed.block.select_rows([row])
        shortfall = int(relaxed.separable.invested[row]) - int(block.investable[0])
        portfolio, lots = assembled.portfolios[row], relaxed.separable.lots[row]
        cash_problem = CashConstrainedProblem(
            portfolio.portfolio_id, block, relaxed.bands.select_rows([row]), lots, shortfall
        )
        constraints = state_constraints(
            relaxed.options, portfolio, block, assembled.securities, assembled.lots
        )
        return cls(cash_problem, constraints)

    @property
    def block(self) -> Block:
        """The exact integers of the portfolio, a block of one row."""
        return self.cash_problem.block

    @property
    def bands(self) -> Bands:
        """Targets and drift bands of the portfolio."""
        return self.cash_problem.bands

    def evaluate(self, lots: Integers) -> Evaluation:
        """Evaluate a plan exactly: objective, cost and limits."""
        return evaluate(self.constraints, self.block, self.bands, lots)

    def keeps_bands(self, lots: Integers) -> bool:
        """Whether a plan keeps every band and restriction, and no position is short.

        Bands that are limits (BaseFractions) or soft are not checked. An odd remainder is sold only
        with all the lots beside it.
        """
        block = self.block
        if any(lots[main] and not lots[odd] for main, odd in block.odd_lots):
            return False
        if self.bands_bound:
            return not violated_constraints(block, lots[None, :])[0, :2].any()
        least, most = self.bounds
        return bool(((lots >= least) & (lots <= most)).all())

    def restate_at_own_base(self, fractions: BaseFractions) -> "CoupledProblem":
        """Hold every plan to the base that its own costs leave."""
        return replace(self, constraints=replace(self.constraints, base_fractions=fractions))

    @property
    def bands_bound(self) -> bool:
        """Whether bands are bounds on lots that are known before any plan."""
        return self.constraints.soft_price is None and self.constraints.base_fractions is None

    @property
    def unit(self) -> float:
        """A unit of money, in currency."""
        return 10.0**-self.block.decimals

    @property
    def bounds(self) -> tuple[Integers, Integers]:
        """Fewest and most lots by bands and restrictions, or by these alone if bands are limits."""
        block, bands = self.block, self.bands
        if self.bands_bound:
            fewest, most = lot_limits(block, bands)
            return fewest[0], most[0]
        return self.soft_bounds

    @property
    def soft_bounds(self) -> tuple[Integers, Integers]:
        """Bounds without bands: no short position, the restrictions, at most what cash can buy."""
        block, bands = self.block, self.bands
        most = np.maximum(lot_limits(block, bands)[0][0], block.before[0])
        most = most + np.array(self.constraints.least_trade, dtype=most.dtype)
        most = np.maximum(np.maximum(most, block.market_value[0] // block.lot_value), 0)
        least = np.zeros_like(most)
        if block.least is not None and block.most is not None:
            short = np.where(block.is_kept_short[0], block.least[0], 0)
            least = np.maximum(np.where(short < 0, short, least), block.least[0])
            most = np.minimum(most, block.most[0])
        return least, most

    @property
    def violation_granularity(self) -> Fraction:
        """Granularity of violations: any two plans differ by a multiple of it, in units."""
        p = [Fraction(value) for value in self.block.lot_value.tolist()]
        return compute_granularity([*p, *self._edges_above(View.from_problem(self).base)])

    def _edges_above(self, base: Integers) -> Iterator[Fraction]:
        worth = (base * self.block.lot_value + self.cash_problem.remainder).tolist()
        edges = zip(self.constraints.edges, worth, strict=True)
        return (edge - value for pair, value in edges for edge in pair)

    @property
    def granularity(self) -> Fraction:
        """Granularity of the objective: any two plans differ by a multiple of it, in units."""
        if self.constraints.violation_alone:
            return self.violation_granularity
        constraints, view, block = self.constraints, View.from_problem(self), self.block
        p = [Fraction(value) for value in block.lot_value.tolist()]
        parts = [*p, *crossing_costs(self.cash_problem, view.base, view.sign)]
        if constraints.costs_in_objective:
            parts += [constraints.per_trade, *(constraints.rate * value for value in p)]
        if constraints.soft_price is not None:
            parts += [constraints.soft_price * edge for edge in self._edges_above(view.base)]
            parts += [constraints.soft_price * value for value in p]
        return compute_granularity(parts)

    @property
    def least_trades(self) -> Integers:
        """Minimum lots of a trade, at least 1."""
        return np.array(self.constraints.least_trade, dtype=self.block.before.dtype)

    @property
    def rounding(self) -> int:
        """Error of any sum of positions from rounding fine lots, in units."""
        return int(self.block.lot_value[View.from_problem(self).is_fine].sum())

    def find_empty_bands(self) -> Integers:
        """Find the columns without a number of lots inside band, restriction and minimum trade."""
        fewest, most = self.bounds
        before, least = self.block.before[0], self.least_trades
        stays = (fewest <= before) & (before <= most)
        buys = np.maximum(fewest, before + least) <= most
        sells = fewest <= np.minimum(most, before - least)
        return np.flatnonzero(~(stays | buys | sells))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Lots of each security, seen from its holding towards its target; arrays of shape (n,)."""

    sign: Integers  # 1 upward, -1 downward
    base: Integers  # count next to the target, on the holding's side, inside the bounds
    approach: Integers  # lots from the holding to base
    room_toward: Integers  # lots from base to the bound past the target
    room_away: Integers  # lots from base to the bound on the holding's side
    lots_per_step: Integers  # above 1 if lots are too fine for the program to count

    @staticmethod
    def from_problem(coupled: CoupledProblem) -> "View":
        """Compute the view of a portfolio."""
        fewest, most = coupled.bounds
        before = coupled.block.before[0]
        below = coupled.bands.target[0] // coupled.block.lot_value
        under, over = (np.minimum(np.maximum(k, fewest), most) for k in (below, below + 1))
        upward = before <= under
        sign, base = np.where(upward, 1, -1), np.where(upward, under, over)
        up, down = most - base, base - fewest
        room_toward, room_away = np.where(upward, up, down), np.where(upward, down, up)
        approach = sign * (base - before)
        widest = np.maximum(np.maximum(room_toward + room_away, approach), coupled.least_trades)
        return View(sign, base, approach, room_toward, room_away, lots_per_step(widest))

    @property
    def is_fine(self) -> Chosen:
        """Whether the lots of each security are too fine for the program to count."""
        return (self.lots_per_step > 1).astype(bool)

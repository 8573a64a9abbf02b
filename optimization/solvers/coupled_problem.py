"""Desk: one portfolio under options that couple securities or trades, and how its holdings lie to its targets."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from optimization.exact.block import lot_limits
from optimization.exact.constraints import BaseShares, CouplingConstraints
from optimization.exact.evaluation import Evaluation, evaluate
from optimization.exact.fine_lots import lots_per_step
from optimization.exact.scaled_integers import Integers, granularity_of
from optimization.exact.verification import violated_constraints
from optimization.milp.sparse_form import Chosen
from optimization.solvers.cash_constrained import CashConstrainedProblem, across


@dataclass(frozen=True, slots=True, eq=False)
class CoupledProblem:
    """One portfolio, its separable optimum and its terms."""

    tight: CashConstrainedProblem
    terms: CouplingConstraints

    def evaluate(self, lots: Integers) -> Evaluation:
        """The exact objective, cost and limits of a plan."""
        return evaluate(self.terms, self.tight.block, self.tight.bands, lots)

    def keeps_bands(self, lots: Integers) -> bool:
        """Whether a plan is inside every band and restriction and short of nothing.

        Where bands are limits (see Terms) or soft, they are left out. An odd remainder is sold only with all the lots beside it.
        """
        block = self.tight.block
        if any(lots[main] and not lots[odd] for main, odd in block.odd_lots):
            return False
        if self.bands_bound:
            return not violated_constraints(block, lots[None, :])[0, :2].any()
        least, most = self.bounds
        return bool(((lots >= least) & (lots <= most)).all())

    def at_own_base(self, shares: BaseShares) -> "CoupledProblem":
        """The same portfolio with every plan held to the base that its own costs leave."""
        return replace(self, terms=replace(self.terms, shares=shares))

    @property
    def bands_bound(self) -> bool:
        """Whether bands are bounds on the lots of each security, which are known before any plan is."""
        return self.terms.soft_price is None and self.terms.shares is None

    @property
    def unit(self) -> float:
        """A unit of money in currency."""
        return 10.0**-self.tight.block.decimals

    @property
    def bounds(self) -> tuple[Integers, Integers]:
        """Fewest and most lots: of the bands, or of the restrictions alone where bands bind otherwise."""
        block, bands = self.tight.block, self.tight.bands
        if self.bands_bound:
            fewest, most = lot_limits(block, bands)
            return fewest[0], most[0]
        return self.soft_bounds

    @property
    def soft_bounds(self) -> tuple[Integers, Integers]:
        """No short position, the restrictions, and nothing beyond what any plan can need or pay for."""
        block, bands = self.tight.block, self.tight.bands
        most = np.maximum(lot_limits(block, bands)[0][0], block.before[0])
        most = most + np.array(self.terms.least_trade, dtype=most.dtype)
        most = np.maximum(np.maximum(most, block.market_value[0] // block.lot_value), 0)
        least = np.zeros_like(most)
        if block.least is not None and block.most is not None:
            short = np.where(block.kept_short[0], block.least[0], 0)
            least = np.maximum(np.where(short < 0, short, least), block.least[0])
            most = np.minimum(most, block.most[0])
        return least, most

    @property
    def violation_grain(self) -> Fraction:
        """What the violations of all plans differ by in whole multiples, in units."""
        p = [Fraction(value) for value in self.tight.block.lot_value.tolist()]
        return granularity_of([*p, *self._edges_above(View.of(self).base)])

    def _edges_above(self, base: Integers) -> Iterator[Fraction]:
        worth = (base * self.tight.block.lot_value + self.tight.remainder).tolist()
        edges = zip(self.terms.edges, worth, strict=True)
        return (edge - value for pair, value in edges for edge in pair)

    @property
    def granularity(self) -> Fraction:
        """What the objectives of all plans differ by in whole multiples, in units."""
        if self.terms.violation_alone:
            return self.violation_grain
        terms, view, block = self.terms, View.of(self), self.tight.block
        p = [Fraction(value) for value in block.lot_value.tolist()]
        parts = [*p, *across(self.tight, view.base, view.sign)]
        if terms.costs_in_objective:
            parts += [terms.per_trade, *(terms.rate * value for value in p)]
        if terms.soft_price is not None:
            parts += [terms.soft_price * edge for edge in self._edges_above(view.base)]
            parts += [terms.soft_price * value for value in p]
        return granularity_of(parts)

    @property
    def least_trades(self) -> Integers:
        """Lots that a trade has at least, at least 1."""
        return np.array(self.terms.least_trade, dtype=self.tight.block.before.dtype)

    @property
    def rounding(self) -> int:
        """What a plan may be off in any sum of positions because fine lots are rounded, in units."""
        return int(self.tight.block.lot_value[View.of(self).is_fine].sum())

    def without_band(self) -> Integers:
        """Columns where no count of lots is inside band, restriction and minimum trade at once."""
        fewest, most = self.bounds
        before, least = self.tight.block.before[0], self.least_trades
        stays = (fewest <= before) & (before <= most)
        buys = np.maximum(fewest, before + least) <= most
        sells = fewest <= np.minimum(most, before - least)
        return np.flatnonzero(~(stays | buys | sells))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Each security as it is seen from its holding towards its target; arrays of shape (n,), lots."""

    sign: Integers  # 1 upward, -1 downward
    base: Integers  # next to the target on the holding's side, inside the bounds
    way: Integers  # from the holding to base
    room_forth: Integers  # from base to the bound beyond the target
    room_back: Integers  # from base to the bound on the holding's side
    lots_per_step: Integers  # of the program; above 1 where lots are too fine for it to count

    @staticmethod
    def of(coupled: CoupledProblem) -> "View":
        """That of a portfolio."""
        fewest, most = coupled.bounds
        before = coupled.tight.block.before[0]
        below = coupled.tight.bands.target[0] // coupled.tight.block.lot_value
        under, over = (np.minimum(np.maximum(k, fewest), most) for k in (below, below + 1))
        upward = before <= under
        sign, base = np.where(upward, 1, -1), np.where(upward, under, over)
        up, down = most - base, base - fewest
        room_forth, room_back = np.where(upward, up, down), np.where(upward, down, up)
        way = sign * (base - before)
        widest = np.maximum(np.maximum(room_forth + room_back, way), coupled.least_trades)
        return View(sign, base, way, room_forth, room_back, lots_per_step(widest))

    @property
    def is_fine(self) -> Chosen:
        """Which securities have lots too fine for the program to count."""
        return (self.lots_per_step > 1).astype(bool)

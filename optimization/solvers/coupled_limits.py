"""Limits of the coupled program: what remains of each above ``base`` lots, in floats."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from optimization.exact.constraints import CouplingConstraints
from optimization.exact.evaluation import VIOLATION, edge_name
from optimization.exact.scaled_integers import compute_granularity, just_above
from optimization.milp.data import Floats
from optimization.solvers.cash_constrained import feasibility_margin
from optimization.solvers.coupled_problem import CoupledProblem, View

UNBOUNDED = 1e15  # currency, above any limit of a portfolio


@dataclass(frozen=True, slots=True, eq=False)
class CoupledLimits:
    """Limits on sums of money: less ``base`` lots, the approach, and margins.

    With ``base_fractions``, limits are those at the base that the approach leaves; the program
    moves them for further costs.
    """

    coupled: CoupledProblem
    view: View
    margins: Mapping[str, Fraction]

    def cash_limits(self) -> tuple[float, float, float]:
        """Limits on most and least spending, and on turnover."""
        constraints, block = self._constraints, self.coupled.block
        invested, approach_cost = sum(self._worth), constraints.rate * self._turnover
        cash = int(block.market_value[0]) - invested - approach_cost
        p = [Fraction(value) for value in block.lot_value.tolist()]
        traded = ceiling = compute_granularity(p)
        floor = compute_granularity([*p, *self._costs(Fraction(1))])
        uninvested = int(block.base[0]) - invested
        if constraints.base_fractions is not None:
            floor = compute_granularity(
                [*p, *self._costs(1 - constraints.base_fractions.cash_least)]
            )
            ceiling = compute_granularity(
                [*p, *self._costs(1 - constraints.base_fractions.cash_most)]
            )
            uninvested = cash
        least = None if constraints.cash_most is None else constraints.cash_most - uninvested
        cap = None if constraints.turnover is None else constraints.turnover - self._turnover
        return (
            self._upper_limit("cash_floor", cash - constraints.cash_least, floor),
            -self._upper_limit("cash_ceiling", least, ceiling),
            self._upper_limit("turnover_cap", cap, traded),
        )

    def violation_limit(self) -> float | None:
        """Limit on the sum of violations; None without one."""
        limit = self.coupled.constraints.violation_most
        return (
            None
            if limit is None
            else self._upper_limit(VIOLATION, limit, self.coupled.violation_granularity)
        )

    def group_limits(self) -> tuple[Floats, Floats, Floats]:
        """Rows and limits of groups above ``base``; one row that cannot bind without groups."""
        constraints, lot_value = self._constraints, self.coupled.block.lot_value
        rows = np.zeros((max(1, len(constraints.groups)), len(self.view.base)))
        low, high = np.zeros(len(rows)), np.zeros(len(rows))
        for row, group in enumerate(constraints.groups):
            columns = sorted(group.columns)
            worth = lot_value[columns] * self.view.lots_per_step[columns]
            rows[row, columns] = worth.astype(float) * self.coupled.unit
            at_base = sum(self._worth[column] for column in columns)
            values: list[int] = lot_value[columns].tolist()
            fractions = (
                (Fraction(0),) * 2
                if constraints.base_fractions is None
                else constraints.base_fractions.groups[row]
            )
            under, over = (compute_granularity([*values, *self._costs(part)]) for part in fractions)
            name = f"groups.{group.name}"
            low[row] = -self._upper_limit(f"{name}.low", at_base - group.low, under)
            high[row] = self._upper_limit(f"{name}.high", group.high - at_base, over)
        return rows, low, high

    def band_limits(self) -> tuple[Floats, Floats]:
        """Edges of bands that are limits."""
        constraints, values = self._constraints, self.coupled.block.lot_value.tolist()
        low, high = np.zeros(len(values)), np.zeros(len(values))
        fractions = (
            constraints.base_fractions.edges if constraints.base_fractions is not None else ()
        )
        rows = zip(constraints.edges, fractions, self._worth, values, strict=True)
        for column, ((least, most), (low_part, high_part), worth, value) in enumerate(rows):
            under, over = (
                compute_granularity([value, *self._costs(part)]) for part in (low_part, high_part)
            )
            low[column] = -self._upper_limit(edge_name(column, "low"), worth - least, under)
            high[column] = self._upper_limit(edge_name(column, "high"), most - worth, over)
        return low, high

    @property
    def _constraints(self) -> CouplingConstraints:
        constraints = self.coupled.constraints
        if constraints.base_fractions is None:
            return constraints
        approach_cost = constraints.rate * self._turnover
        return constraints.lower_base(
            constraints.base_fractions, approach_cost - self.coupled.block.costs
        )

    @property
    def _turnover(self) -> int:
        """Turnover of the approach, from the holdings to ``base``."""
        return int((self.view.approach * self.coupled.block.lot_value).sum())

    def _costs(self, part: Fraction) -> list[Fraction]:
        """Amounts by which ``part`` of the costs of a trade, and of a lot, moves a sum."""
        constraints, values = self.coupled.constraints, self.coupled.block.lot_value.tolist()
        return [
            part * constraints.per_trade,
            *(part * constraints.rate * value for value in values),
        ]

    @property
    def _worth(self) -> list[int]:
        return (
            self.view.base * self.coupled.block.lot_value + self.coupled.cash_problem.remainder
        ).tolist()

    def _upper_limit(self, name: str, limit: Fraction | None, granularity: Fraction) -> float:
        if limit is None:
            return UNBOUNDED
        limit = just_above(limit, granularity, feasibility_margin(self.coupled.block))
        return float(limit - self.margins.get(name, 0)) * self.coupled.unit

"""Elastic relaxation: the limits that exclude each other, and the plan nearest to all bands.

Each coupling row gets a slack with a price far above drift, so limits yield only if no plan keeps
them, and by the least total.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

from optimization.exact.constraints import band_edges
from optimization.exact.evaluation import Limit
from optimization.exact.scaled_integers import Integers
from optimization.milp import programs
from optimization.solvers.cash_constrained import MAX_TIGHTENINGS
from optimization.solvers.clear_plan import find_clear_plan
from optimization.solvers.coupled import verify_rounding, widen_margins
from optimization.solvers.coupled_data import coupled_milp_data
from optimization.solvers.coupled_limits import UNBOUNDED
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.time_budget import TimeBudget

BAND_PRICE = 1000.0  # price of a unit outside a band in the nearest plan; a unit of drift costs 1


def find_conflict(coupled: CoupledProblem, budget: TimeBudget) -> tuple[Limit, ...]:
    """Find limits that exclude each other inside all bands, and the elastic slack of each."""
    return _solve_elastic(coupled, budget, Slacks(UNBOUNDED, UNBOUNDED, UNBOUNDED))[1]


def find_nearest_plan(
    coupled: CoupledProblem, budget: TimeBudget
) -> tuple[Integers | None, tuple[Limit, ...]]:
    """Find the plan with the least violation of bands, and the limits that it must violate.

    Restrictions hold. There is no plan if every plan overdraws the account.
    """
    if not coupled.constraints.bands_yield:
        edges, price = tuple(band_edges(coupled.block)), Fraction(BAND_PRICE)
        soft = replace(coupled.constraints, soft_price=price, edges=edges, base_fractions=None)
        coupled = replace(coupled, constraints=soft)
    clear = find_clear_plan(coupled)
    if clear is not None:
        return clear, ()
    floor = max(0.0, float(coupled.constraints.cash_least) * coupled.unit)
    for slacks in (Slacks(), Slacks(floor=floor, limits=UNBOUNDED)):
        lots, limits = _solve_elastic(coupled, budget, slacks)
        if lots is not None:
            return lots, limits
    return None, ()


@dataclass(frozen=True, slots=True)
class Slacks:
    """Elastic slack of the cash floor, other limits and restrictions; currency, or trades."""

    floor: float = 0.0
    limits: float = 0.0
    restrictions: float = 0.0


def _solve_elastic(
    coupled: CoupledProblem, budget: TimeBudget, slacks: Slacks
) -> tuple[Integers | None, tuple[Limit, ...]]:
    """Solve the elastic relaxation with these slacks; return the plan and the violated limits."""
    rounding = coupled.rounding
    margins: dict[str, Fraction] = {}
    for _ in range(MAX_TIGHTENINGS):
        data, base = coupled_milp_data(coupled, margins)
        data = replace(
            data,
            max_slack_floor=slacks.floor,
            max_slack_limits=slacks.limits,
            max_slack_restrictions=slacks.restrictions,
            granularity=0.0,
        )
        change = programs.solve_coupled(data, budget)[1]
        if change is None:
            return None, ()
        lots, evaluation, _ = verify_rounding(coupled, data, base, change)
        # Tightened, because a violation within rounding error is not a slack that the plan needs.
        missed = [
            limit
            for limit in evaluation.violated_limits
            if not slacks.limits or -limit.slack <= rounding
        ]
        if not missed:
            return lots, evaluation.violated_limits
        margins = widen_margins(margins, missed, coupled)
    return None, ()

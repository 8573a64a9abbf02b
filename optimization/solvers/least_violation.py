"""Least violation: how little bands must yield under every restriction and limit.

The lexicographic optimum of (violation, drift) of each security is next to an edge of its band or
next to its target. If only the cash floor excludes these lots, a knapsack cover of steps down,
each at the cost of the violation that it adds, finds the least violation; otherwise a MILP does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

import numpy as np

from optimization.domain.certificate import Proof
from optimization.exact.band_violations import band_violations, compute_worth
from optimization.exact.scaled_integers import Integers
from optimization.solvers.coupled import solve_program
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.knapsack_cover import Steps, cover
from optimization.time_budget import TimeBudget


@dataclass(frozen=True, slots=True, eq=False)
class LeastViolation:
    """Lots with the least violation found, and a lower bound on the violation; in units."""

    lots: Integers
    violation: Fraction
    lower_bound: Fraction
    is_proven: bool = True


def closest_lots(coupled: CoupledProblem, least: Integers, most: Integers) -> Integers:
    """Find the lots of each security with the least (violation, drift) within bounds; shape (n,).

    A tie goes to fewer traded lots, then to fewer lots.
    """
    block, bands, parts = coupled.block, coupled.bands, coupled.block.denominator
    rows = zip(
        block.lot_value.tolist(),
        coupled.cash_problem.remainder.tolist(),
        coupled.constraints.edges,
        bands.target[0].tolist(),
        bands.part[0].tolist(),
        block.before[0].tolist(),
        least.tolist(),
        most.tolist(),
        strict=True,
    )
    lots: list[int] = []
    for value, rest, (low, high), target, part, before, fewest, greatest in rows:
        at = [int((edge - rest) * parts) for edge in (low, high)], target * parts + part
        lots.append(_closest(value * parts, *at, before, (fewest, greatest)))
    return np.array(lots, dtype=least.dtype)


def _closest(
    value: int, edges: Sequence[int], target: int, before: int, bounds: tuple[int, int]
) -> int:
    (low, high), (fewest, most) = edges, bounds
    near = {at // value + step for at in (low, high, target) for step in (0, 1)}
    clipped = {min(max(lots, fewest), most) for lots in near}

    def rank(lots: int) -> tuple[int, int, int, int]:
        worth = lots * value
        outside = max(low - worth, worth - high, 0)
        return outside, abs(target - worth), abs(lots - before), lots

    return min(clipped, key=rank)


def compute_violation(coupled: CoupledProblem, lots: Integers) -> Fraction:
    """Sum of all violations of a plan, in units."""
    return sum(
        band_violations(coupled.constraints.edges, compute_worth(coupled.block, lots)), Fraction(0)
    )


def least_violation(coupled: CoupledProblem, budget: TimeBudget) -> LeastViolation | None:
    """Find the least violation under every restriction and limit; None if there is no plan."""
    lots = coupled.cash_problem.lots
    if coupled.keeps_bands(lots) and not coupled.evaluate(lots).violated_limits:
        return _exact_violation(coupled, lots)
    if not coupled.constraints.cash_floor_alone:
        return _minimize_violation(coupled, budget)
    fewest = fewest_at_no_violation(coupled)
    still = compute_shortfall(coupled, fewest)
    if still <= 0:
        return _exact_violation(coupled, fewest)
    steps = _violation_steps(coupled, fewest)
    if steps.max_cash < still:
        return None
    given_up = cover(steps, still)
    if given_up is None:
        return _minimize_violation(coupled, budget)
    return _exact_violation(coupled, fewest - np.array(given_up, dtype=fewest.dtype))


def compute_shortfall(coupled: CoupledProblem, lots: Integers) -> int:
    """Cash that a plan lacks above the cash floor, in whole units; 0 or negative if none."""
    (cash,) = coupled.evaluate(lots).limits
    return ceil(-cash.slack)


def fewest_at_no_violation(coupled: CoupledProblem) -> Integers:
    """Find the fewest lots of each security with no more violation than the separable optimum."""
    cash_problem, (least, _) = coupled.cash_problem, coupled.bounds
    rows = zip(
        cash_problem.lots.tolist(),
        least.tolist(),
        cash_problem.block.lot_value.tolist(),
        cash_problem.remainder.tolist(),
        coupled.constraints.edges,
        strict=True,
    )
    fewest: list[int] = []
    for lots, bound, value, rest, (low, high) in rows:
        lowest = max(bound, ceil((low - rest) / value))
        # A lot fewer may be as far below the band as these lots are above it.
        if lots * value + rest > high:
            level = high + low == (2 * lots - 1) * value + 2 * rest
            lowest = max(bound, lots - level)
        fewest.append(min(lots, lowest))
    return np.array(fewest, dtype=cash_problem.lots.dtype)


def _violation_steps(coupled: CoupledProblem, fewest: Integers) -> Steps:
    """State the steps down from these lots; none adds more violation than the cash it raises."""
    block, (least, _) = coupled.block, coupled.bounds
    parts, values = block.denominator, block.lot_value.tolist()
    before = band_violations(coupled.constraints.edges, compute_worth(block, fewest))
    after = band_violations(coupled.constraints.edges, compute_worth(block, fewest - 1))
    first: list[int | None] = []
    further: list[int] = []
    for value, room, low, high in zip(
        values, (fewest - least).tolist(), before, after, strict=True
    ):
        added = int((high - low) * parts)
        is_short = room > 0 and added < value * parts
        first.append(added if is_short else None)
        further.append(room - is_short)
    return Steps(values, first, further, parts)


def _minimize_violation(coupled: CoupledProblem, budget: TimeBudget) -> LeastViolation | None:
    constraints = replace(coupled.constraints, soft_price=Fraction(1), violation_alone=True)
    plan = solve_program(replace(coupled, constraints=constraints), budget.share(2))
    if plan is None:
        return None
    bound = Fraction(plan.certificate.lower_bound) * 10**coupled.block.decimals
    proven = plan.certificate.proof is not Proof.FEASIBLE_TIME_LIMIT
    return LeastViolation(plan.lots, compute_violation(coupled, plan.lots), bound, proven)


def _exact_violation(coupled: CoupledProblem, lots: Integers) -> LeastViolation:
    outside = compute_violation(coupled, lots)
    return LeastViolation(lots, outside, outside)

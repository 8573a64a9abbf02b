"""Yielding bands: least violation of bands in currency first, least drift (and costs) second.

Violation and drift of a security are both convex in its lots, so its lexicographic optimum is next
to an edge of the band or next to the target, clipped to the restrictions. Clipping the lots nearest
to the target is wrong: for a lot worth 400, a band of 100..350 and a target of 190, no lot drifts
less and one lot violates less.

If this point keeps every limit, it is the optimum. If only the cash floor fails, only steps down
help, down to holdings that may not be sold:

* steps that leave every violation unchanged may suffice: a knapsack cover (knapsack_cover.py);
* otherwise all of them are taken, and the rest of the shortfall is a second cover, whose steps cost
  the violation they add: first the distance to the edge, then all that they raise.

Any other case takes two MILPs: one for the violation, one for the drift at no more violation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import ceil

import numpy as np

from optimization.domain.certificate import Certificate, Method, Proof
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.band_violations import edges_of, violations, worth_of
from optimization.exact.scaled_integers import Integers, fraction_to_decimal
from optimization.solvers.cash_constrained import (
    MAX_TIGHTENINGS,
    SOLVER,
    Plan,
    cash_binding,
    margin_for,
)
from optimization.solvers.coupled import (
    minimize_trades,
    prefer_no_trade,
    separable_plan,
    solve_program,
)
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.knapsack_cover import Steps, cover, steps_of
from optimization.solvers.separable import nearest_lots
from optimization.time_budget import Budget


@dataclass(frozen=True, slots=True, eq=False)
class LeastViolation:
    """Lots of the least known violation, with its lower bound; in units."""

    lots: Integers
    violation: Fraction
    lower_bound: Fraction
    is_proven: bool = True


def soften_bands(coupled: CoupledProblem) -> CoupledProblem:
    """Make bands yield, and restate the separable optimum as that of (violation, drift)."""
    constraints = replace(
        coupled.constraints, soft_price=Fraction(0), edges=edges_of(coupled.block)
    )
    soft = replace(coupled, constraints=constraints)
    return replace(
        soft, cash_problem=replace(coupled.cash_problem, lots=closest_lots(soft, *soft.bounds))
    )


def closest_lots(coupled: CoupledProblem, least: Integers, most: Integers) -> Integers:
    """Lots of each security with the least (violation, drift) between bounds; shape (n,).

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


def solve_yielding(coupled: CoupledProblem, budget: Budget, *, fewest_trades: bool) -> Plan | None:
    """Find the plan of least violation, then of least drift; None if limits exclude every plan.

    ``coupled`` has yielding bands.
    """
    plan = _separable_or_cover(coupled) or _solve_in_two_stages(coupled, budget)
    if plan is None or not fewest_trades:
        return plan
    outside = violation_of(coupled, plan.lots)
    fewer = minimize_trades(_cap_violation(coupled, outside), plan, budget)
    return plan if violation_of(coupled, fewer.lots) != outside else fewer


def violation_of(coupled: CoupledProblem, lots: Integers) -> Fraction:
    """Sum of all violations of a plan, in units."""
    return sum(violations(coupled.constraints.edges, worth_of(coupled.block, lots)), Fraction(0))


def least_violation(coupled: CoupledProblem, budget: Budget) -> LeastViolation | None:
    """Find the least violation under every restriction and limit; None if there is no plan."""
    lots = coupled.cash_problem.lots
    if coupled.keeps_bands(lots) and not coupled.evaluate(lots).violated_limits:
        return _exact_violation(coupled, lots)
    if not coupled.constraints.cash_floor_alone:
        return _minimize_violation(coupled, budget)
    fewest = _fewest_at_no_violation(coupled)
    still = _shortfall(coupled, fewest)
    if still <= 0:
        return _exact_violation(coupled, fewest)
    steps = _violation_steps(coupled, fewest)
    if steps.most < still:
        return None
    given_up = cover(steps, still)
    if given_up is None:
        return _minimize_violation(coupled, budget)
    return _exact_violation(coupled, fewest - np.array(given_up, dtype=fewest.dtype))


def _separable_or_cover(coupled: CoupledProblem) -> Plan | None:
    plan = separable_plan(coupled)
    if plan is None and coupled.constraints.cash_floor_alone:
        plan = _cover_at_no_violation(coupled)
    if plan is None:
        return None
    outside = _currency(coupled, violation_of(coupled, plan.lots))
    said = replace(plan.certificate, violation=outside, violation_lower_bound=outside)
    return replace(plan, certificate=said)


def _cover_at_no_violation(coupled: CoupledProblem) -> Plan | None:
    """Find the least drift within the cash floor if no violation has to rise for it."""
    cash_problem, fewest, shortfall = (
        coupled.cash_problem,
        _fewest_at_no_violation(coupled),
        _shortfall(coupled, coupled.cash_problem.lots),
    )
    target, part, parts = (
        cash_problem.bands.target[0],
        cash_problem.bands.part[0],
        cash_problem.block.denominator,
    )
    steps = steps_of(cash_problem.block.lot_value, cash_problem.lots, fewest, target, part, parts)
    if shortfall <= 0 or steps.most < shortfall:
        return None
    given_up = cover(steps, shortfall)
    if given_up is None:
        return None
    lots = cash_problem.lots - np.array(given_up, dtype=cash_problem.lots.dtype)
    drift, binding = cash_problem.drift(lots), (cash_binding(cash_problem, lots),)
    return Plan(lots, Certificate(Proof.OPTIMAL, Method.COVER, drift, drift, binding))


def _shortfall(coupled: CoupledProblem, lots: Integers) -> int:
    """Spending of lots beyond the cash floor, in whole units; 0 or negative if there is none."""
    (cash,) = coupled.evaluate(lots).limits
    return ceil(-cash.slack)


def _fewest_at_no_violation(coupled: CoupledProblem) -> Integers:
    """Fewest lots of each security that violate its band no more than the separable optimum."""
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
        if lots * value + rest > high:  # the next lot may be as far below the band as this is above
            level = high + low == (2 * lots - 1) * value + 2 * rest
            lowest = max(bound, lots - level)
        fewest.append(min(lots, lowest))
    return np.array(fewest, dtype=cash_problem.lots.dtype)


def _violation_steps(coupled: CoupledProblem, fewest: Integers) -> Steps:
    """Steps down from these lots; each adds at most as much violation as the cash it raises."""
    block, (least, _) = coupled.block, coupled.bounds
    parts, values = block.denominator, block.lot_value.tolist()
    before = violations(coupled.constraints.edges, worth_of(block, fewest))
    after = violations(coupled.constraints.edges, worth_of(block, fewest - 1))
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


def _solve_in_two_stages(coupled: CoupledProblem, budget: Budget) -> Plan | None:
    least = least_violation(coupled, budget)
    if least is None:
        return None
    try:
        capped = _cap_violation(coupled, least.violation + _slack_for_rounding(coupled))
        plan = solve_program(capped, budget)
        plan = plan and prefer_no_trade(capped, plan)
    except (NoSolutionInTimeError, CertificationError):
        plan = None
    return _certify(coupled, least, plan or _plan_of_least_violation(coupled, least))


def _slack_for_rounding(coupled: CoupledProblem) -> Fraction:
    """Slack between two limits that fine lots need, so that rounding either way keeps both."""
    rounding = coupled.rounding
    return (
        MAX_TIGHTENINGS * margin_for(Fraction(rounding), coupled.block) if rounding else Fraction(0)
    )


def _minimize_violation(coupled: CoupledProblem, budget: Budget) -> LeastViolation | None:
    constraints = replace(coupled.constraints, soft_price=Fraction(1), violation_alone=True)
    plan = solve_program(replace(coupled, constraints=constraints), budget.share(2))
    if plan is None:
        return None
    bound = Fraction(plan.certificate.lower_bound) * 10**coupled.block.decimals
    proven = plan.certificate.proof is not Proof.FEASIBLE_TIME_LIMIT
    return LeastViolation(plan.lots, violation_of(coupled, plan.lots), bound, proven)


def _exact_violation(coupled: CoupledProblem, lots: Integers) -> LeastViolation:
    outside = violation_of(coupled, lots)
    return LeastViolation(lots, outside, outside)


def _cap_violation(coupled: CoupledProblem, most: Fraction) -> CoupledProblem:
    """Limit the sum of violations to ``most``."""
    return replace(coupled, constraints=replace(coupled.constraints, violation_most=most))


def _plan_of_least_violation(coupled: CoupledProblem, least: LeastViolation) -> Plan:
    """The plan of least violation itself, whose drift is bounded by the separable optimum alone."""
    cash_problem, found = coupled.cash_problem, coupled.evaluate(least.lots)
    objective = _currency(coupled, found.objective)
    lower = cash_problem.drift(nearest_lots(cash_problem.block, cash_problem.bands)[0])
    certificate = Certificate(Proof.FEASIBLE_TIME_LIMIT, Method.MILP, objective, lower, (), SOLVER)
    return Plan(least.lots, certificate, _currency(coupled, found.cost))


def _certify(coupled: CoupledProblem, least: LeastViolation, plan: Plan) -> Plan:
    outside = violation_of(coupled, plan.lots)
    bound, proof = min(least.lower_bound, outside), plan.certificate.proof
    if not least.is_proven:
        proof = Proof.FEASIBLE_TIME_LIMIT
    elif proof is Proof.OPTIMAL and bound < outside:
        proof = Proof.OPTIMAL_WITHIN_GAP
    said = replace(
        plan.certificate,
        proof=proof,
        violation=_currency(coupled, outside),
        violation_lower_bound=_currency(coupled, bound),
    )
    return replace(plan, certificate=said)


def _currency(coupled: CoupledProblem, units: Fraction) -> Decimal:
    return fraction_to_decimal(units, coupled.block.decimals)

"""Yielding bands: least violation of bands in currency first, least drift (and costs) second.

Violation and drift of a security are both convex in its lots, so its lexicographic optimum is next
to an edge of the band or next to the target, clipped to the restrictions. Clipping the lots nearest
to the target is wrong: for a lot worth 400, a band of 100..350 and a target of 190, no lot drifts
less and one lot violates less.

If this point keeps every limit, it is the optimum. If it violates only the cash floor, the plan has
to step down, at most to the holdings that may not be sold:

* steps that leave every violation unchanged may suffice: a knapsack cover (knapsack_cover.py);
* otherwise all such steps are taken, and a second cover raises the rest of the shortfall. A step
  of the second cover costs the violation that it adds: a part of its value for the step across the
  edge of the band, the whole value for every further step.

Any other case takes two MILPs: one for the violation, one for the drift at no more violation.
"""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np

from optimization.domain.certificate import Certificate, Method, Proof
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.band_violations import compute_edges
from optimization.exact.scaled_integers import fraction_to_decimal
from optimization.solvers.cash_constrained import (
    MAX_TIGHTENINGS,
    SOLVER,
    Plan,
    cash_binding,
    compute_margin,
)
from optimization.solvers.coupled import (
    minimize_trades,
    prefer_no_trade,
    separable_plan,
    solve_program,
)
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.knapsack_cover import cover, list_steps
from optimization.solvers.least_violation import (
    LeastViolation,
    closest_lots,
    compute_shortfall,
    compute_violation,
    fewest_at_no_violation,
    least_violation,
)
from optimization.solvers.separable import nearest_lots
from optimization.time_budget import TimeBudget


def soften_bands(coupled: CoupledProblem) -> CoupledProblem:
    """Make bands yield, and restate the separable optimum as the least (violation, drift)."""
    constraints = replace(
        coupled.constraints, soft_price=Fraction(0), edges=compute_edges(coupled.block)
    )
    soft = replace(coupled, constraints=constraints)
    return replace(
        soft, cash_problem=replace(coupled.cash_problem, lots=closest_lots(soft, *soft.bounds))
    )


def solve_yielding(
    coupled: CoupledProblem, budget: TimeBudget, *, fewest_trades: bool
) -> Plan | None:
    """Find the plan of least violation, then of least drift; None if limits exclude every plan.

    ``coupled`` has yielding bands.
    """
    plan = _find_separable_or_cover(coupled) or _solve_in_two_stages(coupled, budget)
    if plan is None or not fewest_trades:
        return plan
    outside = compute_violation(coupled, plan.lots)
    fewer = minimize_trades(_cap_violation(coupled, outside), plan, budget)
    return plan if compute_violation(coupled, fewer.lots) != outside else fewer


def _find_separable_or_cover(coupled: CoupledProblem) -> Plan | None:
    plan = separable_plan(coupled)
    if plan is None and coupled.constraints.cash_floor_alone:
        plan = _cover_at_no_violation(coupled)
    if plan is None:
        return None
    outside = _to_currency(coupled, compute_violation(coupled, plan.lots))
    certificate = replace(plan.certificate, violation=outside, violation_lower_bound=outside)
    return replace(plan, certificate=certificate)


def _cover_at_no_violation(coupled: CoupledProblem) -> Plan | None:
    """Find the least drift within the cash floor if no violation has to rise for it."""
    cash_problem, fewest = coupled.cash_problem, fewest_at_no_violation(coupled)
    shortfall = compute_shortfall(coupled, cash_problem.lots)
    lots = cash_problem.lots[None, :]
    steps = next(list_steps(coupled.block, coupled.bands, lots, fewest[None, :]))
    if shortfall <= 0 or steps.max_cash < shortfall:
        return None
    given_up = cover(steps, shortfall)
    if given_up is None:
        return None
    lots = cash_problem.lots - np.array(given_up, dtype=cash_problem.lots.dtype)
    drift, binding = cash_problem.drift(lots), (cash_binding(cash_problem, lots),)
    return Plan(lots, Certificate(Proof.OPTIMAL, Method.COVER, drift, drift, binding))


def _solve_in_two_stages(coupled: CoupledProblem, budget: TimeBudget) -> Plan | None:
    least = least_violation(coupled, budget)
    if least is None:
        return None
    try:
        capped = _cap_violation(coupled, least.violation + _compute_rounding_slack(coupled))
        plan = solve_program(capped, budget)
        plan = plan and prefer_no_trade(capped, plan)
    except (NoSolutionInTimeError, CertificationError):
        plan = None
    return _certify(coupled, least, plan or _certify_least_violation(coupled, least))


def _compute_rounding_slack(coupled: CoupledProblem) -> Fraction:
    """Slack that fine lots need between two limits, so that rounding either way keeps both."""
    rounding = coupled.rounding
    return (
        MAX_TIGHTENINGS * compute_margin(Fraction(rounding), coupled.block)
        if rounding
        else Fraction(0)
    )


def _cap_violation(coupled: CoupledProblem, most: Fraction) -> CoupledProblem:
    """Limit the sum of violations to ``most``."""
    return replace(coupled, constraints=replace(coupled.constraints, violation_most=most))


def _certify_least_violation(coupled: CoupledProblem, least: LeastViolation) -> Plan:
    """Certify the plan of least violation, with only the separable lower bound on drift."""
    cash_problem, evaluation = coupled.cash_problem, coupled.evaluate(least.lots)
    objective = _to_currency(coupled, evaluation.objective)
    lower = cash_problem.drift(nearest_lots(cash_problem.block, cash_problem.bands)[0])
    certificate = Certificate(Proof.FEASIBLE_TIME_LIMIT, Method.MILP, objective, lower, (), SOLVER)
    return Plan(least.lots, certificate, _to_currency(coupled, evaluation.cost))


def _certify(coupled: CoupledProblem, least: LeastViolation, plan: Plan) -> Plan:
    outside = compute_violation(coupled, plan.lots)
    bound, proof = min(least.lower_bound, outside), plan.certificate.proof
    if not least.is_proven:
        proof = Proof.FEASIBLE_TIME_LIMIT
    elif proof is Proof.OPTIMAL and bound < outside:
        proof = Proof.OPTIMAL_WITHIN_GAP
    certificate = replace(
        plan.certificate,
        proof=proof,
        violation=_to_currency(coupled, outside),
        violation_lower_bound=_to_currency(coupled, bound),
    )
    return replace(plan, certificate=certificate)


def _to_currency(coupled: CoupledProblem, units: Fraction) -> Decimal:
    return fraction_to_decimal(units, coupled.block.decimals)

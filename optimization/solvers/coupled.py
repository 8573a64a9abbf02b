"""Plans under coupling constraints: verified MILPs, and fewest trades among equal plans."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np

from optimization.domain.certificate import Binding, Certificate, Method, Proof
from optimization.domain.options import RebalanceOptions
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.evaluation import BAND, VIOLATION, Evaluation, Limit
from optimization.exact.scaled_integers import Integers, fraction_to_decimal
from optimization.milp import programs
from optimization.milp.data import ABSOLUTE_GAP, CoupledMilpData, Floats, SolverAnswer
from optimization.solvers.cash_constrained import (
    MAX_TIGHTENINGS,
    SOLVER,
    Plan,
    classify_proof,
    compute_margin,
    lower_bound,
    solve_cash_constrained,
)
from optimization.solvers.coupled_data import candidate_plans, coupled_milp_data
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import compute_drift, nearest_lots
from optimization.time_budget import TimeBudget


def solve_at_base(
    coupled: CoupledProblem, options: RebalanceOptions, budget: TimeBudget
) -> Plan | None:
    """Find the optimum of one portfolio at the base of its problem; None if there is no plan."""
    if options.couples:
        plan = solve_coupled(coupled, budget, fewest_trades=options.fewest_trades)
        return None if plan is None else prefer_no_trade(coupled, plan)
    if len(coupled.find_empty_bands()):
        return None
    plan = solve_cash_constrained(coupled.cash_problem, budget)
    if plan is None or not options.fewest_trades:
        return None if plan is None else prefer_no_trade(coupled, plan)
    return minimize_trades(coupled, prefer_no_trade(coupled, plan), budget)


def solve_coupled(
    coupled: CoupledProblem, budget: TimeBudget, *, fewest_trades: bool
) -> Plan | None:
    """Find the optimum under the constraints; None if the solver proves that there is no plan."""
    if len(coupled.find_empty_bands()):
        return None
    plan = separable_plan(coupled) or solve_program(coupled, budget)
    if plan is None or not fewest_trades:
        return plan
    return minimize_trades(coupled, plan, budget)


def separable_plan(coupled: CoupledProblem) -> Plan | None:
    """Return the separable optimum if it keeps every limit, because it is then optimal overall."""
    constraints, lots = coupled.constraints, coupled.cash_problem.lots
    separates = coupled.bands_bound or coupled.constraints.soft_price == 0
    if constraints.costs_in_objective or not separates or not coupled.keeps_bands(lots):
        return None
    evaluation = coupled.evaluate(lots)
    if evaluation.violated_limits:
        return None
    objective = fraction_to_decimal(evaluation.objective, coupled.block.decimals)
    certificate = Certificate(Proof.OPTIMAL, Method.SEPARABLE, objective, objective)
    return Plan(lots, certificate, fraction_to_decimal(evaluation.cost, coupled.block.decimals))


def solve_program(coupled: CoupledProblem, budget: TimeBudget) -> Plan | None:
    """Find the optimum under the constraints by MILP; None if the solver proves infeasibility.

    Each round verifies the rounded plan exactly. A limit that the solver met only within tolerance
    is tightened, and the program is solved again, at most MAX_TIGHTENINGS times.
    """
    margins: dict[str, Fraction] = {}
    bound = -np.inf
    for _ in range(MAX_TIGHTENINGS):
        data, base = coupled_milp_data(coupled, margins)
        answer, change = programs.solve_coupled(data, budget)
        if answer.infeasible and margins:
            break
        if answer.infeasible:
            return None
        if change is None:
            raise NoSolutionInTimeError(coupled.cash_problem.portfolio_id, budget.total_s)
        bound = bound if margins else answer.bound  # tightened limits prove no bound
        lots, evaluation, is_kept = verify_rounding(coupled, data, base, change)
        if is_kept:
            return _certify(coupled, lots, base, evaluation, replace(answer, bound=bound))
        if not evaluation.violated_limits:
            raise CertificationError(coupled.cash_problem.portfolio_id, ("a band",))
        margins = widen_margins(margins, evaluation.violated_limits, coupled)
    raise CertificationError(coupled.cash_problem.portfolio_id, tuple(margins))


def verify_rounding(
    coupled: CoupledProblem, data: CoupledMilpData, base: Integers, change: Floats
) -> tuple[Integers, Evaluation, bool]:
    """Choose the rounded lots that keep every limit, else the nearest; add their evaluation."""
    nearest: tuple[Integers, Evaluation, bool] | None = None
    for lots in candidate_plans(coupled, data, base, change):
        evaluation = coupled.evaluate(lots)
        if coupled.keeps_bands(lots) and not evaluation.violated_limits:
            return lots, evaluation, True
        nearest = nearest or (lots, evaluation, False)
    assert nearest is not None
    return nearest


def widen_margins(
    margins: Mapping[str, Fraction], violated_limits: Sequence[Limit], coupled: CoupledProblem
) -> dict[str, Fraction]:
    """Widen the margins of the limits that a plan violates within the solver's tolerance."""
    more = {limit.option: compute_margin(-limit.slack, coupled.block) for limit in violated_limits}
    return {
        name: margins.get(name, Fraction(0)) + more.get(name, 0) for name in {**margins, **more}
    }


def minimize_trades(coupled: CoupledProblem, plan: Plan, budget: TimeBudget) -> Plan:
    """Replace a plan by one with fewer trades and no higher objective, if the solver finds one."""
    data, base = coupled_milp_data(coupled)
    first = coupled.evaluate(plan.lots)
    above_base = float(first.objective - _compute_objective_at_base(coupled, base)) * coupled.unit
    overstated = 0.0 if data.fine is None else data.fine.overstated
    data = replace(data, objective_most=above_base + overstated + 1e-6)
    answer, change = programs.solve_fewest_trades(data, budget)
    if not (answer.proven or answer.infeasible):  # a plan with fewer trades may exist
        certificate = replace(plan.certificate, proof=Proof.FEASIBLE_TIME_LIMIT)
        plan = replace(plan, certificate=certificate)
    if change is None:
        return plan
    lots, evaluation, is_kept = verify_rounding(coupled, data, base, change)
    before = coupled.block.before[0]
    fewer = (lots != before).sum() < (plan.lots != before).sum()
    if not (fewer and is_kept) or evaluation.objective > first.objective:
        return plan
    cost = fraction_to_decimal(evaluation.cost, coupled.block.decimals)
    objective = fraction_to_decimal(evaluation.objective, coupled.block.decimals)
    return Plan(lots, replace(plan.certificate, objective=objective), cost)


def prefer_no_trade(coupled: CoupledProblem, plan: Plan) -> Plan:
    """Replace a plan by no trade if that is as good, so that an executed plan stays unchanged.

    A plan proven within a gap is also replaced if it is better by at most the gap.
    """
    block = coupled.block
    before = block.before[0]
    proven_within = plan.certificate.proof is Proof.OPTIMAL_WITHIN_GAP
    gap = Fraction(ABSOLUTE_GAP) if proven_within else Fraction(0)
    if (plan.lots == before).all() or _is_farther(coupled, before, plan, gap):
        return plan
    if not coupled.keeps_bands(before):
        return plan
    evaluation = coupled.evaluate(before)
    objective = fraction_to_decimal(evaluation.objective, block.decimals)
    least = coupled.evaluate(plan.lots).objective + gap * 10**block.decimals
    if evaluation.violated_limits or evaluation.objective > least:
        return plan
    lower = min(plan.certificate.lower_bound, objective)
    proof = Proof.OPTIMAL if lower == objective else plan.certificate.proof
    binding = _list_binding(coupled, evaluation)
    certificate = replace(
        plan.certificate, proof=proof, objective=objective, lower_bound=lower, binding=binding
    )
    return Plan(before, certificate)


def _is_farther(coupled: CoupledProblem, before: Integers, plan: Plan, gap: Fraction) -> bool:
    """Whether drift alone shows that no trade is worse than the plan, without an evaluation."""
    constraints, cash_problem = coupled.constraints, coupled.cash_problem
    if constraints.costs_in_objective or constraints.violation_alone or constraints.soft_price:
        return False
    least = cash_problem.drift_units(plan.lots) + gap * 10**cash_problem.block.decimals
    return cash_problem.drift_units(before) > least


def _compute_objective_at_base(coupled: CoupledProblem, base: Integers) -> Fraction:
    """Objective at ``base`` lots, which the program leaves out; without fixed costs of trades."""
    block, constraints = coupled.block, coupled.constraints
    if constraints.violation_alone:
        return Fraction(0)
    parts = int(compute_drift(block, coupled.bands, base[None, :])[0])
    drift = Fraction(parts, block.denominator)
    if not constraints.costs_in_objective:
        return drift
    return drift + constraints.rate * int((np.abs(base - block.before[0]) * block.lot_value).sum())


def _certify(
    coupled: CoupledProblem,
    lots: Integers,
    base: Integers,
    evaluation: Evaluation,
    answer: SolverAnswer,
) -> Plan:
    decimals = coupled.block.decimals
    objective = fraction_to_decimal(evaluation.objective, decimals)
    lower, binding = _compute_separable_bound(coupled), _list_binding(coupled, evaluation)
    if np.isfinite(answer.bound):
        scale = 10**decimals
        bound = _compute_objective_at_base(coupled, base) / scale + Fraction(answer.bound)
        solver = lower_bound(evaluation.objective / scale, bound, coupled.granularity / scale)
        lower = max(lower, fraction_to_decimal(solver * scale, decimals))
    proof = classify_proof(answer, objective, lower)
    certificate = Certificate(proof, Method.MILP, objective, lower, binding, SOLVER, answer.seconds)
    return Plan(lots, certificate, fraction_to_decimal(evaluation.cost, decimals))


def _compute_separable_bound(coupled: CoupledProblem) -> Decimal:
    """Separable lower bound: drift, or violation, without coupling and costs."""
    if coupled.constraints.violation_alone:
        least = coupled.evaluate(coupled.cash_problem.lots).objective
        return fraction_to_decimal(least, coupled.block.decimals)
    if coupled.bands_bound:
        return coupled.cash_problem.drift(coupled.cash_problem.lots)
    return coupled.cash_problem.drift(nearest_lots(coupled.block, coupled.bands)[0])


def _list_binding(coupled: CoupledProblem, evaluation: Evaluation) -> tuple[Binding, ...]:
    """List the limits that one more lot could violate."""
    lot = max(coupled.block.lot_value.tolist(), default=0)
    decimals = coupled.block.decimals
    return tuple(
        Binding(limit.option, Decimal(int(limit.slack)))
        if limit.option == "maximum_trades"
        else Binding(limit.option, fraction_to_decimal(limit.slack, decimals))
        for limit in evaluation.limits
        if not limit.option.startswith(BAND)
        and limit.option != VIOLATION
        and limit.slack < (1 if limit.option == "maximum_trades" else lot)
    )

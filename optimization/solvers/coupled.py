"""Plans under options that couple: the CVXPY program, verified exactly; fewest trades; the nearest plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

import numpy as np

from optimization.domain.certificate import Binding, Certificate, Method, Proof
from optimization.domain.options import RebalanceOptions
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.constraints import band_edges
from optimization.exact.evaluation import BAND, VIOLATION, Evaluation, Limit
from optimization.exact.scaled_integers import Integers, fraction_to_decimal
from optimization.milp import formulations
from optimization.milp.data import CoupledMilpData
from optimization.milp.sparse_form import Floats
from optimization.solvers.cash_constrained import (
    MAX_TIGHTENINGS,
    SOLVER,
    Plan,
    lower_bound,
    margin_for,
    proof_of,
    solve_cash_constrained,
)
from optimization.solvers.coupled_data import UNBOUNDED, coupled_milp_data, rounded_plans
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import drift_of, nearest_lots
from optimization.time_budget import Budget

BAND_PRICE = 1000.0  # of one unit of value outside a band in the nearest plan, against drift


def solve_at_base(
    coupled: CoupledProblem, options: RebalanceOptions, budget: Budget
) -> Plan | None:
    """The optimum of one portfolio at the base that its desk is stated at; None where there is no plan."""
    if options.couples:
        plan = solve_coupled(coupled, budget, fewest_trades=options.fewest_trades)
        return None if plan is None else or_no_trade(coupled, plan)
    if len(coupled.without_band()):
        return None
    plan = solve_cash_constrained(coupled.tight, budget)
    if plan is None or not options.fewest_trades:
        return None if plan is None else or_no_trade(coupled, plan)
    return with_fewest_trades(coupled, or_no_trade(coupled, plan), budget)


def solve_coupled(coupled: CoupledProblem, budget: Budget, *, fewest_trades: bool) -> Plan | None:
    """The optimum under the terms; None where the solver finds that there is none."""
    if len(coupled.without_band()):
        return None
    plan = separable_plan(coupled) or solve_program(coupled, budget)
    if plan is None or not fewest_trades:
        return plan
    return with_fewest_trades(coupled, plan, budget)


def separable_plan(coupled: CoupledProblem) -> Plan | None:
    """The separable optimum where it keeps every limit: it is then the optimum of the whole."""
    terms, lots = coupled.terms, coupled.tight.lots
    separates = coupled.bands_bound or coupled.terms.soft_price == 0
    if terms.costs_in_objective or not separates or not coupled.keeps_bands(lots):
        return None
    found = coupled.evaluate(lots)
    if found.broken:
        return None
    objective = fraction_to_decimal(found.objective, coupled.tight.block.decimals)
    certificate = Certificate(Proof.OPTIMAL, Method.SEPARABLE, objective, objective)
    return Plan(lots, certificate, fraction_to_decimal(found.cost, coupled.tight.block.decimals))


def solve_program(coupled: CoupledProblem, budget: Budget) -> Plan | None:
    """The optimum under the terms by the CVXPY program; None where the solver finds that there is none."""
    margins: dict[str, Fraction] = {}
    bound = -np.inf
    for _ in range(MAX_TIGHTENINGS):
        problem, base = coupled_milp_data(coupled, margins)
        answer, change = formulations.solve_coupled(problem, budget)
        if answer.infeasible and margins:
            break
        if answer.infeasible:
            return None
        if change is None:
            raise NoSolutionInTimeError(coupled.tight.portfolio_id, budget.total_s)
        bound = bound if margins else answer.bound  # of tightened limits it proves nothing
        lots, found, is_kept = _verified(coupled, problem, base, change)
        if is_kept:
            return _plan(coupled, lots, base, found, replace(answer, bound=bound))
        if not found.broken:
            raise CertificationError(coupled.tight.portfolio_id, ("a band",))
        margins = _wider(margins, found.broken, coupled)
    raise CertificationError(coupled.tight.portfolio_id, tuple(margins))


def _verified(
    coupled: CoupledProblem, problem: CoupledMilpData, base: Integers, change: Floats
) -> tuple[Integers, Evaluation, bool]:
    """The lots that the solver means, what they make of the terms, and whether they keep everything."""
    nearest: tuple[Integers, Evaluation, bool] | None = None
    for lots in rounded_plans(coupled, problem, base, change):
        found = coupled.evaluate(lots)
        if coupled.keeps_bands(lots) and not found.broken:
            return lots, found, True
        nearest = nearest or (lots, found, False)
    assert nearest is not None
    return nearest


def _wider(
    margins: Mapping[str, Fraction], broken: Sequence[Limit], coupled: CoupledProblem
) -> dict[str, Fraction]:
    """Margins on limits that were met only within the solver's tolerance: more than that taken off."""
    more = {limit.option: margin_for(-limit.slack, coupled.tight.block) for limit in broken}
    return {
        name: margins.get(name, Fraction(0)) + more.get(name, 0) for name in {**margins, **more}
    }


def with_fewest_trades(coupled: CoupledProblem, plan: Plan, budget: Budget) -> Plan:
    """A plan of the same objective with fewer trades, if the solver finds one; else the same plan."""
    problem, base = coupled_milp_data(coupled)
    first = coupled.evaluate(plan.lots)
    above_base = float(first.objective - _at_base(coupled, base)) * coupled.unit
    overstated = 0.0 if problem.fine is None else problem.fine.overstated
    problem = replace(problem, objective_most=above_base + overstated + 1e-6)
    answer, change = formulations.solve_fewest_trades(problem, budget)
    if not (answer.proven or answer.infeasible):  # there may be one with fewer trades
        late = replace(plan.certificate, proof=Proof.FEASIBLE_TIME_LIMIT)
        plan = replace(plan, certificate=late)
    if change is None:
        return plan
    lots, found, is_kept = _verified(coupled, problem, base, change)
    before = coupled.tight.block.before[0]
    fewer = (lots != before).sum() < (plan.lots != before).sum()
    if not (fewer and is_kept) or found.objective > first.objective:
        return plan
    cost = fraction_to_decimal(found.cost, coupled.tight.block.decimals)
    objective = fraction_to_decimal(found.objective, coupled.tight.block.decimals)
    return Plan(lots, replace(plan.certificate, objective=objective), cost)


def or_no_trade(coupled: CoupledProblem, plan: Plan) -> Plan:
    """The plan, or none at all where that is as good: what was executed is then left alone.

    A plan of the program that is proven within a gap is no reason to trade for less than that gap either.
    """
    block = coupled.tight.block
    before = block.before[0]
    proven_within = plan.certificate.proof is Proof.OPTIMAL_WITHIN_GAP
    gap = Fraction(formulations.ABSOLUTE_GAP) if proven_within else Fraction(0)
    if (plan.lots == before).all() or _is_farther(coupled, before, plan, gap):
        return plan
    if not coupled.keeps_bands(before):
        return plan
    found = coupled.evaluate(before)
    objective = fraction_to_decimal(found.objective, block.decimals)
    least = coupled.evaluate(plan.lots).objective + gap * 10**block.decimals
    if found.broken or found.objective > least:
        return plan
    lower = min(plan.certificate.lower_bound, objective)
    proof = Proof.OPTIMAL if lower == objective else plan.certificate.proof
    binding = _binding(coupled, found)
    said = replace(
        plan.certificate, proof=proof, objective=objective, lower_bound=lower, binding=binding
    )
    return Plan(before, said)


def _is_farther(coupled: CoupledProblem, before: Integers, plan: Plan, gap: Fraction) -> bool:
    """Whether drift alone says that no trade is worse than the plan, so that nothing else need be looked at."""
    terms, tight = coupled.terms, coupled.tight
    if terms.costs_in_objective or terms.violation_alone or terms.soft_price:
        return False
    least = tight.drift_units(plan.lots) + gap * 10**tight.block.decimals
    return tight.drift_units(before) > least


def conflict(coupled: CoupledProblem, budget: Budget) -> tuple[Limit, ...]:
    """The limits that exclude each other while every band holds, each with what it would have to give."""
    return _relaxed(coupled, budget, Gives(UNBOUNDED, UNBOUNDED, UNBOUNDED))[1]


def nearest_plan(
    coupled: CoupledProblem, budget: Budget
) -> tuple[Integers | None, tuple[Limit, ...]]:
    """The plan that leaves bands by as little as it must, and the limits that give, only if they must.

    Restrictions hold in it. No plan if each overdraws the account.
    """
    if not coupled.terms.bands_yield:
        edges, price = tuple(band_edges(coupled.tight.block)), Fraction(BAND_PRICE)
        soft = replace(coupled.terms, soft_price=price, edges=edges, shares=None)
        coupled = replace(coupled, terms=soft)
    floor = max(0.0, float(coupled.terms.cash_least) * coupled.unit)
    for gives in (Gives(), Gives(floor=floor, limits=UNBOUNDED)):
        lots, given = _relaxed(coupled, budget, gives)
        if lots is not None:
            return lots, given
    return None, ()


@dataclass(frozen=True, slots=True)
class Gives:
    """By how much limits may be broken: the cash floor, other limits, and restrictions; currency or trades."""

    floor: float = 0.0
    limits: float = 0.0
    restrictions: float = 0.0


def _relaxed(
    coupled: CoupledProblem, budget: Budget, gives: Gives
) -> tuple[Integers | None, tuple[Limit, ...]]:
    """The best plan when limits may give so much, and the limits that do."""
    rounding = coupled.rounding
    margins: dict[str, Fraction] = {}
    for _ in range(MAX_TIGHTENINGS):
        problem, base = coupled_milp_data(coupled, margins)
        problem = replace(
            problem,
            give_floor=gives.floor,
            give_limits=gives.limits,
            give_restrictions=gives.restrictions,
            granularity=0.0,
        )
        change = formulations.solve_coupled(problem, budget)[1]
        if change is None:
            return None, ()
        lots, found, _ = _verified(coupled, problem, base, change)
        # A limit that is broken by no more than rounding does not give: it is asked for again, tightened.
        missed = [limit for limit in found.broken if not gives.limits or -limit.slack <= rounding]
        if not missed:
            return lots, found.broken
        margins = _wider(margins, missed, coupled)
    return None, ()


def _at_base(coupled: CoupledProblem, base: Integers) -> Fraction:
    """What of the objective the program does not see: at ``base`` lots, but for costs of a trade as such."""
    block, terms = coupled.tight.block, coupled.terms
    if terms.violation_alone:
        return Fraction(0)
    drift = Fraction(drift_of(block, coupled.tight.bands, base[None, :])[0], block.denominator)
    if not terms.costs_in_objective:
        return drift
    return drift + terms.rate * int((np.abs(base - block.before[0]) * block.lot_value).sum())


def _plan(
    coupled: CoupledProblem,
    lots: Integers,
    base: Integers,
    found: Evaluation,
    answer: formulations.SolverAnswer,
) -> Plan:
    decimals = coupled.tight.block.decimals
    objective, lower = fraction_to_decimal(found.objective, decimals), _separable_bound(coupled)
    if np.isfinite(answer.bound):
        scale = 10**decimals
        bound = _at_base(coupled, base) / scale + Fraction(answer.bound)
        solver = lower_bound(found.objective / scale, bound, coupled.granularity / scale)
        lower = max(lower, fraction_to_decimal(solver * scale, decimals))
    proof = proof_of(answer, objective, lower)
    certificate = Certificate(
        proof, Method.MILP, objective, lower, _binding(coupled, found), SOLVER, answer.seconds
    )
    return Plan(lots, certificate, fraction_to_decimal(found.cost, decimals))


def _separable_bound(coupled: CoupledProblem) -> Decimal:
    """Drift, or violation, without any coupling: no plan has less, whatever its costs."""
    if coupled.terms.violation_alone:
        least = coupled.evaluate(coupled.tight.lots).objective
        return fraction_to_decimal(least, coupled.tight.block.decimals)
    if coupled.bands_bound:
        return coupled.tight.drift(coupled.tight.lots)
    return coupled.tight.drift(nearest_lots(coupled.tight.block, coupled.tight.bands)[0])


def _binding(coupled: CoupledProblem, found: Evaluation) -> tuple[Binding, ...]:
    """The limits that one more lot of something could break."""
    lot = max(coupled.tight.block.lot_value.tolist(), default=0)
    decimals = coupled.tight.block.decimals
    return tuple(
        Binding(limit.option, Decimal(int(limit.slack)))
        if limit.option == "maximum_trades"
        else Binding(limit.option, fraction_to_decimal(limit.slack, decimals))
        for limit in found.limits
        if not limit.option.startswith(BAND)
        and limit.option != VIOLATION
        and limit.slack < (1 if limit.option == "maximum_trades" else lot)
    )

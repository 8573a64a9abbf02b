"""Search for the plan of one portfolio that its separable optimum does not answer.

Bands are hard at first. If no plan keeps them and the options admit it, they yield.
"""

from dataclasses import replace
from decimal import Decimal
from typing import TypeAlias

from optimization.after_costs import do_bands_yield, plan_after_costs
from optimization.domain.option_values import Scope
from optimization.domain.outcome import OutsideBand, PortfolioOutcome
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.block_with_ids import BlockWithIds
from optimization.explain.binding_constraints import find_binding_constraints
from optimization.explain.infeasibility import explain_refusal
from optimization.explain.outside_band import find_outside_bands, sum_outside
from optimization.solvers.cash_constrained import Plan
from optimization.solvers.coupled import solve_at_base
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import SeparableRelaxation, relax, relax_alone
from optimization.solvers.yielding_bands import soften_bands, solve_yielding
from optimization.time_budget import TimeBudget

NO_VIOLATION = Decimal("0.00")
NOT_AFTER_COSTS = (
    "No feasible solution exists: no plan keeps every band and limit once its own costs are paid, "
    "and is left alone by the next request."
)

Answer: TypeAlias = PortfolioOutcome | NoSolutionInTimeError | CertificationError


def search_plan(relaxed: SeparableRelaxation, row: int, budget: TimeBudget) -> Answer:
    """Search for a plan of a portfolio that its separable optimum does not answer."""
    relaxed, row = relax_alone(relaxed, row), 0
    assembled, options = relaxed.assembled, relaxed.options
    try:
        relaxed, coupled, plan = _solve(relaxed, row, budget)
    except (NoSolutionInTimeError, CertificationError) as error:
        return error
    if plan is None:
        refusal = explain_refusal(relaxed, row, budget)
        # Replaced, because the explanation is made at the base before costs and finds no obstacle
        # there.
        if options.has_costs and not (refusal.members["securities"] or refusal.members["limits"]):
            refusal = replace(refusal, detail=NOT_AFTER_COSTS)
        return assembled.make_outcome(row, refusal=refusal)
    if not coupled.keeps_bands(plan.lots) or coupled.evaluate(plan.lots).violated_limits:
        return make_certification_error(assembled, row, plan.certificate.method)
    cash_problem, yields = coupled.cash_problem, coupled.constraints.bands_yield
    binding = find_binding_constraints(
        cash_problem.block,
        cash_problem.bands,
        plan.lots,
        assembled.securities,
        options,
        bands_yield=yields,
    )
    certificate = replace(plan.certificate, binding=plan.certificate.binding + binding)
    return make_answer(relaxed, row, coupled, replace(plan, certificate=certificate), budget)


def _solve(
    relaxed: SeparableRelaxation, row: int, budget: TimeBudget
) -> tuple[SeparableRelaxation, CoupledProblem, Plan | None]:
    """Solve one portfolio with hard bands; without a plan, solve it with yielding bands."""
    options = relaxed.options
    coupled, plan = _solve_at_bands(relaxed, row, budget, bands_yield=False)
    if plan is not None or not do_bands_yield(relaxed, row, budget):
        return relaxed, coupled, plan
    if options.scope is not Scope.ALL:
        relaxed = relax(relaxed.assembled, options, bands_yield=True)
    return relaxed, *_solve_at_bands(relaxed, row, budget, bands_yield=True)


def _solve_at_bands(
    relaxed: SeparableRelaxation, row: int, budget: TimeBudget, *, bands_yield: bool
) -> tuple[CoupledProblem, Plan | None]:
    options = relaxed.options
    if options.has_costs:
        return plan_after_costs(relaxed, budget, bands_yield=bands_yield)
    coupled = CoupledProblem.from_relaxation(relaxed, row)
    if not bands_yield:
        return coupled, solve_at_base(coupled, options, budget)
    coupled = soften_bands(coupled)
    return coupled, solve_yielding(coupled, budget, fewest_trades=options.fewest_trades)


def make_answer(
    relaxed: SeparableRelaxation, row: int, coupled: CoupledProblem, plan: Plan, budget: TimeBudget
) -> Answer:
    """Turn a verified plan into an answer that lists the positions outside their bands."""
    certificate, outside = plan.certificate, tuple[OutsideBand, ...]()
    total = sum_outside(coupled, plan.lots)
    if coupled.constraints.soft_price is None:  # hard bands: only kept positions are outside
        certificate = replace(certificate, violation=total, violation_lower_bound=total)
    elif relaxed.options.soft_band_price is not None:  # a price of 0 counts
        certificate = replace(certificate, violation=total)
    elif certificate.other_base is not None:  # a cycle, whose bound belongs to the other base
        certificate = replace(certificate, violation=total, violation_lower_bound=NO_VIOLATION)
    elif certificate.violation != total:
        return make_certification_error(relaxed.assembled, row, certificate.method)
    if total:
        if relaxed.options.has_costs:  # because violations are measured at the base after the plan
            relaxed = relax(relaxed.assembled, relaxed.options, coupled.block.costs)
        outside = find_outside_bands(relaxed, row, coupled, plan.lots, budget)
    return relaxed.assembled.make_outcome(
        row, plan.lots, certificate, cost=plan.cost, outside_band=outside
    )


def make_certification_error(assembled: BlockWithIds, row: int, method: str) -> CertificationError:
    violation = f"the {method.lower()} plan violates a constraint"
    return CertificationError(assembled.portfolios[row].portfolio_id, (violation,))

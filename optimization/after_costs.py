"""Plans that pay their own costs and survive a second request.

base_iteration.py finds plans that keep every band and limit at the base that their own costs leave.
A second, equal request may still trade two kinds of such plans: those of a cycle, and those that
are optimal only at their own base. The engine therefore simulates the execution of the plan and
solves the same request once more; the first plan that this second request leaves unchanged is the
answer. Limits that renew with each request allow the second request to trade further, but not to
undo a trade.
"""

from dataclasses import replace
from decimal import Decimal

import numpy as np

from optimization.domain.option_values import BandRule
from optimization.domain.options import RebalanceOptions
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.block_builder import build_block
from optimization.exact.block_with_ids import BlockWithIds
from optimization.exact.constraints import state_base_fractions
from optimization.explain.infeasibility import has_plan
from optimization.solvers.base_iteration import Statement, Step, plans_after_costs
from optimization.solvers.cash_constrained import Plan
from optimization.solvers.coupled import solve_at_base
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import SeparableRelaxation, relax, restate
from optimization.solvers.yielding_bands import soften_bands, solve_yielding
from optimization.time_budget import TimeBudget


def plan_after_costs(
    relaxed: SeparableRelaxation, budget: TimeBudget, *, bands_yield: bool
) -> tuple[CoupledProblem, Plan | None]:
    """Solve one portfolio under costs; return its problem at the resulting base, and the plan."""
    options = relaxed.options
    step = _find_stable_step(relaxed, options, budget, bands_yield=bands_yield)
    if step is None:
        return CoupledProblem.from_relaxation(relaxed, 0), None
    if bands_yield:
        return step.coupled, step.plan
    if options.renews:
        step = _avoid_reversals(step, relaxed, budget)
    return CoupledProblem.from_relaxation(
        relax(relaxed.assembled, options, step.costs), 0
    ), step.plan


def _avoid_reversals(step: Step, relaxed: SeparableRelaxation, budget: TimeBudget) -> Step:
    """Prefer a plan without the trades that only costs cause, if one is found in time."""
    try:
        moved = _find_moved_by_costs(step, relaxed, budget)
        options = replace(relaxed.options, frozen=relaxed.options.frozen | moved)
        other = _find_stable_step(relaxed, options, budget, bands_yield=False) if moved else None
        return other or step
    except NoSolutionInTimeError:
        return step


def _find_stable_step(
    relaxed: SeparableRelaxation,
    options: RebalanceOptions,
    budget: TimeBudget,
    *,
    bands_yield: bool,
) -> Step | None:
    """Find the first plan that a second, equal request leaves unchanged."""
    statements = _state_problems(relaxed.assembled, options, budget, bands_yield=bands_yield)
    for step in plans_after_costs(*statements):
        if _is_stable(step, relaxed, budget, bands_yield=bands_yield):
            return step
    return None


def _find_moved_by_costs(
    step: Step, relaxed: SeparableRelaxation, budget: TimeBudget
) -> frozenset[str]:
    """Find the securities that move away from their targets only because trades cost money.

    A later request would trade them back, because it pays costs again.
    """
    coupled = CoupledProblem.from_relaxation(relaxed, 0)
    first = solve_at_base(coupled, relaxed.options, budget)
    if first is None:
        return frozenset()
    block, target = coupled.block, coupled.bands.target[0]
    before, after = block.before[0], step.plan.lots
    farther = abs(target - after * block.lot_value) > abs(target - before * block.lot_value)
    columns = np.flatnonzero(farther & (after != before) & (first.lots == before)).tolist()
    return frozenset(relaxed.assembled.securities[column].security_id for column in columns)


def _is_stable(
    step: Step, relaxed: SeparableRelaxation, budget: TimeBudget, *, bands_yield: bool
) -> bool:
    """Whether an equal request trades nothing after the plan is executed and paid for.

    Under limits that renew with each request: whether the second request undoes no trade.
    """
    assembled, options = relaxed.assembled, relaxed.options
    if step.traded_lots == 0 or (not bands_yield and (step.is_settled or options.renews)):
        return True
    outcome = assembled.make_outcome(0, step.plan.lots, cost=step.plan.cost)
    ids = [security.security_id for security in (*outcome.securities, *outcome.others)]
    holdings = dict(zip(ids, map(Decimal, outcome.after), strict=True))
    executed = replace(assembled.portfolios[0], cash=outcome.cash_after, holdings=holdings)
    model, others = assembled.model, assembled.units.others.price_holdings(executed)
    again = build_block(model, others, [executed], options, units=assembled.units)
    try:
        first = _find_first_plan(again, options, budget, bands_yield=False)
        if first is None and bands_yield and do_bands_yield(relax(again, options), 0, budget):
            first = _find_first_plan(again, options, budget, bands_yield=True)
    except NoSolutionInTimeError:
        return True
    if first is None or not options.renews:
        return first is not None and first.traded_lots == 0
    trades = _list_trades(step, assembled)
    return all(
        trades.get(security_id, 0) * lots >= 0
        for security_id, lots in _list_trades(first, again).items()
    )


def _list_trades(step: Step, assembled: BlockWithIds) -> dict[str, int]:
    """Lots bought of each security, negative if sold."""
    ids = [security.security_id for security in assembled.securities]
    lots = step.plan.lots - step.coupled.block.before[0]
    return dict(zip(ids, lots.tolist(), strict=True))


def _find_first_plan(
    assembled: BlockWithIds, options: RebalanceOptions, budget: TimeBudget, *, bands_yield: bool
) -> Step | None:
    """Find the first plan that pays for its trades, stable or not."""
    statements = _state_problems(assembled, options, budget, bands_yield=bands_yield)
    return next(plans_after_costs(*statements), None)


def _state_problems(
    assembled: BlockWithIds, options: RebalanceOptions, budget: TimeBudget, *, bands_yield: bool
) -> tuple[Statement, Statement]:
    """State a portfolio with its limits at a given base, and at the base of each plan."""

    def state_at_base(costs: int) -> CoupledProblem:
        return CoupledProblem.from_relaxation(relax(assembled, options, costs), 0)

    def state_at_own_base(costs: int) -> CoupledProblem:
        coupled = state_at_base(costs)
        return coupled.restate_at_own_base(state_base_fractions(options, coupled.block))

    def solve(coupled: CoupledProblem) -> Plan | None:
        # Half of the remaining time, otherwise a hard search at the first base starves the next.
        return solve_at_base(coupled, options, budget.share(2))

    def state_soft_at_base(costs: int) -> CoupledProblem:
        relaxed = relax(assembled, options, costs, bands_yield=True)
        return soften_bands(CoupledProblem.from_relaxation(relaxed, 0))

    def solve_soft(coupled: CoupledProblem) -> Plan | None:
        return solve_yielding(coupled, budget, fewest_trades=options.fewest_trades)

    if bands_yield:
        yields = Statement(state_soft_at_base, solve_soft)
        return yields, yields
    return Statement(state_at_base, solve), Statement(state_at_own_base, solve)


def do_bands_yield(relaxed: SeparableRelaxation, row: int, budget: TimeBudget) -> bool:
    """Whether a portfolio without a plan inside all bands gets a plan outside them.

    With no explicit ``bands`` option, bands yield to restrictions if lifting those restrictions
    would admit a plan inside every band.
    """
    options = relaxed.options
    if options.soft_band_price is not None or int(relaxed.block.base[row]) < 0:
        return False
    if options.bands is not None or not options.restrictions:
        return options.bands is BandRule.YIELD
    free, share = options.lift(options.restrictions), budget.share(2)
    try:
        if options.has_costs:
            unrestricted = restate(relaxed, row, free).assembled
            return _find_first_plan(unrestricted, free, share, bands_yield=False) is not None
        return has_plan(relaxed, row, free, share)
    except (NoSolutionInTimeError, CertificationError):
        return True  # undecided: yield, because a plan outside bands is better than no plan

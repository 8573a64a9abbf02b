"""Plans after costs: the search for a plan that the same request leaves alone once it is executed and paid for.

base_iteration.py finds plans that keep every band and limit at the base that their own costs leave. Two kinds of
them are not known to be left alone: those of a cycle, and those that are the optimum at no base but their own. Such
a plan is executed on paper and asked about again; the first plan that survives is the answer. Under limits that
renew with each request, a second request may trade further, but must not undo a trade.
"""

from dataclasses import replace
from decimal import Decimal

import numpy as np

from optimization.domain.options import BandRule, RebalanceOptions
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.block_builder import BlockWithIds, build_block, price_others
from optimization.exact.constraints import shares_of
from optimization.explain.infeasibility import has_plan
from optimization.solvers.base_iteration import Statement, Step, plans_after_costs
from optimization.solvers.cash_constrained import Plan
from optimization.solvers.coupled import solve_at_base
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.relaxation import SeparableRelaxation, relax, restate
from optimization.solvers.yielding_bands import solve_yielding, yielding
from optimization.time_budget import Budget


def plan_after_costs(
    relaxed: SeparableRelaxation, budget: Budget, *, bands_yield: bool
) -> tuple[CoupledProblem, Plan | None]:
    """The plan of one portfolio that pays for its trades, and the desk at the base that this leaves."""
    options = relaxed.options
    step = _left_alone(relaxed, options, budget, bands_yield=bands_yield)
    if step is None:
        return relaxed.coupled(0), None
    if bands_yield:
        return step.coupled, step.plan
    if options.renews:
        step = _without_undoing(step, relaxed, budget)
    return relax(relaxed.assembled, options, step.costs).coupled(0), step.plan


def _without_undoing(step: Step, relaxed: SeparableRelaxation, budget: Budget) -> Step:
    """The plan, or one without what its costs alone move, if there is one in time."""
    try:
        moved = _moved_by_costs(step, relaxed, budget)
        options = replace(relaxed.options, frozen=relaxed.options.frozen | moved)
        other = _left_alone(relaxed, options, budget, bands_yield=False) if moved else None
        return other or step
    except NoSolutionInTimeError:
        return step


def _left_alone(
    relaxed: SeparableRelaxation, options: RebalanceOptions, budget: Budget, *, bands_yield: bool
) -> Step | None:
    """The first plan that the same request would not go on from."""
    statements = _statements(relaxed.assembled, options, budget, bands_yield=bands_yield)
    for step in plans_after_costs(*statements):
        if _is_left_alone(step, relaxed, budget, bands_yield=bands_yield):
            return step
    return None


def _moved_by_costs(step: Step, relaxed: SeparableRelaxation, budget: Budget) -> frozenset[str]:
    """Securities that go away from their targets of market value for no reason but what the trades cost.

    One that an earlier request brought there would otherwise be traded back, because a later one pays again.
    """
    coupled = relaxed.coupled(0)
    first = solve_at_base(coupled, relaxed.options, budget)
    if first is None:
        return frozenset()
    block, target = coupled.tight.block, coupled.tight.bands.target[0]
    before, after = block.before[0], step.plan.lots
    farther = abs(target - after * block.lot_value) > abs(target - before * block.lot_value)
    columns = np.flatnonzero(farther & (after != before) & (first.lots == before)).tolist()
    return frozenset(relaxed.assembled.securities[column].security_id for column in columns)


def _is_left_alone(
    step: Step, relaxed: SeparableRelaxation, budget: Budget, *, bands_yield: bool
) -> bool:
    """Whether the same request trades nothing once a plan is executed and paid for.

    Or, under limits that renew with each request, whether it undoes no trade.
    """
    assembled, options = relaxed.assembled, relaxed.options
    if step.traded_lots == 0 or (not bands_yield and (step.is_settled or options.renews)):
        return True
    done = assembled.rebalance(0, step.plan.lots, cost=step.plan.cost)
    ids = [security.security_id for security in (*done.securities, *done.others)]
    held = dict(zip(ids, map(Decimal, done.after), strict=True))
    executed = replace(assembled.portfolios[0], cash=done.cash_after, holdings=held)
    model, others = assembled.model, price_others(assembled.model, executed)
    again = build_block(model, others, [executed], options)
    try:
        first = _first_plan(again, options, budget, bands_yield=False)
        if first is None and bands_yield and do_bands_yield(relax(again, options), 0, budget):
            first = _first_plan(again, options, budget, bands_yield=True)
    except NoSolutionInTimeError:
        return True
    if first is None or not options.renews:
        return first is not None and first.traded_lots == 0
    trades = _trades(step, assembled)
    return all(
        trades.get(security_id, 0) * lots >= 0
        for security_id, lots in _trades(first, again).items()
    )


def _trades(step: Step, assembled: BlockWithIds) -> dict[str, int]:
    """Lots bought (sold, if negative) of each security."""
    ids = [security.security_id for security in assembled.securities]
    lots = step.plan.lots - step.coupled.tight.block.before[0]
    return dict(zip(ids, lots.tolist(), strict=True))


def _first_plan(
    assembled: BlockWithIds, options: RebalanceOptions, budget: Budget, *, bands_yield: bool
) -> Step | None:
    """The first plan that pays for its trades, whether or not the next request goes on from it."""
    statements = _statements(assembled, options, budget, bands_yield=bands_yield)
    return next(plans_after_costs(*statements), None)


def _statements(
    assembled: BlockWithIds, options: RebalanceOptions, budget: Budget, *, bands_yield: bool
) -> tuple[Statement, Statement]:
    """A portfolio with its limits at a given base, and at the base of each plan."""

    def at_base(costs: int) -> CoupledProblem:
        return relax(assembled, options, costs).coupled(0)

    def at_own_base(costs: int) -> CoupledProblem:
        coupled = at_base(costs)
        return coupled.at_own_base(shares_of(options, coupled.tight.block))

    def solve(coupled: CoupledProblem) -> Plan | None:
        # Half of what is left, otherwise a hard search at the first base leaves none for its successor.
        return solve_at_base(coupled, options, budget.share(2))

    def yielding_at_base(costs: int) -> CoupledProblem:
        return yielding(relax(assembled, options, costs, bands_yield=True).coupled(0))

    def solve_as_it_yields(coupled: CoupledProblem) -> Plan | None:
        return solve_yielding(coupled, budget, fewest_trades=options.fewest_trades)

    if bands_yield:
        yields = Statement(yielding_at_base, solve_as_it_yields)
        return yields, yields
    return Statement(at_base, solve), Statement(at_own_base, solve)


def do_bands_yield(relaxed: SeparableRelaxation, row: int, budget: Budget) -> bool:
    """Whether a portfolio without a plan inside all bands has one outside them.

    Unsaid, bands yield to restrictions without which there is a plan inside all of them.
    """
    options = relaxed.options
    if options.soft_band_price is not None or int(relaxed.block.base[row]) < 0:
        return False
    if options.bands is not None or not options.restrictions:
        return options.bands is BandRule.YIELD
    free, share = options.without(options.restrictions), budget.share(2)
    try:
        if options.has_costs:
            unrestricted = restate(relaxed, row, free).assembled
            return _first_plan(unrestricted, free, share, bands_yield=False) is not None
        return has_plan(relaxed, row, free, share)
    except (NoSolutionInTimeError, CertificationError):
        return True  # nobody knows, and a plan that yields is more than none

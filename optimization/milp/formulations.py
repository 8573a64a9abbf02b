"""Integer programs, as CVXPY models.

Drift is modelled by its convex hull over whole lots. With k the lots at or just below the target
and r = t - k p, the count is z = k + x - d + e, x in {0, 1}, whole d, e >= 0, and at every whole z

    |t - p z| = |r| + (|p - r| - |r|) x + p (d + e)

the two arms and the chord between the two counts around the target. The linear relaxation of |.|
itself is near 0 and needs branching; this one is the hull of each security. Counts are shifted by
k, because large numbers would otherwise reach the rows.

Coupling options depend on the trade too, so the hull also breaks at the holding and is counted from
there. *base* is the count next to the target on the holding's side (k, or k + 1 from above),
``approach`` the lots from the holding to base, s = 1 if the target is above and -1 if below:

    z = base + s (x - undone - retreat + overshoot)
    x in {0, 1}; whole undone, retreat, overshoot >= 0

x is the step across the target, ``overshoot`` the lots past that step, ``undone`` the part of the
approach that is not traded, ``retreat`` the lots on the far side of the holding. A trade toward the
target has approach - undone + x + overshoot lots, a trade away from it ``retreat`` lots. If trades
count - each has a cost or a least size, or their number is limited - each part is tied to the
boolean of its trade by a row of its own:

    x <= trade_toward                 undone >= approach (1 - trade_toward)
    overshoot <= max_overshoot trade_toward
    retreat <= max_retreat trade_away
    trade_toward + trade_away <= 1

These rows are tight. With a single row for the sum of the parts, or with separate variables for
lots bought and sold, the relaxation would admit a full trade at a small fraction of its boolean.
See K. L. Croxton, B. Gendron, T. L. Magnanti, *A Comparison of Mixed-Integer Programming Models for
Nonconvex Piecewise Linear Cost Minimization Problems*, Management Science 49, 2003.

Each process compiles a few padded sizes once, and cuts them down to the securities of a problem.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import cvxpy as cp
import numpy as np

from optimization.milp.coupled_rows import (
    PLAN_COSTS,
    SLACK,
    STEPS,
    PlanCosts,
    Steps,
    Trades,
    bound_rows,
    coupling_rows,
    security_parameters,
    soft_band_rows,
)
from optimization.milp.data import (
    ABSOLUTE_GAP,
    MIN_GRANULARITY,
    CashMilpData,
    CoupledMilpData,
    Floats,
    SolverAnswer,
)
from optimization.milp.parametric import ParametricMilp
from optimization.time_budget import TimeBudget

MIN_PADDED_SIZE = 8
COUNT_GRANULARITY = 1.0  # granularity of the number of trades
SLACK_PRICE = 1000.0  # objective coefficient of elastic slack; that of drift is 1


def choose_gap(granularity: float) -> float:
    """Absolute gap of a search: half the granularity if floats resolve it, else a cent."""
    return granularity / 2 if granularity >= MIN_GRANULARITY else ABSOLUTE_GAP


def solve_cash(data: CashMilpData, budget: TimeBudget) -> tuple[SolverAnswer, Floats | None]:
    """Solve the cash-constrained program: lots above k of each security; None without a plan."""
    return _solve(_build_cash_program(padded_size(len(data.lot_value))), data, budget)


def solve_coupled(data: CoupledMilpData, budget: TimeBudget) -> tuple[SolverAnswer, Floats | None]:
    """Solve the coupled program: lots above ``base`` of each security; None without a plan."""
    program = _select_program(data, counts_trades=data.counts_trades, fewest_trades=False)
    return _solve(program, data, budget)


def solve_fewest_trades(
    data: CoupledMilpData, budget: TimeBudget
) -> tuple[SolverAnswer, Floats | None]:
    """Minimise trades among the plans whose objective is at most ``objective_most``."""
    program = _select_program(data, counts_trades=True, fewest_trades=True)
    return _solve(program, replace(data, granularity=COUNT_GRANULARITY), budget)


def _select_program(
    data: CoupledMilpData, *, counts_trades: bool, fewest_trades: bool
) -> ParametricMilp:
    size, groups = padded_size(len(data.lot_value)), padded_size(len(data.group_low), 1)
    odd_lots = 0 if data.odd_lots is None else padded_size(len(data.odd_lots.odd_limit), 1)
    own = data.own_base is not None
    flags = {
        "soft": data.soft_price is not None,
        "capped": data.violation_most is not None,
        "counts_trades": counts_trades or own,
        "fewest_trades": fewest_trades,
        "own_base": own,
    }
    return _build_coupled_program(size, groups, odd_lots, **flags)


def _solve(
    program: ParametricMilp, data: CashMilpData | CoupledMilpData, budget: TimeBudget
) -> tuple[SolverAnswer, Floats | None]:
    count = len(data.lot_value)
    is_coupled = isinstance(data, CoupledMilpData)
    sources = (data.odd_lots, data, data.own_base) if is_coupled else (data,)
    parameters = {
        name: next(getattr(source, name) for source in sources if hasattr(source, name))
        for name in program.parameters
    }
    if data.fine is None:
        answer = program.solve(parameters, budget, choose_gap(data.granularity), count)
        return answer, _read_change(data, answer)
    per_step = data.fine.lots_per_step
    fractional = dict.fromkeys(STEPS if is_coupled else ("down", "up"), per_step > 1)
    answer = program.solve(parameters, budget, ABSOLUTE_GAP, count, fractional)
    change = _read_change(data, answer)
    answer = replace(answer, bound=answer.bound - data.fine.overstated)
    return answer, None if change is None else per_step * change


def _read_change(data: CashMilpData | CoupledMilpData, answer: SolverAnswer) -> Floats | None:
    """Steps above ``base`` of each security."""
    values = answer.values
    if values is None:
        return None
    if isinstance(data, CashMilpData):
        return values["x"] - values["down"] + values["up"]
    steps = values["x"] - values["undone"] - values["retreat"] + values["overshoot"]
    if data.fine is not None and "trade_toward" in values:
        # Repaired, because a boolean that is 0 within tolerance admits a small part of its trade.
        traded = np.rint(values["trade_toward"] + values["trade_away"]) > 0
        steps = np.where(traded | (data.fine.lots_per_step == 1), steps, -data.approach)
    return data.sign * steps


def padded_size(count: int, smallest: int = MIN_PADDED_SIZE) -> int:
    """Round ``count`` up to the size of a compiled program."""
    return max(smallest, 1 << (count - 1).bit_length() if count else 0)


@cache
def _build_cash_program(size: int) -> ParametricMilp:
    x = cp.Variable(size, boolean=True, name="x")
    down, up = (cp.Variable(size, integer=True, name=name) for name in ("down", "up"))
    names = ("lot_value", "cost_across", "can_cross", "max_down", "max_up")
    lot_value, cost_across, can_cross, max_down, max_up = security_parameters(size, *names)
    rows = [
        *bound_rows(down, max_down),
        *bound_rows(up, max_up),
        x <= can_cross,
        lot_value @ (x - down + up) <= cp.Parameter(name="limit"),
    ]
    return _compile(cost_across @ x + lot_value @ (down + up), rows)


@cache
def _build_coupled_program(
    size: int,
    groups: int,
    odd_lots: int,
    *,
    soft: bool,
    capped: bool,
    counts_trades: bool,
    fewest_trades: bool,
    own_base: bool,
) -> ParametricMilp:
    steps = Steps(size)
    trades = Trades(size, steps, has_odd_lots=odd_lots > 0) if counts_trades else None
    plan_costs = PlanCosts(size, groups, steps, trades) if trades is not None and own_base else None
    limits, slack_total = coupling_rows(size, groups, steps, trades, plan_costs)
    objective, rows = steps.cost, [*steps.rows, *limits]
    if odd_lots:
        change = steps.onward - steps.retreat
        limit = cp.Parameter(odd_lots, name="odd_limit")
        rows.append(cp.Parameter((odd_lots, size), name="odd_lots") @ change <= limit)
    if trades is not None:
        rows += trades.rows
        objective += cp.Parameter(name="cost_per_trade") * trades.count
    if plan_costs is not None:
        rows += plan_costs.rows
    if soft:
        bands, outside = soft_band_rows(size, steps)
        rows += bands
        if capped:
            rows.append(outside <= cp.Parameter(name="violation_most"))
        objective += cp.Parameter(name="soft_price") * outside
    if trades is not None and fewest_trades:
        rows.append(objective <= cp.Parameter(name="objective_most"))
        return _compile(trades.count, rows)
    return _compile(objective + SLACK_PRICE * slack_total, rows)


def _compile(objective: Any, rows: list[cp.Constraint]) -> ParametricMilp:
    data = cp.Problem(cp.Minimize(objective), rows)
    names = (SLACK, PLAN_COSTS)
    of_securities = [
        variable for variable in data.variables() if not variable.name().startswith(names)
    ]
    return ParametricMilp(data, of_securities)

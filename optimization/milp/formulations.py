"""The integer programs, as CVXPY models.

Drift is modelled by its convex hull over whole lots. With k the lots at or just below the target and
r = t - k p, the count is z = k + x - d + e, x in {0, 1}, whole d, e >= 0, and at every whole z

    |t - p z| = |r| + (|p - r| - |r|) x + p (d + e)

the two arms and the chord between the two counts around the target. The linear relaxation of |.| itself
is near 0 and has to be branched away; this is the hull of each security. Everything is shifted by k, so
the large numbers never reach a row.

Under coupling options it matters what is traded too, so the hull is cut at the holding as well and looks from there.
*base* is the count next to the target on the holding's side (k, or k + 1 from above), *way* the lots from the holding
to it, s = 1 where this way is up and -1 where it is down:

    z = base + s (x - left - away + beyond)          x in {0, 1}; whole left, away, beyond >= 0

with x for the step across the target, ``beyond`` for lots beyond that step, ``left`` for what is left of the way, and
``away`` for lots on the far side of the holding. A trade *forth* is of way - left + x + beyond lots, one *back* of
``away``. Where trades count - each has a cost or a least size, or so many may be made - each part is tied to the
boolean of its trade by itself:

    x <= forth    beyond <= most_beyond forth    left >= way (1 - forth)    away <= most_away back    forth + back <= 1

The sum of the parts tied to the boolean, or lots bought and sold beside the hull, would relax to a small part of a trade
that goes all the way; these rows do not (K. L. Croxton, B. Gendron, T. L. Magnanti, *A Comparison of Mixed-Integer
Programming Models for Nonconvex Piecewise Linear Cost Minimization Problems*, Management Science 49, 2003).

A few sizes are compiled, each once a process, and cut down to the securities there are.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import cvxpy as cp
import numpy as np

from optimization.milp.data import CashMilpData, CoupledMilpData
from optimization.milp.parametric import ParametricMilp, SolverAnswer
from optimization.milp.sparse_form import Floats
from optimization.time_budget import Budget

MIN_PADDED_SIZE = 8
ABSOLUTE_GAP = 0.01  # currency; sums of six-decimal prices do not close at 0 in any useful time
MIN_GRANULARITY = 1e-5  # currency; what floats still tell apart in an objective of millions
COUNT_GRANULARITY = 1.0  # of a number of trades
# The variables of a security that are no booleans.
STEPS: tuple[str, ...] = ("left", "away", "beyond")
GIVES, PAID = "gives_", "paid"  # how the variables begin that no security has
GIVE_PRICE = 1000.0  # of what a limit gives in the nearest plan, against drift


def gap_of(granularity: float) -> float:
    """How much better another plan may be: less than objectives differ by, where floats can tell; else a cent."""
    return granularity / 2 if granularity >= MIN_GRANULARITY else ABSOLUTE_GAP


def solve_cash(problem: CashMilpData, budget: Budget) -> tuple[SolverAnswer, Floats | None]:
    """The lots above k of each security, as the solver sees them; None without a plan."""
    return _solve(_cash_program(padded(len(problem.lot_value))), problem, budget)


def solve_coupled(problem: CoupledMilpData, budget: Budget) -> tuple[SolverAnswer, Floats | None]:
    """The same for a CoupledMilpData: the lots above ``base``."""
    program = _program_of(problem, counted=problem.counted, fewest_trades=False)
    return _solve(program, problem, budget)


def solve_fewest_trades(
    problem: CoupledMilpData, budget: Budget
) -> tuple[SolverAnswer, Floats | None]:
    """Fewest trades among the plans whose objective is at most ``objective_most``."""
    program = _program_of(problem, counted=True, fewest_trades=True)
    return _solve(program, replace(problem, granularity=COUNT_GRANULARITY), budget)


def _program_of(problem: CoupledMilpData, *, counted: bool, fewest_trades: bool) -> ParametricMilp:
    size, groups = padded(len(problem.lot_value)), padded(len(problem.group_low), 1)
    odd_lots = 0 if problem.odd_lots is None else padded(len(problem.odd_lots.odd_limit), 1)
    own = problem.own_base is not None
    flags = {
        "soft": problem.soft_price is not None,
        "capped": problem.violation_most is not None,
        "counted": counted or own,
        "fewest_trades": fewest_trades,
        "own_base": own,
    }
    return _desk_program(size, groups, odd_lots, **flags)


def _solve(
    program: ParametricMilp, problem: CashMilpData | CoupledMilpData, budget: Budget
) -> tuple[SolverAnswer, Floats | None]:
    count = len(problem.lot_value)
    is_desk = isinstance(problem, CoupledMilpData)
    sources = (problem.odd_lots, problem, problem.own_base) if is_desk else (problem,)
    parameters = {
        name: next(getattr(source, name) for source in sources if hasattr(source, name))
        for name in program.parameters
    }
    if problem.fine is None:
        answer = program.solve(parameters, budget, gap_of(problem.granularity), count)
        return answer, _change(problem, answer)
    per_step = problem.fine.lots_per_step
    fractional = dict.fromkeys(STEPS if is_desk else ("down", "up"), per_step > 1)
    answer = program.solve(parameters, budget, ABSOLUTE_GAP, count, fractional)
    change = _change(problem, answer)
    answer = replace(answer, bound=answer.bound - problem.fine.overstated)
    return answer, None if change is None else per_step * change


def _change(problem: CashMilpData | CoupledMilpData, answer: SolverAnswer) -> Floats | None:
    """The steps above ``base`` of each security."""
    values = answer.values
    if values is None:
        return None
    if isinstance(problem, CashMilpData):
        return values["x"] - values["down"] + values["up"]
    steps = values["x"] - values["left"] - values["away"] + values["beyond"]
    if problem.fine is not None and "forth" in values:
        # A boolean that is 0 within the solver's tolerance leaves its trade a small part of all its lots.
        traded = np.rint(values["forth"] + values["back"]) > 0
        steps = np.where(traded | (problem.fine.lots_per_step == 1), steps, -problem.way)
    return problem.sign * steps


def padded(count: int, smallest: int = MIN_PADDED_SIZE) -> int:
    """The compiled size that serves ``count``."""
    return max(smallest, 1 << (count - 1).bit_length() if count else 0)


@cache
def _cash_program(size: int) -> ParametricMilp:
    x = cp.Variable(size, boolean=True, name="x")
    down, up = (cp.Variable(size, integer=True, name=name) for name in ("down", "up"))
    names = ("lot_value", "chord", "chords", "most_down", "most_up")
    lot_value, chord, chords, most_down, most_up = _of_securities(size, *names)
    rows = [
        *_between(down, most_down),
        *_between(up, most_up),
        x <= chords,
        lot_value @ (x - down + up) <= cp.Parameter(name="limit"),
    ]
    return _compiled(chord @ x + lot_value @ (down + up), rows)


def _of_securities(size: int, *names: str) -> tuple[cp.Parameter, ...]:
    return tuple(cp.Parameter(size, name=name) for name in names)


def _between(variable: cp.Variable, most: cp.Parameter) -> tuple[cp.Constraint, cp.Constraint]:
    return variable >= 0, variable <= most


class _Steps:
    """The parts of the way from the holding to the target and beyond, and what they cost in the objective."""

    def __init__(self, size: int) -> None:
        self.x = cp.Variable(size, boolean=True, name="x")
        parts = (cp.Variable(size, integer=True, name=name) for name in STEPS)
        self.left, self.away, self.beyond = parts
        names = ("chords", "most_left", "most_away", "most_beyond")
        self.chords, most_left, self.most_away, self.most_beyond = _of_securities(size, *names)
        names = ("cost_across", "cost_left", "cost_further")
        across, left, further = _of_securities(size, *names)
        self.rows: list[cp.Constraint] = [
            self.x <= self.chords,
            *_between(self.left, most_left),
            *_between(self.away, self.most_away),
            *_between(self.beyond, self.most_beyond),
        ]
        self.cost: Any = across @ self.x + left @ self.left + further @ (self.away + self.beyond)
        self.onward = self.x - self.left + self.beyond  # beside the way, which is a constant
        step_value = cp.Parameter(size, name="step_value")
        self.value: Any = cp.multiply(step_value, self.onward - self.away)  # above that at base
        self.invested: Any = step_value @ (self.onward - self.away)


class _Trades:
    """A boolean for a trade forth and for one back, each part of the way tied to its own."""

    def __init__(self, size: int, steps: _Steps, *, has_odd_lots: bool) -> None:
        forth, back = (cp.Variable(size, boolean=True, name=name) for name in ("forth", "back"))
        way, least = _of_securities(size, "way", "least_trade")
        tied_way, untied = way, 0
        if has_odd_lots:
            tied_way, untied = _of_securities(size, "tied_way", "untied")
        self.rows: list[cp.Constraint] = [
            steps.x <= cp.multiply(steps.chords, forth) + untied,
            steps.beyond <= cp.multiply(steps.most_beyond, forth),
            steps.left + cp.multiply(tied_way, forth) >= tied_way,
            steps.onward + way >= cp.multiply(least, forth),
            steps.away <= cp.multiply(steps.most_away, back),
            steps.away >= cp.multiply(least, back),
            forth + back <= 1,
        ]
        self.count = cp.sum(forth + back)


class _Paid:
    """The costs of the plan, beyond those of the way to ``base``, and the rows that move with them.

    One variable that every row shares: spelled out in each row, costs would make all of them dense.
    """

    def __init__(self, size: int, groups: int, steps: _Steps, trades: _Trades) -> None:
        self.cost = cp.Variable(name=PAID)
        self.per_trade = cp.Parameter(name="per_trade")
        rate_value, low, high = _of_securities(size, "rate_value", "band_low", "band_high")
        turnover = rate_value @ (steps.onward + steps.away)
        shares = _of_securities(size, "band_low_share", "band_high_share")
        self.rows: list[cp.Constraint] = [
            self.cost == turnover + self.per_trade * trades.count,
            steps.value + cp.multiply(shares[0], self.cost) >= low,
            steps.value + cp.multiply(shares[1], self.cost) <= high,
        ]
        names = ("floor_counts", "ceiling_counts")
        self.of_cash = [steps.invested + cp.Parameter(name=name) * self.cost for name in names]
        names = ("group_low_share", "group_high_share")
        self.of_groups = [self.cost * share for share in _of_securities(groups, *names)]


@cache
def _desk_program(
    size: int,
    groups: int,
    odd_lots: int,
    *,
    soft: bool,
    capped: bool,
    counted: bool,
    fewest_trades: bool,
    own_base: bool,
) -> ParametricMilp:
    steps = _Steps(size)
    trades = _Trades(size, steps, has_odd_lots=odd_lots > 0) if counted else None
    paid = _Paid(size, groups, steps, trades) if trades is not None and own_base else None
    limits, given = _limits(size, groups, steps, trades, paid)
    objective, rows = steps.cost, [*steps.rows, *limits]
    if odd_lots:
        change = steps.onward - steps.away
        limit = cp.Parameter(odd_lots, name="odd_limit")
        rows.append(cp.Parameter((odd_lots, size), name="odd_lots") @ change <= limit)
    if trades is not None:
        rows += trades.rows
        objective += cp.Parameter(name="cost_per_trade") * trades.count
    if paid is not None:
        rows += paid.rows
    if soft:
        bands, outside = _soft_bands(size, steps)
        rows += bands
        if capped:
            rows.append(outside <= cp.Parameter(name="violation_most"))
        objective += cp.Parameter(name="soft_price") * outside
    if trades is not None and fewest_trades:
        rows.append(objective <= cp.Parameter(name="objective_most"))
        return _compiled(trades.count, rows)
    return _compiled(objective + GIVE_PRICE * given, rows)


def _compiled(objective: Any, rows: list[cp.Constraint]) -> ParametricMilp:
    problem = cp.Problem(cp.Minimize(objective), rows)
    names = (GIVES, PAID)
    of_securities = [one for one in problem.variables() if not one.name().startswith(names)]
    return ParametricMilp(problem, of_securities)


def _limits(
    size: int, groups: int, steps: _Steps, trades: _Trades | None, paid: _Paid | None
) -> tuple[list[cp.Constraint], Any]:
    """The coupling rows, each with a variable for how much it gives; and the sum of these."""
    names = ("floor", "ceiling", "turnover")
    floor, ceiling, turnover = (cp.Variable(name=GIVES + name) for name in names)
    low, high = (cp.Variable(groups, name=f"{GIVES}group_{side}") for side in ("low", "high"))
    of_limits = cp.Parameter(name="give_limits")
    of_restrictions = cp.Parameter(name="give_restrictions")
    others: list[tuple[cp.Variable, cp.Parameter]] = [
        (ceiling, of_limits),
        (turnover, of_restrictions),
        (low, of_limits),
        (high, of_limits),
    ]
    rows: list[cp.Constraint] = []
    if trades is not None:
        more = cp.Variable(name=f"{GIVES}trades")
        others.append((more, of_restrictions))
        rows.append(trades.count <= cp.Parameter(name="trades") + more)
    given = [floor, *(give for give, _ in others)]
    spent = [_spent(size, steps, trades), steps.invested] if paid is None else paid.of_cash
    value = cp.Parameter((groups, size), name="group_value") @ (steps.onward - steps.away)
    of_groups = [value, value]
    if paid is not None:
        of_groups = [value + moved for moved in paid.of_groups]
    lot_value = cp.Parameter(size, name="lot_value")
    rows += [
        spent[0] <= cp.Parameter(name="limit") + floor,
        spent[1] >= cp.Parameter(name="limit_low") - ceiling,
        lot_value @ (steps.onward + steps.away) <= cp.Parameter(name="turnover") + turnover,
        of_groups[0] >= cp.Parameter(groups, name="group_low") - low,
        of_groups[1] <= cp.Parameter(groups, name="group_high") + high,
        floor <= cp.Parameter(name="give_floor"),
        *(give <= most for give, most in others),
        *(give >= 0 for give in given),
    ]
    return rows, cp.sum(cp.hstack(given))


def _spent(size: int, steps: _Steps, trades: _Trades | None) -> Any:
    """What trades take from cash, beyond those from the holdings to ``base``."""
    spent_forth, spent_back = _of_securities(size, "spent_forth", "spent_back")
    spent: Any = spent_forth @ steps.onward + spent_back @ steps.away
    if trades is not None:
        spent += cp.Parameter(name="per_trade") * trades.count
    return spent


def _soft_bands(size: int, steps: _Steps) -> tuple[list[cp.Constraint], Any]:
    under, over = (cp.Variable(size, name=name) for name in ("under", "over"))
    low, high = _of_securities(size, "band_low", "band_high")
    rows: list[cp.Constraint] = [
        under >= 0,
        over >= 0,
        steps.value + under >= low,
        steps.value - over <= high,
    ]
    return rows, cp.sum(under + over)
